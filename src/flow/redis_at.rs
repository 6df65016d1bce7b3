//! Where the Redis is that a flow uses.

use crate::port::{FoundBy, Ports, RedisGroup};
use std::time::Duration;

/// Where a Redis is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedisAt {
    /// One server, at this place in the topology.
    Server(usize),
    /// The primary of several servers.
    Primary {
        /// The place of the first of them. The others follow, and then the Sentinels.
        first: usize,
        /// How many there are.
        servers: usize,
        /// How many Sentinels watch them.
        sentinels: usize,
        /// How long a client waits for an answer.
        patience: Duration,
    },
}

impl RedisAt {
    /// How many places it takes.
    pub fn places(self) -> usize {
        match self {
            RedisAt::Server(_) => 1,
            RedisAt::Primary { servers, sentinels, .. } => servers + sentinels,
        }
    }

    /// The connection to it.
    pub fn find<P: Ports>(self, ports: &P) -> P::Redis {
        match self {
            RedisAt::Server(place) => ports.redis(place),
            RedisAt::Primary { first, servers, sentinels, patience } => {
                let end = first + servers;
                let found_by = FoundBy::Sentinels(end..end + sentinels);
                ports.redis_group(RedisGroup { servers: first..end, found_by, patience })
            }
        }
    }
}
