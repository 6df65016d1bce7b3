//! The rows of the catalogue that need no fault, on a real MySQL server: what is broken shows within some rounds, what is fixed never does.

use doublehold::flow::sale::{Audit, NotSold, Sale};
use doublehold::history::{Event, Fact};
use doublehold::lock::mysql::row::Guard;
use doublehold::lock::mysql::{Retry, table};
use doublehold::port::mysql::{MySql, Session};
use doublehold::scenario::Workload;
use doublehold::scenario::guarded::{Guarded, LockKind, Once, Sell, Store, Work};
use doublehold::scenario::mutation::Mutation;
use doublehold::world::real::servers::MariaDbServer;
use doublehold::world::real::{Journal, MySqlOptions, RealMySql, RealPorts, RedisOptions};
use doublehold_sim_tests::mariadb_or_skip;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Runtime;

const CLIENTS: usize = 6;
const OPERATIONS: usize = 5;
const STOCK: i64 = 1000;
/// A race that has not shown in so many rounds is not there.
const ROUNDS: usize = 60;
/// What is sound is tried so often.
const SOUND_ROUNDS: usize = 10;
const RETRY: Retry = Retry { tries: 200, delay: Duration::from_millis(1), unknown: true };

struct Shop {
    mysql: RealMySql,
    runtime: Runtime,
    _server: MariaDbServer,
}

/// What a round gave: what the auditor found, and what the clients did.
struct Round {
    audit: Audit,
    events: Vec<Event>,
}

impl Round {
    fn lost_updates(&self) -> bool {
        self.audit.stock.is_some_and(|(at_start, left)| self.audit.orders > at_start - left)
    }

    fn gave_up(&self) -> bool {
        self.events.iter().any(|event| matches!(event.fact(), Some(Sale::NotSold { why: NotSold::Conflict, .. })))
    }

    fn sold(&self) -> usize {
        self.events.iter().filter(|event| matches!(event.fact(), Some(Sale::Sold { .. }))).count()
    }
}

impl Shop {
    fn open(what: &str) -> Option<Self> {
        if !mariadb_or_skip(what) {
            return None;
        }
        let server = MariaDbServer::start().expect("mariadbd starts");
        let mysql = RealMySql::new(&server.url(), MySqlOptions::default()).expect("the URL is one");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        Some(Shop { mysql, runtime: runtime.expect("tokio starts"), _server: server })
    }

    fn ports(&self, client: usize, journal: Journal) -> RealPorts {
        let ports = RealPorts::new(client, &[], RedisOptions::default(), journal).expect("no URL is wrong");
        ports.with_mysql(&self.mysql)
    }

    fn round(&self, workload: &Guarded) -> Round {
        let events = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&events);
        let journal: Journal = Some(Arc::new(move |entry: doublehold::history::Entry| {
            kept.lock().expect("nobody panics").push(entry.event);
        }));
        let audit = self.runtime.block_on(async {
            let mut admin = self.mysql.session();
            let clear = admin.run("DROP TABLE IF EXISTS stock, task_record, locks", Vec::new()).await;
            assert!(clear.ok().is_some(), "the tables are dropped");
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
        let events = events.lock().expect("nobody panics").clone();
        let audit = audit.as_ref().and_then(Fact::get).expect("there is something to audit");
        Round { audit, events }
    }

    /// True if some round shows it.
    fn shows(&self, workload: &Guarded, rounds: usize, what: impl Fn(&Round) -> bool) -> bool {
        (0..rounds).any(|_| what(&self.round(workload)))
    }
}

fn workload(lock: LockKind, work: Work) -> Guarded {
    Guarded {
        lock,
        servers: 0,
        work,
        store: Store::default(),
        operations: OPERATIONS,
        think: Duration::ZERO,
        wait: Duration::from_secs(20),
        threads: 1,
        interrupt: None,
        tries: 1,
        mutation: None,
    }
}

fn sell(lock: LockKind, guard: Guard) -> Guarded {
    let sell = Sell {
        from_redis: false,
        stock_at_start: STOCK,
        guard,
        retry: RETRY,
        unique_orders: true,
        takes: Duration::ZERO,
    };
    workload(lock, Work::Sell(sell))
}

#[test]
fn updates_are_lost_without_a_guard_and_not_with_one() {
    let Some(shop) = Shop::open("lost updates on a real MySQL server") else { return };
    assert!(shop.shows(&sell(LockKind::None, Guard::Nothing), ROUNDS, Round::lost_updates), "M1");
    assert!(shop.shows(&sell(LockKind::InProcess, Guard::Nothing), ROUNDS, Round::lost_updates), "S13");
    let lock_table = LockKind::LockTable(table::Config {
        retry_delay: Duration::from_millis(2),
        ..table::Config::new(Duration::from_secs(20))
    });
    let sound = [
        sell(LockKind::None, Guard::Version),
        sell(LockKind::None, Guard::Decrement),
        sell(LockKind::None, Guard::ForUpdate),
        sell(lock_table.clone(), Guard::Nothing),
        sell(lock_table, Guard::Fence),
        sell(LockKind::UserLock, Guard::Nothing),
    ];
    for workload in sound {
        for _ in 0..SOUND_ROUNDS {
            let round = shop.round(&workload);
            let name = format!("{:?} {:?}", workload.lock, workload.work);
            assert!(!round.lost_updates() && round.audit.duplicates.is_empty(), "{name}: {:?}", round.audit);
            assert_eq!(round.sold(), CLIENTS * OPERATIONS, "{name}: everybody gets one");
            assert_eq!(round.audit.orders, (CLIENTS * OPERATIONS) as i64, "{name}");
        }
    }
}

#[test]
fn a_retry_in_one_transaction_never_gets_through() {
    let Some(shop) = Shop::open("retries on a real MySQL server") else { return };
    let sound = sell(LockKind::None, Guard::Version);
    let broken = Guarded { mutation: Some(Mutation::OneTransaction), ..sound.clone() };
    assert!(shop.shows(&broken, ROUNDS, Round::gave_up), "M2");
    assert!(!shop.shows(&sound, SOUND_ROUNDS, Round::gave_up), "a new transaction sees the new version");
}

#[test]
fn a_user_draws_twice_without_a_unique_key_and_not_with_one() {
    let Some(shop) = Shop::open("draws on a real MySQL server") else { return };
    let draw = |unique| workload(LockKind::None, Work::Draw(Once { unique, retry: RETRY }));
    let twice = |round: &Round| !round.audit.duplicates.is_empty();
    assert!(shop.shows(&draw(false), ROUNDS, twice), "S14");
    assert!(!shop.shows(&draw(true), SOUND_ROUNDS, twice), "the key lets in one");
}
