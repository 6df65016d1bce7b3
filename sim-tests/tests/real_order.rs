//! The order flow on a real MariaDB and a real Redis: orders contend, jobs cancel, heat and rebuild beside them, and
//! the books must balance. A script that does not look whether there is enough must oversell.

use doublehold::flow::order::books::Books;
use doublehold::flow::order::heat::Heat;
use doublehold::flow::order::{Config, LockScope, breaker, limiter, oracle};
use doublehold::history::{Entry, Fact};
use doublehold::judge::judge;
use doublehold::lock::mysql::Retry;
use doublehold::port::{Command, Redis};
use doublehold::scenario::Workload;
use doublehold::scenario::guarded::LockKind;
use doublehold::scenario::locks;
use doublehold::scenario::locks::Timing;
use doublehold::scenario::mutation::{Edit, Mutation};
use doublehold::scenario::order::{Amount, Jobs, Orders};
use doublehold::world::real::servers::{MariaDbServer, RedisServer};
use doublehold::world::real::{Journal, MySqlOptions, RealMySql, RealPorts, RealRedis, RedisOptions};
use doublehold_sim_tests::{mariadb_or_skip, redis_server_or_skip};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Runtime;

const CLIENTS: usize = 8;
const ORDERS: usize = 10;
const ROUNDS: usize = 3;

struct Shop {
    mysql: RealMySql,
    runtime: Runtime,
    redis: RedisServer,
    _database: MariaDbServer,
}

impl Shop {
    fn open(what: &str) -> Option<Self> {
        if !(mariadb_or_skip(what) && redis_server_or_skip(what)) {
            return None;
        }
        let database = MariaDbServer::start().expect("mariadbd starts");
        let redis = RedisServer::start().expect("redis-server starts");
        let mysql = RealMySql::new(&database.url(), MySqlOptions::default()).expect("the URL is one");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        Some(Shop { mysql, runtime: runtime.expect("tokio starts"), redis, _database: database })
    }

    fn ports(&self, client: usize, journal: Journal) -> RealPorts {
        let urls = [self.redis.url()];
        let ports = RealPorts::new(client, &urls, RedisOptions::default(), journal).expect("no URL is wrong");
        ports.with_mysql(&self.mysql)
    }

    async fn clear(&self) {
        use doublehold::port::mysql::{MySql, Session};
        let mut session = self.mysql.session();
        let tables = "DROP TABLE IF EXISTS message, payment, inventory_log, orders, coupon, sku_route, \
             stock_movement, stock, sku";
        assert!(session.run(tables, Vec::new()).await.ok().is_some(), "the tables are dropped");
        let redis = RealRedis::new(&self.redis.url(), RedisOptions::default()).expect("the URL is one");
        assert!(redis.call(Command::new("FLUSHALL")).await.ok().is_some(), "Redis is empty");
    }

    /// What is wrong after a round, by the names of the oracles, and what the auditor found.
    fn round(&self, workload: &Orders) -> (Vec<String>, Books) {
        let entries = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&entries);
        let journal: Journal = Some(Arc::new(move |entry: Entry| kept.lock().expect("no client panics").push(entry)));
        let audit = self.runtime.block_on(async {
            self.clear().await;
            workload.prepare(self.ports(0, None)).await.unwrap_or_else(|problem| panic!("{problem}"));
            let clients = (0..CLIENTS).map(|client| {
                let (workload, ports) = (workload.clone(), self.ports(client, journal.clone()));
                tokio::spawn(async move { workload.run(ports).await })
            });
            for client in clients.collect::<Vec<_>>() {
                let ended = tokio::time::timeout(Duration::from_secs(60), client).await;
                ended.expect("clients end").expect("no client panics");
            }
            workload.audit(self.ports(0, None)).await.unwrap_or_else(|problem| panic!("{problem}"))
        });
        let mut entries = entries.lock().expect("no client panics").clone();
        entries.sort_by_key(|entry| entry.at_us);
        let violations = judge(&entries, &"lock".into(), Vec::new(), audit.as_ref(), &oracle::all());
        let books = audit.as_ref().and_then(Fact::get).expect("there is something to audit");
        (
            violations
                .into_iter()
                .map(|(_, violation)| format!("{}: {}", violation.property, violation.what))
                .collect(),
            books,
        )
    }
}

/// Seven customers with ten orders each for forty pieces, and the jobs.
fn workload(hot: bool) -> Orders {
    let service = Config {
        database: 0,
        cache: 1,
        retry: Retry { tries: 20, delay: Duration::from_millis(2), unknown: true },
        script_timeout: Duration::from_millis(500),
        script_tries: 3,
        breaker: breaker::Config { failures: 3, open: Duration::from_millis(200) },
        limiter: limiter::Config { burst: 100, every: Duration::from_millis(10) },
        lock_wait: Duration::from_secs(10),
        row_lock: true,
        lock_scope: LockScope::AroundTransaction,
        epochs: true,
    };
    let heats = hot.then_some(Heat { window: Duration::from_secs(60), orders: 1 });
    Orders {
        service,
        lock: LockKind::None,
        skus: Amount::Fixed(2),
        stock: Amount::Fixed(20),
        hot,
        jobs: Some(Jobs { rounds: 2, cancels: Some(Duration::from_millis(20)), rebuilds: None, heats, restocks: None }),
        orders: ORDERS,
        think: Duration::from_millis(5),
        clicks: 2,
        coupon: true,
        pay: true,
        repairs: true,
        mutation: None,
    }
}

fn paid(books: &Books) -> usize {
    books.orders.iter().filter(|order| order.status == "PAID").count()
}

#[test]
fn the_books_balance_on_real_servers() {
    let Some(shop) = Shop::open("the order flow on real servers") else { return };
    let lock = locks::lock("redis").expect("the table has it").kind(&Timing::real(Duration::from_secs(5)));
    let only_the_lock = {
        let mut workload = Orders { lock: lock.clone(), jobs: None, ..workload(false) };
        workload.service.row_lock = false;
        workload
    };
    for workload in [workload(true), workload(false), Orders { lock, ..workload(false) }, only_the_lock] {
        for _ in 0..ROUNDS {
            let (wrong, books) = shop.round(&workload);
            assert_eq!(wrong, Vec::<String>::new(), "{workload:?}: {books}");
            assert!(paid(&books) >= 10, "only {} orders were paid: {books}", paid(&books));
        }
    }
}

#[test]
fn a_mistake_shows_on_real_servers() {
    let Some(shop) = Shop::open("mistakes in the order flow on real servers") else { return };
    let edit = Edit { passage: "< quantity then", mistake: "< 0 then" };
    let careless = Orders { mutation: Some(Mutation::Text(edit)), jobs: None, ..workload(true) };
    let (wrong, books) = shop.round(&careless);
    assert!(wrong.iter().any(|what| what.starts_with("order-oversell")), "{wrong:?}: {books}");
}
