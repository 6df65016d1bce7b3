//! Stream: what a primary sends to its replicas, one effect for each command that changed something.
//!
//! The real server sends commands, rewritten so that they do the same everywhere: a TTL becomes a deadline, a script
//! the commands that it ran, an expired key a DEL. Here an effect holds the entries as they are afterwards, which comes
//! to the same, since a replica has exactly what its primary had before. A transaction or a script is one effect:
//! replicas apply it as a whole.

use super::keyspace::{Entry, Keyspace};
use crate::Blob;
use crate::escape::Unordered;
use crate::resp::Command;
use std::collections::BTreeSet;

/// What a command did that replicas must do too, by the names of the keys.
#[derive(Default)]
pub(super) struct Done {
    /// Keys that it changed.
    pub touched: Vec<Blob>,
    /// Keys that had expired and were deleted on the way.
    pub collected: Vec<Blob>,
    /// What it published, each with its channel.
    pub announced: Vec<(Blob, Blob)>,
}

/// A key, and what is under it from now on.
#[derive(Clone, Hash)]
pub(super) struct Changed {
    pub key: Blob,
    /// `None`: the key is gone.
    pub entry: Option<Entry>,
}

/// What replicas must do, as a whole.
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

    /// True if replicas have nothing to do.
    pub(super) fn is_nothing(&self) -> bool {
        self.touched.is_empty() && self.collected.is_empty() && self.announced.is_empty()
    }

    /// The effect, once the primary's data set is as it left it, behind `offset` and so many bytes.
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
