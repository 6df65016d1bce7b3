//! Node: what every simulated server can be asked to do, whatever its kind.

use crate::resp::{Command, Value};
use crate::{Blob, Digest, redis};
use serde::{Deserialize, Serialize};

/// A connection, by the client at its other end. After [`Node::disconnect`] the same name stands for
/// the client's next connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId {
    /// The client's number.
    pub client: u16,
    /// 0 for the connection that carries commands; further ones carry subscriptions.
    pub lane: u8,
}

/// What a node may know of time: its own clocks, never true time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeClock {
    /// The node's wall clock, microseconds since the epoch.
    pub wall_us: i64,
    /// The node's monotonic clock, microseconds.
    pub mono_us: u64,
}

impl NodeClock {
    /// The wall clock in whole milliseconds, rounded down.
    pub fn wall_ms(&self) -> i64 {
        self.wall_us.div_euclid(1000)
    }
}

/// A request to a server of any kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// To a Redis.
    Redis(Command),
}

/// A server's answer, or a message that it sends by itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Response {
    /// From a Redis.
    Redis(Value),
}

impl Request {
    /// Adds the request to a fingerprint.
    pub fn digest(&self, digest: &mut Digest) {
        match self {
            Request::Redis(command) => command.words().iter().for_each(|word| digest.text(word)),
        }
    }
}

impl Response {
    /// Adds the response to a fingerprint.
    pub fn digest(&self, digest: &mut Digest) {
        match self {
            Response::Redis(value) => redis::digest_value(value, digest),
        }
    }
}

impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Request::Redis(command) => command.fmt(f),
        }
    }
}

impl std::fmt::Display for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Response::Redis(value) => value.fmt(f),
        }
    }
}

/// One message that a node wants sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The connection it goes out on.
    pub conn: ConnId,
    /// True for the answer to the request just served, false for a message of the node's own accord.
    pub is_reply: bool,
    /// What it says.
    pub response: Response,
}

/// How one server is set up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum NodeConfig {
    /// A Redis server.
    Redis(redis::Config),
}

/// A simulated server of any kind.
///
/// The contract: [`handle`](Node::handle) takes one request and pushes every message that follows
/// from it; [`next_timer`](Node::next_timer) says when the node next wants to be woken by its own
/// clock; [`tick`](Node::tick) wakes it. Nothing else changes a node but
/// [`disconnect`](Node::disconnect), [`crash`](Node::crash) and [`restart`](Node::restart).
#[derive(Clone)]
pub enum Node {
    /// A Redis server.
    Redis(redis::Node),
}

impl Node {
    /// A server that has just started for the first time.
    pub fn new(config: &NodeConfig) -> Self {
        match config {
            NodeConfig::Redis(config) => Node::Redis(redis::Node::new(config.clone())),
        }
    }

    /// Serves one request.
    pub fn handle(&mut self, clock: NodeClock, conn: ConnId, request: &Request, out: &mut Vec<Output>) {
        match (self, request) {
            (Node::Redis(node), Request::Redis(command)) => node.handle(clock, conn, command, out),
        }
    }

    /// Forgets a connection that has ended.
    pub fn disconnect(&mut self, conn: ConnId) {
        match self {
            Node::Redis(node) => node.disconnect(conn),
        }
    }

    /// The earliest moment of the node's own wall clock, in microseconds, at which its state changes
    /// by itself: a key expires, a periodic fsync falls due.
    pub fn next_timer(&self, clock: NodeClock) -> Option<i64> {
        match self {
            Node::Redis(node) => node.next_timer(clock),
        }
    }

    /// True if something has fallen due: [`tick`](Node::tick) would do something.
    pub fn is_due(&self, clock: NodeClock) -> bool {
        match self {
            Node::Redis(node) => node.is_due(clock),
        }
    }

    /// Does what has fallen due by the node's own clock.
    pub fn tick(&mut self, clock: NodeClock) {
        match self {
            Node::Redis(node) => node.tick(clock),
        }
    }

    /// The machine loses power: everything that was not synced to disk is gone.
    pub fn crash(&mut self) {
        match self {
            Node::Redis(node) => node.crash(),
        }
    }

    /// Starts again from what the disk still holds.
    pub fn restart(&mut self, clock: NodeClock) {
        match self {
            Node::Redis(node) => node.restart(clock),
        }
    }

    /// Adds the node's state to a fingerprint. Deadlines count as what is left of them, so that two
    /// states that differ only in when they happen are one.
    pub fn digest(&self, clock: NodeClock, digest: &mut Digest) {
        match self {
            Node::Redis(node) => node.digest(clock, digest),
        }
    }

    /// For a Redis: the value and the expiry (milliseconds of the node's wall clock) of a string key
    /// that is alive by the node's own clock.
    pub fn redis_string(&self, clock: NodeClock, key: &Blob) -> Option<(Blob, Option<i64>)> {
        match self {
            Node::Redis(node) => node.string(clock, key),
        }
    }
}
