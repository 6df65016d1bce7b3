//! Entries: a row's way into the indexes of its table, and out of them.

use super::ast::LockMode;
use super::failure::{Done, Stop};
use super::locks::{Part, Place};
use super::server::Server;
use super::table::Key;
use super::wire::Value;
use crate::{Blob, ConnId};
use std::rc::Rc;

impl Server {
    /// Puts a row in. Gives the name of the key and the primary key of the row that is in the way, if there is one.
    pub(super) fn put(
        &mut self,
        conn: ConnId,
        name: &Blob,
        values: Vec<Value>,
        mode: LockMode,
    ) -> Done<Option<(Blob, Key)>> {
        let indexes: Vec<usize> = (0..self.tables[name].def.indexes.len()).collect();
        let in_the_way = self.enter_all(conn, name, &indexes, &values, mode)?;
        if in_the_way.is_some() {
            return Ok(in_the_way);
        }
        let primary = self.tables[name].key_of(0, &values);
        self.write(conn, name, &primary, Some(Rc::new(values)));
        Ok(None)
    }

    /// Makes sure that a row may come into these indexes, and locks its places there. If it may not, it leaves those
    /// where it was.
    pub(super) fn enter_all(
        &mut self,
        conn: ConnId,
        name: &Blob,
        indexes: &[usize],
        values: &[Value],
        mode: LockMode,
    ) -> Done<Option<(Blob, Key)>> {
        for (at, index) in indexes.iter().enumerate() {
            let entered = self.enter(conn, name, *index, values, mode);
            if !matches!(entered, Ok(None) | Err(Stop::Blocked)) {
                let table = &self.tables[name];
                let places = indexes[..at].iter().map(|index| (*index, table.key_of(*index, values)));
                let left = places.filter(|(index, key)| !table.has_key(*index, key)).collect();
                self.leave_places(conn, name, left);
            }
            if !matches!(entered, Ok(None)) {
                return entered;
            }
        }
        Ok(None)
    }

    /// Makes sure that a row may come into an index, and locks its place there.
    fn enter(
        &mut self,
        conn: ConnId,
        name: &Blob,
        index: usize,
        values: &[Value],
        mode: LockMode,
    ) -> Done<Option<(Blob, Key)>> {
        self.check_parents(conn, name, index, values)?;
        let table = &self.tables[name];
        let def = &table.def.indexes[index];
        let key = table.key_of(index, values);
        let unique_part = key[..def.columns.len()].to_vec();
        let same: Vec<Key> = table
            .keys_from(index, std::ops::Bound::Included(&unique_part))
            .take_while(|other| other.starts_with(&unique_part))
            .cloned()
            .collect();
        let key_name = def.name.clone();
        // Nulls are never the same.
        let checks = def.unique && !unique_part.contains(&Value::Null);
        for other in same.iter().filter(|_| checks) {
            let place = Place { table: name.clone(), index, key: Some(other.clone()) };
            let part = if index > 0 { Part::NextKey } else { Part::Record };
            self.lock(conn, &place, mode, part)?;
            let table = &self.tables[name];
            let primary = table.primary_of(index, other).to_vec();
            let live = table.newest(&primary).and_then(|version| version.values.clone());
            if live.is_some_and(|values| table.key_of(index, &values) == *other) {
                return Ok(Some((key_name, primary)));
            }
        }
        let here = Place { table: name.clone(), index, key: Some(key.clone()) };
        if !same.contains(&key) {
            let next = Place { key: self.tables[name].next_key(index, &key), ..here.clone() };
            self.lock(conn, &next, LockMode::Exclusive, Part::Insert)?;
            self.locks.split(&here, &next);
        }
        self.lock(conn, &here, LockMode::Exclusive, Part::Record)?;
        Ok(None)
    }

    /// Makes sure that a row's records in these indexes may go.
    pub(super) fn mark_records(&mut self, conn: ConnId, name: &Blob, indexes: &[usize], values: &[Value]) -> Done<()> {
        for index in indexes {
            let key = Some(self.tables[name].key_of(*index, values));
            self.mark_record(conn, &Place { table: name.clone(), index: *index, key })?;
        }
        Ok(())
    }
}
