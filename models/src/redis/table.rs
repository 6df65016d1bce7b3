//! Table: what a server of a Cluster knows of the slots.

use crate::ConnId;
use crate::escape::{Fixed, Unordered};
use std::collections::BTreeSet;
use std::rc::Rc;

/// Who serves the slots of a shard, as a server knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Owner {
    /// The configuration epoch of the claim: the largest wins.
    pub epoch: u32,
    pub server: u8,
}

/// What a server of a Cluster knows of the slots.
#[derive(Clone, Hash)]
pub(super) struct Table {
    pub me: u8,
    /// The shard that the server is of.
    pub shard: u8,
    /// The last slot of each shard.
    pub last_slots: Fixed<Rc<[u16]>>,
    /// The owner of each shard's slots.
    pub owners: Vec<Owner>,
    /// The servers of its shards that it does not find down: `CLUSTER SLOTS` names them.
    pub listed: Vec<Vec<u8>>,
    /// False while the Cluster's state is *fail* to this server.
    pub serves: bool,
    /// The connections that have sent READONLY.
    pub readonly: Unordered<BTreeSet<ConnId>>,
}

impl Table {
    /// The shard that serves a slot.
    pub(super) fn shard_of(&self, slot: u16) -> usize {
        self.last_slots.iter().position(|last| slot <= *last).expect("the shards divide all slots")
    }

    /// The server that this one takes for the owner of a slot.
    pub(super) fn owner_of(&self, slot: u16) -> u8 {
        self.owners[self.shard_of(slot)].server
    }

    /// True if this server takes itself for a primary.
    pub(super) fn is_owner(&self) -> bool {
        self.my_primary() == self.me
    }

    /// The primary of the server's shard, which may be the server itself.
    pub(super) fn my_primary(&self) -> u8 {
        self.owners[usize::from(self.shard)].server
    }
}
