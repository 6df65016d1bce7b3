//! The ZooKeeper rows of the catalogue, Z1 to Z11, the sound sequential lock, and single mistakes in it.

use super::{about, base, broken_and_fixed, everything, listed, ms, workload};
use crate::lock::reentrant::Reentry;
use crate::lock::zookeeper::sequence::Order;
use crate::lock::zookeeper::{
    AfterEvent, Believe, Config, Delete, Kind, OnCancel, Protection, ReaderWaitsFor, Waiting,
};
use crate::property;
use crate::scenario::guarded::{GuardedScenario, LockKind, Work};
use crate::scenario::locks::Timing;
use crate::scenario::mutation::Mutation;
use crate::world::fault::Fault;
use doublehold_models::zookeeper::{Config as Ensemble, Overflow};
use std::sync::Arc;
use std::time::Duration;

/// The session time-out is the least that the ensemble's tick allows.
const TIMING: Timing = Timing { session: Duration::from_secs(4), ..Timing::VIRTUAL };
const SESSION_US: u64 = TIMING.session.as_micros() as u64;
/// The mean time between faults that must hit a certain message.
const OFTEN_US: u64 = 20_000;
/// How long contenders wait.
const WAIT: Duration = Duration::from_secs(30);
/// How long holders hold.
const HOLD: Work = Work::Hold(ms(20));
/// How long holders hold that listen to what the lock tells them: past every expiry.
const LISTEN: Work = Work::HoldUntilLost(Duration::from_secs(8));

/// All of them.
pub(super) fn scenarios() -> Vec<GuardedScenario> {
    let rows = [sound_ones(), z1(), z2(), z3(), z4(), z5(), z6(), z7(), z9(), z11()];
    rows.into_iter().flatten().chain(mutants()).collect()
}

fn with(
    name: &str,
    row: Option<&'static str>,
    summary: &'static str,
    source: &'static str,
    work: Work,
) -> GuardedScenario {
    let mut workload = workload(listed("zookeeper", &TIMING), work);
    workload.wait = WAIT;
    let mut scenario = base(about(name, row, summary, source), workload);
    // Who waits learns of a dead connection only after most of the session time-out.
    scenario.properties = everything(2 * SESSION_US);
    if let Work::HoldUntilLost(_) = work {
        // Long holds: a few of them fill the run.
        scenario.simulation.operations = 5;
    }
    scenario
}

impl GuardedScenario {
    /// The same with another ZooKeeper lock.
    fn zk(mut self, change: impl FnOnce(&mut Config)) -> Self {
        if let LockKind::ZooKeeper(config) | LockKind::ZooKeeperReadWrite(config) = &mut self.workload.lock {
            change(config);
        }
        self
    }
}

fn sound_ones() -> Vec<GuardedScenario> {
    let curator = |name: &str, summary, work| with(name, None, summary, "Apache Curator, InterProcessMutex", work);
    vec![
        curator("zk-sequential", "the sequential lock on three servers", Work::Plain),
        curator("zk-sequential-leader-crash", "the same, and a server dies", HOLD).faults(Fault::NodeCrash, 1),
        curator("zk-sequential-break", "the same, and a connection breaks", HOLD).faults(Fault::Break, 1),
        curator("zk-sequential-client-crash", "the same, and a client dies: its session expires", HOLD)
            .faults(Fault::ClientCrash, 1),
        curator(
            "zk-sequential-partition",
            "the same, and a client is cut off for longer than its session lasts",
            LISTEN,
        )
        .faults(Fault::Stall, 1)
        .faults(Fault::SessionExpiry, 1),
        curator("zk-herd", "everybody watches all waiters, as in the naive recipe", HOLD)
            .zk(|lock| lock.waiting = Waiting::Herd),
        semaphore("zk-semaphore", "two of three clients at a time"),
        read_write("zk-read-write", "readers together, a writer alone", CURATOR_READ_WRITE),
        read_write("zk-read-write-break", "the same, and a connection breaks", CURATOR_READ_WRITE)
            .faults(Fault::Break, 1),
    ]
}

const CURATOR_READ_WRITE: &str = "Apache Curator, InterProcessReadWriteLock";

fn semaphore(name: &str, summary: &'static str) -> GuardedScenario {
    let scenario = with(name, None, summary, "Apache Curator, InterProcessSemaphoreV2", HOLD);
    let mut scenario = shared(scenario.zk(|lock| lock.kind = Kind::Semaphore(2)));
    scenario.parameters.clients = 3;
    scenario
}

fn read_write(name: &str, summary: &'static str, source: &'static str) -> GuardedScenario {
    let scenario = with(name, None, summary, source, HOLD);
    let config = config(&scenario);
    shared(scenario.lock(LockKind::ZooKeeperReadWrite(config)))
}

/// The re-entrant lock.
fn reentrant(scenario: GuardedScenario, reentry: Reentry) -> GuardedScenario {
    let config = config(&scenario);
    scenario.lock(LockKind::ZooKeeperReentrant(config, reentry))
}

/// How its lock is set up.
fn config(scenario: &GuardedScenario) -> Config {
    match &scenario.workload.lock {
        LockKind::ZooKeeper(config)
        | LockKind::ZooKeeperReadWrite(config)
        | LockKind::ZooKeeperReentrant(config, _) => *config,
        other => unreachable!("no lock on ZooKeeper: {other:?}"),
    }
}

/// What can be judged of a lock that several hold at once.
fn shared(mut scenario: GuardedScenario) -> GuardedScenario {
    scenario.properties = vec![
        Arc::new(property::Belief),
        Arc::new(property::Leak),
        Arc::new(property::Deadlock),
        Arc::new(property::BoundedWait { slack_us: 2 * SESSION_US }),
    ];
    scenario
}

fn z1() -> Vec<GuardedScenario> {
    let broken = with(
        "zk-pause-past-session",
        Some("Z1"),
        "a holder pauses for longer than its session lasts",
        "curator#727; kazoo#2",
        Work::Plain,
    );
    let mut broken = broken.only(property::Effect).faults(Fault::Pause, 1).violating("effect");
    (broken.simulation.pause_us_max, broken.simulation.fault_every_us) = (3 * SESSION_US, OFTEN_US);
    let fixed = broken.clone().work(Work::Fenced);
    let fix = "the resource checks the node's creation transaction as fencing token";
    vec![broken, fixed.fixed("fenced", fix)]
}

fn z2() -> Vec<GuardedScenario> {
    let sound = with(
        "zk-orphan-after-create",
        Some("Z2"),
        "the answer to a create is lost, and a second node waits for the first",
        "ZooKeeper recipes, GUID note; curator#566",
        HOLD,
    );
    let sound = sound.only(property::Leak).faults(Fault::Break, 1);
    let mistake = |lock: &mut Config| lock.client.protection = Protection::None;
    broken_and_fixed(sound, |sound| sound.zk(mistake), "guid", "a GUID in the name, looked for before another create")
}

fn z3() -> Vec<GuardedScenario> {
    let mut sound =
        with("zk-interrupt-leaks", Some("Z3"), "a waiter is interrupted and its node stays", "curator#600", HOLD);
    sound.workload.interrupt = Some(ms(10));
    let sound = sound.only(property::Leak);
    let mistake = |lock: &mut Config| lock.on_cancel = OnCancel::Leave;
    broken_and_fixed(sound, |sound| sound.zk(mistake), "fixed", "cancellation deletes the node")
}

fn z4() -> Vec<GuardedScenario> {
    let sound = with(
        "zk-adopt-old-session",
        Some("Z4"),
        "the client gives its session up, and then takes that session's node for its own",
        "curator#1018, #1121, #1211",
        Work::HoldUntilLost(Duration::from_secs(3)),
    );
    // One server is enough: the client cannot reach it until it gives up, before the server's tick does.
    let mut sound = sound.servers(1);
    sound.simulation.fault_every_us = OFTEN_US / 2;
    (sound.simulation.operations, sound.simulation.horizon_us) = (20, 2 * sound.simulation.horizon_us);
    let sound = sound.only(property::Belief).faults(Fault::Break, 1).faults(Fault::Stall, 1);
    let mistake = |lock: &mut Config| lock.client.protection = Protection::AnySession;
    broken_and_fixed(sound, |sound| sound.zk(mistake), "fixed", "the node's owner is compared with the session")
}

fn z5() -> Vec<GuardedScenario> {
    let sound = with(
        "zk-stale-search",
        Some("Z5"),
        "the answer to a create is lost, and a server that is behind does not show the node",
        "curator#784",
        HOLD,
    );
    let mut sound = sound.only(property::Leak).faults(Fault::Break, 1).faults(Fault::Lag, 1);
    // Only a little behind: a server that lacks what the client has seen would refuse it.
    (sound.simulation.fault_every_us, sound.simulation.lag_us_max) = (OFTEN_US, OFTEN_US / 4);
    let mistake = |lock: &mut Config| lock.client.sync_first = false;
    broken_and_fixed(sound, |sound| sound.zk(mistake), "sync", "the server is told to catch up before the search")
}

fn z6() -> Vec<GuardedScenario> {
    let sound = with(
        "zk-release-once",
        Some("Z6"),
        "the release is lost, and the holder forgets its node",
        "curator#1193; kazoo#732",
        HOLD,
    );
    let sound = sound.only(property::Leak).faults(Fault::Break, 1);
    let mistake = |lock: &mut Config| lock.client.delete = Delete::Once;
    broken_and_fixed(sound, |sound| sound.zk(mistake), "guaranteed", "the delete is repeated until the session ends")
}

fn z7() -> Vec<GuardedScenario> {
    let sound = with(
        "zk-reenter-after-expiry",
        Some("Z7"),
        "a holder whose session has expired takes the lock again by its own record",
        "derived: local state outlives the session",
        Work::HoldThenReenter(Duration::from_secs(3)),
    );
    let mut sound = reentrant(sound, Reentry::IfHeld).only(property::Belief);
    sound.simulation.operations = 5;
    let sound = sound.faults(Fault::Stall, 1).faults(Fault::SessionExpiry, 1);
    let mistake = |sound: GuardedScenario| reentrant(sound, Reentry::ByRecord);
    broken_and_fixed(sound, mistake, "fixed", "re-entry looks whether the session is alive")
}

fn z9() -> Vec<GuardedScenario> {
    let sound = with(
        "zk-sequence-overflow",
        Some("Z9"),
        "the counter of sequential names wraps to a negative number",
        "kazoo#606, #730; go-zookeeper#65",
        HOLD,
    );
    let wrapping = |ensemble: &mut Ensemble| (ensemble.sequence_start, ensemble.overflow) = (i32::MAX, Overflow::Wraps);
    let sound = sound.ensemble(wrapping).only(property::Belief);
    let mistake = |lock: &mut Config| lock.order = Order::Numeric;
    broken_and_fixed(sound, |sound| sound.zk(mistake), "serial", "names are compared in serial-number arithmetic")
}

fn z11() -> Vec<GuardedScenario> {
    let sound = with(
        "zk-ephemeral-stays",
        Some("Z11"),
        "a session ends while a server is down, and its node is never deleted",
        "ZOOKEEPER-2355",
        HOLD,
    );
    let sound = sound.only(property::Leak).faults(Fault::NodeCrash, 1).faults(Fault::ClientCrash, 1);
    let mistake = |sound: GuardedScenario| sound.ensemble(|ensemble| ensemble.keeps_ephemerals = true);
    broken_and_fixed(sound, mistake, "server-fixed", "servers from 3.4.9 and 3.5.2 on delete it")
}

/// The sequential lock with one deliberate mistake each, and what must catch it.
fn mutants() -> Vec<GuardedScenario> {
    let lock = |name: &str, summary| with(&format!("mutant-zk-{name}"), None, summary, "known-bad lock", HOLD);
    let mut no_recheck = lock("no-recheck", "a watch that fires is taken for the lock")
        .zk(|lock| lock.after_event = AfterEvent::Assume)
        .only(property::Belief)
        .violating("belief");
    // Whoever waits longest gives up, and lets on the one behind it.
    (no_recheck.parameters.clients, no_recheck.workload.interrupt) = (3, Some(ms(10)));
    let mut herd = lock("any-event", "the list of waiters is watched, and any change taken for the lock")
        .zk(|lock| (lock.waiting, lock.after_event) = (Waiting::Herd, AfterEvent::Assume))
        .only(property::Belief)
        .violating("belief");
    herd.parameters.clients = 3;
    let full_name = lock("full-name-order", "nodes are ordered by their whole names")
        .zk(|lock| lock.order = Order::FullName)
        .only(property::Belief)
        .violating("belief");
    let mut deaf = lock("ignores-expiry", "the holder never asks whether its session is alive")
        .work(LISTEN)
        .zk(|lock| lock.believe = Believe::Always)
        .faults(Fault::Stall, 1)
        .faults(Fault::SessionExpiry, 1)
        .violating("belief");
    deaf.simulation.operations = 5;
    let mutated = |name: &str, summary, mutation| {
        let mut scenario = lock(name, summary);
        scenario.workload.mutation = Some(mutation);
        scenario
    };
    let off_by_one = mutated("off-by-one", "the second in the queue holds it too", Mutation::FirstUnseen)
        .only(property::Belief)
        .violating("belief");
    let mut overfull = mutated("semaphore-off-by-one", "a semaphore of two lets a third in", Mutation::FirstUnseen)
        .zk(|lock| lock.kind = Kind::Semaphore(2))
        .only(property::Belief)
        .violating("belief");
    overfull.parameters.clients = 3;
    let reader = read_write(
        "mutant-zk-reader-looks-one-back",
        "a reader waits only for a writer next before it",
        "known-bad lock",
    );
    let mut reader = reader.zk(|lock| lock.reader_waits_for = ReaderWaitsFor::Neighbour);
    reader.parameters.clients = 3;
    let reader = reader.only(property::Belief).violating("belief");
    let persistent = mutated("persistent-nodes", "contenders' nodes outlive their sessions", Mutation::PersistentNodes)
        .only(property::Leak)
        .faults(Fault::ClientCrash, 1)
        .violating("leak");
    let mut no_release =
        mutated("no-release", "the release is never sent", Mutation::NoRelease).only(property::Leak).violating("leak");
    no_release.simulation.operations = 1;
    let mut delete_first =
        mutated("delete-first", "whoever gives up deletes whichever node is first", Mutation::DeleteFirst)
            .only(property::ForeignRelease)
            .violating("foreign-release");
    delete_first.workload.interrupt = Some(ms(10));
    vec![no_recheck, herd, full_name, deaf, off_by_one, overfull, reader, persistent, no_release, delete_first]
}
