//! Replica: what of the commits has reached another machine, which takes over when this one loses power.
//!
//! The primary writes commits into its binary log, in order; the replica receives them in that order. Whoever takes over has
//! what it has received. With asynchronous replication a commit is answered before that; with semi-synchronous replication
//! (AFTER_SYNC) it is neither visible nor answered until then, or until the primary has waited for too long and goes on as if
//! replication were asynchronous.

use super::table::{Key, Table, Values};
use crate::{Blob, Digest};
use std::collections::{BTreeMap, VecDeque};
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

    /// Adds the state to a fingerprint. What is on its way is what the primary has and the replica has not.
    pub(super) fn digest(&self, digest: &mut Digest) {
        digest.int(u64::from(self.behind) << 32 | self.on_its_way.len() as u64);
        if self.behind {
            self.tables.values().for_each(|table| table.digest(digest, |_| 0));
            for change in self.on_its_way.iter().flatten() {
                match change {
                    Change::Row { table, primary, values } => digest.hashed(&(0, table, primary, values)),
                    Change::NextAuto { table, next } => digest.hashed(&(1, table, next)),
                    Change::Create { table } => digest.hashed(&(2, &table.def.name)),
                    Change::Drop { table } => digest.hashed(&(3, table)),
                }
            }
        }
    }
}
