//! Servers: one Redis by itself, or several that keep one data set together.

use super::failover::Watched;
use super::{Config, Node};

/// A Redis by itself, or several.
#[derive(Clone, Hash)]
pub enum Servers {
    /// One server.
    One(Node),
    /// A primary with its replicas, and the Sentinels that watch them.
    Watched(Box<Watched>),
}

impl Servers {
    /// Servers that have just started for the first time.
    pub(super) fn new(config: &Config) -> Self {
        match &config.replication {
            None => Servers::One(Node::new(config.clone())),
            Some(replication) => Servers::Watched(Box::new(Watched::new(config, replication))),
        }
    }
}
