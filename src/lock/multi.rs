//! Several locks as one: Redisson's `MultiLock`, and its RedLock.
//!
//! **Algorithm**
//! ([`RedissonMultiLock`](https://github.com/redisson/redisson/blob/redisson-3.45.1/redisson/src/main/java/org/redisson/RedissonMultiLock.java)):
//! each lock is tried in turn. With as many as are needed the whole is held; with fewer, all are given back. Release
//! gives each back.
//!
//! **Claims** what its members claim, if all of them are needed: mutual exclusion between holders that share one
//! member. With a majority of them it claims what [RedLock](super::redlock) does.
//!
//! **Assumes** what its members assume, and that they are leases that nothing keeps alive: the whole is valid for as
//! long as enough of its members are.
//!
//! **Broken by** the mistakes among its options: leases that are taken for another time than they are meant for and
//! prolonged without a look at their owner (`redlock-no-lease`, `redlock-prolongs-unowned`), and a release that stops
//! at its first error (`multi-lock-partial-unlock`).

use super::sync::{Mutex, lock};
use super::{Lease, Lock, NotAcquired, Undo};
use crate::port::{Blob, Host, Instant, Outcome};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What an attempt does once it has enough members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prolong {
    /// Nothing: they were taken for as long as is meant.
    No,
    /// It prolongs each. Those that are lost do not count.
    Checked,
    /// It prolongs each, and counts them whatever comes of that (R20).
    Unchecked,
}

/// How a release goes through the members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseOf {
    /// It gives each back.
    Each,
    /// It stops at the first one that was not given back (R33).
    UntilError,
}

/// The options of the lock; the default needs all members.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// How many members are needed; `None`: all.
    pub needed: Option<usize>,
    /// What an attempt does once it has enough members.
    pub prolong: Prolong,
    /// How a release goes through the members.
    pub release: ReleaseOf,
    /// The delay between two attempts.
    pub retry_delay: Duration,
}

impl Config {
    /// All members are needed.
    pub fn new(retry_delay: Duration) -> Self {
        Config { needed: None, prolong: Prolong::No, release: ReleaseOf::Each, retry_delay }
    }
}

/// The leases of a hold, each at its member's place.
type Leases = Vec<Option<Lease>>;

/// Several locks as one.
#[derive(Clone)]
pub struct MultiLock<L: Lock> {
    members: Vec<L>,
    config: Config,
    holds: Arc<Mutex<BTreeMap<Blob, Leases>>>,
}

impl<L: Lock> MultiLock<L> {
    /// These locks as one, with the first one's name.
    ///
    /// # Panics
    /// If there is none.
    pub fn new(members: Vec<L>, config: Config) -> Self {
        assert!(!members.is_empty(), "a lock of several has at least one");
        MultiLock { members, config, holds: Arc::default() }
    }

    fn needed(&self) -> usize {
        self.config.needed.unwrap_or(self.members.len())
    }

    fn leases(&self, hold: &Blob) -> Leases {
        lock(&self.holds).get(hold).cloned().unwrap_or_default()
    }

    fn keep(&self, hold: &Blob, at: usize, lease: Option<Lease>) {
        if let Some(leases) = lock(&self.holds).get_mut(hold) {
            leases[at] = lease;
        }
    }

    /// Tries each member, until too many were refused.
    async fn take(&self, hold: &Blob) -> Result<(), NotAcquired> {
        let mut spare = self.members.len() - self.needed();
        for (at, member) in self.members.iter().enumerate() {
            match member.attempt().await {
                Ok(lease) => self.keep(hold, at, Some(lease)),
                Err(_) if spare > 0 => spare -= 1,
                Err(why) => return Err(why),
            }
        }
        match self.config.prolong {
            Prolong::No => Ok(()),
            Prolong::Checked | Prolong::Unchecked => self.prolong_each(hold).await,
        }
    }

    /// Prolongs what is held. A member that is not prolonged is lost.
    async fn prolong_each(&self, hold: &Blob) -> Result<(), NotAcquired> {
        let mut granted = 0;
        for (at, lease) in self.leases(hold).into_iter().enumerate() {
            let Some(lease) = lease else { continue };
            match self.members[at].prolong(&lease).await {
                Ok(prolonged) => {
                    self.keep(hold, at, Some(prolonged));
                    granted += 1;
                }
                Err(_) if self.config.prolong == Prolong::Unchecked => granted += 1,
                Err(_) => {}
            }
        }
        let needed = self.needed();
        if granted >= needed { Ok(()) } else { Err(NotAcquired::NoQuorum { granted, needed }) }
    }

    /// The hold as a lease: its token is that of its members, and it is valid for as long as enough of them are.
    fn lease(&self, hold: &Blob) -> Lease {
        let leases: Vec<Lease> = self.leases(hold).into_iter().flatten().collect();
        let token = leases.first().map_or_else(|| hold.clone(), |lease| lease.token.clone());
        let mut ends: Vec<Option<Instant>> = leases.iter().map(|lease| lease.valid_until).collect();
        // The last ends first; a lease without an end comes before all.
        ends.sort_by_key(|end| std::cmp::Reverse((end.is_none(), *end)));
        let valid_until = ends.get(self.needed() - 1).copied().flatten();
        Lease { token, fence: None, valid_until, session: None, hold: Some(hold.clone()) }
    }
}

impl<L: Lock> Lock for MultiLock<L> {
    type Host = L::Host;

    fn host(&self) -> &L::Host {
        self.members[0].host()
    }

    fn name(&self) -> &Blob {
        self.members[0].name()
    }

    async fn attempt(&self) -> Result<Lease, NotAcquired> {
        let hold = self.host().unique_id();
        lock(&self.holds).insert(hold.clone(), vec![None; self.members.len()]);
        let mut undo = Undo::new(self, self.lease(&hold));
        let mut taken = self.take(&hold).await;
        let lease = self.lease(&hold);
        if taken.is_ok() && lease.valid_until.is_some_and(|until| self.host().monotonic() >= until) {
            taken = Err(NotAcquired::Expired);
        }
        if let Err(why) = taken {
            drop(undo.give_back().await);
            return Err(why);
        }
        undo.disarm();
        Ok(lease)
    }

    async fn unlock(&self, lease: Lease) -> Outcome<bool> {
        let hold = lease.hold.expect("a lease of this lock names its hold");
        let mut outcome = Outcome::Ok(true);
        for (at, lease) in self.leases(&hold).into_iter().enumerate() {
            let Some(lease) = lease else { continue };
            let released = self.members[at].unlock(lease).await;
            self.keep(&hold, at, None);
            if released != Outcome::Ok(true) {
                outcome = released;
                if self.config.release == ReleaseOf::UntilError {
                    break;
                }
            }
        }
        lock(&self.holds).remove(&hold);
        outcome
    }

    async fn prolong(&self, lease: &Lease) -> Result<Lease, NotAcquired> {
        let hold = lease.hold.as_ref().expect("a lease of this lock names its hold");
        self.prolong_each(hold).await?;
        if lease.valid_until.is_some_and(|until| self.host().monotonic() >= until) {
            return Err(NotAcquired::Expired);
        }
        Ok(self.lease(hold))
    }

    fn retry_delay(&self) -> Duration {
        self.config.retry_delay
    }
}
