//! Call: what a command's code may see and change while it runs.

use super::keyspace::{Data, Entry, Fields, Keyspace, ZSet};
use super::{Node, Value};
use crate::{Blob, ConnId};
use std::collections::{BTreeSet, VecDeque};

/// Why a command has no ordinary reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The command answers with this error.
    Error(Blob),
    /// The model does not have this. No client gets to see it, and no script catches it.
    NotModelled(String),
}

/// The reply, or why there is none.
pub(super) type Reply = Result<Value, Failure>;

impl From<Blob> for Failure {
    fn from(text: Blob) -> Self {
        Failure::Error(text)
    }
}

impl From<&'static str> for Failure {
    fn from(text: &'static str) -> Self {
        Failure::Error(text.into())
    }
}

/// The model does not have this.
pub(super) fn not_modelled<T>(what: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::NotModelled(what.into()))
}

pub(super) const WRONG_TYPE: Blob =
    Blob::from_static(b"WRONGTYPE Operation against a key holding the wrong kind of value");
pub(super) const NOT_INTEGER: Blob = Blob::from_static(b"ERR value is not an integer or out of range");
pub(super) const SYNTAX: Blob = Blob::from_static(b"ERR syntax error");

/// What a snapshot command asked of the disk.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Save {
    No,
    Snapshot,
}

/// One command, or one script, in progress. The clock does not move within it.
pub(super) struct Call<'a> {
    pub node: &'a mut Node,
    pub now_ms: i64,
    pub now_us: i64,
    pub conn: ConnId,
    /// Keys written so far: whoever watches them is told.
    pub touched: Vec<Blob>,
    /// Keys that had expired and were removed on the way: no change to who watched them after they expired.
    pub collected: Vec<Blob>,
    /// Messages for subscribers.
    pub published: Vec<(ConnId, Value)>,
    /// Replies beyond the one returned (SUBSCRIBE answers once for each channel).
    pub replies: Vec<Value>,
    /// The number of changes, as the server counts them for its save points.
    pub dirty: u64,
    pub save: Save,
    /// True inside EXEC or a script.
    pub nested: bool,
}

impl<'a> Call<'a> {
    pub(super) fn new(node: &'a mut Node, now_ms: i64, now_us: i64, conn: ConnId) -> Self {
        Call {
            node,
            now_ms,
            now_us,
            conn,
            touched: Vec::new(),
            collected: Vec::new(),
            published: Vec::new(),
            replies: Vec::new(),
            dirty: 0,
            save: Save::No,
            nested: false,
        }
    }

    pub(super) fn db(&mut self) -> &mut Keyspace {
        &mut self.node.db
    }

    /// The entry if it is alive; one that has expired is removed on the way (lazy expiry).
    pub(super) fn entry(&mut self, key: &Blob) -> Option<&mut Entry> {
        if self.node.db.raw(key)?.is_expired(self.now_ms) {
            self.node.db.remove(key);
            self.collected.push(key.clone());
            return None;
        }
        self.node.db.raw_mut(key)
    }

    /// Removes the expired keys among those that `wanted` names.
    pub(super) fn collect(&mut self, wanted: impl Fn(&Blob) -> bool) {
        let expired = self.node.db.expired_keys(self.now_ms).filter(|key| wanted(key)).cloned();
        let expired: Vec<Blob> = expired.collect();
        for key in &expired {
            self.node.db.remove(key);
        }
        self.collected.extend(expired);
    }

    pub(super) fn exists(&mut self, key: &Blob) -> bool {
        self.entry(key).is_some()
    }

    /// Records that `key` was changed.
    pub(super) fn touch(&mut self, key: &Blob) {
        self.dirty += 1;
        self.touched.push(key.clone());
    }

    /// Removes a key that is alive; false if there was none.
    pub(super) fn delete(&mut self, key: &Blob) -> bool {
        let existed = self.exists(key);
        if existed {
            self.node.db.remove(key);
            self.touch(key);
        }
        existed
    }

    /// Puts `data` under `key`, whatever was there.
    pub(super) fn store(&mut self, key: &Blob, data: Data, expire_at: Option<i64>) {
        self.node.db.insert(key.clone(), Entry { data, expire_at });
        self.touch(key);
    }

    /// Removes `key` if its collection has become empty.
    pub(super) fn drop_if_empty(&mut self, key: &Blob) {
        if self.node.db.raw(key).is_some_and(|entry| entry.data.is_empty()) {
            self.node.db.remove(key);
        }
    }
}

/// Typed access: `read` gives the collection if there is one, `write` makes an empty one if need be.
macro_rules! typed_access {
    ($read:ident, $write:ident, $variant:ident, $type:ty) => {
        impl Call<'_> {
            pub(super) fn $read(&mut self, key: &Blob) -> Result<Option<&mut $type>, Failure> {
                match self.entry(key).map(|entry| &mut entry.data) {
                    None => Ok(None),
                    Some(Data::$variant(value)) => Ok(Some(value)),
                    Some(_) => Err(WRONG_TYPE.into()),
                }
            }

            #[allow(dead_code, reason = "strings are stored whole")]
            pub(super) fn $write(&mut self, key: &Blob) -> Result<&mut $type, Failure> {
                if self.entry(key).is_none() {
                    let data = Data::$variant(<$type>::default());
                    self.node.db.insert(key.clone(), Entry { data, expire_at: None });
                }
                match self.node.db.raw_mut(key).map(|entry| &mut entry.data) {
                    Some(Data::$variant(value)) => Ok(value),
                    _ => Err(WRONG_TYPE.into()),
                }
            }
        }
    };
}

typed_access!(string, string_mut, Str, Blob);
typed_access!(hash, hash_mut, Hash, Fields);
typed_access!(list, list_mut, List, VecDeque<Blob>);
typed_access!(set, set_mut, Set, BTreeSet<Blob>);
typed_access!(zset, zset_mut, ZSet, ZSet);

/// Reads an integer argument as the server does.
pub(super) fn int(word: &Blob) -> Result<i64, Failure> {
    word.to_int().ok_or(Failure::Error(NOT_INTEGER))
}

/// An error reply with the text made up at run time.
pub(super) fn error(text: impl AsRef<str>) -> Blob {
    Blob::copy_from(text.as_ref().as_bytes())
}

/// An error reply that quotes `word` between two texts, as C prints it: up to its first zero byte or `max` bytes, on
/// one line.
pub(super) fn error_quoting(before: &str, word: &[u8], max: usize, after: &str) -> Blob {
    one_line(&[before.as_bytes(), c_string(word, max), after.as_bytes()].concat())
}

/// The bytes that C's `%.*s` prints.
pub(super) fn c_string(word: &[u8], max: usize) -> &[u8] {
    let word = &word[..word.len().min(max)];
    word.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Line ends at the end go, those within become spaces: they would break the protocol.
pub(super) fn one_line(text: &[u8]) -> Blob {
    let last = text.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n'));
    spaces_for_line_ends(&text[..last.map_or(0, |last| last + 1)])
}

/// The text on one line.
pub(super) fn spaces_for_line_ends(text: &[u8]) -> Blob {
    text.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }).collect::<Vec<u8>>().into()
}

/// True if `word` is `option`, in any case.
pub(super) fn is(word: &Blob, option: &str) -> bool {
    word.eq_ignore_ascii_case(option.as_bytes())
}

/// A bulk string, or nil.
pub(super) fn bulk_or_nil(value: Option<Blob>) -> Value {
    value.map_or(Value::Nil, Value::Bulk)
}

/// The index range `[start, stop]` of a list of `len`, negative numbers counting from the end; `None` when it is empty.
pub(super) fn range(start: i64, stop: i64, len: usize) -> Option<(usize, usize)> {
    let len = len as i64;
    let start = if start < 0 { (len + start).max(0) } else { start };
    let stop = if stop < 0 { len + stop } else { stop.min(len - 1) };
    (start <= stop && start < len && stop >= 0).then_some((start as usize, stop as usize))
}

/// The same for the bytes of a string, where a stop before the beginning means the first byte.
pub(super) fn byte_range(start: i64, stop: i64, len: usize) -> Option<(usize, usize)> {
    if start < 0 && stop < 0 && start > stop {
        return None;
    }
    let stop = if stop < 0 { (len as i64 + stop).max(0) } else { stop };
    range(start, stop, len)
}

/// Reads a count that may not be negative.
pub(super) fn count(word: &Blob) -> Result<i64, Failure> {
    let count = word.to_int().filter(|count| *count >= 0);
    count.ok_or_else(|| "ERR value is out of range, must be positive".into())
}
