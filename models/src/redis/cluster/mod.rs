//! Cluster: servers that divide the keys among them, with replicas that are elected in the place of primaries.
//!
//! A key is in one of 16384 slots ([`slots`](crate::slots)), and each slot is served by one primary. A server refuses a
//! command whose keys it does not serve: another primary does (MOVED), they are in different slots (CROSSSLOT), or the
//! Cluster is not usable (CLUSTERDOWN) ([`table`]). Replication is [`replicated`](super::replicated)'s. Servers find
//! each other down over a bus ([`bus`]), and a replica is elected by the primaries ([`failover`]).
//!
//! Transitions that clients can observe are steps:
//!
//! - A replica is elected ([`Step::FailOver`](crate::Step)).
//! - A server learns of new owners ([`Step::Learn`](crate::Step)): its clients are sent elsewhere.
//! - A replica applies an effect or copies the data set ([`Step::CatchUp`](crate::Step)).
//!
//! That a majority of the primaries agrees on a failure is none: what clients observe of it are the CLUSTERDOWN errors
//! and the election that follow, and the election has no bound in time.
//!
//! Simplifications: slots do not migrate (no ASK, no TRYAGAIN), and replicas do not move to other shards
//! (`cluster-migration-barrier`); a replica with an old link failure can be elected, unless it was never linked since
//! its start; a primary votes without the delay between two votes for the same primary; the servers' own messages are
//! exchanged at once; `cluster-allow-reads-when-down` and sharded publishing are missing.

mod bus;
pub(super) mod commands;
mod failover;
mod keys;
mod service;
pub(super) mod table;

use super::Config;
use super::replicated::{PORT, Replicated, ReplicationRole};
use super::topology::MinReplicas;
use crate::escape::{Fixed, Unordered};
use crate::slots::{last_slots, slot_of};
use bus::Member;
pub use keys::keys;
use serde::{Deserialize, Serialize};
use std::rc::Rc;
use table::{Owner, Table};

/// The primaries of a Cluster, each with a share of the slots, and their replicas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sharding {
    /// How many replicas each primary has; as many primaries as there are numbers. The nodes are the primaries, and
    /// then the replicas, the first primary's first.
    pub replicas: Vec<u8>,
    /// `cluster-node-timeout`, in milliseconds: for how long a server must not have answered.
    pub node_timeout_ms: u32,
    /// `cluster-require-full-coverage`: no server serves anything while a slot has no primary.
    pub require_full_coverage: bool,
    /// `min-replicas-to-write`: a primary with fewer replicas that were heard lately refuses writes; 0: it never does.
    #[serde(default)]
    pub min_replicas_to_write: u8,
    /// `min-replicas-max-lag`, in seconds: how long ago a replica may have been heard.
    #[serde(default = "super::topology::max_lag_s")]
    pub min_replicas_max_lag_s: u16,
}

impl Default for Sharding {
    fn default() -> Self {
        Sharding {
            replicas: vec![1, 1, 1],
            node_timeout_ms: 15_000,
            require_full_coverage: true,
            min_replicas_to_write: 0,
            min_replicas_max_lag_s: super::topology::max_lag_s(),
        }
    }
}

impl Sharding {
    /// How many nodes there are.
    pub fn servers(&self) -> u8 {
        self.shard_numbers().len() as u8
    }

    /// The shard of each node.
    fn shard_numbers(&self) -> Vec<u8> {
        let shards = 0..self.replicas.len() as u8;
        let replicas = self.replicas.iter().zip(shards.clone());
        shards.chain(replicas.flat_map(|(count, shard)| std::iter::repeat_n(shard, usize::from(*count)))).collect()
    }

    /// The number of the shard that a key is in.
    pub fn shard_of(&self, key: &[u8]) -> usize {
        let slot = slot_of(key);
        last_slots(self.replicas.len()).iter().position(|last| slot <= *last).expect("all slots are divided")
    }
}

/// The servers of a Cluster.
#[derive(Clone, Hash)]
pub struct Cluster {
    config: Fixed<Rc<Sharding>>,
    data: Replicated,
    members: Vec<Member>,
}

impl Cluster {
    /// Empty servers that have found each other.
    pub(super) fn new(config: &Config, sharding: &Sharding) -> Self {
        let shards = sharding.shard_numbers();
        let primaries = sharding.replicas.len();
        let role = |(number, shard): (usize, &u8)| match number < primaries {
            true => ReplicationRole::Primary { epoch: u32::from(*shard) + 1 },
            false => ReplicationRole::ReplicaOf(*shard),
        };
        let roles: Vec<ReplicationRole> = shards.iter().enumerate().map(role).collect();
        let min_replicas =
            MinReplicas { to_write: sharding.min_replicas_to_write, max_lag_s: sharding.min_replicas_max_lag_s };
        let mut cluster = Cluster {
            data: Replicated::new(config, min_replicas, &roles),
            members: vec![Member::new(shards.len()); shards.len()],
            config: Fixed(Rc::new(sharding.clone())),
        };
        let last_slots: Rc<[u16]> = last_slots(primaries).into();
        let owners = (0..primaries as u8).map(|shard| Owner { epoch: u32::from(shard) + 1, server: shard });
        let owners: Vec<Owner> = owners.collect();
        for (number, shard) in cluster.data.numbers().zip(&shards) {
            let listed = (0..primaries).map(|shard| cluster.servers_of(shard).collect()).collect();
            let table = Table {
                me: number,
                shard: *shard,
                last_slots: Fixed(Rc::clone(&last_slots)),
                owners: owners.clone(),
                listed,
                serves: true,
                readonly: Unordered::default(),
            };
            cluster.data.server_mut(number).node.state.table = Some(Box::new(table));
        }
        cluster
    }

    /// The servers of a shard.
    fn servers_of(&self, shard: usize) -> impl Iterator<Item = u8> + use<> {
        let shards = self.config.shard_numbers();
        (0..shards.len() as u8).filter(move |number| usize::from(shards[usize::from(*number)]) == shard)
    }
}
