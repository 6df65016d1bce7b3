//! The MySQL port: sessions, and statements as text.

use super::{Outcome, Refusal};
pub use doublehold_models::mysql::wire::{Failure, Reply, Request, Value};
use std::future::Future;

/// A server.
pub trait MySql: Clone + Send + Sync + 'static {
    /// What [`session`](MySql::session) gives.
    type Session: Session;

    /// A session of its own. It connects with its first statement, and ends when it is dropped or its connection breaks.
    fn session(&self) -> Self::Session;
}

/// The rows of a query.
pub type Rows = Vec<Vec<Value>>;

/// What a statement without rows has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Changed {
    /// The rows that it changed.
    pub affected: u64,
    /// The first number that `AUTO_INCREMENT` gave, 0 if none.
    pub last_insert_id: u64,
}

/// A session: transactions, user locks and settings are its own, and end with it.
///
/// A statement whose answer is lost may have been done, but what it did inside a transaction is rolled back with the
/// session; only a `COMMIT`, or a statement by itself, stays in doubt.
pub trait Session: Send {
    /// Sends a statement. Dropping the future ends the session.
    fn ask(&mut self, request: Request) -> impl Future<Output = Outcome<Reply>> + Send;

    /// False once the connection has broken, as far as the client knows: then everything is refused.
    fn is_open(&self) -> bool;

    /// Asks for rows.
    fn query(&mut self, sql: &'static str, params: Vec<Value>) -> impl Future<Output = Outcome<Rows>> + Send {
        let reply = self.ask(Request::new(sql, params));
        async move {
            match reply.await {
                Outcome::Ok(Reply::Rows { rows, .. }) => Outcome::Ok(rows),
                other => failed(sql, other),
            }
        }
    }

    /// Does something that gives no rows.
    fn run(&mut self, sql: &'static str, params: Vec<Value>) -> impl Future<Output = Outcome<Changed>> + Send {
        let reply = self.ask(Request::new(sql, params));
        async move {
            match reply.await {
                Outcome::Ok(Reply::Done { affected, last_insert_id }) => {
                    Outcome::Ok(Changed { affected, last_insert_id })
                }
                other => failed(sql, other),
            }
        }
    }
}

/// What became of a statement that did not give what it was asked for.
///
/// # Panics
/// If it gave rows where none were expected, or none where some were: a mistake of the caller.
fn failed<T>(sql: &str, outcome: Outcome<Reply>) -> Outcome<T> {
    match outcome {
        Outcome::Ok(Reply::Failed(failure)) => Outcome::Fail(Refusal::MySql(failure)),
        Outcome::Ok(reply) => panic!("{sql} was answered with {reply}"),
        Outcome::Fail(why) => Outcome::Fail(why),
        Outcome::Indeterminate(why) => Outcome::Indeterminate(why),
    }
}
