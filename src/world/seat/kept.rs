//! What the clients' libraries keep between two calls: a field for each kind of server whose library keeps something.

use super::exchange::WaitId;
use super::sessions::Sessions;
use smallvec::SmallVec;

/// What the libraries of one client keep.
#[derive(Default, Hash)]
pub(super) struct Kept {
    /// The sessions on ZooKeeper ensembles.
    pub sessions: Sessions,
    /// The servers of etcd clusters that the client stays with, one of each: the cluster's first server, and how far behind that it
    /// is.
    pub places: SmallVec<[(u16, u16); 1]>,
}

impl Kept {
    /// Nobody waits for this any more.
    pub(super) fn forget(&mut self, id: WaitId) {
        self.sessions.forget(id);
    }
}
