//! A member of a group: whether it is heard, and what it waits for.

use super::groups::{StoredMember, Timeouts};
use super::wire::Partition;
use crate::{Blob, ClientId, ConnId};

/// What a member has asked for and not been answered.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Waits {
    /// Nothing.
    No,
    /// The new generation. Without a connection it is in the generation all the same.
    Join(Option<ConnId>),
    /// What it gets.
    Sync(Option<ConnId>),
}

impl Waits {
    /// The connection on which it waits.
    pub(super) fn conn(self) -> Option<ConnId> {
        match self {
            Waits::No => None,
            Waits::Join(conn) | Waits::Sync(conn) => conn,
        }
    }
}

/// A member.
#[derive(Clone, Hash)]
pub(super) struct Member {
    pub id: Blob,
    pub client: ClientId,
    pub timeouts: Timeouts,
    /// The connection that it was last heard on, if that is still there.
    pub conn: Option<ConnId>,
    /// When it is out unless it is heard again, by the broker's monotonic clock; `None` as long as it is heard.
    pub expires_at: Option<u64>,
    pub waits: Waits,
    /// It knows what it gets in this generation.
    pub synced: bool,
    pub partitions: Vec<Partition>,
}

impl Member {
    pub(super) fn new(id: Blob, conn: ConnId, timeouts: Timeouts) -> Self {
        let client = ClientId(conn.client);
        let (waits, partitions) = (Waits::No, Vec::new());
        Member { id, client, timeouts, conn: Some(conn), expires_at: None, waits, synced: false, partitions }
    }

    /// As a broker has it that has just started.
    pub(super) fn loaded(stored: &StoredMember, now_us: u64) -> Self {
        let StoredMember { id, client, timeouts, partitions } = stored.clone();
        let expires_at = Some(now_us + timeouts.session_us);
        Member { id, client, timeouts, conn: None, expires_at, waits: Waits::No, synced: true, partitions }
    }

    pub(super) fn stored(&self) -> StoredMember {
        let Member { id, client, timeouts, partitions, .. } = self.clone();
        StoredMember { id, client, timeouts, partitions }
    }

    /// It has sent something.
    pub(super) fn heard_on(&mut self, conn: ConnId) {
        (self.conn, self.expires_at) = (Some(conn), None);
    }

    /// Its client has fallen silent, or is heard again.
    pub(super) fn hear(&mut self, heard: bool, now_us: u64) {
        self.expires_at = if heard { None } else { self.expires_at.or(Some(now_us + self.timeouts.session_us)) };
    }

    /// Its connection has ended.
    pub(super) fn cut(&mut self, now_us: u64) {
        self.hear(false, now_us);
        self.conn = None;
        self.waits = match self.waits {
            Waits::No => Waits::No,
            Waits::Join(_) => Waits::Join(None),
            Waits::Sync(_) => Waits::Sync(None),
        };
    }

    /// When its session expires. A member that waits for a rebalance does not expire.
    pub(super) fn due(&self) -> Option<u64> {
        self.expires_at.filter(|_| self.waits == Waits::No)
    }

    /// It waits no more; one that is not heard has its whole time from now.
    pub(super) fn answered(&mut self, now_us: u64) -> Option<ConnId> {
        let conn = std::mem::replace(&mut self.waits, Waits::No).conn();
        self.expires_at = self.expires_at.map(|_| now_us + self.timeouts.session_us);
        conn
    }
}
