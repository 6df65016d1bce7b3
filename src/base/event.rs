//! Event: what clients tell the history.

use super::Instant;
use super::fact::{Fact, Tells};
use doublehold_models::Blob;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Something that a client did or learnt.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// It begins to acquire a lock.
    Acquiring {
        /// The lock's name.
        lock: Blob,
        /// How long it is ready to wait, in microseconds of its own clock.
        wait_us_max: u64,
    },
    /// It waits in the lock's queue: clients that begin to acquire later get the lock later.
    Queued {
        /// The lock's name.
        lock: Blob,
        /// Until when it certainly has its place, by its own monotonic clock.
        valid_until: Instant,
    },
    /// It has no place in the queue any more, or does not know of one.
    Dequeued {
        /// The lock's name.
        lock: Blob,
    },
    /// It holds the lock now.
    Acquired {
        /// The lock's name.
        lock: Blob,
        /// What marks the lock as this client's on the servers.
        token: Blob,
        /// The fencing token, if the lock gives one.
        fence: Option<u64>,
        /// Until when the lock told it to believe in the hold, by its own monotonic clock.
        valid_until: Option<Instant>,
        /// Who may hold it at the same time.
        #[serde(default, skip_serializing_if = "Mode::is_exclusive")]
        mode: Mode,
    },
    /// It gave up.
    NotAcquired {
        /// The lock's name.
        lock: Blob,
        /// What the lock said.
        why: String,
    },
    /// The lock told it that the hold goes on.
    Extended {
        /// The lock's name.
        lock: Blob,
        /// What marks the hold on the servers.
        token: Blob,
        /// The new end of the hold.
        valid_until: Option<Instant>,
    },
    /// The lock told it that the hold is lost.
    Lost {
        /// The lock's name.
        lock: Blob,
        /// What marks the hold on the servers.
        token: Blob,
    },
    /// It begins to release: from here on it does nothing as the holder.
    Releasing {
        /// The lock's name.
        lock: Blob,
        /// What marks the hold on the servers.
        token: Blob,
    },
    /// The release ended.
    Released {
        /// The lock's name.
        lock: Blob,
        /// How.
        outcome: Ended,
    },
    /// It read the guarded resource.
    Read {
        /// The resource's name.
        resource: Blob,
        /// What it found.
        value: i64,
    },
    /// It wrote the guarded resource.
    Wrote {
        /// The resource's name.
        resource: Blob,
        /// The value that it had read.
        base: i64,
        /// The value that it wrote.
        value: i64,
        /// How the write ended.
        outcome: Ended,
    },
    /// Something of a flow's or a user's own.
    Told(Fact),
}

impl Event {
    /// A fact of a flow's or a user's own.
    pub fn told<T: Tells>(fact: &T) -> Event {
        Event::Told(Fact::of(fact))
    }

    /// The fact that it tells, if it is one of this type.
    pub fn fact<T: Tells>(&self) -> Option<T> {
        match self {
            Event::Told(fact) => fact.get(),
            _ => None,
        }
    }
}

/// Who may hold a lock beside a holder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Nobody.
    #[default]
    Exclusive,
    /// Others that share it: readers.
    Shared,
    /// Others, up to this many in all: the permits of a semaphore.
    Permits(usize),
}

impl Mode {
    fn is_exclusive(&self) -> bool {
        *self == Mode::Exclusive
    }

    /// True if a hold may begin beside those that there are.
    pub fn may_join(self, others: impl IntoIterator<Item = Mode>) -> bool {
        let mut others = others.into_iter();
        match self {
            Mode::Exclusive => others.next().is_none(),
            Mode::Shared => others.all(|other| other == Mode::Shared),
            Mode::Permits(permits) => others.count() < permits,
        }
    }
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// It happened.
    Ok,
    /// It did not happen.
    Fail,
    /// Nobody knows.
    Indeterminate,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ended::Ok => "ok",
            Ended::Fail => "fail",
            Ended::Indeterminate => "indeterminate",
        })
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = |valid_until: &Option<Instant>| match valid_until {
            Some(until) => format!(", valid until its own {until}"),
            None => String::new(),
        };
        match self {
            Event::Acquiring { lock, .. } => write!(f, "wants {lock}"),
            Event::Queued { lock, valid_until } => {
                write!(f, "waits in the queue of {lock}, its place valid until its own {valid_until}")
            }
            Event::Dequeued { lock } => write!(f, "has no place in the queue of {lock} any more"),
            Event::Acquired { lock, token, fence, valid_until, mode } => {
                let shared = if mode.is_exclusive() { "" } else { ", shared" };
                write!(f, "HOLDS {lock} as {token}{}{shared}", until(valid_until))?;
                fence.map_or(Ok(()), |fence| write!(f, ", fencing token {fence}"))
            }
            Event::NotAcquired { lock, why } => write!(f, "does not get {lock}: {why}"),
            Event::Extended { lock, valid_until, .. } => write!(f, "extended {lock}{}", until(valid_until)),
            Event::Lost { lock, .. } => write!(f, "is told that {lock} is lost"),
            Event::Releasing { lock, .. } => write!(f, "releases {lock}"),
            Event::Released { lock, outcome } => write!(f, "has released {lock}: {outcome}"),
            Event::Read { resource, value } => write!(f, "reads {resource} = {value}"),
            Event::Wrote { resource, base, value, outcome } => {
                write!(f, "wrote {resource} {base} → {value}: {outcome}")
            }
            Event::Told(fact) => fact.fmt(f),
        }
    }
}
