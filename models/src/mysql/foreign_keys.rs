//! Foreign keys: a child row needs its parent, and a parent row stays while it has children.
//!
//! A child that comes in locks its parent's record, shared: the parent can be neither deleted nor given another key
//! until the child's transaction has ended. Where there is no parent, the gap is locked in which it would be. A
//! parent that goes locks, shared, the records of its children, or the gap in which they would be.

use super::ast::{ForeignKey, LockMode, TableDef};
use super::failure::{Done, has_children, malformed_foreign_key, no_parent, not_modelled};
use super::locks::{Part, Place};
use super::server::Server;
use super::table::Key;
use super::view::TrxId;
use super::wire::Value;
use crate::{Blob, ConnId};
use std::ops::Bound;

/// The place of the index of a parent that has just these columns.
fn referenced_index(parent: &TableDef, columns: &[Blob]) -> Option<usize> {
    let named = |places: &[usize]| places.iter().map(|place| &parent.columns[*place].name).eq(columns);
    parent.indexes.iter().position(|index| index.unique && named(&index.columns))
}

impl Server {
    /// Makes sure that a new table's foreign keys name keys of other tables.
    pub(super) fn check_foreign_keys(&self, table: &TableDef) -> Done<()> {
        for key in &table.foreign_keys {
            let Some(parent) = self.tables.get(&key.parent) else { return malformed_foreign_key(&table.name) };
            let Some(index) = referenced_index(&parent.def, &key.referenced) else {
                let places = |index: &super::ast::Index| index.columns.clone();
                let first =
                    |columns: Vec<usize>| columns.iter().map(|at| &parent.def.columns[*at].name).eq(&key.referenced);
                let prefix = |index| first(places(index).into_iter().take(key.referenced.len()).collect());
                if parent.def.indexes.iter().any(prefix) {
                    return not_modelled("a foreign key to columns that are no unique key");
                }
                return malformed_foreign_key(&table.name);
            };
            let own = &table.indexes[key.index].columns;
            let pairs = own.iter().zip(&parent.def.indexes[index].columns);
            if pairs
                .into_iter()
                .any(|(own, theirs)| !table.columns[*own].kind.may_refer(&parent.def.columns[*theirs].kind))
            {
                return malformed_foreign_key(&table.name);
            }
        }
        Ok(())
    }

    /// The tables that have a foreign key to this one.
    pub(super) fn is_referenced(&self, name: &Blob) -> bool {
        self.tables.values().any(|table| table.def.foreign_keys.iter().any(|key| key.parent == *name))
    }

    /// Makes sure that the parents of a row are there that is about to come into an index.
    pub(super) fn check_parents(&mut self, conn: ConnId, name: &Blob, index: usize, values: &[Value]) -> Done<()> {
        let def = self.tables[name].def.clone();
        for key in def.foreign_keys.iter().filter(|key| key.index == index) {
            self.check_parent(conn, name, key, values)?;
        }
        Ok(())
    }

    fn check_parent(&mut self, conn: ConnId, name: &Blob, key: &ForeignKey, values: &[Value]) -> Done<()> {
        let child = self.tables[name].key_of(key.index, values);
        let wanted = child[..key.referenced.len()].to_vec();
        if wanted.contains(&Value::Null) {
            return Ok(());
        }
        let trx = self.trx(conn).id;
        self.locks.intend(trx, &key.parent, LockMode::Shared);
        let index =
            referenced_index(&self.tables[&key.parent].def, &key.referenced).expect("checked when it was created");
        let mut next = self.tables[&key.parent].keys_from(index, Bound::Included(&wanted)).next().cloned();
        while let Some(found) = next.take().filter(|found| found.starts_with(&wanted)) {
            let live = self.is_live(&key.parent, index, &found);
            let place = Place { table: key.parent.clone(), index, key: Some(found.clone()) };
            self.lock(conn, &place, LockMode::Shared, if live { Part::Record } else { Part::NextKey })?;
            if live {
                return Ok(());
            }
            next = self.tables[&key.parent].next_key(index, &found);
        }
        let behind =
            self.tables[&key.parent].keys_from(index, Bound::Excluded(&wanted)).find(|key| !key.starts_with(&wanted));
        let place = Place { table: key.parent.clone(), index, key: behind.cloned() };
        self.lock(conn, &place, LockMode::Shared, Part::Gap)?;
        no_parent(name)
    }

    /// Makes sure that a row of this table that goes, or gets another key, has no children. `new`: what it becomes.
    pub(super) fn check_children(
        &mut self,
        conn: ConnId,
        name: &Blob,
        old: &[Value],
        new: Option<&[Value]>,
    ) -> Done<()> {
        let parent = self.tables[name].def.clone();
        let mut checks: Vec<(Blob, usize, Key)> = Vec::new();
        for (child, table) in &self.tables {
            for key in table.def.foreign_keys.iter().filter(|key| key.parent == *name) {
                let index = referenced_index(&parent, &key.referenced).expect("checked when it was created");
                let of = |values: &[Value]| self.tables[name].key_of(index, values)[..key.referenced.len()].to_vec();
                if new.is_none_or(|new| of(new) != of(old)) && !of(old).contains(&Value::Null) {
                    checks.push((child.clone(), key.index, of(old)));
                }
            }
        }
        for (child, index, wanted) in checks {
            self.check_no_child(conn, &child, index, &wanted)?;
        }
        Ok(())
    }

    fn check_no_child(&mut self, conn: ConnId, child: &Blob, index: usize, wanted: &Key) -> Done<()> {
        let trx = self.trx(conn).id;
        self.locks.intend(trx, child, LockMode::Shared);
        let mut next = self.tables[child].keys_from(index, Bound::Included(wanted)).next().cloned();
        while let Some(found) = next.clone().filter(|found| found.starts_with(wanted)) {
            let live = self.is_live(child, index, &found);
            let place = Place { table: child.clone(), index, key: Some(found.clone()) };
            if let Some(other) = self.left_by(child, index, &found).filter(|other| *other != trx) {
                self.locks.give(other, &place);
            }
            self.lock(conn, &place, LockMode::Shared, if live { Part::Record } else { Part::NextKey })?;
            if live {
                return has_children(child);
            }
            next = self.tables[child].next_key(index, &found);
        }
        let place = Place { table: child.clone(), index, key: next };
        self.lock(conn, &place, LockMode::Shared, Part::Gap).map(drop)
    }

    /// The transaction under way that has deleted this record of an index, or has given its row another key: the
    /// record is locked by that.
    fn left_by(&self, name: &Blob, index: usize, key: &Key) -> Option<TrxId> {
        let newest = self.tables[name].newest(self.tables[name].primary_of(index, key))?;
        let active = self.active().any(|trx| trx.id == newest.trx);
        (active && !self.is_live(name, index, key)).then_some(newest.trx)
    }

    /// True if the newest version of a row has this key.
    fn is_live(&self, name: &Blob, index: usize, key: &Key) -> bool {
        let table = &self.tables[name];
        let values = table.newest(table.primary_of(index, key)).and_then(|version| version.values.clone());
        values.is_some_and(|values| table.key_of(index, &values) == *key)
    }
}
