//! MySQL: guards in the row, the lock table, user locks, the shop and the draw; rows M…, S13, S14; mistakes in SQL.

use super::{about, base, broken_and_fixed, everything, fencing, listed, ms, workload};
use crate::flow::oracle;
use crate::lock::mysql::Retry;
use crate::lock::mysql::row::Guard;
use crate::lock::mysql::table::{Clock, Config};
use crate::property;
use crate::scenario::guarded::{GuardedScenario, LockKind, Once, Sell, Work};
use crate::scenario::locks::Timing;
use crate::scenario::mutation::Mutation;
use crate::world::fault::Fault;
use doublehold_models::mysql::{Flush, Replication};
use std::sync::Arc;
use std::time::Duration;

const TIMING: Timing = Timing::VIRTUAL;
/// How long a row of the lock table lasts.
const TTL_US: u64 = TIMING.ttl.as_micros() as u64;
/// How long holders hold.
const HOLD: Work = Work::Hold(ms(20));
/// The mean time between faults that must hit a certain message.
const OFTEN_US: u64 = 20_000;
/// More tries than there are requests.
const RETRY: Retry = Retry { tries: 5, delay: Duration::ZERO, unknown: true };
const OVERSELL: &str = "article oversell";
const QUALITY: &str = "article quality";

/// All of them.
pub(super) fn scenarios() -> Vec<GuardedScenario> {
    let rows = [
        lost_update(),
        one_transaction(),
        commit_retried(),
        told_in_doubt(),
        lock_table(),
        commit_lost(),
        in_process(),
        draw(),
        user_lock(),
        fallback(),
    ];
    sound_ones().into_iter().chain(rows.into_iter().flatten()).chain(mutants()).collect()
}

/// The shop sells one piece to two that want it.
fn sell(guard: Guard) -> Sell {
    Sell { from_redis: false, stock_at_start: 1, guard, retry: RETRY, unique_orders: true, takes: Duration::ZERO }
}

fn shop(
    name: &str,
    row: Option<&'static str>,
    summary: &'static str,
    source: &'static str,
    sell: Sell,
) -> GuardedScenario {
    let mut scenario = base(about(name, row, summary, source), workload(listed("none", &TIMING), Work::Sell(sell)));
    scenario.properties = vec![
        Arc::new(oracle::Oversell),
        Arc::new(oracle::Undersell),
        Arc::new(oracle::LostUpdate),
        Arc::new(oracle::Duplicates),
        Arc::new(oracle::Progress),
        Arc::new(property::Deadlock),
    ];
    scenario
}

/// A shop with enough for everybody, on a healthy day: the benchmark's.
pub(crate) fn busy_shop(guard: Guard, clients: usize, orders: usize) -> GuardedScenario {
    let stock_at_start = 2 * (clients * orders) as i64;
    let tries = (clients * orders) as u32;
    let sell = Sell { stock_at_start, retry: Retry { tries, ..RETRY }, ..sell(guard) };
    let mut shop = shop("busy-shop", None, "a shop with enough for everybody", OVERSELL, sell);
    (shop.simulation.clients, shop.simulation.operations) = (clients, orders);
    shop
}

fn locked(
    name: &str,
    row: Option<&'static str>,
    summary: &'static str,
    source: &'static str,
    lock: &str,
) -> GuardedScenario {
    let mut scenario = base(about(name, row, summary, source), workload(listed(lock, &TIMING), HOLD));
    scenario.properties = everything(2 * TTL_US);
    scenario
}

impl GuardedScenario {
    /// The same with another way to sell.
    fn sells(mut self, change: impl FnOnce(&mut Sell)) -> Self {
        if let Work::Sell(sell) = &mut self.workload.work {
            change(sell);
        }
        self
    }

    /// The same with another lock table.
    fn table(mut self, change: impl FnOnce(&mut Config)) -> Self {
        if let LockKind::LockTable(config) = &mut self.workload.lock {
            change(config);
        }
        self
    }
}

fn sound_ones() -> Vec<GuardedScenario> {
    let guarded =
        |name: &str, summary, guard| shop(name, None, summary, "Hermitage P4", sell(guard)).faults(Fault::Break, 1);
    let table = |name: &str, summary| locked(name, None, summary, QUALITY, "lock-table");
    let user = |name: &str, summary| locked(name, None, summary, "MySQL documentation, GET_LOCK", "user-lock");
    vec![
        guarded("mysql-version", "a version guards the stock, and a connection breaks", Guard::Version),
        guarded("mysql-decrement", "a condition guards the stock, and a connection breaks", Guard::Decrement),
        guarded("mysql-for-update", "the row is locked, and a connection breaks", Guard::ForUpdate),
        table("mysql-lock-table", "a lock table with a unique key"),
        table("mysql-lock-table-break", "the same, and a connection breaks").faults(Fault::Break, 1),
        user("mysql-user-lock", "a user lock"),
        user("mysql-user-lock-crash", "the same, and a client dies").faults(Fault::ClientCrash, 1),
    ]
}

fn lost_update() -> Vec<GuardedScenario> {
    let shop = |guard| {
        let summary = "the stock is read, computed with and written back";
        shop("mysql-unguarded", Some("M1"), summary, "Hermitage P4; articles oversell, flash-sale", sell(guard))
            .only(oracle::Oversell)
    };
    let broken = shop(Guard::Nothing).violating("oversell");
    let fixes = [
        ("version", Guard::Version, "the row's version must be the one that was read"),
        ("decrement", Guard::Decrement, "the server computes, on condition that there is enough"),
        ("for-update", Guard::ForUpdate, "the row is locked when it is read"),
    ];
    let fixed = fixes.map(|(suffix, guard, fix)| shop(guard).fixed(suffix, fix));
    std::iter::once(broken).chain(fixed).collect()
}

fn one_transaction() -> Vec<GuardedScenario> {
    let summary = "after a conflict the version is read again in the same snapshot";
    let sound = shop(
        "mysql-retry-in-one-transaction",
        Some("M2"),
        summary,
        "MySQL documentation, consistent reads",
        sell(Guard::Version),
    );
    let mut sound = sound.only(oracle::Progress).sells(|sell| sell.stock_at_start = 2);
    sound.simulation.operations = 5;
    broken_and_fixed(
        sound,
        |sound| sound.mutated(Mutation::OneTransaction),
        "new-transaction",
        "each try is a new transaction",
    )
}

fn commit_retried() -> Vec<GuardedScenario> {
    let summary = "the answer to COMMIT is lost, and the order is placed again";
    let sound = shop("mysql-commit-retried", Some("M5"), summary, "PROTOCOLS: COMMIT in doubt", sell(Guard::Decrement));
    let mut sound = sound.only(oracle::Duplicates).faults(Fault::Break, 1).sells(|sell| sell.stock_at_start = 3);
    sound.simulation.fault_every_us = OFTEN_US;
    broken_and_fixed(
        sound,
        |sound| sound.sells(|sell| sell.unique_orders = false),
        "request-id",
        "the request's id is a unique key of the orders",
    )
}

/// The answer to COMMIT is lost, and what comes then says no: the piece is gone, or the server is.
fn told_in_doubt() -> Vec<GuardedScenario> {
    let told = |name: &str, summary, guard| {
        shop(name, None, summary, "PROTOCOLS: COMMIT in doubt", sell(guard)).only(oracle::Acknowledged)
    };
    let often = |mut shop: GuardedScenario| {
        (shop.simulation.fault_every_us, shop.simulation.down_us_max) = (OFTEN_US, 5_000);
        shop
    };
    let gone = "the answer to COMMIT is lost, and the piece that it took is the last";
    let gone = often(told("mysql-commit-in-doubt", gone, Guard::Decrement).faults(Fault::Break, 1));
    let down = "the answer to COMMIT is lost, and the server refuses until the request gives up";
    let down = often(told("mysql-commit-in-doubt-down", down, Guard::Version).faults(Fault::NodeCrash, 1));
    let down = down.assume(|assumptions| assumptions.restart_us_min = 1000);
    let no = "a request that may have been served is told a no";
    let no = often(told("mutant-mysql-unknown-is-no", no, Guard::Decrement).faults(Fault::NodeCrash, 1));
    let no = no.assume(|assumptions| assumptions.restart_us_min = 1000).mutated(Mutation::UnknownIsNo);
    vec![gone, down, no.violating("acknowledged")]
}

fn lock_table() -> Vec<GuardedScenario> {
    let table = |name: &str, summary, source| locked(name, Some("M6"), summary, source, "lock-table");
    let orphan = table("mysql-lock-table-orphan", "a holder dies, and its row stays", QUALITY)
        .only(property::Leak)
        .faults(Fault::ClientCrash, 1);
    let mut skewed = table(
        "mysql-lock-table-client-time",
        "each client says by its own clock when a lock has ended",
        "ShedLock's README",
    )
    .only(property::Belief)
    .assume(|assumptions| assumptions.offset_us_max = 2 * TTL_US);
    skewed.workload.wait = ms(60);
    [
        broken_and_fixed(orphan, |sound| sound.table(|table| table.ttl = None), "expires", "the row has an end"),
        broken_and_fixed(
            skewed,
            |sound| sound.table(|table| table.clock = Clock::Client),
            "database-time",
            "the database's clock says when it ends",
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn commit_lost() -> Vec<GuardedScenario> {
    let summary = "the database loses power just after it has said that the order is placed";
    let source = "MySQL documentation, innodb_flush_log_at_trx_commit";
    let goes_down = |name: &str, summary| {
        let mut sound = shop(name, Some("M8"), summary, source, sell(Guard::Decrement)).only(oracle::Oversell);
        (sound.simulation.fault_every_us, sound.simulation.down_us_max) = (OFTEN_US, 5_000);
        sound.simulation.operations = 30;
        sound
    };
    let flushing = |flush| move |sound: GuardedScenario| sound.database(|database| database.flush = flush);
    let power = goes_down("mysql-commit-lost", summary).faults(Fault::NodePowerLoss, 1);
    let summary = "the database's process ends just after it has said that the order is placed";
    let process = goes_down("mysql-commit-lost-process", summary).faults(Fault::NodeCrash, 1);
    let written = flushing(Flush::Written)(process.clone());
    let fix = "innodb_flush_log_at_trx_commit = 2: the machine has what was written";
    let rows = [
        broken_and_fixed(power, flushing(Flush::Written), "flushed", "innodb_flush_log_at_trx_commit = 1"),
        broken_and_fixed(written, flushing(Flush::EachSecond), "written", fix),
        failover(),
    ];
    rows.into_iter().flatten().collect()
}

/// The machine that takes over has not received what was answered.
fn failover() -> Vec<GuardedScenario> {
    let failing = |mut sound: GuardedScenario| {
        let waiting = Replication::SemiSynchronous { timeout_ms: None };
        sound = sound.database(|database| database.replication = Some(waiting));
        (sound.simulation.fault_every_us, sound.simulation.lag_us_max) = (OFTEN_US, 5 * OFTEN_US);
        sound.simulation.down_us_max = 5_000;
        sound.faults(Fault::Lag, 1).faults(Fault::NodeCrash, 1)
    };
    let source = "MySQL documentation, semisynchronous replication";
    let summary = "the database fails over to a replica that has not got the order yet";
    let order =
        failing(shop("mysql-failover", Some("M8"), summary, source, sell(Guard::Decrement)).only(oracle::Oversell));
    let summary = "the database fails over to a replica that has not got the lock's row yet";
    let lock = locked("mysql-lock-table-failover", None, summary, source, "lock-table").only(property::Belief);
    let lock = failing(lock);
    let asynchronous =
        |sound: GuardedScenario| sound.database(|database| database.replication = Some(Replication::Asynchronous));
    // What the documentation ships: after a while the primary goes on without the replica.
    let mut impatient = order.clone().violating("oversell");
    impatient.about.name = "mysql-failover-semi-sync-timeout".to_owned();
    impatient.about.summary = "the primary has waited for its replica for too long, and goes on without it";
    let for_a_while = Replication::SemiSynchronous { timeout_ms: Some(10) };
    impatient = impatient.database(|database| database.replication = Some(for_a_while));
    impatient.simulation.lag_us_max = 1_000_000;
    let fix = "semi-synchronous replication without a time-out: no answer before the replica has it";
    let rows = [order, lock].into_iter().flat_map(|sound| broken_and_fixed(sound, asynchronous, "semi-sync", fix));
    rows.chain([impatient]).collect()
}

fn in_process() -> Vec<GuardedScenario> {
    let summary = "a mutex in each process guards the stock of all";
    let shop = shop("shop-in-process", Some("S13"), summary, OVERSELL, sell(Guard::Nothing)).only(oracle::Oversell);
    let broken = shop.clone().lock(listed("in-process", &TIMING)).violating("oversell");
    let fixed = shop.lock(listed("redis", &TIMING)).fixed("redis", "a lock that all processes share");
    vec![broken, fixed]
}

fn draw() -> Vec<GuardedScenario> {
    let once = Work::Draw(Once { unique: true, retry: RETRY });
    let draw = shop(
        "draw-twice",
        Some("S14"),
        "a user's two requests look whether there was a draw, and both draw",
        QUALITY,
        sell(Guard::Nothing),
    );
    let sound = draw.work(once).only(oracle::Duplicates);
    let careless = Work::Draw(Once { unique: false, retry: RETRY });
    broken_and_fixed(sound, |sound| sound.work(careless), "unique-key", "the user is a unique key of the draws")
}

fn user_lock() -> Vec<GuardedScenario> {
    let summary = "the session of a user lock breaks while its holder works";
    let source = "MySQL documentation, GET_LOCK";
    let shop =
        shop("mysql-user-lock-break", None, summary, source, sell(Guard::Version)).lock(listed("user-lock", &TIMING));
    let mut sound = shop.only(oracle::Oversell).faults(Fault::Break, 1);
    sound.simulation.fault_every_us = OFTEN_US;
    broken_and_fixed(
        sound,
        |sound| sound.sells(|sell| sell.guard = Guard::Nothing),
        "version",
        "a version guards the stock behind the lock",
    )
}

fn fallback() -> Vec<GuardedScenario> {
    let summary = "a holder of the Redis lock pauses for longer than its lease";
    let shop = |guard| {
        let mut shop = shop(
            "shop-pause",
            Some("R2"),
            summary,
            "article order: the lock first, the version behind it",
            sell(guard),
        )
        .lock(fencing("redis", &TIMING))
        .only(oracle::Oversell)
        .faults(Fault::Pause, 1);
        (shop.simulation.pause_us_max, shop.simulation.fault_every_us) = (3 * TTL_US, OFTEN_US);
        shop
    };
    vec![
        shop(Guard::Nothing).violating("oversell"),
        shop(Guard::Version).fixed("version", "a version guards the stock behind the lock"),
        shop(Guard::Fence).fixed("fenced", "the row remembers the largest fencing token"),
    ]
}

/// A mistake in SQL each, and what must catch it.
fn mutants() -> Vec<GuardedScenario> {
    let shop = |name: &str, summary, guard, mutation| {
        shop(&format!("mutant-mysql-{name}"), None, summary, "known-bad", sell(guard))
            .mutated(mutation)
            .only(oracle::Oversell)
            .violating("oversell")
    };
    let table = |name: &str, summary, mutation| {
        let lock = "lock-table";
        locked(&format!("mutant-mysql-{name}"), None, summary, "known-bad lock", lock).mutated(mutation)
    };
    let mut unowned = table("release-unowned", "the release deletes the row whoever has it", Mutation::DeleteFirst)
        .only(property::ForeignRelease)
        .faults(Fault::Pause, 1)
        .violating("foreign-release");
    (unowned.simulation.pause_us_max, unowned.simulation.fault_every_us) = (3 * TTL_US, OFTEN_US);
    let half_order = "deduction and order are two transactions, and a client dies between them";
    let mut half_order = shop("half-order", half_order, Guard::Decrement, Mutation::NoTransaction)
        .sells(|sell| sell.stock_at_start = 100)
        .faults(Fault::ClientCrash, 1)
        .only(oracle::Undersell)
        .violating("undersell");
    half_order.simulation.fault_every_us = OFTEN_US;
    let mut no_release =
        table("no-release", "the release is never sent", Mutation::NoRelease).only(property::Leak).violating("leak");
    no_release.simulation.operations = 1;
    vec![
        shop("no-version", "the update does not ask for the version", Guard::Version, Mutation::NoVersion),
        shop(
            "version-in-snapshot",
            "the version is compared in the client's snapshot",
            Guard::Version,
            Mutation::VersionInSnapshot,
        ),
        shop("row-count-ignored", "nobody looks how many rows were changed", Guard::Version, Mutation::RowCountIgnored),
        shop(
            "no-condition",
            "the stock is taken from whether there is enough or not",
            Guard::Decrement,
            Mutation::NoStockCondition,
        ),
        shop("autocommit", "the row is locked, but for one statement only", Guard::ForUpdate, Mutation::NoTransaction),
        shop("plain-read", "the row is not locked when it is read", Guard::ForUpdate, Mutation::PlainRead)
            .sells(|sell| sell.stock_at_start = 2)
            .only(oracle::LostUpdate)
            .violating("lost-update"),
        half_order,
        unowned,
        no_release,
    ]
}
