//! The language of the random programs: a few servers, two or three small clients, faults and assumptions about time.
//!
//! A program is plain data. `interpret` runs it, `generate` draws it, `shrink` makes it smaller.

use std::fmt;

/// Everything that a run needs but for the code that runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The servers.
    pub servers: Vec<Server>,
    /// How many clients there are.
    pub clients: usize,
    /// The code of each client; if there is one piece only, all clients run it and who is who does not matter.
    pub code: Vec<Vec<Op>>,
    /// What a client does at its end.
    pub end: End,
    /// Clients begin at any time, not all at the start.
    pub any_time: bool,
    /// One fault of each of these kinds may happen.
    pub faults: Vec<Fault>,
    /// Δ, π, ρ, ε and the size of a clock's step.
    pub time: Time,
    /// What is judged where verdicts are compared.
    pub property: &'static str,
}

/// A server, or an ensemble of servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// A Redis server; with a crash it forgets everything, or nothing.
    Redis {
        /// It forgets nothing.
        durable: bool,
    },
    /// A ZooKeeper ensemble of so many servers.
    ZooKeeper(u8),
    /// An etcd cluster of so many servers.
    Etcd(u8),
    /// A MySQL server with a table of two rows.
    MySql,
}

/// What a client does at its end with what it has observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It sends it to a server and ends, so that the servers' final state contains it.
    Writes,
    /// It tells it and waits for ever.
    Waits,
}

/// The kinds of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are those of the library")]
pub enum Fault {
    Break,
    Stall,
    Delay,
    Pause,
    ClientCrash,
    NodeCrash,
    ClockStep,
    ClientClockStep,
    Lag,
    SessionExpiry,
    NodePause,
    ClientPowerLoss,
    NodePowerLoss,
    Partition,
}

/// What is assumed about time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// Δ in milliseconds; for ever if `None`.
    pub delay_ms: Option<u64>,
    /// π in milliseconds; for ever if `None`.
    pub pause_ms: Option<u64>,
    /// ρ in parts per million.
    pub drift_ppm: u32,
    /// ε in milliseconds.
    pub offset_ms: u64,
    /// By how many milliseconds a wall clock steps.
    pub step_ms: i64,
}

/// A value that a client writes or compares with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Val {
    /// A text of its own that no other client has.
    Own,
    /// The same for all.
    Const,
    /// What it was answered last.
    Last,
}

/// Names a key, a path or a row.
pub type Key = u8;

/// A request to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the commands and statements")]
pub enum Ask {
    Set(Key, Val),
    SetNx(Key, Val),
    SetNxPx(Key, Val, u64),
    Get(Key),
    Del(Key),
    Incr,
    Exists(Key),
    Pttl(Key),
    Pexpire(Key, u64),
    Zadd(Val),
    Zrank(Val),
    Zrange,
    Lpush(Val),
    Lrange,
    /// A script that deletes a key that has this value.
    CompareDel(Key, Val),
    /// A script that sets a key unless its value is smaller.
    SetUnlessSmaller(Key, Val),
    Watch(Key),
    Multi,
    Exec,
    Discard,
    Publish(Val),
    Subscribe,
    Unsubscribe,
    /// The next message of the subscription, within 5 ms.
    Message,

    Create {
        path: Key,
        ephemeral: bool,
        sequential: bool,
    },
    Delete(Key),
    /// Deletes the node that it has created last.
    DeleteOwn,
    PathExists(Key),
    Children,
    WatchPath(Key),
    WatchChildren,
    /// What the last watch tells, within 5 ms.
    Fired,
    CloseSession,

    Put(Key, Val),
    PutLeased(Key, Val),
    Range(Key),
    /// A transaction that sets a key that is not there, and reads it otherwise.
    PutIfAbsent(Key, Val),
    DeleteKey(Key),
    Grant,
    Revoke,
    WatchKey(Key),
    /// The next event of the last watch, within 5 ms.
    Event,

    Begin,
    Commit,
    Rollback,
    Select(Key),
    SelectForUpdate(Key),
    Add(Key),
    Insert(Val),
    GetLock,
    /// `GET_LOCK` that does not wait.
    TryLock,
    ReleaseLock,
    DropSession,
}

/// An event for the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the events")]
pub enum Tell {
    Acquiring,
    Acquired {
        /// How long the hold is valid, in milliseconds.
        valid_ms: Option<u64>,
        fence: Fence,
    },
    Releasing,
    /// Tells of a write of what was answered last.
    Wrote,
    Sold,
}

/// Where a fencing token comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    /// There is none.
    Absent,
    /// What was answered last, if it is a number.
    Last,
    /// The client's wall clock.
    Wall,
}

/// A condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cond {
    /// The last answer is nothing, 0 or a failure.
    Nothing,
    /// The last answer is the client's own text.
    Mine,
    /// The last answer is smaller than the client's own text.
    SmallerThanMine,
    /// The last answer is OK, or 1.
    IsOk,
    /// The last request was done.
    Done,
    /// The last request may have been done.
    Indeterminate,
    /// So many milliseconds have passed since the start by the monotonic clock.
    Elapsed(u64),
    /// So many milliseconds have passed since the client's first look at its wall clock.
    WallElapsed(u64),
    /// The client's wall clock is beyond so many milliseconds after what an exact one shows at the start.
    WallPast(u64),
}

/// A step of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Sends a request to a server and waits, for so many milliseconds at the most.
    Ask(usize, Ask, Option<u64>),
    /// Sends two requests, and waits for the second one first.
    Pipeline(usize, Ask, Ask),
    /// Sends a request and does not wait.
    Send(usize, Ask),
    /// Sleeps for so many milliseconds.
    Sleep(u64),
    /// Goes on with these steps if the condition is met.
    If(Cond, Vec<Op>),
    /// Starts a task.
    Spawn(Vec<Op>),
    /// Goes on with these steps as a round: what they have seen is forgotten but for their log and the last answer.
    Round(Vec<Op>),
    /// Tells the history something.
    Tell(Tell),
    /// Ends.
    Stop,
}

impl Program {
    /// True if all clients run the same code.
    pub fn is_alike(&self) -> bool {
        self.code.len() == 1
    }

    /// The code of a client.
    pub fn code_of(&self, client: usize) -> &[Op] {
        &self.code[client.min(self.code.len() - 1)]
    }

    /// The servers' places in the topology: the first node of each, and how many there are.
    pub fn nodes(&self) -> Vec<(usize, usize)> {
        let mut first = 0;
        let places = self.servers.iter().map(|server| {
            let members = server.members();
            first += members;
            (first - members, members)
        });
        places.collect()
    }

    /// The node that keeps what clients have observed at their end: the first Redis server, or one behind all others.
    pub fn log_node(&self) -> usize {
        let nodes = self.nodes();
        let redis = self.servers.iter().position(|server| matches!(server, Server::Redis { .. }));
        redis.map_or_else(|| nodes.last().map_or(0, |(first, members)| first + members), |at| nodes[at].0)
    }

    /// How many steps it has in all.
    pub fn size(&self) -> usize {
        self.code.iter().map(|code| size(code)).sum()
    }
}

impl Server {
    /// The number of its nodes.
    pub fn members(self) -> usize {
        match self {
            Server::ZooKeeper(members) | Server::Etcd(members) => members.into(),
            Server::Redis { .. } | Server::MySql => 1,
        }
    }
}

fn size(code: &[Op]) -> usize {
    let inner = |op: &Op| match op {
        Op::If(_, inner) | Op::Spawn(inner) | Op::Round(inner) => 1 + size(inner),
        _ => 1,
    };
    code.iter().map(inner).sum()
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |ms: Option<u64>| ms.map_or("∞".to_owned(), |ms| format!("{ms} ms"));
        let Time { delay_ms, pause_ms, drift_ppm, offset_ms, step_ms } = self.time;
        writeln!(
            f,
            "servers {:?}; {} clients; at the end: {:?}; judged: {}",
            self.servers, self.clients, self.end, self.property
        )?;
        write!(
            f,
            "Δ {}, π {}, ρ {drift_ppm} ppm, ε {offset_ms} ms, step {step_ms} ms; ",
            time(delay_ms),
            time(pause_ms)
        )?;
        writeln!(f, "faults {:?}; starts {}", self.faults, if self.any_time { "at any time" } else { "at once" })?;
        for (client, code) in self.code.iter().enumerate() {
            if self.is_alike() {
                writeln!(f, "every client:")?;
            } else {
                writeln!(f, "client-{client}:")?;
            }
            write_code(f, code, 1)?;
        }
        Ok(())
    }
}

fn write_code(f: &mut fmt::Formatter<'_>, code: &[Op], depth: usize) -> fmt::Result {
    for op in code {
        write!(f, "{:1$}", "", 4 * depth)?;
        match op {
            Op::Ask(server, ask, None) => writeln!(f, "{server}: {ask:?}")?,
            Op::Ask(server, ask, Some(ms)) => writeln!(f, "{server}: {ask:?} within {ms} ms")?,
            Op::Pipeline(server, first, second) => {
                writeln!(f, "{server}: {first:?} and {second:?}, the second awaited first")?
            }
            Op::Send(server, ask) => writeln!(f, "{server}: {ask:?}, not waited for")?,
            Op::Sleep(ms) => writeln!(f, "sleep {ms} ms")?,
            Op::Tell(tell) => writeln!(f, "tell {tell:?}")?,
            Op::Stop => writeln!(f, "stop")?,
            Op::If(cond, inner) => {
                writeln!(f, "if {cond:?}:")?;
                write_code(f, inner, depth + 1)?;
            }
            Op::Round(inner) => {
                writeln!(f, "round:")?;
                write_code(f, inner, depth + 1)?;
            }
            Op::Spawn(inner) => {
                writeln!(f, "task:")?;
                write_code(f, inner, depth + 1)?;
            }
        }
    }
    Ok(())
}
