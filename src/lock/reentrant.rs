//! Re-entrancy: an owner that holds a lock takes it again without asking the servers.
//!
//! **Algorithm** (Curator's `InterProcessMutex`: a map from thread to path and count): a hold is kept with its owner and the
//! number of times it was taken; only the last release goes to the servers.
//!
//! **Assumes** that whoever re-enters still holds. **Broken by** a lease that has ended meanwhile (scenario
//! `zk-reenter-after-expiry`): re-entry must look first.

use super::around::as_inside;
use super::sync::{Mutex, MutexGuard, lock};
use super::{Lease, Lock, NotAcquired, Undo};
use crate::port::Outcome;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A thread, task or request that a lock is re-entrant for.
pub type Owner = u64;

/// What an owner that has a hold on record does to take the lock again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reentry {
    /// Looks whether the hold is still good by what its own machine knows, and asks the servers if not.
    IfHeld,
    /// Goes by the record (Z7).
    ByRecord,
}

/// What the record says to an owner that wants the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It has this hold, and has taken it once more.
    Again(Lease),
    /// It had this hold, which is no longer good.
    Stale(Lease),
    /// It has none.
    New,
}

/// Who holds what, how often: shared by all owners of a process.
#[derive(Debug, Default)]
pub struct Record {
    holds: Mutex<BTreeMap<Owner, (Lease, usize)>>,
}

impl Record {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Owner, (Lease, usize)>> {
        lock(&self.holds)
    }

    /// Takes a hold once more, if the owner has one that is `good`. One that is not goes off the record: what ends it
    /// later leaves the next one alone.
    pub fn enter(&self, owner: Owner, good: impl FnOnce(&Lease) -> bool) -> Entry {
        let mut holds = self.lock();
        match holds.get_mut(&owner) {
            None => Entry::New,
            Some((lease, count)) if good(lease) => {
                *count += 1;
                Entry::Again(lease.clone())
            }
            Some(_) => holds.remove(&owner).map_or(Entry::New, |(lease, _)| Entry::Stale(lease)),
        }
    }

    /// Notes a hold that was taken on the servers.
    pub fn taken(&self, owner: Owner, lease: &Lease) {
        self.lock().insert(owner, (lease.clone(), 1));
    }

    /// Gives a hold back once. True if it was the last time: the servers are to be told.
    pub fn leave(&self, owner: Owner, lease: &Lease) -> bool {
        let mut holds = self.lock();
        match holds.get_mut(&owner) {
            Some((held, count)) if held.token == lease.token && *count > 1 => {
                *count -= 1;
                false
            }
            Some((held, _)) if held.token == lease.token => {
                holds.remove(&owner);
                true
            }
            // A hold that was lost: whatever is on record is a later one.
            _ => true,
        }
    }
}

/// A lock as one owner of a process sees it.
#[derive(Clone)]
pub struct Reentrant<L: Lock> {
    lock: L,
    record: Arc<Record>,
    owner: Owner,
    reentry: Reentry,
}

impl<L: Lock> Reentrant<L> {
    /// The lock, re-entrant for this owner; all owners of a process share the record.
    pub fn new(lock: &L, record: &Arc<Record>, owner: Owner, reentry: Reentry) -> Self {
        Reentrant { lock: lock.clone(), record: Arc::clone(record), owner, reentry }
    }

    /// The hold that is taken again. One that is no longer good is given back, or its owner would wait for itself.
    async fn enter(&self) -> Option<Lease> {
        let good = |lease: &Lease| self.reentry == Reentry::ByRecord || self.lock.holds(lease);
        match self.record.enter(self.owner, good) {
            Entry::Again(lease) => Some(lease),
            Entry::Stale(lease) => {
                drop(Undo::new(&self.lock, lease).give_back().await);
                None
            }
            Entry::New => None,
        }
    }
}

impl<L: Lock> Lock for Reentrant<L> {
    as_inside!();

    async fn attempt(&self) -> Result<Lease, NotAcquired> {
        if let Some(lease) = self.enter().await {
            return Ok(lease);
        }
        let lease = self.lock.attempt().await?;
        self.record.taken(self.owner, &lease);
        Ok(lease)
    }

    async fn attempt_within(&self, wait: Duration) -> Result<Lease, NotAcquired> {
        if let Some(lease) = self.enter().await {
            return Ok(lease);
        }
        let lease = self.lock.attempt_within(wait).await?;
        self.record.taken(self.owner, &lease);
        Ok(lease)
    }

    async fn unlock(&self, lease: Lease) -> Outcome<bool> {
        if self.record.leave(self.owner, &lease) { self.lock.unlock(lease).await } else { Outcome::Ok(true) }
    }

    fn prolong(&self, lease: &Lease) -> impl Future<Output = Result<Lease, NotAcquired>> + Send {
        self.lock.prolong(lease)
    }

    fn holds(&self, lease: &Lease) -> bool {
        self.lock.holds(lease)
    }

    fn lost(&self, lease: &Lease) -> impl Future<Output = ()> + Send {
        self.lock.lost(lease)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(token: &'static str) -> Lease {
        Lease { token: token.into(), fence: None, valid_until: None, session: None, hold: None }
    }

    #[test]
    fn only_the_last_release_goes_to_the_servers() {
        let record = Record::default();
        record.taken(1, &lease("first"));
        assert_eq!(record.enter(1, |_| true), Entry::Again(lease("first")));
        assert_eq!(record.enter(2, |_| true), Entry::New, "another owner has no hold");
        assert!(!record.leave(1, &lease("first")));
        assert!(record.leave(1, &lease("first")));
        assert_eq!(record.enter(1, |_| true), Entry::New);
    }

    #[test]
    fn the_release_of_a_lost_hold_leaves_the_next_one_alone() {
        let record = Record::default();
        record.taken(1, &lease("lost"));
        assert_eq!(record.enter(1, |_| false), Entry::Stale(lease("lost")));
        record.taken(1, &lease("next"));
        assert!(record.leave(1, &lease("lost")), "the servers are told of the lost one");
        assert_eq!(record.enter(1, |_| true), Entry::Again(lease("next")));
    }
}
