//! Ports: everything that protocol code may ask of the world it runs in.
//!
//! A lock or a flow is written once, as `async` Rust generic over [`Ports`]. The explored and the
//! simulated world answer from simulated nodes and virtual time, the real world from real servers
//! and the machine's clocks; the code cannot tell which.

mod absent;
pub mod etcd;
mod host;
pub mod kafka;
pub mod mysql;
mod outcome;
mod redis;
pub mod zookeeper;

pub use crate::base::{Blob, Elapsed, Instant, WallTime, time};
pub use absent::Absent;
pub use etcd::Etcd;
pub use host::Host;
pub use kafka::Kafka;
pub use mysql::MySql;
pub use outcome::{Outcome, Refusal, Unanswered, Unknown, answered};
pub use redis::{Command, FoundBy, Redis, RedisGroup, Script, Subscription, Value};
pub use zookeeper::ZooKeeper;

use std::ops::Range;

/// The ports of one client: its own machine and its history ([`Host`]), and the servers it can reach.
///
/// Servers are named by their position in the scenario's topology.
pub trait Ports: Host {
    /// A connection to a Redis server.
    type Redis: Redis;
    /// A ZooKeeper ensemble.
    type ZooKeeper: ZooKeeper;
    /// An etcd cluster.
    type Etcd: Etcd;
    /// A Kafka broker.
    type Kafka: Kafka;
    /// A MySQL server.
    type MySql: MySql;

    /// The Redis server at this place of the topology.
    ///
    /// # Panics
    /// If there is no server at this place, or it is of another kind: a mistake of the scenario.
    fn redis(&self, server: usize) -> Self::Redis;

    /// The primary among several Redis servers. An answer that does not come within `patience` makes the request
    /// indeterminate; whatever ends the connection, the primary is looked for anew. A command that a server certainly
    /// did not run, since another one is the primary, is sent to that one.
    ///
    /// # Panics
    /// If there are no servers at these places, or they are of another kind: a mistake of the scenario.
    fn redis_group(&self, at: RedisGroup) -> Self::Redis;

    /// The ensemble whose servers are at these places of the topology.
    ///
    /// # Panics
    /// If there are no servers at these places, or this world has no ZooKeeper: a mistake of the scenario.
    fn zookeeper(&self, servers: Range<usize>) -> Self::ZooKeeper;

    /// The cluster whose servers are at these places of the topology.
    ///
    /// # Panics
    /// If there are no servers at these places, or this world has no etcd: a mistake of the scenario.
    fn etcd(&self, servers: Range<usize>) -> Self::Etcd;

    /// The Kafka broker at this place of the topology.
    ///
    /// # Panics
    /// If there is no server at this place, or this world has no Kafka: a mistake of the scenario.
    fn kafka(&self, server: usize) -> Self::Kafka;

    /// The MySQL server at this place of the topology.
    ///
    /// # Panics
    /// If there is no server at this place, or this world has no MySQL: a mistake of the scenario.
    fn mysql(&self, server: usize) -> Self::MySql;

    /// The client's own number, from 0. Code that asks for it is taken to do something else than other clients' code.
    fn client(&self) -> usize;
}
