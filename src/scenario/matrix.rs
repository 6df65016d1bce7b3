//! The matrix: the shop, with the stock in MySQL or in Redis, under each lock and each fault. One scenario a cell.
//!
//! What a cell shows is not known beforehand: it is looked up there. So cells expect nothing, and are not part of the catalogue.

use super::catalogue::{base, ms, workload};
use super::guarded::{GuardedScenario, LockKind, Sell, Work};
use super::{About, Expectation};
use crate::lock::mysql::row::Guard;
use crate::lock::mysql::{Retry, table};
use crate::lock::{etcd, redis, redlock, zookeeper};
use crate::property;
use crate::world::fault::{ClockSteps, Fault};
use doublehold_models::mysql::Replication;
use doublehold_models::redis::Persistence;
use std::sync::Arc;
use std::time::Duration;

/// How long leases last.
const TTL: Duration = ms(100);
const TTL_US: i64 = 100_000;
/// How long sessions and leases last that are kept alive.
const SESSION: Duration = Duration::from_secs(3);

/// Where the stock is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stock {
    /// In a row, in one transaction with the order.
    MySql,
    /// At a key, on a server of its own; the order is in MySQL.
    Redis,
}

impl Stock {
    /// Both.
    pub const ALL: [Stock; 2] = [Stock::MySql, Stock::Redis];

    /// Its name in the names of cells.
    pub fn name(self) -> &'static str {
        match self {
            Stock::MySql => "mysql",
            Stock::Redis => "redis",
        }
    }
}

/// A row of the matrix: what guards the stock.
#[derive(Clone)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    lock: LockKind,
    servers: usize,
    guard: Guard,
}

/// A column of the matrix: what goes wrong, once each.
#[derive(Clone, Copy)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    faults: &'static [Fault],
    /// The database has a replica that takes over, and answers before that has everything.
    fails_over: bool,
}

const fn column(name: &'static str, faults: &'static [Fault]) -> Column {
    Column { name, faults, fails_over: false }
}

/// The columns.
pub const COLUMNS: [Column; 8] = [
    column("none", &[]),
    column("break", &[Fault::Break]),
    column("delay", &[Fault::Delay]),
    column("pause", &[Fault::Pause]),
    column("client-crash", &[Fault::ClientCrash]),
    column("node-crash", &[Fault::NodeCrash]),
    column("clock-step", &[Fault::ClockStep]),
    Column { name: "failover", faults: &[Fault::Lag, Fault::NodeCrash], fails_over: true },
];

/// The rows, with the stock where it is.
pub fn rows(stock: Stock) -> Vec<Row> {
    let row = |name, lock, servers, guard| Row { name, lock, servers, guard };
    let lease = redis::Config { retry_delay: (ms(60), ms(60)), drift: ms(3), ..redis::Config::new(TTL) };
    let fencing = redis::Config { fencing: true, ..lease.clone() };
    let quorum = redlock::Config { retry_delay: (ms(60), ms(60)), node_timeout: ms(30), ..redlock::Config::new(TTL) };
    let nodes = zookeeper::Config::new(SESSION);
    let keys = etcd::Config::new(SESSION);
    let lock_table = LockKind::LockTable(table::Config::new(TTL));
    let mut rows = vec![
        row("nothing", LockKind::None, 0, Guard::Nothing),
        row("in-process", LockKind::InProcess, 0, Guard::Nothing),
        row("redis", LockKind::Redis(lease.clone()), 1, Guard::Nothing),
        row("redlock", LockKind::RedLock(quorum.clone()), 3, Guard::Nothing),
        row("zookeeper", LockKind::ZooKeeper(nodes), 3, Guard::Nothing),
        row("etcd", LockKind::Etcd(keys), 3, Guard::Nothing),
        row("lock-table", lock_table.clone(), 1, Guard::Nothing),
        row("user-lock", LockKind::UserLock, 1, Guard::Nothing),
        row("decrement", LockKind::None, 0, Guard::Decrement),
        row("redis+fence", LockKind::Redis(fencing), 1, Guard::Fence),
        row("zookeeper+fence", LockKind::ZooKeeper(nodes), 3, Guard::Fence),
        row("etcd+fence", LockKind::Etcd(keys), 3, Guard::Fence),
        row("lock-table+fence", lock_table, 1, Guard::Fence),
    ];
    if stock == Stock::MySql {
        rows.extend([
            row("version", LockKind::None, 0, Guard::Version),
            row("for-update", LockKind::None, 0, Guard::ForUpdate),
            row("redis+version", LockKind::Redis(lease), 1, Guard::Version),
            row("redlock+version", LockKind::RedLock(quorum), 3, Guard::Version),
            row("user-lock+version", LockKind::UserLock, 1, Guard::Version),
        ]);
    }
    rows
}

/// The name of a cell.
pub fn cell_name(stock: Stock, row: &Row, column: Column) -> String {
    format!("matrix-{}-{}-{}", stock.name(), row.name, column.name)
}

/// The scenario of a cell.
pub fn cell(stock: Stock, row: &Row, column: Column) -> GuardedScenario {
    let retry = Retry { tries: 5, delay: Duration::ZERO, unknown: true };
    let from_redis = stock == Stock::Redis;
    let sell = Sell { from_redis, stock_at_start: 1, guard: row.guard, retry, unique_orders: true };
    let about = About {
        name: cell_name(stock, row, column),
        row: None,
        summary: "a cell of the matrix: the shop under one lock and one fault",
        source: "article oversell",
        fix: None,
        expects: Expectation::Holds,
    };
    let mut cell = base(about, workload(row.lock.clone(), row.servers, Work::Sell(sell)));
    cell.workload.wait = match row.lock {
        LockKind::ZooKeeper(_) | LockKind::Etcd(_) => 10 * SESSION,
        _ => 10 * TTL,
    };
    // Whoever was told of no answer asks once more: a fault that hits all clients must leave one to be the second.
    cell.workload.tries = 2;
    // As servers are shipped: a lock's Redis keeps nothing of the last minutes.
    cell.persistence = Persistence::None;
    cell.database.replication = column.fails_over.then_some(Replication::Asynchronous);
    cell.properties = vec![Arc::new(property::Oversell)];
    for fault in column.faults {
        cell.parameters.budgets = cell.parameters.budgets.with(*fault, 1);
    }
    if column.faults.contains(&Fault::ClockStep) {
        cell.parameters.assumptions.clock_steps_us = ClockSteps([TTL_US + 1000, 0]);
    }
    cell.simulation.pause_us_max = 2 * SESSION.as_micros() as u64;
    cell.simulation.fault_every_us = 20_000;
    cell.simulation.down_us_max = 5_000;
    cell.simulation.operations = 5;
    cell
}

/// All cells.
pub fn cells() -> impl Iterator<Item = GuardedScenario> {
    let of = |stock: Stock, row: Row| COLUMNS.into_iter().map(move |column| cell(stock, &row, column));
    Stock::ALL.into_iter().flat_map(move |stock| rows(stock).into_iter().flat_map(move |row| of(stock, row)))
}
