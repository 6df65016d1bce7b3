//! Tables: every row with its versions, and the indexes over them.
//!
//! A row keeps the versions that somebody may still see: those of transactions that are under way, and those before them that
//! a snapshot needs. An index has an entry for each key that one of a row's versions has.

use super::ast::TableDef;
use super::collation::key_value;
use super::view::{Standing, TrxId, View};
use super::wire::Value;
use crate::escape::Hashed;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::ops::Bound;
use std::rc::Rc;

/// The values of an index's columns; for other indexes than the primary one those of the primary key behind them.
pub(super) type Key = Vec<Value>;
/// A row's values.
pub(super) type Values = Rc<Vec<Value>>;

/// A version of a row, and who made it; without values the row is deleted.
#[derive(Clone, Debug)]
pub(super) struct Version {
    pub trx: TrxId,
    pub values: Option<Values>,
}

#[derive(Clone)]
pub(super) struct Table {
    pub def: Rc<Hashed<TableDef>>,
    /// By primary key; the newest version last.
    rows: BTreeMap<Key, Rc<Vec<Version>>>,
    /// The entries of the indexes behind the primary one.
    entries: Vec<BTreeSet<Key>>,
    pub next_auto: u64,
}

impl Table {
    pub(super) fn new(def: TableDef) -> Self {
        Table::empty(Rc::new(Hashed::new(def)))
    }

    fn empty(def: Rc<Hashed<TableDef>>) -> Self {
        let entries = vec![BTreeSet::new(); def.indexes.len() - 1];
        Table { def, rows: BTreeMap::new(), entries, next_auto: 1 }
    }

    /// A row's key in an index.
    pub(super) fn key_of(&self, index: usize, values: &[Value]) -> Key {
        let columns = |index: usize| self.def.indexes[index].columns.iter();
        let of = |index: usize| columns(index).map(|place| key_value(&values[*place]));
        if index == 0 { of(0).collect() } else { of(index).chain(of(0)).collect() }
    }

    /// The part of a key that is the primary one.
    pub(super) fn primary_of<'a>(&self, index: usize, key: &'a [Value]) -> &'a [Value] {
        if index == 0 { key } else { &key[self.def.indexes[index].columns.len()..] }
    }

    /// The keys of an index from a bound on, in order.
    pub(super) fn keys_from<'a>(
        &'a self,
        index: usize,
        from: Bound<&'a Key>,
    ) -> Box<dyn Iterator<Item = &'a Key> + 'a> {
        let range = (from, Bound::Unbounded);
        if index == 0 {
            Box::new(self.rows.range::<Key, _>(range).map(|(key, _)| key))
        } else {
            Box::new(self.entries[index - 1].range::<Key, _>(range))
        }
    }

    /// The key of an index that comes next behind one.
    pub(super) fn next_key(&self, index: usize, key: &Key) -> Option<Key> {
        self.keys_from(index, Bound::Excluded(key)).next().cloned()
    }

    /// True if an index has this key.
    pub(super) fn has_key(&self, index: usize, key: &Key) -> bool {
        if index == 0 { self.rows.contains_key(key) } else { self.entries[index - 1].contains(key) }
    }

    fn versions(&self, primary: &[Value]) -> &[Version] {
        self.rows.get(primary).map_or(&[], |versions| versions)
    }

    /// The newest version, whoever made it.
    pub(super) fn newest(&self, primary: &[Value]) -> Option<&Version> {
        self.versions(primary).last()
    }

    /// The newest version that a view sees.
    pub(super) fn seen(&self, primary: &[Value], view: &View) -> Option<Values> {
        self.versions(primary).iter().rev().find(|version| view.sees(version.trx))?.values.clone()
    }

    /// Adds a version to a row.
    pub(super) fn push(&mut self, primary: &Key, trx: TrxId, values: Option<Values>) {
        if let Some(values) = &values {
            for index in 1..self.def.indexes.len() {
                let key = self.key_of(index, values);
                self.entries[index - 1].insert(key);
            }
        }
        let versions = self.rows.entry(primary.clone()).or_default();
        Rc::make_mut(versions).push(Version { trx, values });
    }

    /// Gives a row one version alone, or none.
    pub(super) fn set(&mut self, primary: &Key, values: Option<Values>) {
        let old = self.rows.insert(primary.clone(), Rc::default());
        self.tidy(primary, old.map_or_else(Vec::new, |old| old.to_vec()));
        if values.is_some() {
            self.push(primary, 0, values);
        }
    }

    /// Takes back the newest version of a row.
    pub(super) fn pop(&mut self, primary: &Key) -> Vec<(usize, Key)> {
        let Some(versions) = self.rows.get_mut(primary) else { return Vec::new() };
        let gone = Rc::make_mut(versions).pop();
        self.tidy(primary, gone.into_iter().collect())
    }

    /// Drops the versions of a row that nobody can see any more: those behind one that all `views` and everybody else see.
    /// Gives the places of the indexes that are gone.
    pub(super) fn purge(
        &mut self,
        primary: &Key,
        views: &[Rc<View>],
        is_active: impl Fn(TrxId) -> bool,
    ) -> Vec<(usize, Key)> {
        let Some(versions) = self.rows.get_mut(primary) else { return Vec::new() };
        let settled = |version: &Version| !is_active(version.trx) && views.iter().all(|view| view.sees(version.trx));
        let Some(last) = versions.iter().rposition(settled) else { return Vec::new() };
        let deleted = last + 1 == versions.len() && versions[last].values.is_none();
        let keep_from = if deleted { last + 1 } else { last };
        if keep_from == 0 {
            return Vec::new();
        }
        let gone = Rc::make_mut(versions).drain(..keep_from).collect();
        self.tidy(primary, gone)
    }

    /// Removes what only these versions of a row needed.
    fn tidy(&mut self, primary: &Key, gone: Vec<Version>) -> Vec<(usize, Key)> {
        let mut removed = Vec::new();
        for values in gone.into_iter().filter_map(|version| version.values) {
            for index in 1..self.def.indexes.len() {
                let key = self.key_of(index, &values);
                let rest = self.versions(primary).iter().filter_map(|version| version.values.as_ref());
                if rest.map(|values| self.key_of(index, values)).all(|other| other != key)
                    && self.entries[index - 1].remove(&key)
                {
                    removed.push((index, key));
                }
            }
        }
        if self.versions(primary).is_empty() && self.rows.remove(primary).is_some() {
            removed.push((0, primary.clone()));
        }
        removed
    }

    /// True if a row has versions that may be dropped one day.
    pub(super) fn has_history(&self, primary: &Key) -> bool {
        match self.versions(primary) {
            [] => false,
            [one] => one.values.is_none(),
            _ => true,
        }
    }

    /// The newest committed versions of the rows that are there, in the order of the primary key.
    pub(super) fn committed_rows(&self, is_active: impl Fn(TrxId) -> bool) -> Vec<Values> {
        let newest = |versions: &Rc<Vec<Version>>| {
            versions.iter().rev().find(|version| !is_active(version.trx)).and_then(|version| version.values.clone())
        };
        self.rows.values().filter_map(newest).collect()
    }

    /// Only what was committed, as it is after a crash.
    pub(super) fn committed(&self, is_active: impl Fn(TrxId) -> bool) -> Table {
        let mut table = Table::empty(Rc::clone(&self.def));
        table.next_auto = self.next_auto;
        for (primary, versions) in &self.rows {
            let newest = versions.iter().rev().find(|version| !is_active(version.trx));
            if let Some(Version { values: Some(values), .. }) = newest {
                table.push(primary, 0, Some(Rc::clone(values)));
            }
        }
        table
    }

    /// Hashes the rows, with their versions' transactions as they stand.
    pub(super) fn hash_at<H: Hasher>(&self, standing: &Standing, state: &mut H) {
        // The rows determine the entries of the indexes.
        let Table { def, rows, entries: _, next_auto } = self;
        (def, next_auto, rows.len()).hash(state);
        for (primary, versions) in rows {
            (primary, versions.len()).hash(state);
            for Version { trx, values } in versions.iter() {
                (standing.of(*trx), values).hash(state);
            }
        }
    }
}
