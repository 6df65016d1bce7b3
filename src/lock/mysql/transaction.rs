//! Transactions that are tried again: after a conflict, each time in a new transaction.
//!
//! Under REPEATABLE READ the snapshot of a transaction never moves: a try within the same one would see the same version again,
//! and fail again, for ever (scenario `mysql-retry-in-one-transaction`).
//!
//! When the answer to `COMMIT` is lost, nobody knows whether it happened. Whoever tries again then must make sure that
//! it cannot happen twice: a unique key on the request's own id does (scenario `mysql-commit-retried`). Nor does a
//! later no say that it has not happened (scenario `mysql-commit-in-doubt`).

use crate::port::mysql::{MySql, Session};
use crate::port::{Host, Outcome, Refusal, mysql};
use std::future::Future;
use std::hash::Hash;
use std::time::Duration;

/// `innodb_lock_wait_timeout` has passed; the statement is rolled back.
const LOCK_WAIT_TIMEOUT: u16 = 1205;
/// The transaction was the victim of a deadlock.
const DEADLOCK: u16 = 1213;
/// A unique key has this value already.
const DUPLICATE_KEY: u16 = 1062;

/// Why a transaction was not made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Stop {
    /// Somebody else was first, each time: another version, or a deadlock. A new try may succeed.
    Conflict,
    /// The server refused a statement.
    Failed(mysql::Failure),
    /// No connection, or it broke before `COMMIT` was sent, or a row stayed locked for too long: nothing has happened.
    Unavailable,
    /// The answer to `COMMIT` was lost: it may have happened.
    Unknown,
    /// The transaction itself saw no sense in going on.
    GivenUp,
}

impl Stop {
    /// True if a unique key was in the way.
    pub fn is_duplicate(&self) -> bool {
        matches!(self, Stop::Failed(failure) if failure.code == DUPLICATE_KEY)
    }
}

/// What is done between `BEGIN` and `COMMIT`. It may be done several times.
pub trait Transaction: Sync {
    /// What it gives.
    type Output: Hash + Send;

    /// Does it. After an error everything is rolled back.
    fn run<S: Session>(&self, session: &mut S) -> impl Future<Output = Result<Self::Output, Stop>> + Send;

    /// True if this result of a try says what has become of the whole, although the answer to the `COMMIT` of an
    /// earlier try was lost. A no seldom does: the earlier try may be what is in its way.
    fn settles(&self, result: &Result<Self::Output, Stop>) -> bool;
}

/// How often to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// At most so many times.
    pub tries: u32,
    /// How long to wait between two tries.
    pub delay: Duration,
    /// Also when the answer to `COMMIT` was lost. Only for what has no effect the second time.
    pub unknown: bool,
}

/// What became of a statement within a transaction: without `COMMIT` a lost session has done nothing.
pub fn within<T>(outcome: Outcome<T>) -> Result<T, Stop> {
    match outcome {
        Outcome::Ok(value) => Ok(value),
        Outcome::Fail(Refusal::MySql(failure)) if failure.code == DEADLOCK => Err(Stop::Conflict),
        Outcome::Fail(Refusal::MySql(failure)) if failure.code == LOCK_WAIT_TIMEOUT => Err(Stop::Unavailable),
        Outcome::Fail(Refusal::MySql(failure)) => Err(Stop::Failed(failure)),
        Outcome::Fail(_) | Outcome::Indeterminate(_) => Err(Stop::Unavailable),
    }
}

/// What became of a statement that is a transaction by itself, or ends one: without an answer nobody knows.
pub fn ending<T>(outcome: Outcome<T>) -> Result<T, Stop> {
    if let Outcome::Indeterminate(_) = outcome { Err(Stop::Unknown) } else { within(outcome) }
}

/// A client of a server, with one session at a time.
pub struct Client<M: MySql> {
    server: M,
    session: Option<M::Session>,
}

impl<M: MySql> Client<M> {
    /// A client that connects when it has something to ask.
    pub fn new(server: M) -> Self {
        Client { server, session: None }
    }

    /// The session, a new one if the last has ended.
    pub fn session(&mut self) -> &mut M::Session {
        if self.session.as_ref().is_some_and(|session| !session.is_open()) {
            self.session = None;
        }
        self.session.get_or_insert_with(|| self.server.session())
    }

    /// Makes a transaction, and tries again as often as `retry` allows. Once the answer to a `COMMIT` was lost, what
    /// does not [settle](Transaction::settles) the matter leaves it unknown.
    pub async fn transact<H: Host, T: Transaction>(
        &mut self,
        host: &H,
        retry: Retry,
        transaction: &T,
    ) -> Result<T::Output, Stop> {
        let (mut conflicts_only, mut in_doubt) = (true, false);
        for tries_left in (0..retry.tries.max(1)).rev() {
            let result = self.attempt_once(host, transaction).await;
            conflicts_only &= matches!(result, Err(Stop::Conflict));
            let again = match &result {
                Ok(_) | Err(Stop::Failed(_) | Stop::GivenUp) => false,
                Err(Stop::Conflict | Stop::Unavailable) => true,
                Err(Stop::Unknown) => retry.unknown,
            };
            if !again || tries_left == 0 {
                return match result {
                    result if in_doubt && !transaction.settles(&result) => Err(Stop::Unknown),
                    Err(Stop::Conflict) if !conflicts_only => Err(Stop::Unavailable),
                    result => result,
                };
            }
            in_doubt |= matches!(result, Err(Stop::Unknown));
            if !retry.delay.is_zero() {
                host.sleep(retry.delay).await;
            }
        }
        unreachable!("the last try returns")
    }

    async fn attempt_once<H: Host, T: Transaction>(&mut self, host: &H, transaction: &T) -> Result<T::Output, Stop> {
        let attempt = async {
            let result = self.attempt(transaction).await;
            // What of a try outlives it: its result, and whether the session does.
            (result, self.session().is_open())
        };
        host.round(attempt).await.0
    }

    async fn attempt<T: Transaction>(&mut self, transaction: &T) -> Result<T::Output, Stop> {
        let session = self.session();
        within(session.run("BEGIN", Vec::new()).await)?;
        match transaction.run(session).await {
            Ok(output) => ending(session.run("COMMIT", Vec::new()).await).map(|_| output),
            Err(stop) => {
                if session.is_open() {
                    // Without an answer the session ends, and with it the transaction.
                    drop(session.run("ROLLBACK", Vec::new()).await);
                }
                Err(stop)
            }
        }
    }
}
