//! The data set: keys, their values and their deadlines.

use crate::{Blob, Digest};
use indexmap::IndexMap;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A hash in insertion order, as the real server answers small hashes.
pub(super) type Hash = IndexMap<Blob, Blob, foldhash::quality::FixedState>;

/// A sorted set: members with their scores, and the same ordered by score.
#[derive(Clone, Default)]
pub(super) struct ZSet {
    pub scores: BTreeMap<Blob, f64>,
    pub order: BTreeSet<(Score, Blob)>,
}

/// A score ordered as the server orders it; never NaN.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Score(pub f64);

impl Eq for Score {}

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
    /// Sets a member's score and returns the one it had.
    pub(super) fn insert(&mut self, member: &Blob, score: f64) -> Option<f64> {
        // The real server keeps whole numbers as integers in small sets, which have no -0.
        let score = score + 0.0;
        let old = self.scores.insert(member.clone(), score);
        if let Some(old) = old {
            self.order.remove(&(Score(old), member.clone()));
        }
        self.order.insert((Score(score), member.clone()));
        old
    }

    /// Removes a member and returns its score.
    pub(super) fn remove(&mut self, member: &Blob) -> Option<f64> {
        let old = self.scores.remove(member)?;
        self.order.remove(&(Score(old), member.clone()));
        Some(old)
    }
}

/// What a key holds.
#[derive(Clone)]
pub(super) enum Data {
    Str(Blob),
    Hash(Hash),
    List(VecDeque<Blob>),
    Set(BTreeSet<Blob>),
    ZSet(ZSet),
}

impl Data {
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Data::Str(_) => "string",
            Data::Hash(_) => "hash",
            Data::List(_) => "list",
            Data::Set(_) => "set",
            Data::ZSet(_) => "zset",
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Data::Str(_) => false,
            Data::Hash(hash) => hash.is_empty(),
            Data::List(list) => list.is_empty(),
            Data::Set(set) => set.is_empty(),
            Data::ZSet(zset) => zset.scores.is_empty(),
        }
    }

    fn digest(&self, digest: &mut Digest) {
        match self {
            Data::Str(text) => {
                digest.int(1);
                digest.text(text);
            }
            Data::Hash(hash) => {
                digest.int(2);
                for (field, value) in hash {
                    digest.text(field);
                    digest.text(value);
                }
            }
            Data::List(list) => {
                digest.int(3);
                list.iter().for_each(|item| digest.text(item));
            }
            Data::Set(set) => {
                digest.int(4);
                set.iter().for_each(|item| digest.text(item));
            }
            Data::ZSet(zset) => {
                digest.int(5);
                for (score, member) in &zset.order {
                    digest.int(score.0.to_bits());
                    digest.text(member);
                }
            }
        }
    }
}

/// A key's value and the moment past which it is expired, in milliseconds of the node's wall clock.
#[derive(Clone)]
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
#[derive(Clone, Default)]
pub(super) struct Keyspace {
    entries: BTreeMap<Blob, Entry>,
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

    /// Adds the keys that are alive, with the time they have left.
    pub(super) fn digest(&self, now_ms: i64, digest: &mut Digest) {
        Keyspace::digest_keys(self.live_keys(now_ms), now_ms, digest);
    }

    /// Adds all keys: on disk one that has expired lives again if the clock steps back before it is loaded.
    pub(super) fn digest_stored(&self, now_ms: i64, digest: &mut Digest) {
        Keyspace::digest_keys(self.entries.iter(), now_ms, digest);
    }

    fn digest_keys<'a>(keys: impl Iterator<Item = (&'a Blob, &'a Entry)>, now_ms: i64, digest: &mut Digest) {
        let mut alive = 0;
        // The sum does not depend on the order, which renaming clients may change.
        let mut sum = 0u64;
        for (key, entry) in keys {
            let mut one = digest.fork();
            one.text(key);
            one.int(entry.expire_at.map_or(u64::MAX, |deadline| (deadline - now_ms) as u64));
            entry.data.digest(&mut one);
            sum = sum.wrapping_add(one.finish());
            alive += 1;
        }
        digest.int(alive);
        digest.int(sum);
    }
}
