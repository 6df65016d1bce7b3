//! Outcome: how a request ended, with the third case that a caller must face.

use crate::base::{Blob, Ended};
use doublehold_models::etcd::wire::Error as EtcdError;
use doublehold_models::kafka::wire::Error as KafkaError;
use doublehold_models::mysql::wire::Failure;
use doublehold_models::zookeeper::wire::Error as ZooKeeperError;
use std::fmt;

/// How a request to a server ended (Jepsen's `:ok`, `:fail`, `:info`).
///
/// There is no `?` for it on purpose: what to do after [`Indeterminate`](Outcome::Indeterminate) is
/// the protocol's decision each time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use = "a request may have failed, or may have happened without an answer"]
pub enum Outcome<T> {
    /// It happened, and this is the answer.
    Ok(T),
    /// It did not happen.
    Fail(Refusal),
    /// It may have happened, may happen yet, or never.
    Indeterminate(Unknown),
}

/// Why a request certainly did not happen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Nothing listens at the server's address.
    Refused,
    /// The server answered with an error; its text begins with the code.
    Server(Blob),
    /// A ZooKeeper server answered with an error.
    ZooKeeper(ZooKeeperError),
    /// An etcd server answered with an error.
    Etcd(EtcdError),
    /// A Kafka broker answered with an error.
    Kafka(KafkaError),
    /// A MySQL server answered with an error.
    MySql(Failure),
    /// The session had ended before: nothing was sent.
    Closed,
}

/// Why nobody knows whether a request happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unknown {
    /// The connection broke after the request was sent.
    ConnectionLost,
    /// No answer came within the time allowed.
    TimedOut,
}

impl<T> Outcome<T> {
    /// The answer, if there is one.
    pub fn ok(self) -> Option<T> {
        match self {
            Outcome::Ok(value) => Some(value),
            Outcome::Fail(_) | Outcome::Indeterminate(_) => None,
        }
    }

    /// Changes the answer.
    pub fn map<U>(self, with: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Outcome::Ok(value) => Outcome::Ok(with(value)),
            Outcome::Fail(why) => Outcome::Fail(why),
            Outcome::Indeterminate(why) => Outcome::Indeterminate(why),
        }
    }

    /// True if the request may have happened.
    pub fn may_have_happened(&self) -> bool {
        !matches!(self, Outcome::Fail(_))
    }
}

/// A request that must be answered was not: before the clients begin or after they have ended no other client is
/// there, and nothing breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct Unanswered {
    /// The request.
    pub what: &'static str,
    /// What came instead.
    pub why: String,
}

/// The answer to a request that must be answered.
pub fn answered<T>(what: &'static str, outcome: Outcome<T>) -> Result<T, Unanswered> {
    match outcome {
        Outcome::Ok(value) => Ok(value),
        Outcome::Fail(why) => Err(Unanswered { what, why: why.to_string() }),
        Outcome::Indeterminate(why) => Err(Unanswered { what, why: why.to_string() }),
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Refused => f.write_str("connection refused"),
            Refusal::Server(text) => write!(f, "error {text}"),
            Refusal::ZooKeeper(error) => write!(f, "error {error}"),
            Refusal::Etcd(error) => write!(f, "error {error}"),
            Refusal::Kafka(error) => write!(f, "error {error}"),
            Refusal::MySql(Failure { code, state, message }) => write!(f, "error {code} ({state}): {message}"),
            Refusal::Closed => f.write_str("the session has ended"),
        }
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unknown::ConnectionLost => "connection lost",
            Unknown::TimedOut => "timed out",
        })
    }
}

impl Ended {
    /// How an outcome ended, where `happened` reads the answer.
    pub fn of<T>(outcome: &Outcome<T>, happened: impl FnOnce(&T) -> bool) -> Ended {
        match outcome {
            Outcome::Ok(value) if happened(value) => Ended::Ok,
            Outcome::Ok(_) | Outcome::Fail(_) => Ended::Fail,
            Outcome::Indeterminate(_) => Ended::Indeterminate,
        }
    }
}
