//! The requests and replies of etcd, as plain data.

use crate::Blob;
use std::fmt;

/// The number of a change to the store; the first change makes revision 2.
pub type Revision = i64;
/// A lease's number; 0 is none.
pub type LeaseId = i64;

/// Which keys a request is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Keys {
    /// The first key.
    pub first: Blob,
    /// The key behind the last; empty for the first alone, and a zero byte for all from the first on.
    pub end: Blob,
}

impl Keys {
    /// One key.
    pub fn one(key: &Blob) -> Self {
        Keys { first: key.clone(), end: Blob::EMPTY }
    }

    /// All keys that begin with this.
    pub fn prefix(prefix: &Blob) -> Self {
        let kept = prefix.iter().rposition(|byte| *byte < u8::MAX).map_or(0, |last| last + 1);
        let mut end = prefix[..kept].to_vec();
        match end.last_mut() {
            Some(last) => *last += 1,
            None => end.push(0),
        }
        Keys { first: prefix.clone(), end: Blob::from(end) }
    }

    /// True if a key is one of them.
    pub fn contains(&self, key: &Blob) -> bool {
        match self.end.as_bytes() {
            b"" => *key == self.first,
            b"\0" => *key >= self.first,
            _ => *key >= self.first && *key < self.end,
        }
    }
}

/// What to order keys by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SortBy {
    /// The key.
    Key,
    /// The revision that created it.
    Created,
    /// The revision that last changed it.
    Modified,
}

/// A read of keys. The default reads the key with the empty name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Range {
    /// Which.
    pub keys: Keys,
    /// As of this revision; 0 is now.
    pub revision: Revision,
    /// No more than this many; 0 is all.
    pub limit: i64,
    /// In this order, the largest first if true.
    pub sort: Option<(SortBy, bool)>,
    /// Those that were not created after this revision; 0 is all.
    pub created_max: Revision,
    /// Without asking the leader: what this server has, which may be old.
    pub serializable: bool,
    /// Only their number.
    pub count_only: bool,
}

impl Range {
    /// All of these keys, as they are now.
    pub fn of(keys: Keys) -> Self {
        Range { keys, revision: 0, limit: 0, sort: None, created_max: 0, serializable: false, count_only: false }
    }
}

/// A step of a transaction, or a request by itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Reads keys.
    Range(Range),
    /// Sets a key.
    Put {
        /// The key.
        key: Blob,
        /// The value.
        value: Blob,
        /// The lease that the key ends with; 0 for none.
        lease: LeaseId,
        /// Tell what was there before.
        prev: bool,
    },
    /// Deletes keys.
    Delete {
        /// Which.
        keys: Keys,
        /// Tell what was there before.
        prev: bool,
    },
}

/// What of a key is compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// How often it was set since it was created.
    Version(i64),
    /// The revision that created it; 0 if it is not there.
    Created(Revision),
    /// The revision that last changed it; 0 if it is not there.
    Modified(Revision),
    /// Its value; a key that is not there has none, and no comparison with it holds.
    Value(Blob),
    /// Its lease.
    Lease(LeaseId),
}

/// How the key's side must stand to the given one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relation {
    /// The same.
    Equal,
    /// Larger.
    Greater,
    /// Smaller.
    Less,
    /// Another.
    NotEqual,
}

/// A condition of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Compare {
    /// The key.
    pub key: Blob,
    /// How it must stand to the target.
    pub relation: Relation,
    /// What it is compared with.
    pub target: Target,
}

impl Compare {
    /// The key was created by this revision; 0: it is not there.
    pub fn created(key: &Blob, revision: Revision) -> Self {
        Compare { key: key.clone(), relation: Relation::Equal, target: Target::Created(revision) }
    }
}

/// Conditions, and what to do if all of them hold and if not, in one step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Txn {
    /// The conditions.
    pub when: Vec<Compare>,
    /// What to do if they hold.
    pub then: Vec<Op>,
    /// What to do otherwise.
    pub otherwise: Vec<Op>,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// One step.
    Op(Op),
    /// Several, under conditions.
    Txn(Txn),
    /// Begins a lease.
    Grant {
        /// Its number; 0 lets the server choose.
        id: LeaseId,
        /// How long it lasts, in seconds. The server may make it longer.
        ttl_s: i64,
    },
    /// Ends a lease, and deletes its keys.
    Revoke(LeaseId),
    /// Lets a lease last its full time from now.
    KeepAlive(LeaseId),
    /// How long a lease lasts yet, and its keys.
    TimeToLive(LeaseId),
    /// Tells of all changes to keys from a revision on, on a connection of its own.
    Watch {
        /// Which.
        keys: Keys,
        /// From this revision on; 0 is from now on.
        from: Revision,
    },
}

/// A key with all that the store knows about it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kv {
    /// The key.
    pub key: Blob,
    /// The revision that created it.
    pub created: Revision,
    /// The revision that last changed it.
    pub modified: Revision,
    /// How often it was set since it was created.
    pub version: i64,
    /// Its value.
    pub value: Blob,
    /// The lease that it ends with; 0 for none.
    pub lease: LeaseId,
}

/// What became of a step or a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Keys.
    Range {
        /// Those that were asked for.
        kvs: Vec<Kv>,
        /// There are more than the limit.
        more: bool,
        /// How many there are of these keys at all.
        count: i64,
    },
    /// The key was set.
    Put {
        /// What it was before, if that was asked for.
        prev: Option<Kv>,
    },
    /// Keys were deleted.
    Deleted {
        /// How many.
        deleted: i64,
        /// What they were, if that was asked for.
        prev: Vec<Kv>,
    },
    /// A transaction was made.
    Txn {
        /// Whether its conditions held.
        succeeded: bool,
        /// What became of each step.
        answers: Vec<Answer>,
    },
    /// A lease has begun.
    Granted {
        /// Its number.
        id: LeaseId,
        /// How long it lasts, in seconds.
        ttl_s: i64,
    },
    /// The lease has ended.
    Revoked,
    /// The lease lasts for so many seconds from now; 0 if there is no such lease.
    KeptAlive {
        /// Seconds.
        ttl_s: i64,
    },
    /// How a lease stands.
    TimeToLive {
        /// Whole seconds that it lasts yet; −1 if there is no such lease.
        ttl_s: i64,
        /// How long it was granted for, in seconds.
        granted_s: i64,
        /// Its keys; real servers tell them in no order.
        keys: Vec<Blob>,
    },
    /// Changes will be told from now on.
    Watching,
}

/// A change to a key, as a watch tells it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// It was set.
    Put(Kv),
    /// It was deleted.
    Deleted {
        /// The key.
        key: Blob,
        /// The revision that deleted it.
        revision: Revision,
    },
}

impl Event {
    /// The key.
    pub fn key(&self) -> &Blob {
        match self {
            Event::Put(kv) => &kv.key,
            Event::Deleted { key, .. } => key,
        }
    }

    /// The revision of the change.
    pub fn revision(&self) -> Revision {
        match self {
            Event::Put(kv) => kv.modified,
            Event::Deleted { revision, .. } => *revision,
        }
    }
}

/// Why a server did not do what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Error {
    /// There is no such lease.
    LeaseNotFound,
    /// There is such a lease already.
    LeaseExists,
    /// A revision that has not come yet.
    FutureRevision,
    /// A key without a name.
    EmptyKey,
    /// A transaction sets a key twice, or sets and deletes it.
    DuplicateKey,
    /// No server leads.
    NoLeader,
}

/// What a server sends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// Answers a request.
    Answer {
        /// The revision of the store when it was served.
        revision: Revision,
        /// The answer.
        answer: Answer,
    },
    /// Refuses a request.
    Failed(Error),
    /// Tells a watch of changes.
    Events(Vec<Event>),
}

impl Request {
    /// The name of what is asked.
    pub fn name(&self) -> &'static str {
        match self {
            Request::Op(op) => op.name(),
            Request::Txn(_) => "txn",
            Request::Grant { .. } => "grant",
            Request::Revoke(_) => "revoke",
            Request::KeepAlive(_) => "keep-alive",
            Request::TimeToLive(_) => "time-to-live",
            Request::Watch { .. } => "watch",
        }
    }

    /// True if it names this key.
    pub fn mentions(&self, key: &Blob) -> bool {
        match self {
            Request::Op(op) => op.mentions(key),
            Request::Txn(txn) => {
                txn.when.iter().any(|compare| compare.key == *key)
                    || txn.then.iter().chain(&txn.otherwise).any(|op| op.mentions(key))
            }
            Request::Watch { keys, .. } => keys.contains(key),
            _ => false,
        }
    }
}

impl Op {
    fn name(&self) -> &'static str {
        match self {
            Op::Range(_) => "range",
            Op::Put { .. } => "put",
            Op::Delete { .. } => "delete",
        }
    }

    fn mentions(&self, key: &Blob) -> bool {
        match self {
            Op::Range(range) => range.keys.contains(key),
            Op::Put { key: own, .. } => own == key,
            Op::Delete { keys, .. } => keys.contains(key),
        }
    }
}

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.end.as_bytes() {
            b"" => write!(f, "{}", self.first),
            b"\0" => write!(f, "{}…", self.first),
            _ if *self == Keys::prefix(&self.first) => write!(f, "{}*", self.first),
            _ => write!(f, "{}..{}", self.first, self.end),
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::Range(range) => {
                write!(f, "range {}", range.keys)?;
                match range.sort {
                    Some((by, false)) => write!(f, " by {by:?}")?,
                    Some((by, true)) => write!(f, " by {by:?}, last first")?,
                    None => {}
                }
                let number = |f: &mut fmt::Formatter<'_>, what: &str, number: i64| match number {
                    0 => Ok(()),
                    number => write!(f, " {what} {number}"),
                };
                number(f, "created ≤", range.created_max)?;
                number(f, "as of", range.revision)?;
                number(f, "limit", range.limit)?;
                f.write_str(if range.serializable { " serializable" } else { "" })
            }
            Op::Put { key, value, lease: 0, .. } => write!(f, "put {key} {value:?}"),
            Op::Put { key, value, lease, .. } => write!(f, "put {key} {value:?} lease {lease:x}"),
            Op::Delete { keys, .. } => write!(f, "delete {keys}"),
        }
    }
}

impl fmt::Display for Compare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let relation = match self.relation {
            Relation::Equal => "=",
            Relation::Greater => ">",
            Relation::Less => "<",
            Relation::NotEqual => "≠",
        };
        match &self.target {
            Target::Version(number) => write!(f, "version({}) {relation} {number}", self.key),
            Target::Created(number) => write!(f, "created({}) {relation} {number}", self.key),
            Target::Modified(number) => write!(f, "modified({}) {relation} {number}", self.key),
            Target::Value(value) => write!(f, "value({}) {relation} {value:?}", self.key),
            Target::Lease(lease) => write!(f, "lease({}) {relation} {lease:x}", self.key),
        }
    }
}

fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T]) -> fmt::Result {
    for (at, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if at > 0 { ", " } else { "" })?;
    }
    Ok(())
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Request::Op(op) => op.fmt(f),
            Request::Txn(txn) => {
                f.write_str("txn if ")?;
                list(f, &txn.when)?;
                f.write_str(" then {")?;
                list(f, &txn.then)?;
                f.write_str("} else {")?;
                list(f, &txn.otherwise)?;
                f.write_str("}")
            }
            Request::Grant { ttl_s, .. } => write!(f, "grant {ttl_s} s"),
            Request::Revoke(id) => write!(f, "revoke {id:x}"),
            Request::KeepAlive(id) => write!(f, "keep-alive {id:x}"),
            Request::TimeToLive(id) => write!(f, "time-to-live {id:x}"),
            Request::Watch { keys, from } => write!(f, "watch {keys} from {from}"),
        }
    }
}

impl fmt::Display for Kv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={:?}@{}", self.key, self.value, self.created)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Range { kvs, .. } => {
                f.write_str("[")?;
                list(f, kvs)?;
                f.write_str("]")
            }
            Answer::Put { .. } => f.write_str("put"),
            Answer::Deleted { deleted, .. } => write!(f, "{deleted} deleted"),
            Answer::Txn { succeeded, answers } => {
                f.write_str(if *succeeded { "then {" } else { "else {" })?;
                list(f, answers)?;
                f.write_str("}")
            }
            Answer::Granted { id, ttl_s } => write!(f, "lease {id:x} for {ttl_s} s"),
            Answer::Revoked => f.write_str("revoked"),
            Answer::KeptAlive { ttl_s: 0 } => f.write_str("no such lease"),
            Answer::KeptAlive { ttl_s } => write!(f, "{ttl_s} s more"),
            Answer::TimeToLive { ttl_s, granted_s, keys } => {
                write!(f, "{ttl_s} of {granted_s} s left, {} keys", keys.len())
            }
            Answer::Watching => f.write_str("watching"),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Put(kv) => write!(f, "put {kv}"),
            Event::Deleted { key, revision } => write!(f, "deleted {key} by {revision}"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::LeaseNotFound => "requested lease not found",
            Error::LeaseExists => "lease already exists",
            Error::FutureRevision => "required revision is a future revision",
            Error::EmptyKey => "key is not provided",
            Error::DuplicateKey => "duplicate key given in txn request",
            Error::NoLeader => "no leader",
        })
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Answer { revision, answer } => write!(f, "{answer} (revision {revision})"),
            Reply::Failed(error) => error.fmt(f),
            Reply::Events(events) => list(f, events),
        }
    }
}
