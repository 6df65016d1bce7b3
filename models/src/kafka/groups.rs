//! Groups as they are on disk (`__consumer_offsets`): committed offsets and members.

use super::wire::{Generation, Offset, Partition};
use crate::{Blob, ClientId};
use std::collections::BTreeMap;

/// All groups.
#[derive(Clone, Default, Hash)]
pub(super) struct Groups {
    pub all: BTreeMap<Blob, Stored>,
}

/// A group.
#[derive(Clone, Default, Hash)]
pub(super) struct Stored {
    /// The offset of the next record, by topic and partition.
    pub committed: BTreeMap<(Blob, Partition), Offset>,
    /// The last generation that had its assignment.
    pub generation: Generation,
    /// Its members, the one that leads first.
    pub members: Vec<StoredMember>,
}

/// A member as it is on disk.
#[derive(Clone, Hash)]
pub(super) struct StoredMember {
    pub id: Blob,
    pub client: ClientId,
    pub timeouts: Timeouts,
    pub partitions: Vec<Partition>,
}

/// How patient the group is with a member, in microseconds.
#[derive(Clone, Copy, Hash)]
pub(super) struct Timeouts {
    pub session_us: u64,
    pub rebalance_us: u64,
}
