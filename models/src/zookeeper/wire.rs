//! The requests and replies of ZooKeeper, as plain data.

use crate::Blob;
use std::fmt;

/// A session's number; 0 is none.
pub type SessionId = i64;
/// A transaction's number: the leader's epoch in the upper half, a counter in the lower.
pub type Zxid = i64;
/// Stands for any version in conditions.
pub const ANY_VERSION: i32 = -1;

/// What kind of node to create.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CreateMode {
    /// Stays until it is deleted.
    Persistent,
    /// Ends with the session that creates it.
    Ephemeral,
    /// As persistent, with the parent's counter appended to its name.
    PersistentSequential,
    /// As ephemeral, with the parent's counter appended to its name.
    EphemeralSequential,
    /// As persistent; the server deletes it some time after its last child has gone.
    Container,
}

impl CreateMode {
    /// True if the parent's counter is appended to the name.
    pub fn is_sequential(self) -> bool {
        matches!(self, CreateMode::PersistentSequential | CreateMode::EphemeralSequential)
    }

    /// True if the node ends with its session.
    pub fn is_ephemeral(self) -> bool {
        matches!(self, CreateMode::Ephemeral | CreateMode::EphemeralSequential)
    }
}

/// A change, alone or within a multi.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Creates a node.
    Create {
        /// Its path; for a sequential one without the counter.
        path: Blob,
        /// Its data.
        data: Blob,
        /// Its kind.
        mode: CreateMode,
    },
    /// Deletes a node without children.
    Delete {
        /// Its path.
        path: Blob,
        /// The version that it must have, or [`ANY_VERSION`].
        version: i32,
    },
    /// Sets a node's data.
    SetData {
        /// Its path.
        path: Blob,
        /// The data.
        data: Blob,
        /// The version that it must have, or [`ANY_VERSION`].
        version: i32,
    },
    /// Changes nothing, but fails the multi if a node is not there in this version.
    Check {
        /// Its path.
        path: Blob,
        /// The version that it must have, or [`ANY_VERSION`].
        version: i32,
    },
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// The first request on a connection: begins a session, or goes on with one.
    Connect {
        /// The session to go on with; 0 for a new one.
        session: SessionId,
        /// The session time-out that the client would like, in milliseconds.
        timeout_ms: u32,
        /// The latest transaction that the client has seen.
        seen: Zxid,
    },
    /// After going on with a session: the watches that the client still has.
    SetWatches {
        /// The latest transaction that the client has seen.
        seen: Zxid,
        /// Watches on data.
        data: Vec<Blob>,
        /// Watches on nodes that were not there.
        exist: Vec<Blob>,
        /// Watches on lists of children.
        child: Vec<Blob>,
    },
    /// A change.
    Write(Op),
    /// Several changes, all or none.
    Multi(Vec<Op>),
    /// Is a node there?
    Exists {
        /// Its path.
        path: Blob,
        /// Leave a watch.
        watch: bool,
    },
    /// A node's data.
    GetData {
        /// Its path.
        path: Blob,
        /// Leave a watch.
        watch: bool,
    },
    /// The names of a node's children, without order.
    GetChildren {
        /// Its path.
        path: Blob,
        /// Leave a watch.
        watch: bool,
    },
    /// Lets the server catch up with the leader.
    Sync {
        /// Any path.
        path: Blob,
    },
    /// Ends the session.
    CloseSession,
}

/// What a server knows about a node beside its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stat {
    /// The transaction that created it.
    pub czxid: Zxid,
    /// The transaction that last changed its data.
    pub mzxid: Zxid,
    /// The transaction that last changed its list of children.
    pub pzxid: Zxid,
    /// How often its data was changed.
    pub version: i32,
    /// How often its list of children was changed.
    pub cversion: i32,
    /// The session that it ends with; 0 if it is not ephemeral.
    pub ephemeral_owner: SessionId,
    /// The length of its data.
    pub data_length: i32,
    /// The number of its children.
    pub num_children: i32,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Error {
    /// There is no such node, or no parent for it.
    NoNode,
    /// There is such a node.
    NodeExists,
    /// It has another version.
    BadVersion,
    /// It has children.
    NotEmpty,
    /// An ephemeral node cannot have children.
    NoChildrenForEphemerals,
    /// The path is no path.
    BadArguments,
    /// The session has ended.
    SessionExpired,
    /// The session goes on over another server.
    SessionMoved,
    /// An operation before or after it in the same multi failed.
    RuntimeInconsistency,
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The session, and its time-out as the server sets it.
    Connected {
        /// The session.
        session: SessionId,
        /// Its time-out, in milliseconds.
        timeout_ms: u32,
    },
    /// A node was created.
    Created {
        /// Its path, with the counter.
        path: Blob,
        /// What the server knows about it.
        stat: Stat,
    },
    /// A node is there, or its data was set.
    Stat(Stat),
    /// A node's data.
    Data(Blob, Stat),
    /// The names of a node's children.
    Children(Vec<Blob>, Stat),
    /// It was done.
    Done,
    /// A multi was done.
    Multi(Vec<Answer>),
    /// A multi was not done: why, for each of its operations; `None` before the one that failed.
    MultiFailed(Vec<Option<Error>>),
}

/// What happened to a node that was watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// It was created.
    Created,
    /// It was deleted.
    Deleted,
    /// Its data was set.
    DataChanged,
    /// A child of it was created or deleted.
    ChildrenChanged,
}

/// What a server sends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// A request was answered.
    Answer {
        /// The latest transaction that the server has applied.
        zxid: Zxid,
        /// The answer.
        answer: Answer,
    },
    /// A request was refused.
    Failed {
        /// The latest transaction that the server has applied.
        zxid: Zxid,
        /// Why.
        error: Error,
    },
    /// A watch has fired; it is gone.
    Event {
        /// What happened.
        kind: EventKind,
        /// To which node.
        path: Blob,
    },
}

impl Op {
    /// The path that it is about.
    pub fn path(&self) -> &Blob {
        match self {
            Op::Create { path, .. } | Op::Delete { path, .. } | Op::SetData { path, .. } | Op::Check { path, .. } => {
                path
            }
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Create { .. } => "create",
            Op::Delete { .. } => "delete",
            Op::SetData { .. } => "setData",
            Op::Check { .. } => "check",
        }
    }
}

impl Request {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Request::Connect { .. } => "connect",
            Request::SetWatches { .. } => "setWatches",
            Request::Write(op) => op.name(),
            Request::Multi(_) => "multi",
            Request::Exists { .. } => "exists",
            Request::GetData { .. } => "getData",
            Request::GetChildren { .. } => "getChildren",
            Request::Sync { .. } => "sync",
            Request::CloseSession => "closeSession",
        }
    }

    /// The paths that it names.
    pub fn paths(&self) -> Vec<&Blob> {
        match self {
            Request::Write(op) => vec![op.path()],
            Request::Multi(ops) => ops.iter().map(Op::path).collect(),
            Request::Exists { path, .. }
            | Request::GetData { path, .. }
            | Request::GetChildren { path, .. }
            | Request::Sync { path } => vec![path],
            Request::SetWatches { data, exist, child, .. } => data.iter().chain(exist).chain(child).collect(),
            Request::Connect { .. } | Request::CloseSession => Vec::new(),
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name(), self.path())?;
        match self {
            Op::Create { mode, .. } => write!(f, " {mode:?}"),
            Op::SetData { data, version, .. } if *version == ANY_VERSION => write!(f, " {data}"),
            Op::SetData { data, version, .. } => write!(f, " {data} v{version}"),
            Op::Delete { version, .. } | Op::Check { version, .. } if *version == ANY_VERSION => Ok(()),
            Op::Delete { version, .. } | Op::Check { version, .. } => write!(f, " v{version}"),
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let watched = |watch: &bool| if *watch { " watch" } else { "" };
        match self {
            Request::Connect { session: 0, timeout_ms, .. } => write!(f, "connect, time-out {timeout_ms} ms"),
            Request::Connect { session, .. } => write!(f, "connect, session {session:#x}"),
            Request::Write(op) => op.fmt(f),
            Request::Multi(ops) => {
                let ops: Vec<String> = ops.iter().map(Op::to_string).collect();
                write!(f, "multi [{}]", ops.join(", "))
            }
            Request::Exists { path, watch }
            | Request::GetData { path, watch }
            | Request::GetChildren { path, watch } => {
                write!(f, "{} {path}{}", self.name(), watched(watch))
            }
            Request::Sync { path } => write!(f, "sync {path}"),
            Request::SetWatches { .. } | Request::CloseSession => f.write_str(self.name()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Connected { session, timeout_ms } => write!(f, "session {session:#x}, time-out {timeout_ms} ms"),
            Answer::Created { path, stat } => write!(f, "{path} at zxid {:#x}", stat.czxid),
            Answer::Stat(stat) => write!(f, "version {}", stat.version),
            Answer::Data(data, stat) => write!(f, "{data:?} version {}", stat.version),
            Answer::Children(names, _) => {
                let names: Vec<_> = names.iter().map(Blob::to_text).collect();
                write!(f, "[{}]", names.join(", "))
            }
            Answer::Done => f.write_str("done"),
            Answer::Multi(answers) => {
                let answers: Vec<String> = answers.iter().map(Answer::to_string).collect();
                write!(f, "[{}]", answers.join(", "))
            }
            Answer::MultiFailed(why) => {
                let first = why.iter().flatten().next();
                write!(f, "not done: {}", first.map_or("?".to_owned(), Error::to_string))
            }
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Answer { answer, .. } => answer.fmt(f),
            Reply::Failed { error, .. } => error.fmt(f),
            Reply::Event { kind, path } => write!(f, "event {kind:?} {path}"),
        }
    }
}
