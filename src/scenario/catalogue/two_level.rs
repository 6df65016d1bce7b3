//! A lock behind a mutex in the memory of each process: sound, and the registry that forgets a mutex too early.

use super::redis::TIMING;
use super::{about, base, broken_and_fixed, ms, workload};
use crate::lock::local::Forget;
use crate::property;
use crate::scenario::About;
use crate::scenario::guarded::{GuardedScenario, LockKind, Owner, Work};
use crate::world::fault::Fault;
use std::sync::Arc;

const SOURCE: &str = "Spring Integration, RedisLockRegistry";

/// How long a registry keeps a mutex that it may forget while it is held: not as long as it is held.
const AGE_MS: u64 = 5;

/// The lock and its rows.
pub(super) fn scenarios() -> Vec<GuardedScenario> {
    let plain = about("two-level", None, "two processes of two threads, which take a mutex of their own first", SOURCE);
    let breaks = about("two-level-break", None, "the same, and a connection breaks", SOURCE);
    let crash = about("two-level-crash", None, "the same, and a process crashes", SOURCE);
    let sound = |about| threads(about, Owner::Acquisition, Forget::Unused);
    [vec![sound(plain), sound(breaks).faults(Fault::Break, 1), sound(crash).faults(Fault::ClientCrash, 1)], forgotten()]
        .concat()
}

/// Clients of two threads each.
fn threads(about: About, owner: Owner, forget: Forget) -> GuardedScenario {
    let mut scenario = base(about, workload(LockKind::TwoLevel(TIMING.redis(), owner, forget), Work::Hold(ms(20))));
    scenario.workload.threads = 2;
    // How long a client waits is not told of each of its threads.
    scenario.properties = vec![
        Arc::new(property::Grant),
        Arc::new(property::Belief),
        Arc::new(property::ForeignRelease),
        Arc::new(property::Leak),
        Arc::new(property::Deadlock),
    ];
    scenario
}

/// The process owns the lock, and its registry forgets the mutex while a thread has it.
fn forgotten() -> Vec<GuardedScenario> {
    let source = "spring-integration#11180, #8731";
    let summary = "the registry forgets a mutex that a thread has, and gives the next one another";
    let about = about("local-lock-forgotten", None, summary, source);
    let mut sound = threads(about, Owner::Process, Forget::Unused).only(property::Belief);
    // A thread that comes again is the one that is given another mutex.
    sound.parameters.operations = 2;
    let mistake = |sound: GuardedScenario| {
        sound.lock(LockKind::TwoLevel(TIMING.redis(), Owner::Process, Forget::OlderThan(ms(AGE_MS))))
    };
    broken_and_fixed(sound, mistake, "fixed", "a mutex is kept for as long as a thread has it or waits for it")
}
