//! Redirect: which commands a server of a Cluster refuses, as another one has the slot of their keys, or none has.

use super::super::address::PORT;
use super::super::call::{Call, Kind, Spec};
use super::super::multi;
use crate::Blob;
use crate::keys::keys;
use crate::slots::slot_of;

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
        look(call, transaction.queued.iter().flatten().flat_map(|command| keys(command.words())), writes)
    } else {
        look(call, keys(words), writes)
    };
    Some(match elsewhere? {
        Elsewhere::CrossSlot => CROSS_SLOT.into(),
        Elsewhere::Down => DOWN.into(),
        Elsewhere::Moved { slot, owner } => Blob::from(format!("MOVED {slot} member-{owner}:{}", PORT)),
    })
}

/// The error to a command of a script.
pub(in super::super) fn refuse_in_script(call: &Call, spec: &Spec, words: &[Blob]) -> Option<&'static str> {
    Some(match look(call, keys(words), spec.kind == Kind::Write)? {
        Elsewhere::Down => "ERR Script attempted to execute a command while the cluster is down",
        _ => "ERR Script attempted to access a non local key in a cluster node",
    })
}
