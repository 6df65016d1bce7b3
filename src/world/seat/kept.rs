//! The state of the client libraries: a field for each kind of server whose library has some.

use super::exchange::WaitId;
use super::sessions::Sessions;
use super::slots::KnownSlots;
use smallvec::SmallVec;

/// The state of one client's libraries.
#[derive(Default, Hash)]
pub(super) struct Kept {
    /// ZooKeeper sessions.
    pub sessions: Sessions,
    /// The current server of each etcd cluster: the cluster's first server, and the offset from it.
    pub places: SmallVec<[(u16, u16); 1]>,
    /// The server that is taken for the primary of each group of Redis servers, by the group's first server.
    pub primaries: SmallVec<[(u16, Option<u16>); 1]>,
    /// What is known of each Redis Cluster, by its first server.
    pub clusters: SmallVec<[(u16, KnownSlots); 1]>,
}

impl Kept {
    /// The caller has dropped its wait for this request.
    pub(super) fn forget(&mut self, id: WaitId) {
        self.sessions.forget(id);
    }
}
