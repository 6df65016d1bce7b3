//! The ZooKeeper port: sessions, requests, watches.

use super::{Blob, Outcome, Refusal};
pub use doublehold_models::zookeeper::wire::{
    ANY_VERSION, Answer, CreateMode, Error, EventKind, Op, Request, SessionId, Stat, Zxid,
};
use std::future::Future;
use std::time::Duration;

/// An ensemble.
pub trait ZooKeeper: Clone + Send + Sync + 'static {
    /// What [`connect`](ZooKeeper::connect) gives.
    type Session: Session;

    /// Begins a session with this time-out, which the server may change. The client goes on with it over another server
    /// by itself when a connection breaks.
    fn connect(&self, timeout: Duration) -> impl Future<Output = Outcome<Self::Session>> + Send;
}

/// What the client knows about its session (Curator's connection states).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SessionState {
    /// It is connected.
    Connected,
    /// The connection broke. The session, and what is ephemeral in it, may still be there.
    Suspended,
    /// The session has ended, or its time has passed by the client's own clock. It does not come back.
    Lost,
}

/// What a watch tells. It fires once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WatchEvent {
    /// Something happened to the node.
    Node(EventKind),
    /// The session has ended: nothing will be told any more.
    Lost,
}

/// A session. Its clones are one session.
pub trait Session: Clone + Send + Sync + 'static {
    /// A watch that was left.
    type Watch: Watch;

    /// The session's number.
    fn id(&self) -> SessionId;

    /// Its time-out, as the server set it.
    fn timeout(&self) -> Duration;

    /// What the client knows about it now.
    fn state(&self) -> SessionState;

    /// Ends when the state is another one than `from`.
    fn changed(&self, from: SessionState) -> impl Future<Output = SessionState> + Send;

    /// Sends a request without a watch.
    fn ask(&self, request: Request) -> impl Future<Output = Outcome<Answer>> + Send;

    /// Sends a read with its watch set. The watch is left if the answer is ok, and by `exists` also if there is no node.
    fn ask_watching(&self, request: Request) -> impl Future<Output = (Outcome<Answer>, Self::Watch)> + Send;

    /// Ends the session, and with it all its ephemeral nodes.
    fn close(&self) -> impl Future<Output = ()> + Send;

    /// Creates a node: its path, and what the server knows about it.
    fn create(&self, path: Blob, data: Blob, mode: CreateMode) -> impl Future<Output = Outcome<(Blob, Stat)>> + Send {
        let reply = self.ask(Request::Write(Op::Create { path, data, mode }));
        async move {
            reply.await.map(|answer| match answer {
                Answer::Created { path, stat } => (path, stat),
                other => unexpected("create", &other),
            })
        }
    }

    /// Deletes a node in any version.
    fn delete(&self, path: Blob) -> impl Future<Output = Outcome<()>> + Send {
        let reply = self.ask(Request::Write(Op::Delete { path, version: ANY_VERSION }));
        async move { reply.await.map(drop) }
    }

    /// What the server knows about a node, if it is there.
    fn exists(&self, path: Blob) -> impl Future<Output = Outcome<Option<Stat>>> + Send {
        let reply = self.ask(Request::Exists { path, watch: false });
        async move { existing(reply.await) }
    }

    /// The names of a node's children, in no order.
    fn children(&self, path: Blob) -> impl Future<Output = Outcome<Vec<Blob>>> + Send {
        let reply = self.ask(Request::GetChildren { path, watch: false });
        async move { names(reply.await) }
    }

    /// The same, and watches them.
    fn watch_children(&self, path: Blob) -> impl Future<Output = (Outcome<Vec<Blob>>, Self::Watch)> + Send {
        let reply = self.ask_watching(Request::GetChildren { path, watch: true });
        async move {
            let (outcome, watch) = reply.await;
            (names(outcome), watch)
        }
    }

    /// Lets the server that the session goes over catch up with the leader.
    fn sync(&self, path: Blob) -> impl Future<Output = Outcome<()>> + Send {
        let reply = self.ask(Request::Sync { path });
        async move { reply.await.map(drop) }
    }

    /// Watches a node: `None` if it is not there; the watch is left all the same.
    fn watch_exists(&self, path: Blob) -> impl Future<Output = (Outcome<Option<Stat>>, Self::Watch)> + Send {
        let reply = self.ask_watching(Request::Exists { path, watch: true });
        async move {
            let (outcome, watch) = reply.await;
            (existing(outcome), watch)
        }
    }
}

/// A watch that was left on a node.
pub trait Watch: Send {
    /// What it tells.
    fn fired(&mut self) -> impl Future<Output = WatchEvent> + Send;
}

fn names(outcome: Outcome<Answer>) -> Outcome<Vec<Blob>> {
    outcome.map(|answer| match answer {
        Answer::Children(names, _) => names,
        other => unexpected("getChildren", &other),
    })
}

fn existing(outcome: Outcome<Answer>) -> Outcome<Option<Stat>> {
    match outcome {
        Outcome::Fail(Refusal::ZooKeeper(Error::NoNode)) => Outcome::Ok(None),
        other => other.map(|answer| match answer {
            Answer::Stat(stat) => Some(stat),
            other => unexpected("exists", &other),
        }),
    }
}

/// # Panics
/// Always: an adapter has broken the port's contract.
fn unexpected(request: &str, answer: &Answer) -> ! {
    panic!("a {request} was answered with {answer:?}")
}
