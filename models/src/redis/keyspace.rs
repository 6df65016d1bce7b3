//! The data set: keys, their values and their deadlines.

use super::streams::Stream;
use crate::Blob;
use crate::escape::{Derived, Unordered};
use indexmap::IndexMap;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};

/// A hash in insertion order, as the real server answers small hashes.
#[derive(Clone, Default)]
pub(super) struct Fields(IndexMap<Blob, Blob, foldhash::quality::FixedState>);

impl Deref for Fields {
    type Target = IndexMap<Blob, Blob, foldhash::quality::FixedState>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Fields {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

/// In their order, which a client sees.
impl Hash for Fields {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_usize(self.0.len());
        self.0.iter().for_each(|field| field.hash(state));
    }
}

/// A sorted set: members with their scores, and the same ordered by score.
#[derive(Clone, Default, Hash)]
pub(super) struct ZSet {
    pub scores: BTreeMap<Blob, Score>,
    /// The same by score.
    pub order: Derived<BTreeSet<(Score, Blob)>>,
}

/// A score ordered as the server orders it; never NaN.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Score(pub f64);

impl Eq for Score {}

impl Hash for Score {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0 + 0.0).to_bits().hash(state);
    }
}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // Adding zero makes -0 and 0 one score, as they are to the server.
        (self.0 + 0.0).total_cmp(&(other.0 + 0.0))
    }
}

impl ZSet {
    /// A member's score.
    pub(super) fn score(&self, member: &Blob) -> Option<f64> {
        self.scores.get(member).map(|score| score.0)
    }

    /// Sets a member's score and returns the one it had.
    pub(super) fn insert(&mut self, member: &Blob, score: f64) -> Option<f64> {
        // The real server keeps whole numbers as integers in small sets, which have no -0.
        let score = score + 0.0;
        let old = self.scores.insert(member.clone(), Score(score));
        if let Some(old) = old {
            self.order.remove(&(old, member.clone()));
        }
        self.order.insert((Score(score), member.clone()));
        old.map(|old| old.0)
    }

    /// Removes a member and returns its score.
    pub(super) fn remove(&mut self, member: &Blob) -> Option<f64> {
        let old = self.scores.remove(member)?;
        self.order.remove(&(old, member.clone()));
        Some(old.0)
    }
}

/// What a key holds.
#[derive(Clone, Hash)]
pub(super) enum Data {
    Str(Blob),
    Hash(Fields),
    List(VecDeque<Blob>),
    Set(BTreeSet<Blob>),
    ZSet(ZSet),
    Stream(Stream),
}

impl Data {
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Data::Str(_) => "string",
            Data::Hash(_) => "hash",
            Data::List(_) => "list",
            Data::Set(_) => "set",
            Data::ZSet(_) => "zset",
            Data::Stream(_) => "stream",
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Data::Str(_) | Data::Stream(_) => false,
            Data::Hash(hash) => hash.is_empty(),
            Data::List(list) => list.is_empty(),
            Data::Set(set) => set.is_empty(),
            Data::ZSet(zset) => zset.scores.is_empty(),
        }
    }
}

/// A key's value and the moment past which it is expired, in milliseconds of the node's wall clock.
#[derive(Clone, Hash)]
pub(super) struct Entry {
    pub data: Data,
    pub expire_at: Option<i64>,
}

impl Entry {
    pub(super) fn is_expired(&self, now_ms: i64) -> bool {
        self.expire_at.is_some_and(|deadline| now_ms > deadline)
    }
}

/// All keys of a server.
#[derive(Clone, Default, Hash)]
pub(super) struct Keyspace {
    entries: Unordered<BTreeMap<Blob, Entry>>,
}

impl Keyspace {
    /// The entry if it is alive; an expired one is left where it is.
    pub(super) fn peek(&self, key: &[u8], now_ms: i64) -> Option<&Entry> {
        self.entries.get(key).filter(|entry| !entry.is_expired(now_ms))
    }

    /// The stored entry, expired or not.
    pub(super) fn raw(&self, key: &[u8]) -> Option<&Entry> {
        self.entries.get(key)
    }

    pub(super) fn raw_mut(&mut self, key: &[u8]) -> Option<&mut Entry> {
        self.entries.get_mut(key)
    }

    pub(super) fn insert(&mut self, key: Blob, entry: Entry) {
        self.entries.insert(key, entry);
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Option<Entry> {
        self.entries.remove(key)
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    /// The number of keys, those that expired but were not collected yet included, as DBSIZE counts.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// All keys that are alive, in byte order.
    pub(super) fn live_keys(&self, now_ms: i64) -> impl Iterator<Item = (&Blob, &Entry)> {
        self.entries.iter().filter(move |(_, entry)| !entry.is_expired(now_ms))
    }

    /// The earliest deadline that has not passed.
    pub(super) fn next_expiry(&self, now_ms: i64) -> Option<i64> {
        self.entries.values().filter_map(|entry| entry.expire_at).filter(|deadline| *deadline >= now_ms).min()
    }

    /// True if some key has expired but is still stored.
    pub(super) fn any_expired(&self, now_ms: i64) -> bool {
        self.entries.values().any(|entry| entry.is_expired(now_ms))
    }

    /// The keys that have expired but are still stored.
    pub(super) fn expired_keys(&self, now_ms: i64) -> impl Iterator<Item = &Blob> {
        self.entries.iter().filter(move |(_, entry)| entry.is_expired(now_ms)).map(|(key, _)| key)
    }

    /// Removes every expired key and returns their names.
    pub(super) fn remove_expired(&mut self, now_ms: i64) -> Vec<Blob> {
        let expired: Vec<Blob> = self.expired_keys(now_ms).cloned().collect();
        expired.iter().for_each(|key| {
            self.entries.remove(key);
        });
        expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{Mutation, each_shows};

    #[test]
    fn every_field_is_in_the_digest() {
        let mut db = Keyspace::default();
        let mut zset = ZSet::default();
        zset.insert(&"a".into(), 1.0);
        let fields =
            Fields([("a", "b"), ("c", "d")].map(|(field, value)| (field.into(), value.into())).into_iter().collect());
        for (key, data) in [
            ("str", Data::Str("a".into())),
            ("hash", Data::Hash(fields)),
            ("list", Data::List(["a".into(), "b".into()].into())),
            ("set", Data::Set(["a".into()].into())),
            ("zset", Data::ZSet(zset)),
            ("stream", Data::Stream(Stream::default())),
        ] {
            db.insert(key.into(), Entry { data, expire_at: None });
        }
        fn put(db: &mut Keyspace, key: &'static str, data: Data) {
            db.insert(key.into(), Entry { data, expire_at: None });
        }
        let changes: &[Mutation<Keyspace>] = &[
            ("a key", |db| put(db, "new", Data::Str("a".into()))),
            ("no key", |db| drop(db.remove(b"str"))),
            ("a value", |db| put(db, "str", Data::Str("b".into()))),
            ("a deadline", |db| db.raw_mut(b"str").expect("it is there").expire_at = Some(0)),
            ("another deadline", |db| db.raw_mut(b"str").expect("it is there").expire_at = Some(-1)),
            ("the type", |db| put(db, "str", Data::List(["a".into()].into()))),
            ("another type", |db| put(db, "str", Data::Set(["a".into()].into()))),
            ("an item", |db| put(db, "list", Data::List(["ab".into()].into()))),
            ("the order of items", |db| put(db, "list", Data::List(["b".into(), "a".into()].into()))),
            ("a field", |db| {
                if let Data::Hash(hash) = &mut db.raw_mut(b"hash").expect("it is there").data {
                    hash.insert("a".into(), "d".into());
                }
            }),
            ("the order of fields", |db| {
                if let Data::Hash(hash) = &mut db.raw_mut(b"hash").expect("it is there").data {
                    hash.swap_indices(0, 1);
                }
            }),
            ("a score", |db| {
                if let Data::ZSet(zset) = &mut db.raw_mut(b"zset").expect("it is there").data {
                    zset.insert(&"a".into(), 2.0);
                }
            }),
        ];
        each_shows(&db, changes);
    }
}
