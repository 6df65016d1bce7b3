//! The etcd port: requests and watches.

use super::Outcome;
pub use doublehold_models::etcd::wire::{
    Answer, Compare, Error, Event, Keys, Kv, LeaseId, Op, Range, Relation, Request, Revision, SortBy, Target, Txn,
};
use std::future::Future;

/// An answer, and the revision that the store had when it was given.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Answered {
    /// The revision.
    pub revision: Revision,
    /// The answer.
    pub answer: Answer,
}

/// A cluster. When a connection breaks, the next request goes to another server.
pub trait Etcd: Clone + Send + Sync + 'static {
    /// What [`watch`](Etcd::watch) gives.
    type Watch: Watch;

    /// Sends a request other than a watch. It is not sent again once a server may have it.
    fn ask(&self, request: Request) -> impl Future<Output = Outcome<Answered>> + Send;

    /// Is told of all changes to these keys from a revision on; 0 is from now on.
    fn watch(&self, keys: Keys, from: Revision) -> impl Future<Output = Outcome<Self::Watch>> + Send;

    /// Reads keys.
    fn range(&self, range: Range) -> impl Future<Output = Outcome<(Vec<Kv>, Revision)>> + Send {
        let reply = self.ask(Request::Op(Op::Range(range)));
        async move {
            reply.await.map(|Answered { revision, answer }| match answer {
                Answer::Range { kvs, .. } => (kvs, revision),
                other => unexpected("range", &other),
            })
        }
    }

    /// Makes a transaction: whether its conditions held, and what became of its steps.
    fn txn(&self, txn: Txn) -> impl Future<Output = Outcome<(bool, Vec<Answer>)>> + Send {
        let reply = self.ask(Request::Txn(txn));
        async move {
            reply.await.map(|Answered { answer, .. }| match answer {
                Answer::Txn { succeeded, answers } => (succeeded, answers),
                other => unexpected("txn", &other),
            })
        }
    }

    /// Begins a lease of at least so many seconds: its number and its seconds.
    fn grant(&self, ttl_s: i64) -> impl Future<Output = Outcome<(LeaseId, i64)>> + Send {
        let reply = self.ask(Request::Grant { id: 0, ttl_s });
        async move {
            reply.await.map(|Answered { answer, .. }| match answer {
                Answer::Granted { id, ttl_s } => (id, ttl_s),
                other => unexpected("grant", &other),
            })
        }
    }

    /// Lets a lease last its full time from now: its seconds, 0 if it has ended.
    fn keep_alive(&self, lease: LeaseId) -> impl Future<Output = Outcome<i64>> + Send {
        let reply = self.ask(Request::KeepAlive(lease));
        async move {
            reply.await.map(|Answered { answer, .. }| match answer {
                Answer::KeptAlive { ttl_s } => ttl_s,
                other => unexpected("keep-alive", &other),
            })
        }
    }
}

/// Changes as they are told.
pub trait Watch: Send {
    /// The next changes, all of one revision or of several that were missed; `None` once the connection has broken.
    fn next(&mut self) -> impl Future<Output = Option<Vec<Event>>> + Send;
}

/// # Panics
/// Always: an adapter has given an answer of another kind.
fn unexpected(request: &str, answer: &Answer) -> ! {
    panic!("{request} was answered with {answer}")
}
