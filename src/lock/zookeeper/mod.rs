//! The ZooKeeper sequential lock (Apache Curator's `InterProcessMutex`), and its semaphore.
//!
//! **Algorithm** ([ZooKeeper recipes, "Locks"](https://zookeeper.apache.org/doc/r3.8.0/recipes.html#sc_recipes_Locks);
//! Curator's `LockInternals`): each contender creates an ephemeral sequential node under the lock's path, with a GUID in its
//! name. Whoever's node is among the first `leases` holds the lock. The others watch the one node whose going lets them on,
//! so that a release wakes one waiter and not all, and look again whenever the watch fires. Release deletes the node.
//!
//! **Claims** that at most `leases` clients hold the lock, in the order in which they asked, and that a crashed
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

use super::{Guard, Lease, Lock, NotAcquired, Undo};
use crate::port::zookeeper::{Request, Session, SessionState, Watch, WatchEvent};
use crate::port::{Blob, Instant, Outcome, Ports};
pub use client::{Client, ClientConfig, Delete, Owned, Protection, SessionOf};
use sequence::{Order, compare};
use std::time::Duration;

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
    /// How many may hold it at once: 1 is a mutex, more a semaphore.
    pub leases: usize,
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
            leases: 1,
            order: Order::Serial,
            waiting: Waiting::Predecessor,
            after_event: AfterEvent::LookAgain,
            on_cancel: OnCancel::Delete,
            believe: Believe::WhileConnected,
        }
    }
}

/// The prefix of contenders' nodes, after the GUID.
const PREFIX: &str = "lock-";
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
enum Look {
    /// We are among the first.
    Held,
    /// Our own node is gone.
    Gone,
    /// Wait for this node to go; by the herd's way for any change.
    Behind(Blob),
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
            let node = self.client.create_protected(&self.path, PREFIX).await?;
            let lease = self.lease(&node);
            let mut undo = Undo::new(self, lease.clone());
            if self.config.on_cancel == OnCancel::Leave {
                undo.disarm();
            }
            let waited = self.wait_for_turn(&node, deadline).await;
            undo.disarm();
            match waited {
                Ok(true) => return Ok(lease),
                // Its own node is gone, with its session or by somebody's hand: it begins anew.
                Ok(false) => {}
                Err(why) => {
                    drop(self.unlock(lease).await);
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
        }
    }

    /// True once it is our turn; false if our own node is gone.
    async fn wait_for_turn(&self, node: &Owned<SessionOf<P>>, deadline: Option<Instant>) -> Result<bool, NotAcquired> {
        loop {
            let behind = match self.look(node).await {
                Look::Held => return Ok(true),
                Look::Gone => return Ok(false),
                Look::Behind(other) => other,
                Look::Unknown if node.session.state() == SessionState::Lost => return Ok(false),
                Look::Unknown => continue,
            };
            let Some(deadline) = deadline else { return Err(NotAcquired::Held) };
            let Some(mut watch) = self.watch(&node.session, behind).await else { continue };
            let left = deadline.since(self.client.ports().monotonic());
            match self.client.ports().timeout(left, watch.fired()).await {
                None => return Err(NotAcquired::Held),
                Some(WatchEvent::Lost) => return Ok(false),
                Some(WatchEvent::Node(_)) if self.config.after_event == AfterEvent::Assume => return Ok(true),
                Some(WatchEvent::Node(_)) => {}
            }
        }
    }

    /// Looks at the contenders in their order.
    async fn look(&self, node: &Owned<SessionOf<P>>) -> Look {
        let Some(mut names) = node.session.children(self.path.clone()).await.ok() else { return Look::Unknown };
        names.sort_by(|left, right| compare(self.config.order, left, right));
        let ours = |name: &Blob| node.path.ends_with(name);
        match names.iter().position(ours) {
            None => Look::Gone,
            Some(place) if place < self.config.leases => Look::Held,
            Some(place) => Look::Behind(names[place - self.config.leases].clone()),
        }
    }

    /// Leaves the watch; `None` if there is nothing to wait for any more.
    async fn watch(&self, session: &SessionOf<P>, behind: Blob) -> Option<<SessionOf<P> as Session>::Watch> {
        match self.config.waiting {
            Waiting::Predecessor => {
                let path = Blob::from(format!("{}/{behind}", self.path));
                let (there, watch) = session.watch_exists(path).await;
                there.ok().flatten().map(|_| watch)
            }
            Waiting::Herd => {
                let request = Request::GetChildren { path: self.path.clone(), watch: true };
                let (names, watch) = session.ask_watching(request).await;
                let still = matches!(names.ok()?, crate::port::zookeeper::Answer::Children(names, _) if names.contains(&behind));
                still.then_some(watch)
            }
        }
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

    async fn acquire(&self, wait: Duration) -> Result<Guard<Self>, NotAcquired> {
        // The session outlives the round that it is first needed in.
        self.client.session().await?;
        let deadline = self.host().monotonic() + wait;
        let lease = self.host().round(self.take(Some(deadline))).await?;
        Ok(Guard::new(self, lease))
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
