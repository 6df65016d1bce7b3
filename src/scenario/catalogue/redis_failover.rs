//! Redis locks on a primary with replicas that Sentinels watch: rows R5, R7, R8, R26, R32.

use super::redis::{TIMING, TTL_US};
use super::{about, base, listed, ms, workload};
use crate::lock::redis::{self, ReplicaWait, Tokens, WaitOver};
use crate::property;
use crate::scenario::About;
use crate::scenario::guarded::{GuardedScenario, LockKind, On, Work};
use crate::scenario::keeper;
use crate::world::fault::{Budgets, Fault};
use crate::world::setup::ArrivalTime;
use doublehold_models::redis::{Persistence, Replication};
use std::time::Duration;

const FAILOVER_DOCS: &str =
    "Redis docs, \"Distributed Locks with Redis\", why failover-based implementations are not enough";

/// How long the lock waits for replicas. A failover takes longer.
const WAIT_MS: u64 = 10;

/// The single-instance lock on the primary.
fn on_primary(change: impl FnOnce(&mut redis::Config)) -> LockKind {
    let mut config = TIMING.redis();
    change(&mut config);
    LockKind::Redis(config, On::Primary(TIMING.node_timeout))
}

/// The same, which waits until so many replicas have its key.
fn waiting_for(replicas: usize, over: WaitOver) -> LockKind {
    on_primary(|config| config.replicas = Some(ReplicaWait { replicas, timeout: ms(WAIT_MS), over }))
}

/// Clients come at any time and try once; faults of the simulated world come often enough to meet a hold, and replicas
/// fall behind.
fn often(mut scenario: GuardedScenario) -> GuardedScenario {
    (scenario.simulation.fault_every_us, scenario.simulation.down_us_max) = (20_000, 200_000);
    scenario.simulation.lag_us_max = 20_000;
    scenario.simulation.faults = Budgets::NONE.with(Fault::Lag, 1);
    scenario.arrival = ArrivalTime::AnyTime;
    scenario.workload.wait = Duration::ZERO;
    scenario
}

/// A holder that holds until just before its TTL is over, and a node that crashes: two clients must not both hold.
pub(super) fn crashing(about: About, lock: LockKind) -> GuardedScenario {
    let scenario = base(about, workload(lock, Work::Hold(ms(80)))).only(property::Belief);
    often(scenario.faults(Fault::NodeCrash, 1).violating("belief"))
}

/// The rows.
pub(super) fn scenarios() -> Vec<GuardedScenario> {
    [sound(), r5(), r7(), r8(), r26(), r32()].concat()
}

/// Without faults, and with a failover that loses nothing, the lock is as sound as on one server.
fn sound() -> Vec<GuardedScenario> {
    let plain =
        about("redis-sentinel-lock", None, "the single-instance lock on a primary with Sentinels", FAILOVER_DOCS);
    vec![base(plain, workload(on_primary(|_| ()), Work::Plain))]
}

fn r5() -> Vec<GuardedScenario> {
    let about =
        about("failover-loses-lock", Some("R5"), "the replica that is promoted lacks the lock's key", FAILOVER_DOCS);
    let broken = crashing(about, on_primary(|_| ()));
    let etcd = broken.clone().lock(listed("etcd", &TIMING)).fixed("fixed", "a lock that is kept by consensus");
    let waits = broken.clone().lock(waiting_for(1, WaitOver::OnePipeline));
    vec![broken, etcd, waits.fixed("waits", "the lock waits for the one replica that can be promoted")]
}

fn r7() -> Vec<GuardedScenario> {
    let source = "Redis replication docs, safety of replication when the primary has persistence turned off";
    let summary = "a primary without persistence restarts empty before the Sentinels notice";
    let about = about("primary-restarts-empty", Some("R7"), summary, source);
    let mut broken = crashing(about, waiting_for(1, WaitOver::OnePipeline)).keeps(Persistence::None);
    broken.simulation.down_us_max = 5_000;
    let fixed = broken
        .clone()
        .assume(|assumptions| assumptions.restart_us_min = 2 * TTL_US)
        .fixed("fixed", "deployment: no automatic restart; the Sentinels promote the replica");
    vec![broken, fixed]
}

fn r8() -> Vec<GuardedScenario> {
    let source = "redisson#5256; Redis WAIT docs";
    let about =
        about("wait-one-of-two", Some("R8"), "WAIT is content with one replica, and the other is promoted", source);
    let broken = crashing(about, waiting_for(1, WaitOver::OnePipeline))
        .servers(3 + keeper::FEW_SENTINELS)
        .replication(|replication| replication.priorities = vec![100, 100, 10]);
    let fixed = broken
        .clone()
        .lock(waiting_for(2, WaitOver::OnePipeline))
        .fixed("fixed", "the lock waits for every replica that can be promoted");
    vec![broken, fixed]
}

fn r26() -> Vec<GuardedScenario> {
    let source = "derived: an INCR that no replica has is lost in a failover, and its number is given again";
    let about =
        about("fencing-token-regresses", Some("R26"), "a failover sets the counter of fencing tokens back", source);
    let broken = base(about, workload(on_primary(|config| config.fencing = Some(Tokens::WithTheLock)), Work::Fenced))
        .only(property::FencingOrder)
        .faults(Fault::NodeCrash, 1)
        .violating("fencing-order");
    let broken = often(broken);
    let fixed = broken
        .clone()
        .lock(listed("etcd", &TIMING))
        .fixed("fixed", "tokens from a consensus: the revision of the lock's key");
    vec![broken, fixed]
}

/// The next holder waits for a replica too: the old primary, which comes back and is set right at once.
fn replaced_at_once(scenario: GuardedScenario) -> GuardedScenario {
    let at_once = |replication: &mut Replication| {
        replication.sentinels.iter_mut().for_each(|sentinels| sentinels.hello_ms = 1);
    };
    let mut scenario = scenario.replication(at_once);
    (scenario.simulation.down_us_max, scenario.simulation.fault_every_us) = (50_000, 10_000);
    scenario
}

fn r32() -> Vec<GuardedScenario> {
    let source = "derived from pooled clients; Redis WAIT docs: it counts the writes of its own connection";
    let about = about("wait-on-another-connection", Some("R32"), "WAIT counts what another connection wrote", source);
    let broken = replaced_at_once(crashing(about, waiting_for(1, WaitOver::Another)));
    let fixed = broken
        .clone()
        .lock(waiting_for(1, WaitOver::OnePipeline))
        .fixed("fixed", "WAIT on the connection that set the key");
    vec![broken, fixed]
}

/// Those that take a minute.
pub(super) fn long() -> Vec<GuardedScenario> {
    let source = "derived from R32: Redis WAIT docs; clients that connect again between two calls";
    let summary = "the connection ends after SET, and WAIT is sent over a new one that wrote nothing";
    let about = about("wait-after-reconnect", None, summary, source);
    let broken = replaced_at_once(crashing(about, waiting_for(1, WaitOver::NextCall)))
        .servers(2 + keeper::FEW_SENTINELS)
        .faults(Fault::Break, 1);
    let fixed =
        broken.clone().lock(waiting_for(1, WaitOver::OnePipeline)).fixed("fixed", "SET and WAIT in one pipeline");
    vec![broken, fixed]
}
