//! Known-bad Redis locks: right ones with one deliberate mistake each, and what must catch it.

use super::redis::{TIMING, TTL_US, drifting};
use super::{about, base, ms, workload};
use crate::lock::redis::{Release, Tokens};
use crate::lock::redlock::{GiveBack, LateQuorum};
use crate::lock::{redis, redlock};
use crate::property;
use crate::scenario::guarded::{Guarded, GuardedScenario, LockKind, On, Store, Work};
use crate::scenario::mutation::Mutation;
use crate::world::fault::{ClockSteps, Fault};
use std::time::Duration;

/// All of them.
pub(super) fn scenarios() -> Vec<GuardedScenario> {
    [redlock_options(), redlock_mutations(), redis_options(), redis_mutations(), replicas()].concat()
}

/// A RedLock on three servers with other options.
fn redlock(name: &str, summary: &'static str, change: impl FnOnce(&mut redlock::Config)) -> GuardedScenario {
    let mut config = TIMING.redlock();
    change(&mut config);
    let workload = workload(LockKind::RedLock(config), Work::Hold(ms(20)));
    base(about(&format!("mutant-{name}"), None, summary, "deliberate mistake"), workload)
}

/// A single-instance lock with other options.
fn redis(name: &str, summary: &'static str, change: impl FnOnce(&mut redis::Config)) -> GuardedScenario {
    let mut config = TIMING.redis();
    change(&mut config);
    let workload = workload(LockKind::Redis(config, On::Server), Work::Plain);
    base(about(&format!("mutant-{name}"), None, summary, "deliberate mistake"), workload)
}

fn redlock_options() -> Vec<GuardedScenario> {
    let even = redlock("quorum-half", "a quorum of N/2 on four servers", |config| config.quorum = Some(2)).servers(4);
    let no_validity = redlock("no-validity-check", "a quorum that came after the TTL counts", |config| {
        (config.late_quorum, config.node_timeout) = (LateQuorum::Accept, ms(1000));
    });
    let drift = redlock("drift-ignored", "validity without allowance for drift", |config| {
        (config.drift_permille, config.drift_extra) = (0, Duration::ZERO);
    });
    let summary = "a yes whose reply was lost is not given back";
    let mut granted_only =
        redlock("unlock-only-where-acquired", summary, |config| config.give_back = GiveBack::GrantedOnly);
    granted_only.workload.wait = Duration::ZERO;
    vec![
        even.violating("grant"),
        no_validity.faults(Fault::Delay, 1).violating("belief").only(property::Belief),
        drifting(drift).violating("belief"),
        granted_only.faults(Fault::Break, 1).only(property::Leak).violating("leak"),
    ]
}

fn redlock_mutations() -> Vec<GuardedScenario> {
    let unchanged = |_: &mut redlock::Config| ();
    vec![
        redlock("ttl-in-seconds", "the TTL is sent in seconds", unchanged)
            .work(Work::Hold(ms(80)))
            .mutated(Mutation::TtlInSeconds)
            .violating("belief"),
        redlock("wall-clock-for-elapsed", "elapsed time is measured by the wall clock", unchanged)
            .work(Work::Hold(ms(200)))
            .mutated(Mutation::WallClockForElapsed)
            .faults(Fault::ClientClockStep, 1)
            .assume(|assumptions| assumptions.clock_steps_us = ClockSteps([-(TTL_US as i64), 0]))
            .violating("belief"),
    ]
}

fn redis_options() -> Vec<GuardedScenario> {
    let owner_check = redis("owner-check-outside-script", "GET, compare, then DEL", |config| {
        config.release = Release::GetThenDel;
    });
    vec![owner_check.faults(Fault::Pause, 1).only(property::ForeignRelease).violating("foreign-release")]
}

fn redis_mutations() -> Vec<GuardedScenario> {
    let mutant = |name, summary, mutation| redis(name, summary, |_| ()).mutated(mutation);
    let fence = "the fencing token sent to the resource never changes";
    vec![
        mutant("token-reused", "every acquisition uses the same token", Mutation::TokenReused)
            .faults(Fault::Pause, 1)
            .only(property::ForeignRelease)
            .violating("foreign-release"),
        mutant("no-nx", "the key is set whether it is there or not", Mutation::NoNx).violating("foreign-release"),
        mutant("no-ttl", "the key is set without a TTL", Mutation::NoTtl)
            .faults(Fault::ClientCrash, 1)
            .only(property::Leak)
            .violating("leak"),
        mutant("no-release", "the release is never sent", Mutation::NoRelease).violating("leak"),
        redis("constant-fence", fence, |config| config.fencing = Some(Tokens::WithTheLock))
            .work(Work::Fenced)
            .mutated(Mutation::ConstantFence)
            .faults(Fault::Pause, 1)
            .only(property::Effect)
            .violating("effect"),
        mutant("extend-unowned", "the extension does not look whose the key is", Mutation::ExtendUnowned)
            .work(Work::ExtendThenPlain)
            .faults(Fault::Pause, 1)
            .only(property::Effect)
            .violating("effect"),
    ]
}

/// What is read from a replica may be old.
fn replicas() -> Vec<GuardedScenario> {
    let fence =
        about("mutant-fence-from-replica", None, "a fencing token is read from a replica", "deliberate mistake");
    let lock = redis::Config { fencing: Some(Tokens::ReadFromReplica), ..TIMING.redis() };
    let fence = base(fence, workload(LockKind::Redis(lock, On::Primary(TIMING.node_timeout)), Work::Hold(ms(20))));
    let lock = || LockKind::Redis(TIMING.redis(), On::Primary(TIMING.node_timeout));
    let counter = |name, summary, source, store| {
        base(about(name, None, summary, source), Guarded { store, ..workload(lock(), Work::Plain) })
            .only(property::StaleRead)
    };
    let read = counter(
        "mutant-read-from-replica",
        "what the lock guards is read from a replica",
        "deliberate mistake",
        Store::LockReplica,
    );
    let sound =
        counter("read-from-primary", "what the lock guards is read from the primary", "sound", Store::LockPrimary);
    vec![fence.only(property::FencingOrder).violating("fencing-order"), read.violating("stale-read"), sound]
}
