//! RedLock that is extended while it is held: sound, and with a mistake.

use super::redis::TIMING;
use super::{about, base, broken_and_fixed, ms, workload};
use crate::lock::auto_extended::{Config, Told};
use crate::property;
use crate::scenario::guarded::{GuardedScenario, LockKind, Work};
use crate::world::fault::Fault;
use crate::world::setup::ArrivalTime;
use std::time::Duration;

const SOURCE: &str = "node-redlock, using";

fn extended(told: Told) -> LockKind {
    LockKind::RedLockExtended(TIMING.redlock(), Config { told, ..Config::new(TIMING.ttl) })
}

/// The lock, and what comes of a signal that is late.
pub(super) fn scenarios() -> Vec<GuardedScenario> {
    let summary = "RedLock, held for longer than its TTL and extended meanwhile";
    let plain = about("redlock-extended", None, summary, SOURCE);
    let crash = about("redlock-extended-crash", None, "the same on one server, and a holder crashes", SOURCE);
    let mut plain = base(plain, workload(extended(Told::ByTheClock), Work::HoldUntilLost(ms(150))));
    plain.workload.wait = ms(400);
    let mut crash = base(crash, workload(extended(Told::ByTheClock), Work::HoldUntilLost(ms(150))))
        .servers(1)
        .faults(Fault::ClientCrash, 1);
    crash.workload.wait = ms(400);
    [vec![plain, crash], late_signal()].concat()
}

/// A holder is paused for longer than its TTL.
fn late_signal() -> Vec<GuardedScenario> {
    let source = "derived from node-redlock: `using` aborts its signal when an extension has failed";
    let summary = "a holder that has slept past its lease goes on until its extension has failed";
    let about = about("extension-signal-late", None, summary, source);
    let mut sound = base(about, workload(extended(Told::ByTheClock), Work::HoldUntilLost(ms(150))))
        .servers(1)
        .only(property::Belief)
        .faults(Fault::Pause, 1);
    sound.workload.wait = Duration::ZERO;
    sound.arrival = ArrivalTime::AnyTime;
    let mistake = |sound: GuardedScenario| sound.lock(extended(Told::ByTheExtension));
    broken_and_fixed(sound, mistake, "fixed", "the holder's own clock ends its hold, too")
}
