//! The flash sale on a real MariaDB and a real Redis: each stage sells under its oracles, the naive one oversells, and
//! what the catalogue says of a queue without a unique request number shows.

use doublehold::flow::flash_sale::books::Books;
use doublehold::flow::flash_sale::limiter::{self, Counting};
use doublehold::flow::flash_sale::oracle;
use doublehold::flow::flash_sale::{Config, Publish, Stage};
use doublehold::flow::queue::StreamConfig;
use doublehold::history::{Entry, Fact};
use doublehold::judge::judge;
use doublehold::lock::mysql::Retry;
use doublehold::port::mysql::{MySql, Session};
use doublehold::port::{Command, Redis};
use doublehold::scenario::Workload;
use doublehold::scenario::flash_sale::{Buyers, Consumers};
use doublehold::scenario::mutation::{Edit, Mutation};
use doublehold::world::real::servers::{MariaDbServer, RedisServer};
use doublehold::world::real::{Journal, MySqlOptions, RealMySql, RealPorts, RealRedis, RedisOptions};
use doublehold_sim_tests::{mariadb_or_skip, redis_server_or_skip};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Runtime;

const BUYERS: usize = 12;
const REQUESTS: usize = 10;
/// For each request of a buyer: so fewer than there are requests.
const PIECES: i64 = 3;
/// A race that has not shown in so many rounds is not there.
const ROUNDS: usize = 40;
const CONSUMERS: usize = 2;

struct Shop {
    mysql: RealMySql,
    redis: RedisServer,
    runtime: Runtime,
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
        Some(Shop { mysql, redis, runtime: runtime.expect("tokio starts"), _database: database })
    }

    fn ports(&self, client: usize, journal: Journal) -> RealPorts {
        let ports = RealPorts::new(client, &[self.redis.url()], RedisOptions::default(), journal);
        ports.expect("no URL is wrong").with_mysql(&self.mysql)
    }

    async fn clear(&self) {
        let mut session = self.mysql.session();
        let dropped = session.run("DROP TABLE IF EXISTS stock, stock_order", Vec::new()).await;
        assert!(dropped.ok().is_some(), "the tables are dropped");
        let redis = RealRedis::new(&self.redis.url(), RedisOptions::default()).expect("the URL is one");
        assert!(redis.call(Command::new("FLUSHALL")).await.ok().is_some(), "Redis is empty");
    }

    /// What is wrong after a round, by the names of the oracles, and what the auditor found.
    fn round(&self, workload: &Buyers) -> (Vec<String>, Books) {
        let entries = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&entries);
        let journal: Journal = Some(Arc::new(move |entry: Entry| kept.lock().expect("no client panics").push(entry)));
        let audit = self.runtime.block_on(async {
            self.clear().await;
            workload.prepare(self.ports(0, None)).await.unwrap_or_else(|problem| panic!("{problem}"));
            let clients = (0..BUYERS + workload.consumers()).map(|client| {
                let (workload, ports) = (*workload, self.ports(client, journal.clone()));
                tokio::spawn(async move { workload.run(ports).await })
            });
            for client in clients.collect::<Vec<_>>() {
                let ended = tokio::time::timeout(Duration::from_secs(60), client).await;
                ended.expect("clients end").expect("no client panics");
            }
            workload.audit(self.ports(0, None)).await.unwrap_or_else(|problem| panic!("{problem}"))
        });
        let entries = entries.lock().expect("no client panics").clone();
        let violations = judge(&entries, &"sale".into(), Vec::new(), audit.as_ref(), &oracle::all());
        let names = violations.into_iter().map(|(_, violation)| violation.property).collect();
        (names, audit.as_ref().and_then(Fact::get).expect("there are books"))
    }

    /// True if some round breaks this oracle.
    fn breaks(&self, workload: &Buyers, property: &str) -> bool {
        (0..ROUNDS).any(|_| self.round(workload).0.iter().any(|broken| broken == property))
    }
}

fn sale(stage: Stage) -> Buyers {
    let ms = Duration::from_millis;
    let sale = Config {
        database: 0,
        cache: 1,
        stock: 1,
        stage,
        retry: Retry { tries: 1, delay: ms(0), unknown: false },
        consumer_retry: Retry { tries: 20, delay: ms(1), unknown: true },
        publish: Publish::Refresh,
        limiter: limiter::Config { quota: 40, window: ms(50), counting: Counting::Script },
        commits_first: false,
    };
    Buyers {
        sale,
        queue: StreamConfig { server: 1, batch: 10, idle: ms(5_000) },
        pieces: PIECES,
        requests: REQUESTS,
        think: ms(10),
        pause: ms(0),
        consumers: Consumers { count: CONSUMERS, pause: ms(5), empty_polls: 4 },
        mutation: None,
    }
}

#[test]
fn the_naive_stage_oversells_and_the_others_do_not() {
    let Some(shop) = Shop::open("the flash sale on real servers") else { return };
    assert!(shop.breaks(&sale(Stage::Naive), "sale-oversell"), "two requests read the same stock");
    for stage in [Stage::Optimistic, Stage::Limited, Stage::Cached, Stage::Queued] {
        for _ in 0..3 {
            let (broken, books) = shop.round(&sale(stage));
            assert_eq!(broken, [""; 0], "{stage:?}: {books}");
            assert!(books.ordered() > 0, "{stage:?}: {books}");
        }
    }
}

#[test]
fn a_message_that_comes_again_makes_an_order_only_without_a_unique_number() {
    let Some(shop) = Shop::open("redelivery on real servers") else { return };
    // What one consumer has is taken over by the other at once.
    let mut eager = sale(Stage::Queued);
    (eager.queue.idle, eager.pieces) = (Duration::ZERO, 20);
    let edit = Edit { passage: "UNIQUE KEY by_request", mistake: "KEY by_request" };
    assert!(shop.breaks(&Buyers { mutation: Some(Mutation::Text(edit)), ..eager }, "sale-once"), "S9");
    for _ in 0..5 {
        let (broken, books) = shop.round(&eager);
        assert_eq!(broken, [""; 0], "{books}");
    }
}
