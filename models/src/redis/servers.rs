//! Servers: one Redis by itself, or several that keep one data set together.

use super::cluster::Cluster;
use super::failover::Watched;
use super::{Config, Node};

/// A Redis by itself, or several.
#[derive(Clone, Hash)]
pub enum Servers {
    /// One server.
    One(Node),
    /// A primary with its replicas, and the Sentinels that watch them.
    Watched(Box<Watched>),
    /// Primaries that divide the keys among them, with their replicas.
    Cluster(Box<Cluster>),
}

impl Servers {
    /// Servers that have just started for the first time.
    ///
    /// # Panics
    /// If they are both a Cluster and watched by Sentinels.
    pub(super) fn new(config: &Config) -> Self {
        match (&config.replication, &config.cluster) {
            (None, None) => Servers::One(Node::new(config.clone())),
            (Some(replication), None) => Servers::Watched(Box::new(Watched::new(config, replication))),
            (None, Some(sharding)) => Servers::Cluster(Box::new(Cluster::new(config, sharding))),
            (Some(_), Some(_)) => panic!("a Redis Cluster has replicas of its own, and no Sentinels"),
        }
    }
}
