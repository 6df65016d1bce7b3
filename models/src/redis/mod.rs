//! A simulated Redis server, compared with redis-server 7.0.
//!
//! A server by itself ([`Node`]), a primary with replicas and the Sentinels that watch them ([`Watched`]), or the
//! primaries and replicas of a Cluster ([`Cluster`]).
//!
//! Where it differs from the real server, and says so ([`Sent::NotModelled`](crate::Sent)): commands and
//! subcommands outside the table; databases other than 0; SCAN with a cursor other than 0, since one page holds
//! everything; hexadecimal scores; `ZRANGE … BYLEX`; WAIT for replicas without a timeout; subscribing inside MULTI;
//! XREAD and XREADGROUP that wait (BLOCK); XINFO, XSETID; trimming a stream approximately (`~`).
//! In scripts: `cjson`, `cmsgpack`, `bit`, `struct`, coroutines, `load`, `loadstring`, `collectgarbage`,
//! `redis.set_repl`, `redis.setresp`, `redis.acl_check_cmd`, a shebang, precompiled code; math.random before
//! math.randomseed, as the real server's numbers go on from one script to the next; tostring of what has an address;
//! looking behind the protected tables (`pairs(redis)`, `getmetatable('')`); the reply fields `map`, `set` and
//! `verbatim_string`, and replies nested a hundred deep; an error without a text, of which redis-server 7.0.15 dies;
//! compile errors that quote what is not UTF-8.
//! A script cannot catch this: it ends there.
//!
//! Where it differs and cannot say so: RESP2 only; `HGETALL` and its kind answer in insertion order, as the real
//! server does for small hashes, and sets answer in byte order, where the real server promises none; a score of -0 is
//! stored as 0, as in small sorted sets; WAIT answers at once, where the real server takes the whole timeout.

mod address;
mod args;
mod bits;
mod call;
mod cluster;
mod commands;
mod deployment;
mod expiry;
mod failover;
mod hashes;
mod keys;
mod keyspace;
mod lists;
mod multi;
mod node;
mod number;
mod persistence;
mod pubsub;
mod replicated;
mod reply;
mod script;
mod sentinel;
mod server;
mod servers;
mod service;
mod sets;
mod state;
mod stream;
mod streams;
mod strings;
mod subscribers;
mod table;
mod topology;
mod transactions;
mod zsets;

pub use cluster::Cluster;
pub use failover::Watched;
pub use node::Node;
pub use persistence::{Fsync, Persistence};
use serde::{Deserialize, Serialize};
pub use servers::Servers;
pub(crate) use service::start;
pub use topology::{Replication, Sentinels, Sharding};

/// How a Redis server is set up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// What survives a crash.
    pub persistence: Persistence,
    /// The servers that copy this one, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication: Option<Replication>,
    /// The primaries and replicas of a Cluster, if it is one; not together with `replication`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Sharding>,
}
