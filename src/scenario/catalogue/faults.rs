//! Locks that one kind of fault breaks, and its neighbour does not: power and process, forward and backward, server and client.

use super::redis::{TIMING, TTL_US};
use super::{about, base, fencing, listed, ms, workload};
use crate::lock::redlock::{self, GiveBack, Outage};
use crate::property;
use crate::scenario::guarded::{GuardedScenario, LockKind, Work};
use crate::scenario::mutation::Mutation;
use crate::world::fault::{Budgets, ClockSteps, Fault};
use doublehold_models::redis::{Fsync, Persistence};
use std::time::Duration;

/// All of them. `redis` and `mysql` have those that lose a write with the power: R3 and M8.
pub(super) fn scenarios() -> Vec<GuardedScenario> {
    [holder_without_power(), freed_at_once(), clock_steps_back(), server_pauses(), partition(), cut_off(), slow_sync()]
        .concat()
}

/// The session of a machine that is gone never ends: nothing tells the server.
fn holder_without_power() -> Vec<GuardedScenario> {
    let source = "MySQL documentation, GET_LOCK and wait_timeout";
    let summary = "the holder's machine loses power, and its session stays";
    let about = about("mysql-user-lock-power-loss", None, summary, source);
    let broken = base(about, workload(listed("user-lock", &TIMING), Work::Hold(ms(20))))
        .only(property::Leak)
        .faults(Fault::ClientPowerLoss, 1)
        .violating("leak");
    let process = broken.clone().without(Fault::ClientPowerLoss).faults(Fault::ClientCrash, 1);
    let leased = broken.clone().lock(listed("redis", &TIMING));
    vec![
        broken,
        process.fixed("process", "the process alone ends: its machine closes the connection"),
        leased.fixed("lease", "a lock that ends by time"),
    ]
}

/// A lock that ends with its holder's connection is free before what the holder had sent elsewhere has arrived.
fn freed_at_once() -> Vec<GuardedScenario> {
    let source = "Burrows, \"The Chubby lock service for loosely-coupled distributed systems\", 2.4, lock-delay";
    let summary =
        "the server frees a lock as soon as its holder's session is lost; the holder's last write lands later";
    let about = about("no-lock-delay", Some("X1"), summary, source);
    let mut broken = base(about, workload(listed("user-lock", &TIMING), Work::Plain))
        .only(property::Effect)
        .faults(Fault::ClientCrash, 1)
        .violating("effect");
    // There the next holder's messages take their time too: the last write must be slower than all of them.
    broken.simulation.faults = Budgets::NONE.with(Fault::Delay, 1);
    (broken.simulation.fault_every_us, broken.simulation.slow_us_max) = (5_000, SHORT_US);
    let delayed = broken.clone().lock(listed("zookeeper", &TIMING));
    vec![
        broken,
        delayed.fixed(
            "delayed",
            "the lock stays for a session time-out, which is longer than a message takes: a lock-delay",
        ),
    ]
}

/// Fencing tokens from a clock go back with it.
fn clock_steps_back() -> Vec<GuardedScenario> {
    let summary = "the fencing token is what the server's clock shows";
    let about = about("mutant-fence-from-clock", None, summary, "deliberate mistake");
    let stepping = |by_us: i64| {
        base(about.clone(), workload(fencing("redis", &TIMING), Work::Hold(ms(20))))
            .only(property::FencingOrder)
            .mutated(Mutation::FenceFromClock)
            .faults(Fault::ClockStep, 1)
            .assume(|assumptions| assumptions.clock_steps_us = ClockSteps([by_us, 0]))
    };
    let step_us = TTL_US as i64 + 1000;
    vec![
        stepping(-step_us).violating("fencing-order"),
        stepping(step_us).fixed("forward", "deployment: the clock never steps back"),
    ]
}

/// A paused server answers on no connection, and later serves requests that its clients have given up.
fn server_pauses() -> Vec<GuardedScenario> {
    let summary = "a paused server later grants a request that its client has given up, and keeps the key";
    let about = about("mutant-late-yes-not-given-back", None, summary, "deliberate mistake");
    let lock = redlock::Config { give_back: GiveBack::NotSilent, ..TIMING.redlock() };
    let mut broken = base(about, workload(LockKind::RedLock(lock), Work::Hold(ms(20))))
        .only(property::Leak)
        .keeps(Persistence::None)
        .faults(Fault::NodePause, 1)
        .violating("leak");
    broken.workload.wait = Duration::ZERO;
    let given_back = broken.clone().lock(listed("redlock", &TIMING));
    vec![broken, given_back.fixed("fixed", "the lock gives back on every server, whatever that has answered")]
}

/// A partition that no lease is outlasted by, in microseconds.
const SHORT_US: u64 = 40_000;

/// TCP sends a holder's write again when its lease is long over.
fn partition() -> Vec<GuardedScenario> {
    let source = "Kleppmann, \"How to do distributed locking\"";
    let about = about("redis-lock-partition", None, "a holder's write waits until a partition has healed", source);
    let broken = base(about, workload(listed("redis", &TIMING), Work::Plain))
        .only(property::Effect)
        .faults(Fault::Partition, 1)
        .violating("effect");
    let fenced = broken.clone().lock(fencing("redis", &TIMING)).work(Work::Fenced);
    let mut bounded = broken.clone().assume(|assumptions| assumptions.pause_us_max = Some(SHORT_US));
    bounded.simulation.pause_us_max = SHORT_US;
    vec![
        broken,
        fenced.fixed("fenced", "the resource checks fencing tokens"),
        bounded.fixed("short", "deployment: a partition never outlasts a lease"),
    ]
}

/// A client that is cut off from every server assumes an outage; one failed connection does not look like one.
fn cut_off() -> Vec<GuardedScenario> {
    let summary = "a client that no server answers assumes that all are down, and goes on without the lock";
    let about = about("mutant-fail-open", None, summary, "deliberate mistake");
    let lock = redlock::Config { outage: Outage::FailOpen, ..TIMING.redlock() };
    let broken = base(about, workload(LockKind::RedLock(lock), Work::Hold(ms(20))))
        .servers(2)
        .only(property::Belief)
        .faults(Fault::Partition, 1)
        .violating("belief");
    let closed = broken.clone().lock(listed("redlock", &TIMING));
    vec![broken, closed.fixed("fixed", "an attempt that no server answers fails")]
}

/// Behind a sync that takes long a Redis postpones its appends: what it has answered meanwhile is in its process alone.
fn slow_sync() -> Vec<GuardedScenario> {
    let source = "redis.conf, appendfsync everysec and \"fsync is taking too long\"";
    let summary = "a server's process ends while a sync takes long, and has not appended what it has answered";
    let about = about("redis-lock-slow-sync", None, summary, source);
    let mut broken = base(about, workload(listed("redis", &TIMING), Work::Hold(ms(20))))
        .only(property::Belief)
        .keeps(Persistence::Aof { fsync: Fsync::Everysec })
        .faults(Fault::NodeCrash, 1)
        .faults(Fault::SlowSync, 1)
        .violating("belief");
    (broken.simulation.fault_every_us, broken.simulation.down_us_max) = (20_000, 5_000);
    let synced = broken.clone().without(Fault::SlowSync);
    let lives = broken.clone().without(Fault::NodeCrash);
    let always = synced.clone().keeps(Persistence::Aof { fsync: Fsync::Always });
    vec![
        broken,
        synced.fixed("crash-alone", "the disk is never slow: what was answered is appended"),
        lives.fixed("sync-alone", "the process lives: what was postponed is appended in the end"),
        always.fixed("always", "deployment: appendfsync always"),
    ]
}
