//! Call: a command in progress. What its code may see and change, and the row of the table that it was found by.

use super::keyspace::{Data, Entry, Fields, Keyspace, ZSet};
use super::persistence::Save;
use super::reply::{Failure, Reply, WRONG_TYPE};
use super::state::{Role, State};
use super::streams::Stream;
use crate::resp::Value;
use crate::{Blob, ConnId};
use std::collections::{BTreeSet, VecDeque};

/// One command, or one script, in progress. The clock does not move within it.
pub(super) struct Call<'a> {
    pub state: &'a mut State,
    /// Finds the commands that this one runs in turn.
    pub resolve: Resolve,
    pub now_ms: i64,
    pub now_us: i64,
    pub conn: ConnId,
    /// Keys written so far: whoever watches them is told.
    pub touched: Vec<Blob>,
    /// Keys whose consumer groups were changed: replicas receive them, WATCH does not report them.
    pub altered: Vec<Blob>,
    /// Keys that had expired and were removed on the way: no change to who watched them after they expired.
    pub collected: Vec<Blob>,
    /// Messages for subscribers.
    pub published: Vec<(ConnId, Value)>,
    /// What was published, each with its channel: a primary's replicas publish it too.
    pub announced: Vec<(Blob, Blob)>,
    /// Replies beyond the one returned (SUBSCRIBE answers once for each channel).
    pub replies: Vec<Value>,
    /// The number of changes, as the server counts them for its save points.
    pub dirty: u64,
    pub save: Save,
    /// True inside EXEC or a script.
    pub nested: bool,
    /// True inside a script that may only read.
    pub read_only: bool,
}

impl<'a> Call<'a> {
    pub(super) fn new(state: &'a mut State, resolve: Resolve, now_ms: i64, now_us: i64, conn: ConnId) -> Self {
        Call {
            state,
            resolve,
            now_ms,
            now_us,
            conn,
            touched: Vec::new(),
            altered: Vec::new(),
            collected: Vec::new(),
            published: Vec::new(),
            announced: Vec::new(),
            replies: Vec::new(),
            dirty: 0,
            save: Save::No,
            nested: false,
            read_only: false,
        }
    }

    pub(super) fn db(&mut self) -> &mut Keyspace {
        &mut self.state.db
    }

    /// The entry if it is alive; one that has expired is removed on the way (lazy expiry), but by a replica only
    /// hidden.
    pub(super) fn entry(&mut self, key: &Blob) -> Option<&mut Entry> {
        if self.state.db.raw(key)?.is_expired(self.now_ms) {
            if self.state.role == Role::Replica {
                return None;
            }
            self.state.db.remove(key);
            self.collected.push(key.clone());
            return None;
        }
        self.state.db.raw_mut(key)
    }

    /// Removes the expired keys among those that `wanted` names, unless this is a replica.
    pub(super) fn collect(&mut self, wanted: impl Fn(&Blob) -> bool) {
        if self.state.role == Role::Replica {
            return;
        }
        let expired = self.state.db.expired_keys(self.now_ms).filter(|key| wanted(key)).cloned();
        let expired: Vec<Blob> = expired.collect();
        for key in &expired {
            self.state.db.remove(key);
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

    /// Records changes of `key` that WATCH does not report.
    pub(super) fn alter(&mut self, key: &Blob, changes: u64) {
        if changes > 0 {
            self.dirty += changes;
            self.altered.push(key.clone());
        }
    }

    /// Removes a key that is alive; false if there was none.
    pub(super) fn delete(&mut self, key: &Blob) -> bool {
        let existed = self.exists(key);
        if existed {
            self.state.db.remove(key);
            self.touch(key);
        }
        existed
    }

    /// Puts `data` under `key`, whatever was there.
    pub(super) fn store(&mut self, key: &Blob, data: Data, expire_at: Option<i64>) {
        self.state.db.insert(key.clone(), Entry { data, expire_at });
        self.touch(key);
    }

    /// Removes `key` if its collection has become empty.
    pub(super) fn drop_if_empty(&mut self, key: &Blob) {
        if self.state.db.raw(key).is_some_and(|entry| entry.data.is_empty()) {
            self.state.db.remove(key);
        }
    }
}

impl Call<'_> {
    /// Why this server takes no writes, if it takes none.
    pub(super) fn refuse_writes(&self) -> Option<&'static str> {
        match self.state.role {
            Role::Alone | Role::Primary => None,
            Role::TooFewReplicas => Some("NOREPLICAS Not enough good replicas to write."),
            Role::Replica => Some("READONLY You can't write against a read only replica."),
        }
    }

    /// Runs a command whose name and number of words are right. It fails only if the model does not have something.
    pub(super) fn execute(&mut self, spec: &Spec, words: &[Blob]) -> Reply {
        match (spec.run)(self, &words[1..]) {
            Err(Failure::Error(text)) => Ok(Value::Error(text)),
            other => other,
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
                    self.state.db.insert(key.clone(), Entry { data, expire_at: None });
                }
                match self.state.db.raw_mut(key).map(|entry| &mut entry.data) {
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
typed_access!(stream, stream_mut, Stream, Stream);

/// Finds a command, and checks its name and the number of its words.
pub(super) type Resolve = fn(&[Blob]) -> Result<&'static Spec, Refused>;

/// One row of the table.
pub(super) struct Spec {
    pub name: &'static str,
    /// Words including the name; negative for "at least". For a command with subcommands, without any.
    pub arity: i32,
    pub kind: Kind,
    pub run: fn(&mut Call, &[Blob]) -> Reply,
}

/// What a command may do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Write,
    /// Neither reads nor writes keys.
    Control,
    /// Goes to subscribers, of replicas too: no script that may only read calls it.
    Publish,
    /// May not be called by a script.
    NoScript,
}

impl Spec {
    pub(super) fn is_container(&self) -> bool {
        matches!(self.name, "CLUSTER" | "PUBSUB" | "SCRIPT" | "XGROUP")
    }

    /// The name in small letters, with the subcommand if it has one.
    pub(super) fn full_name(&self, words: &[Blob]) -> String {
        let name = self.name.to_lowercase();
        match words.get(1).filter(|_| self.is_container()) {
            Some(sub) => format!("{name}|{}", sub.to_text().to_lowercase()),
            None => name,
        }
    }
}

/// Why a command was refused before it ran, with the error that a client gets.
pub(super) enum Refused {
    Unknown(Blob),
    Arity(Blob),
    NotModelled(String),
}

impl Refused {
    /// The error that a client gets, if the model knows it.
    pub(super) fn text(self) -> Result<Blob, Failure> {
        match self {
            Refused::Unknown(text) | Refused::Arity(text) => Ok(text),
            Refused::NotModelled(what) => Err(Failure::NotModelled(what)),
        }
    }

    pub(super) fn not_modelled(name: &str) -> Self {
        Refused::NotModelled(format!("the command {name}"))
    }
}
