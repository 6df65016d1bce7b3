//! Topology: which servers there are beside the first, and what watches over them.

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

pub(super) fn max_lag_s() -> u16 {
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
