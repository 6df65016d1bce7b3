//! Redisson's fenced lock, its read/write lock and its semaphore: sound, and with mistakes.

use super::redis::{TIMING, TTL_US};
use super::{about, base, broken_and_fixed, ms, workload};
use crate::lock::redisson::{Config, KeepAlive, Kind, Permits, PermitsEnd, Resend};
use crate::property;
use crate::scenario::About;
use crate::scenario::guarded::{GuardedScenario, LockKind, On, Work};
use crate::world::fault::{ClockSteps, Fault};
use std::sync::Arc;

const FENCED: &str = "Redisson, RedissonFencedLock";
const READ_WRITE: &str = "Redisson, RedissonReadWriteLock";
const SEMAPHORE: &str = "Redisson, RedissonPermitExpirableSemaphore";

/// The locks, and mistakes in them.
pub(super) fn scenarios() -> Vec<GuardedScenario> {
    [fenced(), read_write(), semaphores(), callers_clocks()].concat()
}

fn of_kind(kind: Kind, change: impl FnOnce(&mut Config)) -> LockKind {
    let mut config = Config { kind, ..TIMING.redisson() };
    change(&mut config);
    LockKind::Redisson(config, On::Server)
}

/// A holder that is paused for longer than its TTL writes late, and the resource refuses that.
fn fenced() -> Vec<GuardedScenario> {
    let about = about("fenced-lock", None, "the watchdog lock, whose fencing tokens the resource checks", FENCED);
    vec![
        base(about, workload(of_kind(Kind::Fenced, |_| ()), Work::Fenced))
            .only(property::Effect)
            .faults(Fault::Pause, 1),
    ]
}

/// What can be judged of a lock that several hold at once.
fn shared(about: About, lock: LockKind) -> GuardedScenario {
    let mut scenario = base(about, workload(lock, Work::Hold(ms(50))));
    scenario.parameters.clients = 3;
    scenario.simulation.operations = 5;
    let slack_us = 2 * TTL_US;
    scenario.properties = vec![
        Arc::new(property::Belief),
        Arc::new(property::Leak),
        Arc::new(property::Deadlock),
        Arc::new(property::BoundedWait { slack_us }),
    ];
    scenario
}

fn read_write() -> Vec<GuardedScenario> {
    let with = |writer| LockKind::RedissonReadWrite(TIMING.redisson(), writer);
    let plain = about("redisson-read-write", None, "readers together, a writer alone", READ_WRITE);
    let crash = about("redisson-read-write-crash", None, "the same, and a client crashes", READ_WRITE);
    let overlooks = "the writer looks for writers only";
    let overlooks = about("mutant-writer-overlooks-readers", None, overlooks, "deliberate mistake");
    vec![
        shared(plain, with(Kind::Writer)),
        shared(crash, with(Kind::Writer)).faults(Fault::ClientCrash, 1),
        shared(overlooks, with(Kind::Mutex)).only(property::Belief).violating("belief"),
    ]
}

fn semaphores() -> Vec<GuardedScenario> {
    let two = |resend| of_kind(Kind::Semaphore(Permits::new(2)), |config| config.resend = resend);
    let plain = about("redisson-semaphore", None, "two of three clients at a time", SEMAPHORE);
    let breaks = about("redisson-semaphore-break", None, "the same, and a connection breaks", SEMAPHORE);
    let nameless = "a release does not say which permit it gives back, and is sent again";
    let nameless = about("mutant-nameless-permit", None, nameless, "deliberate mistake");
    vec![
        shared(plain, two(Resend::Once)),
        shared(breaks, two(Resend::Once)).faults(Fault::Break, 1),
        shared(nameless, two(Resend::EachTime)).only(property::Belief).faults(Fault::Break, 1).violating("belief"),
    ]
}

/// A client's wall clock jumps ahead by more than a permit lasts.
fn callers_clocks() -> Vec<GuardedScenario> {
    let source =
        "derived from RedissonPermitExpirableSemaphore.tryAcquireAsync: permits end by System.currentTimeMillis()";
    let summary = "a client whose wall clock is ahead takes the permit that another one has";
    let about = about("permits-callers-clocks", None, summary, source);
    let permit = |end| {
        let kind = Kind::Semaphore(Permits { end, ..Permits::new(1) });
        of_kind(kind, |config| config.keep_alive = KeepAlive::Nothing)
    };
    let sound = base(about, workload(permit(PermitsEnd::ByTheServersClock), Work::Hold(ms(20))))
        .only(property::Belief)
        .faults(Fault::ClientClockStep, 1)
        .assume(|assumptions| assumptions.clock_steps_us = ClockSteps([TTL_US as i64 + 1000, 0]));
    let mistake = |sound: GuardedScenario| sound.lock(permit(PermitsEnd::ByCallersClocks));
    broken_and_fixed(sound, mistake, "fixed", "a permit is a key with a TTL, which the server's clock ends")
}
