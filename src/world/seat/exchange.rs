//! What a client's code asks of the world, and what it is told.

use crate::history::Event;
use crate::port::Outcome;
use crate::world::message::Message;
use doublehold_models::{Request, Response};
use smallvec::SmallVec;
use std::hash::Hash;
use std::sync::Arc;

/// The number of something that a client waits for; unique in its execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WaitId(pub u32);

impl WaitId {
    /// The series of waits for hashers that rank them.
    pub const SERIES: u16 = 1;
}

impl Hash for WaitId {
    /// The client's code knows what it waits for by their order, not by their numbers.
    fn hash<H: std::hash::Hasher>(&self, hasher: &mut H) {
        doublehold_models::ranked(Self::SERIES, self.0.into(), hasher);
    }
}

impl std::fmt::Display for WaitId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What a client uses a connection for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Requests and their answers; a new connection serves as well.
    Commands,
    /// The same, and the end of the connection is the end of something: a session with a database.
    Session,
    /// The server may push messages at any time: a subscription, a watch, a session with watches.
    Push,
}

/// Something that a client's code asked for.
#[derive(Clone, Debug, Hash)]
pub enum Outgoing {
    /// Send a request.
    Request {
        /// What the answer is for.
        id: WaitId,
        /// The server's place in the topology.
        node: u16,
        /// The client's number for the connection to it.
        channel: u8,
        /// What the connection is for.
        purpose: Purpose,
        /// What to send.
        request: Arc<Message<Request>>,
    },
    /// Wake the client by its own monotonic clock.
    Timer {
        /// What the wake-up is for.
        id: WaitId,
        /// When, in microseconds of its own monotonic clock.
        at_mono_us: u64,
    },
    /// Nobody waits for this any more.
    Forget(WaitId),
    /// Close a connection.
    Close {
        /// The server.
        node: u16,
        /// The connection.
        channel: u8,
    },
    /// Take a connection that has been silent for so long for broken, in microseconds of the client's own clock.
    KeepAlive {
        /// The server.
        node: u16,
        /// The connection.
        channel: u8,
        /// How long.
        silence_us_max: u64,
    },
    /// An event for the history.
    Record(Event),
}

/// Something that a client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It may begin.
    Start,
    /// A request has ended.
    Answer(WaitId, Outcome<Response>),
    /// A timer has fired.
    Fired(WaitId),
    /// A message has come that the node pushed.
    Message(u16, u8, Response),
    /// A connection has broken, and the requests on it have ended.
    Hangup(u16, u8, SmallVec<[WaitId; 4]>),
    /// Several things, one after the other, before its code goes on.
    Together(Vec<Told>),
}
