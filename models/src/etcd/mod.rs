//! A simulated etcd cluster, compared with etcd 3.4.
//!
//! | file | what it holds |
//! |---|---|
//! | `wire` | requests and replies |
//! | `cluster` | what the servers do together, and what of it is made atomic |
//! | `store` | the keys, their revisions, and how requests read and change them |
//! | `leases` | the leader's book of leases |
//! | `service` | what the generic core asks of it |
//!
//! Not modelled, and without words in [`wire`]: compaction, authentication, transactions within transactions, comparisons of whole
//! ranges, watches for progress. What can be asked for and is not modelled, `cluster::not_modelled` names.

#[cfg(feature = "nodes")]
mod cluster;
#[cfg(feature = "nodes")]
mod leases;
#[cfg(feature = "nodes")]
mod service;
#[cfg(feature = "nodes")]
mod store;
pub mod wire;

#[cfg(feature = "nodes")]
pub use cluster::Cluster;
use serde::{Deserialize, Serialize};
#[cfg(feature = "nodes")]
pub(crate) use service::start;

/// How a cluster is set up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The number of servers.
    pub servers: u8,
    /// The election time-out, in milliseconds: a new leader gives all leases that much more than their time.
    pub election_ms: u32,
    /// The least time that a lease lasts, in seconds.
    pub lease_s_min: u32,
}

impl Default for Config {
    /// etcd's defaults: an election time-out of a second, and leases of one and a half of it, in whole seconds.
    fn default() -> Self {
        Config { servers: 3, election_ms: 1000, lease_s_min: 2 }
    }
}
