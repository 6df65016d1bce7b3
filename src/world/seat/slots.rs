//! Slots: what a client of a Redis Cluster knows of them.

use smallvec::SmallVec;

/// What a client knows of a Cluster, whose servers have numbers from 0.
#[derive(Default, Hash)]
pub(super) struct KnownSlots {
    /// The last slot of each range, and the server that has it; empty: the slots are to be asked for.
    pub ranges: SmallVec<[(u16, u16); 3]>,
    /// The server that is asked for them.
    pub asked: u16,
}

impl KnownSlots {
    /// The server that has a slot, if the client knows it.
    pub(super) fn owner(&self, slot: u16) -> Option<u16> {
        self.ranges.iter().find(|(last, _)| slot <= *last).map(|(_, server)| *server)
    }

    /// Another server has a slot, and so its range.
    pub(super) fn take_note(&mut self, slot: u16, server: u16) {
        if let Some(range) = self.ranges.iter_mut().find(|(last, _)| slot <= *last) {
            range.1 = server;
        }
    }

    /// A server that should have had a slot did not answer well. The slots are asked for anew, at the next of so many
    /// servers, unless another task of this client has learnt of a change already.
    pub(super) fn doubt(&mut self, server: u16, servers: u16) {
        if self.ranges.is_empty() || self.ranges.iter().any(|(_, owner)| *owner == server) {
            self.ranges.clear();
            self.asked = (server + 1) % servers;
        }
    }
}
