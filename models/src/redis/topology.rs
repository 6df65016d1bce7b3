//! Topology: which servers there are beside the first, and what watches over them.

use crate::slots::{last_slots, slot_of};
use serde::{Deserialize, Serialize};

/// Servers that copy the first one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replication {
    /// How many replicas there are.
    pub replicas: u8,
    /// `replica-priority` of each server, the first primary's first; those that are not named have 100. A replica with
    /// a smaller number is promoted first, and one with 0 never.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub priorities: Vec<u8>,
    /// `min-replicas-to-write`: a primary with fewer replicas that were heard lately refuses writes; 0: it never does.
    #[serde(default)]
    pub min_replicas_to_write: u8,
    /// `min-replicas-max-lag`, in seconds: how long ago a replica may have been heard.
    #[serde(default = "max_lag_s")]
    pub min_replicas_max_lag_s: u16,
    /// What promotes a replica; nothing without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentinels: Option<Sentinels>,
}

fn max_lag_s() -> u16 {
    10
}

/// Sentinels, which watch the servers and promote a replica when the primary is down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sentinels {
    /// How many there are.
    pub count: u8,
    /// How many of them must find the primary down.
    pub quorum: u8,
    /// `down-after-milliseconds`: for how long a server must not have answered.
    pub down_after_ms: u32,
    /// How often they tell each other what they know, in milliseconds. A server whose role is not what it should be is
    /// set right after four times as long.
    pub hello_ms: u32,
}

impl Default for Replication {
    fn default() -> Self {
        Replication {
            replicas: 2,
            priorities: Vec::new(),
            min_replicas_to_write: 0,
            min_replicas_max_lag_s: max_lag_s(),
            sentinels: Some(Sentinels::default()),
        }
    }
}

impl Default for Sentinels {
    fn default() -> Self {
        Sentinels { count: 3, quorum: 2, down_after_ms: 30_000, hello_ms: 2000 }
    }
}

/// Below how many replicas a primary refuses writes.
#[derive(Clone, Copy, Debug)]
pub(super) struct MinReplicas {
    /// `min-replicas-to-write`; 0: it never does.
    pub to_write: u8,
    /// `min-replicas-max-lag`, in seconds.
    pub max_lag_s: u16,
}

impl Replication {
    pub(super) fn min_replicas(&self) -> MinReplicas {
        MinReplicas { to_write: self.min_replicas_to_write, max_lag_s: self.min_replicas_max_lag_s }
    }

    /// How many servers hold data.
    pub fn servers(&self) -> u8 {
        1 + self.replicas
    }

    /// How many nodes there are: the servers that hold data, and then the Sentinels.
    pub(super) fn members(&self) -> u8 {
        self.servers() + self.sentinels.as_ref().map_or(0, |sentinels| sentinels.count)
    }

    /// The `replica-priority` of a server.
    pub(super) fn priority(&self, server: u8) -> u8 {
        self.priorities.get(usize::from(server)).copied().unwrap_or(100)
    }
}

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
    #[serde(default = "max_lag_s")]
    pub min_replicas_max_lag_s: u16,
}

impl Default for Sharding {
    fn default() -> Self {
        Sharding {
            replicas: vec![1, 1, 1],
            node_timeout_ms: 15_000,
            require_full_coverage: true,
            min_replicas_to_write: 0,
            min_replicas_max_lag_s: max_lag_s(),
        }
    }
}

impl Sharding {
    /// How many nodes there are.
    pub fn servers(&self) -> u8 {
        self.shard_numbers().len() as u8
    }

    /// The shard of each node.
    pub(super) fn shard_numbers(&self) -> Vec<u8> {
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
