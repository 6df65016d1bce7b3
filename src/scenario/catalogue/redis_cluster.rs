//! Redis locks on a Cluster.

use super::redis_failover::crashing;
use super::{about, base, listed, ms, workload};
use crate::lock::redis::{ReplicaWait, WaitOver};
use crate::scenario::guarded::{GuardedScenario, LockKind, On, Work};
use crate::scenario::locks::Timing;
use std::time::Duration;

const SOURCE: &str = "Redis Cluster specification, write safety";

/// Leases that last longer than a failover, which takes more than half a second in a Cluster.
const TIMING: Timing = Timing { ttl: Duration::from_millis(1000), ..Timing::VIRTUAL };
/// How long the lock waits for replicas. A failover takes longer.
const WAIT_MS: u64 = 10;

/// The single-instance lock on the primary that has its key; it waits until so many replicas have it.
fn lock(replicas: Option<usize>) -> LockKind {
    let mut config = TIMING.redis();
    config.replicas =
        replicas.map(|replicas| ReplicaWait { replicas, timeout: ms(WAIT_MS), over: WaitOver::OnePipeline });
    LockKind::Redis(config, On::Cluster(TIMING.node_timeout))
}

/// The rows.
pub(super) fn scenarios() -> Vec<GuardedScenario> {
    [sound(), failover()].concat()
}

fn sound() -> Vec<GuardedScenario> {
    let plain = about("redis-cluster-lock", None, "the single-instance lock on a Cluster", SOURCE);
    vec![base(plain, workload(lock(None), Work::Plain))]
}

/// A primary crashes, and its replica is elected without the lock's key.
fn failover() -> Vec<GuardedScenario> {
    let summary = "the replica that is elected lacks the lock's key";
    let about = about("cluster-failover-loses-lock", None, summary, SOURCE);
    let mut broken = crashing(about, lock(None)).work(Work::Hold(ms(900)));
    (broken.simulation.fault_every_us, broken.simulation.down_us_max) = (1_000_000, 2_000_000);
    (broken.simulation.lag_us_max, broken.simulation.think_us_max) = (2_000_000, 500_000);
    let etcd = broken.clone().lock(listed("etcd", &TIMING)).fixed("fixed", "a lock that is kept by consensus");
    let waits = broken.clone().lock(lock(Some(1)));
    vec![broken, etcd, waits.fixed("waits", "the lock waits for the one replica that can be elected")]
}
