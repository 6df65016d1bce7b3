//! Sessions: the client's book of its ZooKeeper sessions.

use super::exchange::WaitId;
use crate::port::Blob;
use crate::port::zookeeper::{Request, SessionId, SessionState, WatchEvent, Zxid};
use smallvec::SmallVec;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::task::Waker;
use std::time::Duration;

/// What the connection of a session is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    /// It waits for the answer to its connect.
    Connecting(WaitId),
    /// It carries requests.
    Up,
    /// All servers have refused; it waits to try again.
    Resting(WaitId),
    /// The session has ended.
    Ended,
}

/// What a watch is left on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum WatchKind {
    Data,
    Exist,
    Child,
}

/// A watch, as the client keeps it.
pub(super) struct WatchState {
    pub(super) number: u32,
    /// The request that leaves it, until it is answered.
    pub(super) request: Option<WaitId>,
    pub(super) kind: WatchKind,
    pub(super) path: Blob,
    pub(super) event: Option<WatchEvent>,
    pub(super) waker: Option<Waker>,
}

/// A session, as the client keeps it.
pub(super) struct SessionSeat {
    pub(super) servers: Range<u16>,
    /// The server that it is connected to, or tries.
    pub(super) at: u16,
    pub(super) lane: u8,
    pub(super) id: SessionId,
    pub(super) asked: Duration,
    pub(super) timeout_us: u64,
    pub(super) seen: Zxid,
    pub(super) phase: Phase,
    pub(super) state: SessionState,
    /// Servers in a row that could not be reached.
    pub(super) refused: u16,
    /// Who waits for the first connection.
    pub(super) opening: Option<WaitId>,
    /// Requests that wait for a connection.
    pub(super) queue: Vec<(WaitId, Request)>,
    /// Requests that were sent.
    pub(super) sent: SmallVec<[WaitId; 2]>,
    /// The timer after which the client takes the session for lost.
    pub(super) expiry: Option<WaitId>,
    pub(super) watches: Vec<WatchState>,
    pub(super) watches_left: u32,
    pub(super) wakers: Vec<Waker>,
}

/// All sessions of a client.
#[derive(Default)]
pub(super) struct Sessions(pub(super) Vec<SessionSeat>);

impl Sessions {
    /// The caller has dropped its wait for this request: if it is still queued, it is not sent.
    pub(super) fn forget(&mut self, id: WaitId) {
        for session in &mut self.0 {
            session.queue.retain(|(queued, _)| *queued != id);
            session.sent.retain(|sent| *sent != id);
        }
    }
}

impl Hash for Sessions {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        for session in &self.0 {
            (session.at, session.lane, session.id, session.timeout_us, session.seen).hash(hasher);
            // The numbers of requests tell nothing: which they are is told by their order.
            std::mem::discriminant(&session.phase).hash(hasher);
            (session.state, session.refused, session.sent.len(), session.expiry.is_some()).hash(hasher);
            session.queue.iter().for_each(|(_, request)| request.hash(hasher));
            for watch in &session.watches {
                (watch.request.is_some(), watch.kind, &watch.path, watch.event).hash(hasher);
            }
        }
    }
}
