//! Two levels: a thread takes a mutex in the memory of its process first, and only then the lock on the servers.
//!
//! **Algorithm** (Spring Integration's [`RedisLockRegistry`][registry]): a process has a registry of mutexes, one for
//! each lock that its threads use. A thread takes the mutex and then, over the network, the lock. A release gives the
//! lock back, and then the mutex. So of all threads of a process at most one asks the servers.
//!
//! **Claims** what the lock on the servers claims.
//!
//! **Assumes** what that lock assumes. Where its owner is the process, as it is in Spring Integration, and not the
//! single acquisition, the mutex alone keeps the threads apart: then the registry must not forget one that is held
//! (`local-lock-forgotten`).
//!
//! [registry]: https://docs.spring.io/spring-integration/reference/redis.html#redis-lock-registry

use super::around::as_inside;
use super::local::{Held, Registry};
use super::sync::{Mutex, lock};
use super::{Lease, Lock, NotAcquired};
use crate::port::{Blob, Host, Outcome};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A lock behind a mutex of its process.
#[derive(Clone)]
pub struct TwoLevel<L: Lock> {
    registry: Arc<Registry>,
    lock: L,
    /// The holds of this object, each by its token.
    holds: Arc<Mutex<BTreeMap<Blob, (Lease, Held)>>>,
}

impl<L: Lock> TwoLevel<L> {
    /// This lock, behind the mutex of its name in the registry, which all threads of the process share.
    pub fn new(registry: &Arc<Registry>, lock: L) -> Self {
        TwoLevel { registry: Arc::clone(registry), lock, holds: Arc::default() }
    }

    /// The lock's own lease behind this one.
    fn inner(&self, lease: &Lease) -> Lease {
        lock(&self.holds).get(&lease.token).map_or_else(|| lease.clone(), |(inner, _)| inner.clone())
    }

    /// The lock was taken behind the mutex: its lease, named after the hold where one owner may have several.
    fn keep(&self, held: Held, inner: Lease) -> Lease {
        let token = inner.hold.clone().unwrap_or_else(|| inner.token.clone());
        lock(&self.holds).insert(token.clone(), (inner.clone(), held));
        Lease { token, ..inner }
    }
}

impl<L: Lock> Lock for TwoLevel<L> {
    as_inside!();

    async fn attempt(&self) -> Result<Lease, NotAcquired> {
        let local = self.registry.obtain(self.name(), self.host().monotonic());
        let held = local.try_lock().ok_or(NotAcquired::Held)?;
        let inner = self.lock.attempt().await?;
        Ok(self.keep(held, inner))
    }

    async fn attempt_within(&self, wait: Duration) -> Result<Lease, NotAcquired> {
        let deadline = self.host().monotonic() + wait;
        let local = self.registry.obtain(self.name(), self.host().monotonic());
        let held = self.host().timeout(wait, local.lock()).await.ok_or(NotAcquired::Held)?;
        let inner = self.lock.attempt_within(deadline.left_at(self.host().monotonic())).await?;
        Ok(self.keep(held, inner))
    }

    async fn unlock(&self, lease: Lease) -> Outcome<bool> {
        let outcome = self.lock.unlock(self.inner(&lease)).await;
        // The mutex is given back only now, and not while the map is locked.
        let kept = lock(&self.holds).remove(&lease.token);
        drop(kept);
        outcome
    }

    async fn prolong(&self, lease: &Lease) -> Result<Lease, NotAcquired> {
        let prolonged = self.lock.prolong(&self.inner(lease)).await?;
        if let Some((inner, _)) = lock(&self.holds).get_mut(&lease.token) {
            *inner = prolonged.clone();
        }
        Ok(Lease { token: lease.token.clone(), ..prolonged })
    }

    fn leased(&self, ttl: Duration) -> Option<Self> {
        Some(TwoLevel { lock: self.lock.leased(ttl)?, ..self.clone() })
    }

    fn holds(&self, lease: &Lease) -> bool {
        self.lock.holds(&self.inner(lease))
    }

    async fn lost(&self, lease: &Lease) {
        self.lock.lost(&self.inner(lease)).await;
    }
}
