//! The watches of one server: one-shot, each for a connection.

use super::tree::Happened;
use super::wire::EventKind;
use crate::{Blob, ConnId};
use std::collections::{BTreeMap, BTreeSet};

/// Who watches what.
#[derive(Clone, Default, Hash)]
pub(super) struct Watches {
    /// Watches on nodes: their data, their creation, their deletion.
    data: BTreeMap<Blob, BTreeSet<ConnId>>,
    /// Watches on lists of children.
    child: BTreeMap<Blob, BTreeSet<ConnId>>,
}

impl Watches {
    pub(super) fn on_data(&mut self, path: &Blob, conn: ConnId) {
        self.data.entry(path.clone()).or_default().insert(conn);
    }

    pub(super) fn on_children(&mut self, path: &Blob, conn: ConnId) {
        self.child.entry(path.clone()).or_default().insert(conn);
    }

    /// Takes off the watches that fire, and says for whom.
    pub(super) fn fire(&mut self, (kind, path): &Happened) -> BTreeSet<ConnId> {
        let mut fired = BTreeSet::new();
        if *kind != EventKind::ChildrenChanged {
            fired.append(&mut self.data.remove(path).unwrap_or_default());
        }
        if matches!(kind, EventKind::ChildrenChanged | EventKind::Deleted) {
            fired.append(&mut self.child.remove(path).unwrap_or_default());
        }
        fired
    }

    /// True if a connection watches something.
    pub(super) fn has(&self, conn: ConnId) -> bool {
        self.data.values().chain(self.child.values()).any(|conns| conns.contains(&conn))
    }

    /// Forgets a connection.
    pub(super) fn forget(&mut self, conn: ConnId) {
        for watches in [&mut self.data, &mut self.child] {
            watches.values_mut().for_each(|conns| {
                conns.remove(&conn);
            });
            watches.retain(|_, conns| !conns.is_empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{Mutation, each_shows};

    #[test]
    fn every_field_is_in_the_digest() {
        const CONN: ConnId = ConnId { client: 1, member: 0, lane: 1 };
        let changes: &[Mutation<Watches>] = &[
            ("data", |all| all.on_data(&"/a".into(), CONN)),
            ("children", |all| all.on_children(&"/a".into(), CONN)),
            ("the path", |all| all.on_data(&"/b".into(), CONN)),
            ("the client", |all| all.on_data(&"/a".into(), ConnId { client: 2, ..CONN })),
        ];
        each_shows(&Watches::default(), changes);
    }
}
