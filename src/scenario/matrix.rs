//! The matrix: the shop, with the stock in MySQL or in Redis, under each lock and each fault. One scenario a cell.
//!
//! What a cell shows is not known beforehand: it is looked up there. So cells expect nothing, and are not part of the catalogue.

use super::catalogue::{base, workload};
use super::guarded::{GuardedScenario, LockKind, On, Sell, Work};
use super::keeper::Keeper;
use super::locks::{Pair, Timing};
use super::{About, Expectation};
use crate::flow::oracle;
use crate::lock::mysql::Retry;
use crate::world::fault::{ClockSteps, Fault};
use doublehold_models::mysql::Replication;
use doublehold_models::redis::Persistence;
use std::sync::Arc;
use std::time::Duration;

const TIMING: Timing = Timing::VIRTUAL;

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

/// A column of the matrix: what goes wrong, once each.
#[derive(Clone, Copy)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    faults: &'static [Fault],
    fails_over: FailsOver,
}

/// What has replicas that take over, and has answered before they had everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FailsOver {
    Nothing,
    /// The database.
    Database,
    /// The Redis that keeps the lock: a primary with Sentinels, or a Cluster.
    Lock(Keeper),
}

const fn column(name: &'static str, faults: &'static [Fault]) -> Column {
    Column { name, faults, fails_over: FailsOver::Nothing }
}

const fn failover(name: &'static str, faults: &'static [Fault], fails_over: FailsOver) -> Column {
    Column { name, faults, fails_over }
}

/// The columns.
pub const COLUMNS: [Column; 11] = [
    column("none", &[]),
    column("break", &[Fault::Break]),
    column("delay", &[Fault::Delay]),
    column("pause", &[Fault::Pause]),
    column("client-crash", &[Fault::ClientCrash]),
    column("node-crash", &[Fault::NodeCrash]),
    column("clock-step", &[Fault::ClockStep]),
    failover("sentinel-failover", &[Fault::Lag, Fault::NodeCrash], FailsOver::Lock(Keeper::Sentinels)),
    failover("split-brain", &[Fault::Partition], FailsOver::Lock(Keeper::Sentinels)),
    failover("cluster-failover", &[Fault::Lag, Fault::NodeCrash], FailsOver::Lock(Keeper::Cluster)),
    failover("failover", &[Fault::Lag, Fault::NodeCrash], FailsOver::Database),
];

impl Column {
    /// True if what fails over is there: it is the lock's Redis only where a Redis keeps the lock.
    fn applies(self, row: &Pair) -> bool {
        match self.fails_over {
            FailsOver::Lock(keeper) => [Keeper::Redis, keeper].contains(&row.lock.keeper),
            FailsOver::Nothing | FailsOver::Database => true,
        }
    }

    /// Leases of the lock last longer than its failover, of which a Cluster needs half a second and Sentinels less.
    fn timing(self) -> Timing {
        match self.fails_over {
            FailsOver::Lock(Keeper::Cluster) => Timing { ttl: 10 * TIMING.ttl, ..TIMING },
            _ => TIMING,
        }
    }

    /// The lock of a row, on the servers that fail over.
    fn lock(self, row: &Pair) -> LockKind {
        let timing = self.timing();
        let on = match self.fails_over {
            FailsOver::Lock(Keeper::Sentinels) => On::Primary(timing.node_timeout),
            FailsOver::Lock(_) => On::Cluster(timing.node_timeout),
            FailsOver::Nothing | FailsOver::Database => return row.kind(&timing),
        };
        match row.kind(&timing) {
            LockKind::Redis(config, _) => LockKind::Redis(config, on),
            LockKind::Redisson(config, _) => LockKind::Redisson(config, on),
            kind => kind,
        }
    }
}

/// The rows, with the stock where it is: what guards it.
pub fn rows(stock: Stock) -> Vec<Pair> {
    let alone = [
        "none",
        "in-process",
        "redis",
        "redisson",
        "redisson-fair",
        "redlock",
        "zookeeper",
        "etcd",
        "lock-table",
        "user-lock",
    ];
    let fenced = ["redis", "redisson", "zookeeper", "etcd", "lock-table"];
    let names = alone.into_iter().map(|lock| (lock, "nothing")).chain([("none", "decrement")]);
    let names = names.chain(fenced.into_iter().map(|lock| (lock, "fence")));
    let in_rows = [
        ("none", "version"),
        ("none", "for-update"),
        ("redis", "version"),
        ("redlock", "version"),
        ("user-lock", "version"),
    ];
    let names = names.chain(in_rows.into_iter().filter(|_| stock == Stock::MySql));
    names.map(|names| Pair::named(names).expect("the table has it")).collect()
}

/// The name of a cell.
pub fn cell_name(stock: Stock, row: &Pair, column: Column) -> String {
    format!("matrix-{}-{}-{}", stock.name(), row.name(), column.name)
}

/// The scenario of a cell; `None` if what fails over in that column is not there.
pub fn cell(stock: Stock, row: &Pair, column: Column) -> Option<GuardedScenario> {
    if !column.applies(row) {
        return None;
    }
    let (lock, timing) = (column.lock(row), column.timing());
    let retry = Retry { tries: 5, delay: Duration::ZERO, unknown: true };
    // A failover of the lock takes time, in which its holder must not be done.
    let takes = if matches!(column.fails_over, FailsOver::Lock(_)) { timing.ttl * 7 / 10 } else { Duration::ZERO };
    let (from_redis, guard) = (stock == Stock::Redis, row.guard.guard);
    let sell = Sell { from_redis, stock_at_start: 1, guard, retry, unique_orders: true, takes };
    let about = About {
        name: cell_name(stock, row, column),
        row: None,
        summary: "a cell of the matrix: the shop under one lock and one fault",
        source: "article oversell",
        fix: None,
        expects: Expectation::Holds,
    };
    let mut cell = base(about, workload(lock.clone(), Work::Sell(sell)));
    cell.workload.wait = match lock {
        LockKind::ZooKeeper(_) | LockKind::Etcd(_) => 10 * TIMING.session,
        _ => 10 * timing.ttl,
    };
    // Whoever was told of no answer asks once more: a fault that hits all clients must leave one to be the second.
    cell.workload.tries = 2;
    // As servers are shipped: a lock's Redis keeps nothing of the last minutes.
    cell = cell.keeps(Persistence::None);
    if column.fails_over == FailsOver::Database {
        cell = cell.database(|database| database.replication = Some(Replication::Asynchronous));
    }
    cell.properties = vec![Arc::new(oracle::Oversell)];
    for fault in column.faults {
        cell.parameters.budgets = cell.parameters.budgets.with(*fault, 1);
    }
    if column.faults.contains(&Fault::ClockStep) {
        cell.parameters.assumptions.clock_steps_us = ClockSteps([TIMING.ttl.as_micros() as i64 + 1000, 0]);
    }
    cell.simulation.pause_us_max = 2 * TIMING.session.as_micros() as u64;
    cell.simulation.fault_every_us = 20_000;
    cell.simulation.down_us_max = 5_000;
    cell.simulation.operations = 5;
    if let FailsOver::Lock(_) = column.fails_over {
        let ttl_us = timing.ttl.as_micros() as u64;
        (cell.simulation.fault_every_us, cell.simulation.down_us_max) = (ttl_us, 2 * ttl_us);
        (cell.simulation.lag_us_max, cell.simulation.pause_us_max) = (2 * ttl_us, 2 * ttl_us);
    }
    Some(cell)
}

/// The cells of all locks and guards, beyond the rows that the matrix shows.
pub fn cells() -> impl Iterator<Item = GuardedScenario> {
    let pairs = |stock| Pair::all().filter(move |pair| stock == Stock::MySql || !pair.guard.needs_row);
    let of = |stock, pair: Pair| COLUMNS.into_iter().filter_map(move |column| cell(stock, &pair, column));
    Stock::ALL.into_iter().flat_map(move |stock| pairs(stock).flat_map(move |pair| of(stock, pair)))
}
