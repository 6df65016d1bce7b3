//! Stream: the effects that a primary sends to its replicas, one for each command that changed something.
//!
//! The real server sends commands rewritten to be deterministic: a TTL becomes a deadline, a script the commands that
//! it ran, an expired key a DEL. An effect here holds the entries after the command. Both are equivalent, since a
//! replica has exactly the primary's earlier data set. A transaction or a script is one effect and is applied
//! atomically.

use super::keyspace::{Entry, Keyspace};
use crate::Blob;
use crate::escape::Unordered;
use crate::resp::Command;
use std::collections::BTreeSet;

/// The changes of a command that replicas receive, as key names.
#[derive(Default)]
pub(super) struct Done {
    /// Keys that it changed.
    pub touched: Vec<Blob>,
    /// Keys that had expired and were deleted on the way.
    pub collected: Vec<Blob>,
    /// What it published, each with its channel.
    pub announced: Vec<(Blob, Blob)>,
}

/// A key and its new entry.
#[derive(Clone, Hash)]
pub(super) struct Changed {
    pub key: Blob,
    /// `None`: the key is gone.
    pub entry: Option<Entry>,
}

/// The changes of one command, applied atomically.
#[derive(Clone, Hash)]
pub(super) struct Effect {
    pub changed: Unordered<Vec<Changed>>,
    pub announced: Vec<(Blob, Blob)>,
    /// The primary's offset behind it, in bytes.
    pub offset: u64,
}

impl Done {
    /// The deletion of keys that have expired.
    pub(super) fn expired(keys: Vec<Blob>) -> Done {
        Done { collected: keys, ..Done::default() }
    }

    /// True if replicas receive nothing.
    pub(super) fn is_nothing(&self) -> bool {
        self.touched.is_empty() && self.collected.is_empty() && self.announced.is_empty()
    }

    /// The effect: the entries in `db` after the command, which moves the offset on by `bytes`.
    pub(super) fn effect(self, db: &Keyspace, offset: u64, bytes: u64) -> Effect {
        let keys: BTreeSet<Blob> = self.touched.into_iter().chain(self.collected).collect();
        let changed = keys.into_iter().map(|key| Changed { entry: db.raw(&key).cloned(), key }).collect();
        Effect { changed: Unordered(changed), announced: self.announced, offset: offset + bytes }
    }
}

/// The bytes that a command takes on the wire: `*n`, and each word as a bulk string.
pub(super) fn wire_bytes(command: &Command) -> u64 {
    let line = |number: usize| 3 + number.to_string().len();
    let words = command.words();
    let bytes: usize = words.iter().map(|word| line(word.len()) + word.len() + 2).sum();
    (line(words.len()) + bytes) as u64
}
