//! Table: what a server of a Cluster knows of the slots, and which commands it therefore refuses.

use super::super::call::{Call, Kind, Spec};
use super::super::multi;
use super::keys::{keys, keys_of};
use crate::escape::{Fixed, Unordered};
use crate::slots::slot_of;
use crate::{Blob, ConnId};
use std::collections::BTreeSet;
use std::rc::Rc;

/// Who serves the slots of a shard, as a server knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in super::super) struct Owner {
    /// The configuration epoch of the claim: the largest wins.
    pub epoch: u32,
    pub server: u8,
}

/// What a server of a Cluster knows of the slots.
#[derive(Clone, Hash)]
pub(in super::super) struct Table {
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
    pub(in super::super) fn shard_of(&self, slot: u16) -> usize {
        self.last_slots.iter().position(|last| slot <= *last).expect("the shards divide all slots")
    }

    /// The server that this one takes for the owner of a slot.
    pub(in super::super) fn owner_of(&self, slot: u16) -> u8 {
        self.owners[self.shard_of(slot)].server
    }

    /// True if this server takes itself for a primary.
    pub(in super::super) fn is_owner(&self) -> bool {
        self.my_primary() == self.me
    }

    /// The primary of the server's shard, which may be the server itself.
    pub(in super::super) fn my_primary(&self) -> u8 {
        self.owners[usize::from(self.shard)].server
    }
}

const CROSS_SLOT: &str = "CROSSSLOT Keys in request don't hash to the same slot";
const DOWN: &str = "CLUSTERDOWN The cluster is down";

/// Why a server serves no command with these keys.
enum Elsewhere {
    CrossSlot,
    Down,
    Moved { slot: u16, owner: u8 },
}

/// Finds out whether this server serves commands with these keys. A replica serves reads of its primary's slots to a
/// connection that has sent READONLY.
fn look(call: &Call, keys: impl Iterator<Item: AsRef<[u8]>>, writes: bool) -> Option<Elsewhere> {
    let table = call.state.table.as_ref()?;
    let mut slots = keys.map(|key| slot_of(key.as_ref()));
    let slot = slots.next()?;
    if slots.any(|other| other != slot) {
        return Some(Elsewhere::CrossSlot);
    }
    if !table.serves {
        return Some(Elsewhere::Down);
    }
    let owner = table.owner_of(slot);
    let reads_here = !writes && owner == table.my_primary() && table.readonly.contains(&call.conn);
    (owner != table.me && !reads_here).then_some(Elsewhere::Moved { slot, owner })
}

/// The error to a command, or to the EXEC of a transaction, whose keys this server does not serve.
pub(in super::super) fn refuse(call: &Call, spec: &Spec, words: &[Blob]) -> Option<Blob> {
    call.state.table.as_ref()?;
    let writes = multi::writes(call, spec);
    let elsewhere = if spec.name == "EXEC" {
        let transaction = call.state.transactions.get(call.conn)?;
        look(call, transaction.queued.iter().flatten().flat_map(keys), writes)
    } else {
        look(call, keys_of(spec, words), writes)
    };
    Some(match elsewhere? {
        Elsewhere::CrossSlot => CROSS_SLOT.into(),
        Elsewhere::Down => DOWN.into(),
        Elsewhere::Moved { slot, owner } => Blob::from(format!("MOVED {slot} member-{owner}:{}", super::PORT)),
    })
}

/// The error to a command of a script.
pub(in super::super) fn refuse_in_script(call: &Call, spec: &Spec, words: &[Blob]) -> Option<&'static str> {
    Some(match look(call, keys_of(spec, words), spec.kind == Kind::Write)? {
        Elsewhere::Down => "ERR Script attempted to execute a command while the cluster is down",
        _ => "ERR Script attempted to access a non local key in a cluster node",
    })
}
