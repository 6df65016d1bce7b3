//! A simulated ZooKeeper ensemble, compared with ZooKeeper 3.8.
//!
//! | file | what it holds |
//! |---|---|
//! | `wire` | requests and replies |
//! | `ensemble` | what the servers do together, and what of it is made atomic |
//! | `tree` | the data tree and the transactions that change it |
//! | `watches` | who is told of what |
//! | `service` | what the generic core asks of it |
//! | `sessions` | the leader's book of sessions |

#[cfg(feature = "nodes")]
mod ensemble;
#[cfg(feature = "nodes")]
mod service;
#[cfg(feature = "nodes")]
mod sessions;
#[cfg(feature = "nodes")]
mod tree;
#[cfg(feature = "nodes")]
mod watches;
pub mod wire;

#[cfg(feature = "nodes")]
pub use ensemble::Ensemble;
use serde::{Deserialize, Serialize};
#[cfg(feature = "nodes")]
pub(crate) use service::start;

/// What becomes of a parent's counter of sequential names at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overflow {
    /// It stays at 2³¹ − 1, as in 3.8: `DataTree.createNode` only ever raises it.
    #[default]
    Sticks,
    /// It goes on with −2³¹, as in servers before.
    Wraps,
}

/// How an ensemble is set up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The number of servers.
    pub servers: u8,
    /// The tick, in milliseconds: session time-outs are rounded up to it and lie within 2 to 20 of it.
    pub tick_ms: u32,
    /// Where the counters of sequential names begin.
    #[serde(default)]
    pub sequence_start: i32,
    /// What becomes of them at their end.
    #[serde(default)]
    pub overflow: Overflow,
    /// Servers before 3.4.9 and 3.5.2 (ZOOKEEPER-2355): where a session ends while a server is down, its ephemeral nodes may stay for ever.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keeps_ephemerals: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config { servers: 3, tick_ms: 2000, sequence_start: 0, overflow: Overflow::default(), keeps_ephemerals: false }
    }
}
