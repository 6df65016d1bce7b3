//! The store: every key with its revisions, the changes so far, and how requests read and change it.
//!
//! All changes of one request have one revision. The changes are kept: a watch may begin in the past, and a read may be as of an
//! earlier revision.

use super::wire::{Answer, Compare, Error, Event, Keys, Kv, LeaseId, Op, Range, Relation, Revision, SortBy, Target};
use crate::Blob;
use crate::escape::Derived;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;

type Map = BTreeMap<Blob, Kv>;

/// One change.
#[derive(Hash)]
struct Change {
    event: Event,
    /// What was there before: the last change to the key tells.
    before: Derived<Option<Kv>>,
}

/// The keys and their history.
#[derive(Clone, Hash)]
pub(super) struct Store {
    revision: Revision,
    /// What all changes together give.
    keys: Derived<Map>,
    /// Everything that has happened since the store was empty.
    changes: Vec<Rc<Change>>,
}

impl Store {
    /// An empty store, which is at revision 1.
    pub(super) fn new() -> Self {
        Store { revision: 1, keys: Derived(Map::new()), changes: Vec::new() }
    }

    pub(super) fn revision(&self) -> Revision {
        self.revision
    }

    pub(super) fn get(&self, key: &Blob) -> Option<&Kv> {
        self.keys.get(key)
    }

    /// The keys of a lease, in order.
    pub(super) fn keys_of(&self, lease: LeaseId) -> impl Iterator<Item = &Blob> {
        self.keys.values().filter(move |kv| kv.lease == lease).map(|kv| &kv.key)
    }

    /// The keys with this prefix.
    pub(super) fn below<'a>(&'a self, prefix: &'a [u8]) -> impl Iterator<Item = &'a Kv> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let keys = self.keys.range::<[u8], _>(from).take_while(move |(key, _)| key.starts_with(prefix));
        keys.map(|(_, kv)| kv)
    }

    /// The keys as they were at a revision.
    fn at(&self, revision: Revision) -> Cow<'_, Map> {
        if revision >= self.revision {
            return Cow::Borrowed(&self.keys);
        }
        let mut keys = Map::clone(&self.keys);
        for change in self.changes.iter().rev().take_while(|change| change.event.revision() > revision) {
            match &*change.before {
                Some(kv) => keys.insert(kv.key.clone(), kv.clone()),
                None => keys.remove(change.event.key()),
            };
        }
        Cow::Owned(keys)
    }

    /// The changes of these revisions to these keys, oldest first.
    pub(super) fn events(&self, keys: &Keys, from: Revision, to: Revision) -> Vec<Event> {
        let begin = self.changes.partition_point(|change| change.event.revision() < from);
        let within = self.changes[begin..].iter().take_while(|change| change.event.revision() <= to);
        within.filter(|change| keys.contains(change.event.key())).map(|change| change.event.clone()).collect()
    }

    /// Reads, where `now` is the revision that counts as the present.
    pub(super) fn read(&self, range: &Range, now: Revision) -> Result<Answer, Error> {
        if range.revision > now {
            return Err(Error::FutureRevision);
        }
        Ok(select(&self.at(if range.revision > 0 { range.revision } else { now }), range))
    }

    /// True if a condition holds.
    pub(super) fn holds(&self, compare: &Compare) -> bool {
        let kv = self.keys.get(&compare.key);
        let number = |of: fn(&Kv) -> i64| kv.map_or(0, of);
        let ordering = match &compare.target {
            Target::Version(than) => number(|kv| kv.version).cmp(than),
            Target::Created(than) => number(|kv| kv.created).cmp(than),
            Target::Modified(than) => number(|kv| kv.modified).cmp(than),
            Target::Lease(than) => number(|kv| kv.lease).cmp(than),
            Target::Value(than) => match kv {
                Some(kv) => kv.value.cmp(than),
                None => return false,
            },
        };
        match compare.relation {
            Relation::Equal => ordering.is_eq(),
            Relation::Greater => ordering.is_gt(),
            Relation::Less => ordering.is_lt(),
            Relation::NotEqual => ordering.is_ne(),
        }
    }

    /// Does these steps as one change, each seeing what those before it have done. No step may be one that
    /// [`check_names`], [`check_clashes`] or a reading of the future refuses.
    pub(super) fn apply(&mut self, ops: &[Op]) -> Vec<Answer> {
        let revision = self.revision + 1;
        let before = self.changes.len();
        let answers = ops.iter().map(|op| self.step(op, revision)).collect();
        if self.changes.len() > before {
            self.revision = revision;
        }
        answers
    }

    fn step(&mut self, op: &Op, revision: Revision) -> Answer {
        match op {
            // What is under way is the present; only a read as of the past must undo changes.
            Op::Range(range) if range.revision > 0 => select(&self.at(range.revision), range),
            Op::Range(range) => select(&self.keys, range),
            Op::Put { key, value, lease, prev } => {
                let before = self.put(key, value, *lease, revision);
                Answer::Put { prev: before.filter(|_| *prev) }
            }
            Op::Delete { keys, prev } => {
                let gone: Vec<Blob> = self.keys.keys().filter(|key| keys.contains(key)).cloned().collect();
                let gone: Vec<Kv> = gone.iter().filter_map(|key| self.delete(key, revision)).collect();
                Answer::Deleted { deleted: gone.len() as i64, prev: if *prev { gone } else { Vec::new() } }
            }
        }
    }

    fn put(&mut self, key: &Blob, value: &Blob, lease: LeaseId, revision: Revision) -> Option<Kv> {
        let before = self.keys.get(key).cloned();
        let kv = Kv {
            key: key.clone(),
            created: before.as_ref().map_or(revision, |kv| kv.created),
            modified: revision,
            version: before.as_ref().map_or(1, |kv| kv.version + 1),
            value: value.clone(),
            lease,
        };
        self.keys.insert(key.clone(), kv.clone());
        self.changes.push(Rc::new(Change { event: Event::Put(kv), before: Derived(before.clone()) }));
        before
    }

    fn delete(&mut self, key: &Blob, revision: Revision) -> Option<Kv> {
        let before = self.keys.remove(key)?;
        let event = Event::Deleted { key: key.clone(), revision };
        self.changes.push(Rc::new(Change { event, before: Derived(Some(before.clone())) }));
        Some(before)
    }
}

/// The keys of a map that a read asks for.
fn select(map: &Map, range: &Range) -> Answer {
    let mut kvs: Vec<&Kv> = map.values().filter(|kv| range.keys.contains(&kv.key)).collect();
    let count = kvs.len() as i64;
    if range.count_only {
        return Answer::Range { kvs: Vec::new(), more: false, count };
    }
    if range.created_max > 0 {
        kvs.retain(|kv| kv.created <= range.created_max);
    }
    if let Some((by, last_first)) = range.sort {
        match by {
            SortBy::Key => {}
            SortBy::Created => kvs.sort_by_key(|kv| kv.created),
            SortBy::Modified => kvs.sort_by_key(|kv| kv.modified),
        }
        if last_first {
            kvs.reverse();
        }
    }
    let wanted = if range.limit > 0 { range.limit as usize } else { usize::MAX };
    let more = kvs.len() > wanted;
    Answer::Range { kvs: kvs.into_iter().take(wanted).cloned().collect(), more, count }
}

/// Says whether a step lacks its key's name.
pub(super) fn check_names(ops: &[Op]) -> Result<(), Error> {
    let is_nameless = |op: &Op| match op {
        Op::Range(range) => range.keys.first.is_empty(),
        Op::Put { key, .. } => key.is_empty(),
        Op::Delete { keys, .. } => keys.first.is_empty(),
    };
    if ops.iter().any(is_nameless) { Err(Error::EmptyKey) } else { Ok(()) }
}

/// Says whether steps of one transaction set a key twice, or set and delete it.
pub(super) fn check_clashes(ops: &[Op]) -> Result<(), Error> {
    for (at, op) in ops.iter().enumerate() {
        let Op::Put { key, .. } = op else { continue };
        let clashes = |(other_at, other): (usize, &Op)| match other {
            Op::Put { key: other, .. } => other_at != at && other == key,
            // As the servers do, which do not see that a delete without an end reaches the key.
            Op::Delete { keys, .. } => keys.end.as_bytes() != b"\0" && keys.contains(key),
            Op::Range(_) => false,
        };
        if ops.iter().enumerate().any(clashes) {
            return Err(Error::DuplicateKey);
        }
    }
    Ok(())
}
