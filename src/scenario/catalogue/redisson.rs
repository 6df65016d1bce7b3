//! The watchdog lock: sound, and with each of its published mistakes.

use super::redis::TIMING;
use super::redis_failover::crashing;
use super::{about, base, ms, workload};
use crate::lock::multi::{self, Prolong, ReleaseOf};
use crate::lock::redis::{ReplicaWait, WaitOver};
use crate::lock::redisson::{
    AfterFailedRenewal, AfterLoss, AfterLostReply, Config, EndWatchdog, KeepAlive, LeaseOf, OnInterrupt, Renew,
    RenewedOn, Resend, Waiting,
};
use crate::property;
use crate::scenario::About;
use crate::scenario::guarded::{GuardedScenario, LockKind, On, Work};
use crate::scenario::keeper;
use crate::world::cut::Partitions;
use crate::world::fault::{Assumptions, Fault};
use crate::world::setup::ArrivalTime;
use doublehold_models::redis::Persistence;
use std::time::Duration;

const SOURCE: &str = "Redisson, RedissonLock";

fn watchdog(change: impl FnOnce(&mut Config)) -> LockKind {
    let mut config = TIMING.redisson();
    change(&mut config);
    LockKind::Redisson(config, On::Server)
}

/// The watchdog lock and its rows.
pub(super) fn scenarios() -> Vec<GuardedScenario> {
    [sound(), failover(), r13(), r14(), r15(), r16(), r17(), r18(), r19(), r20(), r25(), r33(), r34(), mistakes()]
        .concat()
}

/// Holders that hold for longer than the TTL.
fn sound() -> Vec<GuardedScenario> {
    let plain = about("redisson-lock", None, "the watchdog lock, held for longer than its TTL", SOURCE);
    let crash = about("redisson-lock-crash", None, "the watchdog lock, whose holder may crash", SOURCE);
    let again = about("redisson-lock-reentrant", None, "the watchdog lock, taken again within a hold", SOURCE);
    vec![
        base(plain, workload(watchdog(|_| ()), Work::Hold(ms(150)))),
        base(again, workload(watchdog(|_| ()), Work::HoldThenReenter(ms(20)))).faults(Fault::Break, 1),
        base(crash, workload(watchdog(|_| ()), Work::Hold(ms(50)))).faults(Fault::ClientCrash, 1),
    ]
}

/// One crash of a server, and the replica that takes over.
fn failover() -> Vec<GuardedScenario> {
    let summary = "the watchdog lock on a primary with Sentinels, one of whose servers crashes";
    let about = about("redisson-failover", None, summary, SOURCE);
    let replicas = Some(ReplicaWait { replicas: 1, timeout: ms(10), over: WaitOver::OnePipeline });
    let lock =
        |replicas| LockKind::Redisson(Config { replicas, ..TIMING.redisson() }, On::Primary(TIMING.node_timeout));
    let broken = crashing(about, lock(None)).work(Work::Hold(ms(50)));
    let waits = broken.clone().lock(lock(replicas));
    vec![broken, waits.fixed("waits", "attempts and renewals wait for the replica")]
}

/// What takes minutes to search.
pub(super) fn long() -> Vec<GuardedScenario> {
    r6()
}

/// The primary is cut off with a client that renews on it, and the Sentinel promotes its replica.
fn r6() -> Vec<GuardedScenario> {
    let source = "Redis Sentinel docs; aphyr.com/posts/283-jepsen-redis";
    let summary = "the watchdog renews on a primary that is cut off, while its replica is promoted";
    let about = about("split-brain", Some("R6"), summary, source);
    let replicas = Some(ReplicaWait { replicas: 1, timeout: ms(10), over: WaitOver::OnePipeline });
    let lock = |renewed_on| {
        LockKind::Redisson(Config { replicas, renewed_on, ..TIMING.redisson() }, On::Primary(TIMING.node_timeout))
    };
    let mut broken = base(about, workload(lock(RenewedOn::Primary), Work::HoldUntilLost(ms(130))))
        .servers(2 + keeper::FEW_SENTINELS)
        .only(property::Belief)
        .faults(Fault::Partition, 1)
        .violating("belief");
    broken.partitions = Partitions::ClientAndNode(0);
    (broken.simulation.fault_every_us, broken.simulation.pause_us_max) = (20_000, 400_000);
    broken.simulation.think_us_max = 100_000;
    broken.workload.wait = Duration::ZERO;
    broken.arrival = ArrivalTime::AnyTime;
    let fixed = broken.clone().lock(lock(RenewedOn::Replicas));
    vec![broken, fixed.fixed("fixed", "a renewal counts once the replica has it")]
}

fn r13() -> Vec<GuardedScenario> {
    let source = "redisson#4706, #4822";
    let summary = "an attempt whose answer was lost is sent again and counts twice; one release leaves one";
    let about = about("ambiguous-reentrant-acquire", Some("R13"), summary, source);
    let mistake = watchdog(|config| config.after_lost_reply = AfterLostReply::SendAgain);
    let broken = base(about, workload(mistake, Work::Hold(ms(20))))
        .only(property::Leak)
        .faults(Fault::Break, 1)
        .violating("leak");
    let fixed = broken.clone().lock(watchdog(|_| ())).fixed("fixed", "the lock gives back what it may have taken");
    vec![broken, fixed]
}

fn r15() -> Vec<GuardedScenario> {
    let about = about("watchdog-gives-up", Some("R15"), "one failed renewal ends the watchdog", "redisson#3194");
    let mistake = watchdog(|config| {
        config.after_failed_renewal = AfterFailedRenewal::GiveUp;
        config.after_loss = AfterLoss::Silent;
    });
    let broken = base(about, workload(mistake, Work::Hold(ms(150))))
        .only(property::Belief)
        .faults(Fault::Break, 1)
        .violating("belief");
    let fixed = broken.clone().lock(watchdog(|_| ())).fixed("fixed", "the watchdog tries again");
    vec![broken, fixed]
}

fn r17() -> Vec<GuardedScenario> {
    let source = "derived: a renewal that answers 0 ends the watchdog, and the holder is not told";
    let about = about("silent-loss", Some("R17"), "the lock is gone, and its holder carries on", source);
    let broken = base(about, workload(watchdog(|config| config.after_loss = AfterLoss::Silent), Work::Hold(ms(150))))
        .only(property::Belief)
        .faults(Fault::Pause, 1)
        .violating("belief");
    let fixed = broken.clone().lock(watchdog(|_| ())).fixed("fixed", "the holder knows until when its hold may last");
    vec![broken, fixed]
}

/// After a crash the lock must come free by the end of the lease that its holder asked for.
fn r18() -> Vec<GuardedScenario> {
    let source = "redisson#4818, #5623";
    let summary = "a lease that was asked for is remembered, and the watchdog's next hold outlives its client by it";
    let about = about("lease-of-the-object", Some("R18"), summary, source);
    let mistake = watchdog(|config| config.lease_of = LeaseOf::Object);
    let work = Work::LeaseThenHold { lease: ms(400), hold: ms(20) };
    let broken = base(about, workload(mistake, work))
        .only(idle_for_at_most(ms(40)))
        .faults(Fault::ClientCrash, 1)
        .violating("idle-lock");
    let fixed = broken.clone().lock(watchdog(|_| ())).fixed("fixed", "each hold has the TTL that was asked for it");
    vec![broken, fixed]
}

fn r14() -> Vec<GuardedScenario> {
    let source = "redisson#5697, #5698";
    let about = about("watchdog-starved", Some("R14"), "renewals stall for longer than the TTL", source);
    let mistake = watchdog(|config| config.after_loss = AfterLoss::Silent);
    let broken = base(about, workload(mistake, Work::Hold(ms(150))))
        .only(property::Belief)
        .faults(Fault::Stall, 1)
        .violating("belief");
    let fixed = broken.clone().lock(watchdog(|_| ()));
    vec![broken, fixed.fixed("fixed", "a holder without a renewal stops before its TTL is over")]
}

/// A waiter gives up before the holder releases; what it had asked for may be granted afterwards.
fn r16() -> Vec<GuardedScenario> {
    let source = "redisson#7272";
    let summary = "an interrupted attempt is granted later, and the watchdog renews what no client holds";
    let about = about("zombie-watchdog", Some("R16"), summary, source);
    let mistake = watchdog(|config| config.on_interrupt = OnInterrupt::GoOn);
    let mut broken = base(about, workload(mistake, Work::Hold(ms(20))))
        .only(property::Leak)
        .faults(Fault::Delay, 1)
        .violating("leak");
    broken.workload.interrupt = Some(ms(30));
    let fixed = broken.clone().lock(watchdog(|_| ()));
    vec![broken, fixed.fixed("fixed", "an interrupted attempt is given back")]
}

fn idle_for_at_most(limit: Duration) -> property::IdleLock {
    property::IdleLock { limit_us: u64::try_from(limit.as_micros()).expect("a limit is short") }
}

/// A holder that holds for less than the TTL; waiters must take the lock soon after its release.
fn waited_for(about: About, waiting: Waiting) -> GuardedScenario {
    let lock = watchdog(|config| config.waiting = waiting);
    base(about, workload(lock, Work::Hold(ms(20)))).only(idle_for_at_most(ms(60))).violating("idle-lock")
}

/// Locks on three servers as one, without a watchdog.
fn multi(each: impl FnOnce(&mut Config), change: impl FnOnce(&mut multi::Config)) -> LockKind {
    let mut leased = Config { keep_alive: KeepAlive::Nothing, ..TIMING.redisson() };
    each(&mut leased);
    let mut config = multi::Config::new(TIMING.retry_delay.0);
    change(&mut config);
    LockKind::RedissonMulti(leased, config)
}

/// Redisson's RedLock, which takes its locks for a time of their own and prolongs what it has.
fn prolonging(first_ttl: Duration, prolong: Prolong) -> LockKind {
    let each = |config: &mut Config| {
        config.first_ttl = Some(first_ttl);
        if prolong == Prolong::Unchecked {
            (config.after_loss, config.renew) = (AfterLoss::Silent, Renew::Anyway);
        }
    };
    multi(each, |config| (config.needed, config.prolong) = (Some(2), prolong))
}

fn r19() -> Vec<GuardedScenario> {
    let summary = "without a time to wait the leases have no time to live, and every client is told that it holds";
    let about = about("redlock-no-lease", Some("R19"), summary, "redisson#2172");
    let broken = base(about, workload(prolonging(Duration::ZERO, Prolong::Unchecked), Work::Hold(ms(20))))
        .only(property::Belief)
        .violating("belief");
    let fixed = broken.clone().lock(multi(|_| (), |config| config.needed = Some(2)));
    vec![broken, fixed.fixed("fixed", "the leases have the TTL that was asked for")]
}

fn r20() -> Vec<GuardedScenario> {
    let source = "derived from RedissonMultiLock.tryLock: short leases, then a PEXPIRE that looks at no owner";
    let summary = "short leases expire, another client acquires, and the first one prolongs its keys";
    let about = about("redlock-prolongs-unowned", Some("R20"), summary, source);
    let broken = base(about, workload(prolonging(ms(30), Prolong::Unchecked), Work::Hold(ms(20))))
        .only(property::Belief)
        .faults(Fault::Pause, 1)
        .violating("belief");
    let fixed = broken.clone().lock(prolonging(ms(30), Prolong::Checked));
    vec![broken, fixed.fixed("fixed", "the lock prolongs what it owns, and looks at its validity")]
}

fn r33() -> Vec<GuardedScenario> {
    let source = "derived: a release of several locks that stops at the first error";
    let summary = "one server has lost its lock; the release fails there, and leaves the others";
    let about = about("multi-lock-partial-unlock", Some("R33"), summary, source);
    let broken =
        base(about, workload(multi(|_| (), |config| config.release = ReleaseOf::UntilError), Work::Hold(ms(20))))
            .only(property::Leak)
            .faults(Fault::NodeCrash, 1)
            .keeps(Persistence::None)
            .violating("leak");
    let fixed = broken.clone().lock(multi(|_| (), |_| ()));
    vec![broken, fixed.fixed("fixed", "the release goes through all of them")]
}

fn r25() -> Vec<GuardedScenario> {
    let source = "Redis pub/sub docs, delivery semantics: at most once";
    let summary = "the waiter's subscription is broken when the release is published, and it sleeps until the TTL";
    let about = about("missed-unlock-message", Some("R25"), summary, source);
    let broken = waited_for(about, Waiting::MissBroken).faults(Fault::Break, 1);
    let fixed = broken.clone().lock(watchdog(|_| ()));
    vec![broken, fixed.fixed("fixed", "the waiter subscribes anew, and looks")]
}

fn r34() -> Vec<GuardedScenario> {
    let source = "derived from Redisson: a release between the check and the subscription wakes no waiter";
    let about = about("lost-wake-up", Some("R34"), "the lock is released between check and subscription", source);
    let broken =
        waited_for(about, Waiting::LookThenListen).assume(|assumptions| assumptions.delay_us_max = Some(10_000));
    let fixed = broken.clone().lock(watchdog(|_| ()));
    vec![broken, fixed.fixed("fixed", "the waiter subscribes, then looks")]
}

/// Known-bad: the watchdog lock with one deliberate mistake each.
fn mistakes() -> Vec<GuardedScenario> {
    let mutant = |name: &str, summary, change: fn(&mut Config), work| {
        base(about(&format!("mutant-{name}"), None, summary, "deliberate mistake"), workload(watchdog(change), work))
    };
    let rewrite = "the watchdog writes the owner into the lock without a look at it";
    let after_release = "the watchdog goes on while the lock is released, and takes it anew";
    let each_time = "a release is sent again, and counts again";
    let again = |config: &mut Config| {
        config.renew = Renew::Rewrite;
        config.end_watchdog = EndWatchdog::AfterRelease;
    };
    let late = |assumptions: &mut Assumptions| assumptions.delay_us_max = Some(2000);
    vec![
        mutant("watchdog-rewrites", rewrite, |config| config.renew = Renew::Rewrite, Work::Hold(ms(80)))
            .only(property::Belief)
            .faults(Fault::Pause, 1)
            .violating("belief"),
        mutant("watchdog-after-release", after_release, again, Work::Hold(ms(32)))
            .assume(late)
            .only(property::Leak)
            .violating("leak"),
        mutant(
            "release-counts-again",
            each_time,
            |config| config.resend = Resend::EachTime,
            Work::HoldThenReenter(ms(20)),
        )
        .faults(Fault::Break, 1)
        .violating("belief"),
    ]
}
