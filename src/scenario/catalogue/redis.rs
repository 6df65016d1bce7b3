//! The Redis rows of the catalogue, R1 to R31, the sound Redis locks, S13, and the toy of the benchmarks.

use super::{about, base, broken_and_fixed, fencing, listed, ms, workload};
use crate::lock::redis::{AfterLostReply, Release, Take, TokenOf};
use crate::lock::redlock::{Contact, Extension, GiveBack, LateQuorum};
use crate::lock::timestamp::{self, Steal};
use crate::lock::{redis, redlock};
use crate::property;
use crate::scenario::guarded::{GuardedScenario, LockKind, On, Work};
use crate::scenario::locks::Timing;
use crate::world::fault::{Assumptions, Budgets, ClockSteps, Fault};
use crate::world::setup::ArrivalTime;
use doublehold_models::redis::{Fsync, Persistence};
use std::time::Duration;

const DOCS: &str = "Redis docs, \"Distributed Locks with Redis\"";
/// Retries at fixed times, and a time-out that healthy servers never reach.
pub(super) const TIMING: Timing = Timing::VIRTUAL;
/// The TTL of all leases here, in microseconds.
pub(super) const TTL_US: u64 = TIMING.ttl.as_micros() as u64;

/// Locks as their documents say, under their assumptions.
fn sound() -> Vec<GuardedScenario> {
    let redis = about("redis-lock", None, "the single-instance lock, messages within 10 ms", DOCS);
    let redlock = about("redlock", None, "RedLock on three servers, messages within 10 ms", DOCS);
    let within = |assumptions: &mut Assumptions| assumptions.delay_us_max = Some(10_000);
    let parallel = redlock::Config { contact: Contact::Parallel, ..TIMING.redlock() };
    vec![
        base(redis, workload(listed("redis", &TIMING), Work::Plain)).assume(within),
        base(redlock, workload(listed("redlock", &TIMING), Work::Hold(ms(20)))).assume(within),
        base(
            about("redlock-parallel", None, "RedLock that asks its three servers at once", DOCS),
            workload(LockKind::RedLock(parallel), Work::Hold(ms(20))),
        ),
        base(
            about(
                "redlock-five",
                None,
                "RedLock on five servers, one of which may crash for longer than the TTL",
                DOCS,
            ),
            workload(listed("redlock", &TIMING), Work::Hold(ms(20))),
        )
        .servers(5)
        .faults(Fault::NodeCrash, 1)
        .keeps(Persistence::None)
        .assume(|assumptions| assumptions.restart_us_min = TTL_US + 2000),
        drifting(base(
            about("redlock-drift", None, "RedLock on clocks that run up to 1 % too fast or too slow", DOCS),
            workload(listed("redlock", &TIMING), Work::Hold(ms(20))),
        )),
    ]
}

/// Clocks that drift, holders that hold for longer than the TTL, and clients that come at any time.
pub(super) fn drifting(scenario: GuardedScenario) -> GuardedScenario {
    let mut scenario = scenario
        .work(Work::Hold(ms(200)))
        .assume(|assumptions| assumptions.drift_ppm_max = 10_000)
        .only(property::Belief);
    scenario.arrival = ArrivalTime::AnyTime;
    scenario.workload.wait = Duration::ZERO;
    scenario
}

/// Sound locks, and failures.
pub(super) fn scenarios() -> Vec<GuardedScenario> {
    [sound(), late_write(), r1(), r2(), r3(), r4(), r9(), r10(), r12(), r24(), r27(), r28(), r29(), r31(), s13()]
        .concat()
}

/// A connection breaks while a write is on its way: the holder knows nothing and releases, the write arrives nevertheless.
fn late_write() -> Vec<GuardedScenario> {
    let about = about("redis-lock-break", None, "a holder's connection breaks, and its last write arrives later", DOCS);
    let broken =
        base(about, workload(listed("redis", &TIMING), Work::Plain)).faults(Fault::Break, 1).violating("effect");
    let fixed = broken
        .clone()
        .lock(fencing("redis", &TIMING))
        .work(Work::Fenced)
        .fixed("fenced", "the resource checks fencing tokens");
    vec![broken, fixed]
}

fn r1() -> Vec<GuardedScenario> {
    let source = "Kleppmann, \"How to do distributed locking\"; antirez.com/news/101; redisson#2665";
    let about = about("pause-past-expiry", Some("R1"), "a holder pauses past its TTL and then writes", source);
    let broken = base(about, workload(listed("redis", &TIMING), Work::Plain))
        .only(property::Effect)
        .faults(Fault::Pause, 1)
        .violating("effect");
    let fixed = broken
        .clone()
        .lock(fencing("redis", &TIMING))
        .work(Work::Fenced)
        .fixed("fixed", "the resource checks fencing tokens; belief still overlaps, as it must");
    vec![broken, fixed]
}

fn r2() -> Vec<GuardedScenario> {
    let source = "Redis docs, \"Distributed Locks with Redis\", disclaimer about consistency; Kleppmann";
    let about = about("redlock-clock-step", Some("R2"), "one server's wall clock jumps forward", source);
    let broken = base(about, workload(listed("redlock", &TIMING), Work::Hold(ms(20))))
        .only(property::Belief)
        .faults(Fault::ClockStep, 1)
        .assume(|assumptions| assumptions.clock_steps_us = ClockSteps([TTL_US as i64 + 1000, 0]))
        .violating("belief");
    let mut fixed = broken
        .clone()
        .assume(|assumptions| assumptions.drift_ppm_max = 500)
        .fixed("fixed", "deployment: clocks are slewed by at most 500 ppm, never stepped");
    fixed.parameters.budgets = Budgets::NONE;
    vec![broken, fixed]
}

fn r3() -> Vec<GuardedScenario> {
    let source = "Redis docs, \"Distributed Locks with Redis\", Performance, crash recovery and fsync";
    let about =
        about("redlock-crash-restart", Some("R3"), "a server restarts without a key that it had not synced", source);
    let mut broken = base(about, workload(listed("redlock", &TIMING), Work::Hold(ms(20))))
        .only(property::Belief)
        .faults(Fault::NodePowerLoss, 1)
        .keeps(Persistence::Aof { fsync: Fsync::Everysec })
        .violating("belief");
    (broken.simulation.fault_every_us, broken.simulation.down_us_max) = (20_000, 5_000);
    let synced = broken
        .clone()
        .keeps(Persistence::Aof { fsync: Fsync::Always })
        .fixed("fixed", "deployment: appendfsync always");
    let delayed = broken
        .clone()
        .assume(|assumptions| assumptions.restart_us_min = TTL_US + 2000)
        .fixed("delayed", "deployment: a restarted server stays out for longer than the longest TTL");
    let process = broken.clone().without(Fault::NodePowerLoss).faults(Fault::NodeCrash, 1);
    let process = process.fixed("process", "the process alone ends: the machine has what was appended");
    vec![broken, synced, delayed, process]
}

/// RedLock without a per-server time-out to speak of, and one round trip that may take longer than the TTL.
fn late_replies(name: &str, row: &'static str, summary: &'static str, source: &'static str) -> GuardedScenario {
    let lock = redlock::Config { node_timeout: ms(1000), ..TIMING.redlock() };
    base(about(name, Some(row), summary, source), workload(LockKind::RedLock(lock), Work::Hold(ms(20))))
        .faults(Fault::Delay, 1)
}

fn with_late_quorum(scenario: GuardedScenario, late_quorum: LateQuorum) -> GuardedScenario {
    let LockKind::RedLock(config) = scenario.workload.lock.clone() else { unreachable!("a RedLock scenario") };
    scenario.lock(LockKind::RedLock(redlock::Config { late_quorum, ..config }))
}

fn r4() -> Vec<GuardedScenario> {
    let source = "node-redlock#296, #369; redsync#72";
    let sound = late_replies("redlock-late-quorum", "R4", "a quorum counts although it came after the TTL", source)
        .only(property::Belief);
    let mistake = |sound| with_late_quorum(sound, LateQuorum::Accept);
    let fix = "the lock computes the validity after the quorum, by the monotonic clock";
    broken_and_fixed(sound, mistake, "fixed", fix)
}

fn r9() -> Vec<GuardedScenario> {
    let about = about("delete-without-owner-check", Some("R9"), "a late release deletes another client's lock", DOCS);
    let lock = redis::Config { release: Release::Del, ..TIMING.redis() };
    let broken = base(about, workload(LockKind::Redis(lock, On::Server), Work::Hold(ms(20))))
        .only(property::ForeignRelease)
        .faults(Fault::Pause, 1)
        .violating("foreign-release");
    let fixed =
        broken.clone().lock(listed("redis", &TIMING)).fixed("fixed", "the lock compares and deletes in one script");
    vec![broken, fixed]
}

fn r10() -> Vec<GuardedScenario> {
    let about = about(
        "setnx-then-expire",
        Some("R10"),
        "a crash between SETNX and EXPIRE locks for ever",
        "redis-py#554, #818",
    );
    let lock = redis::Config { take: Take::SetnxThenExpire, ..TIMING.redis() };
    let broken = base(about, workload(LockKind::Redis(lock, On::Server), Work::Hold(ms(20))))
        .only(property::Leak)
        .faults(Fault::ClientCrash, 1)
        .violating("leak");
    let fixed =
        broken.clone().lock(listed("redis", &TIMING)).fixed("fixed", "the lock sets key and TTL in one command");
    vec![broken, fixed]
}

fn r12() -> Vec<GuardedScenario> {
    let source = "derived from client code: a SET NX sent again after its reply was lost finds its own key";
    let about = about("ambiguous-set", Some("R12"), "a lost reply is taken for a no, and the key stays", source);
    let lock = redis::Config { after_lost_reply: AfterLostReply::NilIsNo, ..TIMING.redis() };
    let mut broken = base(about, workload(LockKind::Redis(lock, On::Server), Work::Hold(ms(20))))
        .only(property::Leak)
        .faults(Fault::Break, 1)
        .violating("leak");
    broken.workload.wait = Duration::ZERO;
    let fixed = broken
        .clone()
        .lock(listed("redis", &TIMING))
        .fixed("fixed", "the lock takes its own token for a yes, and deletes on error");
    vec![broken, fixed]
}

fn r24() -> Vec<GuardedScenario> {
    let source = "derived from rslock: the TtlExceeded path returns without unlocking";
    let sound = late_replies("late-quorum-leaks", "R24", "an attempt that took too long leaves its keys", source)
        .only(property::Leak);
    let mistake = |sound| with_late_quorum(sound, LateQuorum::Leave);
    broken_and_fixed(sound, mistake, "fixed", "the lock gives back what it did not use")
}

/// A redlock with other options, and without.
fn redlock_with(change: impl FnOnce(&mut redlock::Config), sound: GuardedScenario) -> GuardedScenario {
    let mut config = TIMING.redlock();
    change(&mut config);
    sound.lock(LockKind::RedLock(config))
}

/// A client crashes while it holds, and two find the lock when its time is over.
fn r27() -> Vec<GuardedScenario> {
    let source = "Redis docs, SETNX, design pattern: locking with SETNX";
    let summary = "two clients read the same old timestamp, and the slower one deletes the faster one's lock";
    let about = about("timestamp-lock-stolen", Some("R27"), summary, source);
    let lock = |steal| LockKind::Timestamp(timestamp::Config { time: TIMING.ttl, steal, retry_delay: ms(60) });
    let mut sound = base(about, workload(lock(Steal::GetSet), Work::Hold(ms(20))))
        .only(property::Belief)
        .faults(Fault::ClientCrash, 1);
    sound.parameters.clients = 3;
    sound.arrival = ArrivalTime::AnyTime;
    let mistake = |sound: GuardedScenario| sound.lock(lock(Steal::DelThenSetnx));
    broken_and_fixed(sound, mistake, "fixed", "GETSET, and a look at what was there")
}

/// Two clients that ask four servers at once: each may get two, where three are needed.
fn r28() -> Vec<GuardedScenario> {
    let source = "node-redlock#369";
    let summary = "an attempt that failed keeps its keys, which refuse the client's own next one";
    let about = about("retry-blocks-itself", Some("R28"), summary, source);
    let mut sound =
        base(about, workload(listed("redlock", &TIMING), Work::Hold(ms(20)))).servers(4).only(property::Leak);
    sound.workload.wait = Duration::ZERO;
    let mistake = |sound| redlock_with(|config| config.give_back = GiveBack::Nothing, sound);
    broken_and_fixed(sound, mistake, "fixed", "the lock gives everything back before it tries again")
}

fn r29() -> Vec<GuardedScenario> {
    let source = "redlock-rb#36; redsync, WithSetNXOnExtend";
    let summary = "an extension takes keys that had expired, and another client held in between";
    let about = about("extension-resurrects", Some("R29"), summary, source);
    let sound = base(about, workload(listed("redlock", &TIMING), Work::HoldThenExtend(ms(20))))
        .only(property::Continuity)
        .faults(Fault::Pause, 1);
    let mistake = |sound| redlock_with(|config| config.extension = Extension::SetNx, sound);
    broken_and_fixed(sound, mistake, "fixed", "the lock extends only what it owns, within its validity")
}

/// The clients are tasks that share one lock object.
fn r31() -> Vec<GuardedScenario> {
    let source = "redis-py, the docstring of Lock on thread-local tokens";
    let summary = "tasks share a lock object and its token; one releases what another one holds";
    let about = about("token-of-the-object", Some("R31"), summary, source);
    let sound = base(about, workload(listed("redis", &TIMING), Work::Hold(ms(20))))
        .only(property::ForeignRelease)
        .faults(Fault::Pause, 1);
    let object = redis::Config { token_of: TokenOf::Object, ..TIMING.redis() };
    let mistake = |sound: GuardedScenario| sound.lock(LockKind::Redis(object, On::Server));
    broken_and_fixed(sound, mistake, "fixed", "each acquisition has a token of its own")
}

fn s13() -> Vec<GuardedScenario> {
    let about = about(
        "in-process-two-machines",
        Some("S13"),
        "a lock in the memory of each process, on two machines",
        "article oversell",
    );
    let broken =
        base(about, workload(listed("in-process", &TIMING), Work::Plain)).only(property::Belief).violating("belief");
    let fixed = broken.clone().lock(listed("redis", &TIMING));
    vec![broken, fixed.fixed("fixed", "a lock that both machines can see")]
}

/// The toy of the benchmarks: SET NX with one retry, GET stock, SET stock, release; the key may expire once.
pub(super) fn ttl_lock() -> GuardedScenario {
    let about = about(
        "ttl-lock",
        None,
        "benchmark: SET NX with one retry, GET, SET, release; the key may expire once",
        "shared design",
    );
    let lock = redis::Config { report_validity: false, ..TIMING.redis() };
    let mut scenario = base(about, workload(LockKind::Redis(lock, On::Server), Work::Plain)).assume(|assumptions| {
        assumptions.delay_us_max = None;
        assumptions.expiries_max = Some(0);
    });
    scenario.workload.wait = Duration::ZERO;
    scenario.workload.tries = 2;
    scenario.parameters.clients = 3;
    scenario.properties = vec![std::sync::Arc::new(property::Grant)];
    scenario
}
