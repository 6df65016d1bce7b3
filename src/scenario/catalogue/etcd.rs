//! The etcd mutex: sound ones, what Jepsen found of etcd 3.4.3 in its general form, and single mistakes.

use super::{about, base, broken_and_fixed, everything, listed, ms, workload};
use crate::lock::etcd::{AfterWait, Believe, Config, WaitFor};
use crate::property;
use crate::scenario::guarded::{GuardedScenario, LockKind, Store, Work};
use crate::scenario::locks::Timing;
use crate::scenario::mutation::Mutation;
use crate::world::fault::Fault;
use crate::world::setup::ArrivalTime;
use std::time::Duration;

const TIMING: Timing = Timing::VIRTUAL;
/// How long a lease lasts.
const LEASE_US: u64 = TIMING.session.as_micros() as u64;
/// The mean time between faults that must hit a certain message.
const OFTEN_US: u64 = 20_000;
/// How long contenders wait.
const WAIT: Duration = Duration::from_secs(30);
/// How long holders hold.
const HOLD: Work = Work::Hold(ms(20));
/// How long holders hold that listen to what the lock tells them: past every lease.
const LISTEN: Work = Work::HoldUntilLost(Duration::from_secs(7));
const CLIENT: &str = "etcd, clientv3/concurrency";

/// All of them.
pub(super) fn scenarios() -> Vec<GuardedScenario> {
    [sound_ones(), pause()].into_iter().flatten().chain(mutants()).collect()
}

fn with(
    name: &str,
    row: Option<&'static str>,
    summary: &'static str,
    source: &'static str,
    work: Work,
) -> GuardedScenario {
    let mut workload = workload(listed("etcd", &TIMING), work);
    workload.wait = WAIT;
    let mut scenario = base(about(name, row, summary, source), workload);
    scenario.properties = everything(2 * LEASE_US);
    if let Work::HoldUntilLost(_) = work {
        scenario.simulation.operations = 5;
    }
    scenario
}

impl GuardedScenario {
    /// The same with another etcd lock.
    fn etcd(mut self, change: impl FnOnce(&mut Config)) -> Self {
        if let LockKind::Etcd(config) = &mut self.workload.lock {
            change(config);
        }
        self
    }
}

fn sound_ones() -> Vec<GuardedScenario> {
    let mutex = |name: &str, summary, work| with(name, None, summary, CLIENT, work);
    vec![
        mutex("etcd-mutex", "the mutex on three servers", Work::Plain),
        mutex("etcd-mutex-leader-crash", "the same, and a server dies", HOLD).faults(Fault::NodeCrash, 1),
        mutex("etcd-mutex-break", "the same, and a connection breaks", HOLD).faults(Fault::Break, 1),
        mutex("etcd-mutex-client-crash", "the same, and a client dies: its lease ends", HOLD)
            .faults(Fault::ClientCrash, 1),
        mutex("etcd-mutex-silence", "the same, and a connection goes silent", LISTEN).faults(Fault::Stall, 1),
        mutex("etcd-mutex-lag", "the same, and a server falls behind", HOLD).faults(Fault::Lag, 1),
    ]
}

fn pause() -> Vec<GuardedScenario> {
    let sound = with(
        "etcd-pause-past-lease",
        Some("Z1"),
        "a holder pauses for longer than its lease lasts, and writes unguarded",
        "jepsen.io/analyses/etcd-3.4.3, locks",
        Work::Fenced,
    );
    let sound = sound.with(|workload| workload.store = Store::LockEtcd);
    let mut sound = sound.only(property::Effect).faults(Fault::Pause, 1);
    (sound.simulation.pause_us_max, sound.simulation.fault_every_us) = (3 * LEASE_US, OFTEN_US);
    let fix = "the write is one transaction with the condition that the holder's key has its creation revision";
    broken_and_fixed(sound, |sound| sound.work(Work::Plain), "guarded", fix)
}

/// The mutex with one deliberate mistake each, and what must catch it.
fn mutants() -> Vec<GuardedScenario> {
    let lock = |name: &str, summary, work| with(&format!("mutant-etcd-{name}"), None, summary, "known-bad lock", work);
    let mut holder_only =
        lock("waits-for-holder-only", "a waiter takes the lock when the present holder has gone", HOLD)
            .etcd(|lock| (lock.wait_for, lock.after_wait) = (WaitFor::Holder, AfterWait::Assume))
            .only(property::Belief)
            .violating("belief");
    holder_only.parameters.clients = 3;
    let no_look = lock("no-look-after-wait", "a waiter does not look whether its own key is still there", LISTEN)
        .etcd(|lock| (lock.after_wait, lock.believe) = (AfterWait::Assume, Believe::Always))
        .only(property::Belief)
        .faults(Fault::Stall, 1)
        .violating("belief");
    let deaf = lock("ignores-lease", "the holder never asks whether its lease lasts", LISTEN)
        .etcd(|lock| lock.believe = Believe::Always)
        .only(property::Belief)
        .faults(Fault::Stall, 1)
        .violating("belief");
    // The server that it has enrolled on knows every older key; the one that it goes on with may not.
    let mut stale = lock("serializable-reads", "contenders are counted on a server that is behind", HOLD)
        .etcd(|lock| lock.linearizable = false)
        .only(property::Belief)
        .faults(Fault::Lag, 1)
        .faults(Fault::Break, 1)
        .violating("belief");
    (stale.simulation.fault_every_us, stale.simulation.lag_us_max) = (OFTEN_US, 5 * OFTEN_US);
    let mut forgetful = lock("no-keep-alive", "the lease is never kept alive", LISTEN)
        .etcd(|lock| lock.believe = Believe::Always)
        .mutated(Mutation::NoKeepAlive)
        .only(property::Belief)
        .violating("belief");
    // Their leases must not end together.
    forgetful.arrival = ArrivalTime::AnyTime;
    let leaseless = lock("no-lease", "contenders' keys have no lease", HOLD)
        .mutated(Mutation::PersistentNodes)
        .only(property::Leak)
        .faults(Fault::ClientCrash, 1)
        .violating("leak");
    let mut no_release = lock("no-release", "the release is never sent", HOLD)
        .mutated(Mutation::NoRelease)
        .only(property::Leak)
        .violating("leak");
    no_release.simulation.operations = 1;
    let mut delete_first = lock("delete-first", "whoever gives up deletes whichever key is first", HOLD)
        .mutated(Mutation::DeleteFirst)
        .only(property::ForeignRelease)
        .violating("foreign-release");
    delete_first.workload.interrupt = Some(ms(10));
    vec![holder_only, no_look, deaf, stale, forgetful, leaseless, no_release, delete_first]
}
