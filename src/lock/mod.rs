//! The locks: one algorithm a file, generic over the ports.
//!
//! | file | algorithm | claims mutual exclusion under |
//! |---|---|---|
//! | [`redis`] | `SET key token NX PX ttl` on one server | no failover, pauses and delays below the TTL |
//! | [`redisson`] | Redisson's locks: a watchdog renews them | no failover, no pause of the watchdog beyond the TTL |
//! | [`redlock`] | RedLock on N independent servers | bounded drift, no clock steps, durable or delayed restarts |
//! | [`timestamp`] | `SETNX key timestamp` on one server, as before `SET NX PX` | wall clocks that agree |
//! | [`multi`] | several locks as one | what its members need |
//! | [`auto_extended`] | any lock with leases, extended while they are held | what that lock needs |
//! | [`two_level`] | any lock, behind a mutex in the memory of each process | what that lock needs |
//! | [`zookeeper`] | ephemeral sequential nodes on a ZooKeeper ensemble | no pause beyond the session time-out |
//! | [`etcd`] | keys with a lease on an etcd cluster, in the order of their creation | no pause beyond the lease |
//! | [`mysql`] | versions and row locks, a lock table, `GET_LOCK` on a MySQL server | see there |
//! | [`in_process`] | a mutex in the memory of one process | one process only: the baseline |
//!
//! [`segmented`] makes a lock per merchant or SKU of any of them; [`reentrant`] lets an owner take any of them again;
//! [`any`] is one of a kind that is known only when the program runs. [`hold`] is what threads share of a guard,
//! [`local`] what they take in front of a lock. [`resource`] is what a lock
//! guards; it can check fencing tokens.

pub mod any;
mod around;
pub mod auto_extended;
pub mod etcd;
mod guard;
pub mod hold;
pub mod in_process;
pub mod lifetime;
pub mod local;
pub mod multi;
pub mod mysql;
pub mod redis;
pub mod redisson;
pub mod redlock;
pub mod reentrant;
pub mod resource;
pub mod segmented;
mod sync;
pub mod timestamp;
pub mod two_level;
mod undo;
pub mod zookeeper;

use crate::base::Mode;
use crate::port::{Blob, Host, Instant, Outcome};
pub use guard::{Acquire, Guard};
use std::fmt;
use std::future::Future;
use std::time::Duration;

pub(crate) use undo::Undo;

/// A lock that can be tried, waited for, extended and released.
///
/// An algorithm gives the four steps [`attempt`](Lock::attempt), [`unlock`](Lock::unlock), [`prolong`](Lock::prolong)
/// and [`retry_delay`](Lock::retry_delay), and a better way to wait if it has one
/// ([`attempt_within`](Lock::attempt_within)). [`Acquire`], the [`Guard`] that releases on drop, and the events that
/// both record are the same for all.
pub trait Lock: Clone + Send + Sync + 'static {
    /// The machine that it runs on.
    type Host: Host;

    /// The machine that it runs on.
    fn host(&self) -> &Self::Host;

    /// The lock's name on the servers.
    fn name(&self) -> &Blob;

    /// Tries once to take the lock. Dropping the future leaks nothing: what may have been taken is given back.
    fn attempt(&self) -> impl Future<Output = Result<Lease, NotAcquired>> + Send;

    /// Gives a lease back; `false` if it was not ours any more.
    fn unlock(&self, lease: Lease) -> impl Future<Output = Outcome<bool>> + Send;

    /// Makes a lease last a full TTL from now.
    fn prolong(&self, lease: &Lease) -> impl Future<Output = Result<Lease, NotAcquired>> + Send;

    /// How long to wait before the next attempt.
    fn retry_delay(&self) -> Duration;

    /// The same lock, with holds that last so long and that nothing keeps alive. `None` if the algorithm has no such
    /// holds.
    fn leased(&self, _ttl: Duration) -> Option<Self> {
        None
    }

    /// Who may hold it beside a holder.
    fn mode(&self) -> Mode {
        Mode::Exclusive
    }

    /// Ends when the holder must stop to believe in the lease, as far as its own machine knows.
    fn lost(&self, lease: &Lease) -> impl Future<Output = ()> + Send {
        async move {
            match lease.valid_until {
                Some(until) => self.host().sleep(until.left_at(self.host().monotonic())).await,
                None => std::future::pending().await,
            }
        }
    }

    /// True while the holder may believe in the lease, by what its own machine knows.
    fn holds(&self, lease: &Lease) -> bool {
        lease.valid_until.is_none_or(|until| self.host().monotonic() < until)
    }

    /// Tries until it holds the lock or `wait` has passed by its own monotonic clock. The last
    /// attempt begins before the deadline and may end after it. Dropping the future leaks nothing.
    fn attempt_within(&self, wait: Duration) -> impl Future<Output = Result<Lease, NotAcquired>> + Send {
        async move {
            let deadline = self.host().monotonic() + wait;
            loop {
                let refused = match self.host().round(self.attempt()).await {
                    Err(refused) => refused,
                    taken => return taken,
                };
                let delay = self.retry_delay();
                if self.host().monotonic() + delay >= deadline {
                    return Err(refused);
                }
                self.host().sleep(delay).await;
            }
        }
    }
}

/// A hold on a lock, as the algorithm knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// What marks the lock as this holder's on the servers.
    pub token: Blob,
    /// The fencing token, if the lock gives one: larger for each later hold.
    pub fence: Option<u64>,
    /// Until when the holder may believe in it, by its own monotonic clock; `None`: until told otherwise.
    pub valid_until: Option<Instant>,
    /// The session on the servers that it ends with, if it does.
    pub session: Option<i64>,
    /// Which of the token's holds it is, where one token may hold several times.
    pub hold: Option<Blob>,
}

/// Why a lock was not acquired. Nothing of the attempt is left on the servers that answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotAcquired {
    /// Somebody else has it.
    Held,
    /// Too few of the servers said yes.
    NoQuorum {
        /// The servers that said yes.
        granted: usize,
        /// The servers that had to.
        needed: usize,
    },
    /// It took so long that the lease would be over already.
    Expired,
    /// No server answered, or the answer was lost.
    Unavailable,
    /// The lease is not ours any more.
    Lost,
}

impl fmt::Display for NotAcquired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotAcquired::Held => f.write_str("held by another"),
            NotAcquired::NoQuorum { granted, needed } => write!(f, "{granted} of {needed} needed servers granted it"),
            NotAcquired::Expired => f.write_str("the quorum took longer than the lease lasts"),
            NotAcquired::Unavailable => f.write_str("no answer"),
            NotAcquired::Lost => f.write_str("the lease is lost"),
        }
    }
}

impl std::error::Error for NotAcquired {}
