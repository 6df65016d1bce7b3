//! Redis locks on a Cluster.

use super::redis_failover::crashing;
use super::{about, base, listed, ms, workload};
use crate::lock::redis::{self, ReplicaWait, Tokens, WaitOver};
use crate::property;
use crate::scenario::guarded::{GuardedScenario, LOCK, LockKind, On, Work};
use crate::scenario::locks::Timing;
use doublehold_models::{ServiceConfig, redis as redis_server};
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
    [sound(), failover(), another_slot()].concat()
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

/// The primary that counts the fencing tokens is another one than the lock's: it fails over while the lock stays.
fn another_slot() -> Vec<GuardedScenario> {
    let summary = "fencing tokens are counted in another slot, whose primary fails over without the last one";
    let about = about("fence-in-another-slot", None, summary, "Redis Cluster specification, hash tags");
    let counted = |tokens| {
        LockKind::Redis(redis::Config { fencing: Some(tokens), ..TIMING.redis() }, On::Cluster(TIMING.node_timeout))
    };
    let mut broken = crashing(about, counted(Tokens::InAnotherSlot))
        .work(Work::Hold(ms(20)))
        .only(property::FencingOrder)
        .violating("fencing-order")
        .serving(|service| {
            if let ServiceConfig::Redis(redis_server::Config { cluster: Some(sharding), .. }) = &mut service.config {
                let of = |key: &[u8]| sharding.shard_of(key);
                let (lock, count) = (of(LOCK.as_bytes()), of(format!("{LOCK}:fence").as_bytes()));
                assert_ne!(lock, count, "the two keys are of two shards");
                sharding.replicas.swap(lock, count);
            }
        });
    (broken.simulation.fault_every_us, broken.simulation.down_us_max) = (1_000_000, 2_000_000);
    (broken.simulation.lag_us_max, broken.simulation.think_us_max) = (2_000_000, 500_000);
    let fixed = broken.clone().lock(counted(Tokens::WithTheLock));
    vec![broken, fixed.fixed("fixed", "a hash tag keeps the count in the lock's slot, and one script uses both")]
}
