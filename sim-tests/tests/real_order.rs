//! The order flow on a real MariaDB and a real Redis: orders contend, jobs cancel, heat and rebuild beside them, and
//! the books must balance. A script that does not look whether there is enough must oversell.

use doublehold::flow::order::books::Books;
use doublehold::flow::order::heat::Heat;
use doublehold::flow::order::{Config, LockScope, breaker, limiter, oracle};
use doublehold::flow::redis_at::RedisAt;
use doublehold::lock::mysql::Retry;
use doublehold::scenario::guarded::LockKind;
use doublehold::scenario::locks;
use doublehold::scenario::locks::Timing;
use doublehold::scenario::mutation::{Edit, Mutation};
use doublehold::scenario::order::{Amount, Jobs, Orders};
use doublehold_sim_tests::real::Servers;
use std::time::Duration;

const CLIENTS: usize = 8;
const ORDERS: usize = 10;
const ROUNDS: usize = 3;

const DROP_TABLES: &str = "DROP TABLE IF EXISTS message, payment, inventory_log, orders, coupon, sku_route, \
     stock_movement, stock, sku";

/// What is wrong after a round, by the names of the oracles, and what the auditor found.
fn round(servers: &Servers, workload: &Orders) -> (Vec<String>, Books) {
    let round = servers.round(workload, CLIENTS, DROP_TABLES, &oracle::all());
    let wrong = round.violations.iter().map(|violation| format!("{}: {}", violation.property, violation.what));
    (wrong.collect(), round.audit.get().expect("there are books"))
}

/// Seven customers with ten orders each for forty pieces, and the jobs.
fn workload(hot: bool) -> Orders {
    let service = Config {
        database: 0,
        cache: RedisAt::Server(1),
        replicas: None,
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
    let Some(servers) = Servers::start("the order flow on real servers") else { return };
    let lock = locks::lock("redis").expect("the table has it").kind(&Timing::real(Duration::from_secs(5)));
    let only_the_lock = {
        let mut workload = Orders { lock: lock.clone(), jobs: None, ..workload(false) };
        workload.service.row_lock = false;
        workload
    };
    for workload in [workload(true), workload(false), Orders { lock, ..workload(false) }, only_the_lock] {
        for _ in 0..ROUNDS {
            let (wrong, books) = round(&servers, &workload);
            assert_eq!(wrong, Vec::<String>::new(), "{workload:?}: {books}");
            assert!(paid(&books) >= 10, "only {} orders were paid: {books}", paid(&books));
        }
    }
}

#[test]
fn a_mistake_shows_on_real_servers() {
    let Some(servers) = Servers::start("mistakes in the order flow on real servers") else { return };
    let edit = Edit { passage: "< quantity then", mistake: "< 0 then" };
    let careless = Orders { mutation: Some(Mutation::Text(edit)), jobs: None, ..workload(true) };
    let (wrong, books) = round(&servers, &careless);
    assert!(wrong.iter().any(|what| what.starts_with("order-oversell")), "{wrong:?}: {books}");
}
