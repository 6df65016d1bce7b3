//! The ZooKeeper sequential lock (Apache Curator's `InterProcessMutex`), its semaphore and its read/write lock.
//!
//! **Algorithm** ([ZooKeeper recipes, "Locks"](https://zookeeper.apache.org/doc/r3.8.0/recipes.html#sc_recipes_Locks);
//! Curator's `LockInternals`): each contender creates an ephemeral sequential node under the lock's path, with a GUID in its
//! name. Whoever's node is the first holds the lock. The others watch the one node whose going lets them on,
//! so that a release wakes one waiter and not all, and look again whenever the watch fires. Release deletes the node.
//! [`Kind`] has the semaphore and the two sides of a read/write lock.
//!
//! **Claims** that at most one client holds the lock ([`Kind`]: as many as may), in the order in which they asked, and that a crashed
//! holder's place comes free when its session has expired.
//!
//! **Assumes** that a holder stops when it is told that its session is suspended. It is told by its own client, so between
//! the server's verdict and the client's knowledge there is a window that no client can close.
//!
//! **Broken by** a pause or partition longer than the session time-out (scenario `zk-pause-past-session`): fence with the
//! node's creation transaction ([`Lease::fence`]). By a create whose answer was lost (`zk-orphan-after-create`); by taking the node of
//! an earlier session for one's own (`zk-adopt-old-session`); by looking on a server that is behind (`zk-stale-search`); by a
//! release that is not repeated (`zk-release-once`); by a counter that wraps (`zk-sequence-overflow`).

mod client;
pub mod sequence;

use super::{Lease, Lock, NotAcquired, Undo};
use crate::base::Mode;
use crate::port::zookeeper::{Session, SessionState, Watch, WatchEvent};
use crate::port::{Blob, Instant, Outcome, Ports};
pub use client::{Client, ClientConfig, Delete, Owned, Protection, SessionOf};
use sequence::{Order, compare};
use std::time::Duration;

/// Who may hold a lock together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One at a time.
    Mutex,
    /// So many at a time (Curator's `InterProcessSemaphoreV2`). Any release may let a waiter on, so all are watched.
    Semaphore(usize),
    /// Readers together (Curator's `InterProcessReadWriteLock`): a reader waits for writers that asked before it.
    Reader,
    /// A writer alone: it waits for everybody who asked before it.
    Writer,
}

/// What a reader waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReaderWaitsFor {
    /// The last writer that asked before it.
    LastWriter,
    /// The contender next before it, if that is a writer: one behind a waiting reader goes past the writer that both wait for.
    Neighbour,
}

/// What a waiter watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The one node whose going lets it on.
    Predecessor,
    /// The list of all waiters: every release wakes all of them, the herd (Z10).
    Herd,
}

/// What a waiter does when its watch fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterEvent {
    /// Looks again: another watch, a session's end or somebody who gave up may be behind it.
    LookAgain,
    /// Takes the lock for its own.
    Assume,
}

/// When a holder stops to believe in its hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Believe {
    /// When its session is suspended: its time may run already.
    WhileConnected,
    /// When its session is lost: the servers may have ended it before.
    UntilLost,
    /// Never: it asks nobody.
    Always,
}

/// What becomes of the node of a waiter that is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCancel {
    /// It is deleted in the background.
    Delete,
    /// It stays until the session ends, and everybody behind it waits (Z3).
    Leave,
}

/// The options of the lock; the default is Curator's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// How sessions and creations are treated.
    pub client: ClientConfig,
    /// Who may hold it together.
    pub kind: Kind,
    /// What a reader waits for.
    pub reader_waits_for: ReaderWaitsFor,
    /// How nodes are ordered.
    pub order: Order,
    /// What waiters watch.
    pub waiting: Waiting,
    /// What a waiter does when its watch fires.
    pub after_event: AfterEvent,
    /// What becomes of the node of a waiter that is cancelled.
    pub on_cancel: OnCancel,
    /// When a holder stops to believe in its hold.
    pub believe: Believe,
}

impl Config {
    /// Curator's mutex with this session time-out.
    pub fn new(session_timeout: Duration) -> Self {
        Config {
            client: ClientConfig {
                session_timeout,
                protection: Protection::OwnSession,
                sync_first: true,
                delete: Delete::Guaranteed,
            },
            kind: Kind::Mutex,
            reader_waits_for: ReaderWaitsFor::LastWriter,
            order: Order::Serial,
            waiting: Waiting::Predecessor,
            after_event: AfterEvent::LookAgain,
            on_cancel: OnCancel::Delete,
            believe: Believe::WhileConnected,
        }
    }
}

/// The prefix of contenders' nodes, after the GUID; readers have their own.
const PREFIX: &str = "lock-";
const READER: &str = "-read-";
/// How often an attempt begins anew after its own node was gone.
const ATTEMPTS_MAX: usize = 4;

/// A lock on a ZooKeeper ensemble.
#[derive(Clone)]
pub struct ZkLock<P: Ports> {
    client: Client<P>,
    path: Blob,
    config: Config,
}

/// How a look at the contenders ends.
enum Look<P: Ports> {
    /// Nobody is in our way.
    Held,
    /// Our own node is gone.
    Gone,
    /// Wait for this node to go, or for what the watch on all contenders tells.
    Behind(Blob, Option<<SessionOf<P> as Session>::Watch>),
    /// Nobody answers.
    Unknown,
}

impl<P: Ports> ZkLock<P> {
    /// The lock at this path, over this client.
    pub fn new(client: &Client<P>, path: impl Into<Blob>, config: Config) -> Self {
        ZkLock { client: client.clone(), path: path.into(), config }
    }

    /// Tries until the deadline; without one, once.
    async fn take(&self, deadline: Option<Instant>) -> Result<Lease, NotAcquired> {
        for _ in 0..ATTEMPTS_MAX {
            let prefix = if self.config.kind == Kind::Reader { &READER[1..] } else { PREFIX };
            let node = self.client.create_protected(&self.path, prefix).await?;
            let lease = self.lease(&node);
            let mut undo = Undo::new(self, lease.clone());
            if self.config.on_cancel == OnCancel::Leave {
                undo.disarm();
            }
            match self.wait_for_turn(&node, deadline).await {
                Ok(true) => {
                    undo.disarm();
                    return Ok(lease);
                }
                // Its own node is gone, with its session or by another client's hand: it begins anew.
                Ok(false) => undo.disarm(),
                Err(why) => {
                    drop(self.unlock(lease).await);
                    undo.disarm();
                    return Err(why);
                }
            }
        }
        Err(NotAcquired::Lost)
    }

    fn lease(&self, node: &Owned<SessionOf<P>>) -> Lease {
        let name = node.path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        Lease {
            token: Blob::copy_from(name),
            fence: u64::try_from(node.czxid).ok(),
            valid_until: None,
            session: Some(node.session.id()),
            hold: None,
        }
    }

    /// True once it is our turn; false if our own node is gone.
    async fn wait_for_turn(&self, node: &Owned<SessionOf<P>>, deadline: Option<Instant>) -> Result<bool, NotAcquired> {
        loop {
            let (behind, watch) = match self.look(node).await {
                Look::Held => return Ok(true),
                Look::Gone => return Ok(false),
                Look::Behind(other, watch) => (other, watch),
                Look::Unknown if node.session.state() == SessionState::Lost => return Ok(false),
                Look::Unknown => continue,
            };
            let Some(deadline) = deadline else { return Err(NotAcquired::Held) };
            let watch = match watch {
                Some(watch) => Some(watch),
                None => self.watch(&node.session, behind).await,
            };
            let Some(mut watch) = watch else { continue };
            let left = deadline.left_at(self.client.ports().monotonic());
            match self.client.ports().timeout(left, watch.fired()).await {
                None => return Err(NotAcquired::Held),
                Some(WatchEvent::Lost) => return Ok(false),
                Some(WatchEvent::Node(_)) if self.config.after_event == AfterEvent::Assume => return Ok(true),
                Some(WatchEvent::Node(_)) => {}
            }
        }
    }

    /// Looks at the contenders in their order. Where any of them may let us on, the look leaves a watch on all.
    async fn look(&self, node: &Owned<SessionOf<P>>) -> Look<P> {
        let watches_all = self.config.waiting == Waiting::Herd || matches!(self.config.kind, Kind::Semaphore(_));
        let (names, watch) = if watches_all {
            let (names, watch) = node.session.watch_children(self.path.clone()).await;
            (names, Some(watch))
        } else {
            (node.session.children(self.path.clone()).await, None)
        };
        let Some(mut names) = names.ok() else { return Look::Unknown };
        names.sort_by(|left, right| compare(self.config.order, left, right));
        let ours = |name: &Blob| node.path.ends_with(name);
        let Some(place) = names.iter().position(ours) else { return Look::Gone };
        match self.in_the_way(&names[..place]) {
            None => Look::Held,
            Some(other) => Look::Behind(other.clone(), watch),
        }
    }

    /// Of the contenders before us the one whose going lets us on, if there is one.
    fn in_the_way<'a>(&self, before: &'a [Blob]) -> Option<&'a Blob> {
        let is_writer = |name: &&Blob| !name.windows(READER.len()).any(|part| part == READER.as_bytes());
        match (self.config.kind, self.config.reader_waits_for) {
            (Kind::Mutex | Kind::Writer, _) => before.last(),
            (Kind::Semaphore(permits), _) => before.get(before.len().checked_sub(permits)?),
            (Kind::Reader, ReaderWaitsFor::LastWriter) => before.iter().rev().find(is_writer),
            (Kind::Reader, ReaderWaitsFor::Neighbour) => before.last().filter(is_writer),
        }
    }

    /// Leaves a watch on one contender; `None` if it has gone already.
    async fn watch(&self, session: &SessionOf<P>, other: Blob) -> Option<<SessionOf<P> as Session>::Watch> {
        let path = Blob::from(format!("{}/{other}", self.path));
        let (there, watch) = session.watch_exists(path).await;
        there.ok().flatten().map(|_| watch)
    }
}

impl<P: Ports> Lock for ZkLock<P> {
    type Host = P;

    fn host(&self) -> &P {
        self.client.ports()
    }

    fn name(&self) -> &Blob {
        &self.path
    }

    fn mode(&self) -> Mode {
        match self.config.kind {
            Kind::Mutex | Kind::Writer => Mode::Exclusive,
            Kind::Reader => Mode::Shared,
            Kind::Semaphore(permits) => Mode::Permits(permits),
        }
    }

    fn holds(&self, lease: &Lease) -> bool {
        let Some(id) = lease.session else { return false };
        match self.config.believe {
            Believe::WhileConnected => {
                self.client.session_numbered(id).is_some_and(|session| session.state() == SessionState::Connected)
            }
            Believe::UntilLost => self.client.session_numbered(id).is_some(),
            Believe::Always => true,
        }
    }

    /// Curator's connection-state listener: suspended or lost, as `believe` says.
    async fn lost(&self, lease: &Lease) {
        let Some(session) = lease.session.and_then(|id| self.client.session_numbered(id)) else { return };
        let mut state = session.state();
        loop {
            match (self.config.believe, state) {
                (Believe::Always, _) => std::future::pending().await,
                (Believe::WhileConnected, SessionState::Suspended) | (_, SessionState::Lost) => return,
                _ => state = session.changed(state).await,
            }
        }
    }

    async fn attempt(&self) -> Result<Lease, NotAcquired> {
        self.take(None).await
    }

    async fn attempt_within(&self, wait: Duration) -> Result<Lease, NotAcquired> {
        // The session outlives the round that it is first needed in.
        self.client.session().await?;
        let deadline = self.host().monotonic() + wait;
        self.host().round(self.take(Some(deadline))).await
    }

    async fn unlock(&self, lease: Lease) -> Outcome<bool> {
        let Some(owner) = lease.session else { return Outcome::Ok(false) };
        self.client.delete(owner, &Blob::from(format!("{}/{}", self.path, lease.token))).await
    }

    /// A session goes on by itself: there is nothing to extend, only to look whether it does.
    async fn prolong(&self, lease: &Lease) -> Result<Lease, NotAcquired> {
        if self.holds(lease) { Ok(lease.clone()) } else { Err(NotAcquired::Lost) }
    }

    fn retry_delay(&self) -> Duration {
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::sequence::{Order, compare, counter};
    use crate::port::Blob;
    use std::cmp::Ordering;

    #[test]
    fn counters_are_read_with_their_sign() {
        fn check(name: &'static str, expected: Option<i32>) {
            assert_eq!(counter(name.as_bytes()), expected, "{name}");
        }
        check("_c_guid-lock-0000000007", Some(7));
        check("_c_guid-lock-2147483647", Some(i32::MAX));
        check("_c_guid-lock--2147483648", Some(i32::MIN));
        check("_c_guid-lock--000000001", Some(-1));
        check("lock-", None);
        check("", None);
    }

    #[test]
    fn serial_order_survives_the_wrap() {
        let (last, first) = (Blob::from("lock-2147483647"), Blob::from("lock--2147483648"));
        assert_eq!(compare(Order::Serial, &last, &first), Ordering::Less);
        assert_eq!(compare(Order::Numeric, &last, &first), Ordering::Greater);
    }
}
