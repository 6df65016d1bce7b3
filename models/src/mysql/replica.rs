//! Replica: what of the commits has reached another machine, which takes over when this one goes down.
//!
//! The primary writes commits into its binary log, in order; the replica receives them in that order. Whoever takes over has
//! what it has received. With asynchronous replication a commit is answered before that; with semi-synchronous replication
//! (AFTER_SYNC) it is neither visible nor answered until then, or until the primary has waited for too long and goes on as if
//! replication were asynchronous.

use super::table::{Key, Table, Values};
use super::view::Standing;
use crate::Blob;
use std::collections::{BTreeMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::rc::Rc;

/// What a commit changes.
#[derive(Clone)]
pub(super) enum Change {
    /// A row's values; without them it is deleted.
    Row { table: Blob, primary: Key, values: Option<Values> },
    /// The number that `AUTO_INCREMENT` gives next.
    NextAuto { table: Blob, next: u64 },
    /// A table that is empty.
    Create { table: Rc<Table> },
    /// A table that is gone.
    Drop { table: Blob },
}

/// A replica.
#[derive(Clone, Default)]
pub(super) struct Replica {
    /// What it has received.
    tables: BTreeMap<Blob, Rc<Table>>,
    /// What is on its way, oldest first.
    on_its_way: VecDeque<Vec<Change>>,
    /// It receives in steps that somebody else decides on.
    behind: bool,
    /// How many commits were sent, and how many of them it has received.
    sent: u64,
    received: u64,
}

impl Replica {
    /// One that has received everything.
    pub(super) fn of(tables: &BTreeMap<Blob, Rc<Table>>) -> Self {
        Replica { tables: tables.clone(), ..Replica::default() }
    }

    /// What it has received, for it takes over.
    pub(super) fn into_tables(self) -> BTreeMap<Blob, Rc<Table>> {
        self.tables
    }

    /// Sends a commit: its number.
    pub(super) fn send(&mut self, changes: Vec<Change>) -> u64 {
        self.sent += 1;
        self.on_its_way.push_back(changes);
        if !self.behind {
            self.receive();
        }
        self.sent
    }

    /// True if it has received the commit with this number.
    pub(super) fn has(&self, number: u64) -> bool {
        number <= self.received
    }

    pub(super) fn is_behind(&self) -> bool {
        self.behind
    }

    /// It falls behind.
    pub(super) fn lag(&mut self) {
        self.behind = true;
    }

    /// It receives one commit more; with the last it is no longer behind.
    pub(super) fn catch_up(&mut self) {
        self.receive();
        self.behind = !self.on_its_way.is_empty();
    }

    fn receive(&mut self) {
        let Some(changes) = self.on_its_way.pop_front() else { return };
        self.received += 1;
        for change in changes {
            self.apply(change);
        }
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Row { table, primary, values } => {
                if let Some(table) = self.tables.get_mut(&table) {
                    Rc::make_mut(table).set(&primary, values);
                }
            }
            Change::NextAuto { table, next } => {
                if let Some(table) = self.tables.get_mut(&table) {
                    Rc::make_mut(table).next_auto = next;
                }
            }
            Change::Create { table } => drop(self.tables.insert(table.def.name.clone(), table)),
            Change::Drop { table } => drop(self.tables.remove(&table)),
        }
    }

    /// How many commits it has received.
    pub(super) fn received(&self) -> u64 {
        self.received
    }
}

impl Hash for Replica {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Commits are numbered in their order; those on their way tell how many of those sent are missing.
        let Replica { tables, on_its_way, behind, sent: _, received: _ } = self;
        (behind, on_its_way, tables.len()).hash(state);
        for (name, table) in tables {
            name.hash(state);
            if *behind {
                table.hash_at(&Standing::default(), state);
            } else {
                // It has the rows that are committed on the primary, but its own next number.
                state.write_u64(table.next_auto);
            }
        }
    }
}

impl Hash for Change {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Change::Row { table, primary, values } => (table, primary, values).hash(state),
            Change::NextAuto { table, next } => (table, next).hash(state),
            Change::Create { table } => table.hash_at(&Standing::default(), state),
            Change::Drop { table } => table.hash(state),
        }
    }
}
