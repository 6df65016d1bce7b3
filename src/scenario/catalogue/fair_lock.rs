//! The fair lock: sound, row R30, and mistakes in its queue.

use super::redis::{TIMING, TTL_US};
use super::{about, base, broken_and_fixed, ms, workload};
use crate::lock::redisson::{Config, Kind, Queue, Turns};
use crate::property;
use crate::scenario::About;
use crate::scenario::guarded::{GuardedScenario, LockKind, On, Work};
use crate::world::fault::{ClockSteps, Fault};
use std::sync::Arc;

const SOURCE: &str = "Redisson, RedissonFairLock";

fn fair(turns: Turns) -> LockKind {
    let kind = Kind::Fair(Queue { turns, ..Queue::new(TIMING.ttl) });
    LockKind::Redisson(Config { kind, ..TIMING.redisson() }, On::Server)
}

/// The fair lock and its rows.
pub(super) fn scenarios() -> Vec<GuardedScenario> {
    [sound(), r30(), mistakes()].concat()
}

/// Two clients, each of which may ask for the lock again while the other one waits for it.
fn asking_again(about: About, turns: Turns) -> GuardedScenario {
    let mut scenario = base(about, workload(fair(turns), Work::Hold(ms(20))));
    scenario.parameters.operations = 2;
    scenario.simulation.operations = 5;
    scenario
}

fn sound() -> Vec<GuardedScenario> {
    let plain = about("fair-lock", None, "the fair lock, of clients that ask for it again at once", SOURCE);
    let crash = about("fair-lock-crash", None, "the fair lock, whose holder or head of the queue may crash", SOURCE);
    let breaks = about("fair-lock-break", None, "the fair lock, over a connection that may break", SOURCE);
    let ordered = |mut scenario: GuardedScenario| {
        scenario.properties.push(Arc::new(property::QueueOrder));
        scenario
    };
    let mut crashing = ordered(asking_again(crash, Turns::InOrder)).faults(Fault::ClientCrash, 1);
    crashing.properties.push(Arc::new(property::FreeLock));
    vec![
        ordered(asking_again(plain, Turns::InOrder)),
        ordered(asking_again(breaks, Turns::InOrder)).faults(Fault::Break, 1),
        crashing,
    ]
}

/// A client's wall clock jumps ahead by more than a place lasts.
fn r30() -> Vec<GuardedScenario> {
    let source = "derived from RedissonFairLock.tryLockInnerAsync: places run out by System.currentTimeMillis()";
    let summary = "a client whose wall clock is ahead puts the head of the queue out of it, and overtakes it";
    let about = about("fair-lock-callers-clocks", Some("R30"), summary, source);
    let sound = asking_again(about, Turns::InOrder)
        .only(property::QueueOrder)
        .faults(Fault::ClientClockStep, 1)
        .assume(|assumptions| assumptions.clock_steps_us = ClockSteps([TTL_US as i64 + 1000, 0]));
    let mistake = |sound: GuardedScenario| sound.lock(fair(Turns::ByCallersClocks));
    broken_and_fixed(sound, mistake, "fixed", "a place is a key with a TTL, which the server's clock ends")
}

/// Known-bad: the fair lock with one deliberate mistake each.
fn mistakes() -> Vec<GuardedScenario> {
    let any = "a client that finds the lock free takes it, past the queue";
    let any = about("mutant-fair-lock-out-of-turn", None, any, "deliberate mistake");
    let for_ever = "the place of a client that has crashed does not run out";
    let for_ever = about("mutant-fair-lock-dead-head", None, for_ever, "deliberate mistake");
    vec![
        asking_again(any, Turns::Any).only(property::QueueOrder).violating("queue-order"),
        asking_again(for_ever, Turns::ForEver)
            .only(property::FreeLock)
            .faults(Fault::ClientCrash, 1)
            .violating("free-lock"),
    ]
}
