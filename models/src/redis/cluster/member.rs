//! Member: a server on the bus of a Cluster, and what it makes of the others.

use crate::Blob;

/// What one server makes of another; moments are of its own monotonic clock, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum View {
    /// It answers.
    Fine,
    /// It has not answered since this moment.
    Silent(u64),
    /// Not for a node timeout: it counts for its failover.
    PossiblyDown(u64),
    /// Not for one and a half: the server does not count on it.
    Unreachable,
    /// A majority agrees, since this moment.
    Down { since: u64, answers: bool },
}

/// A server on the bus.
#[derive(Clone, Hash)]
pub(super) struct Member {
    /// What it makes of each server, itself included.
    pub views: Vec<View>,
    /// A primary that has the Cluster's state at *fail* keeps it until then, by its monotonic clock.
    pub fails_until: u64,
    pub in_minority: bool,
    /// It has synchronized with a primary since it started: otherwise it cannot be elected.
    pub linked: bool,
    /// It is a replica whose election delay is over.
    pub may_be_elected: bool,
    /// What was published to it while it was paused, each with its channel.
    pub unread: Vec<(Blob, Blob)>,
}

impl Member {
    pub(super) fn new(servers: usize) -> Self {
        let views = vec![View::Fine; servers];
        Member { views, fails_until: 0, in_minority: false, linked: true, may_be_elected: false, unread: Vec::new() }
    }

    pub(super) fn finds_down(&self, server: u8) -> Option<u64> {
        match self.views[usize::from(server)] {
            View::Down { since, .. } => Some(since),
            _ => None,
        }
    }

    /// It reports this server to the others.
    pub(super) fn reports(&self, server: u8) -> bool {
        !matches!(self.views[usize::from(server)], View::Fine | View::Silent(_))
    }
}
