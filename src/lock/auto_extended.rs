//! Automatic extension: any lock whose holds are leases, extended while they are held (node-redlock's `using`).
//!
//! **Algorithm** ([`using` of
//! node-redlock](https://github.com/mike-marcacci/node-redlock/blob/v5.0.0-beta.2/src/index.ts)): while a hold lasts, a
//! task extends its lease each third of the TTL. An extension that fails is tried again until the lease is over. Then
//! the hold is lost. A release ends the task first.
//!
//! **Claims** what the lock claims, for holds of any length.
//!
//! **Assumes** what the lock assumes, and that a holder stops when it is told that its hold is lost.
//!
//! node-redlock tells the holder when an extension has failed. Until then the holder believes in its hold, also if the
//! extension is still on its way when the lease is over (`extension-signal-late`). Here the holder's clock tells it,
//! too.

use super::around::as_inside;
use super::lifetime::{Lifetime, Renewal};
use super::sync::{Mutex, lock};
use super::{Lease, Lock, NotAcquired};
use crate::base::Event;
use crate::port::{Blob, Host, Outcome};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What tells a holder that its hold is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The end of its lease by its own clock, or an extension that is refused.
    ByTheClock,
    /// An extension that has failed when the lease is over, as in node-redlock.
    ByTheExtension,
}

/// The options of the extension.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The TTL of the lock: a lease is extended each third of it.
    pub ttl: Duration,
    /// How long to wait for one extension.
    pub request_timeout: Duration,
    /// What tells a holder that its hold is lost.
    pub told: Told,
}

impl Config {
    /// The options for a lock with this TTL.
    pub fn new(ttl: Duration) -> Self {
        Config { ttl, request_timeout: ttl / 3, told: Told::ByTheClock }
    }
}

/// A lock whose leases are extended while they are held.
#[derive(Clone)]
pub struct AutoExtended<L: Lock> {
    lock: L,
    config: Config,
    holds: Arc<Mutex<BTreeMap<Blob, Arc<Kept>>>>,
}

/// A hold that is kept alive, and its latest lease.
struct Kept {
    life: Lifetime,
    lease: Mutex<Lease>,
}

impl Kept {
    fn lease(&self) -> Lease {
        lock(&self.lease).clone()
    }

    /// The lease was extended. False if the hold had ended: that extends nothing.
    fn extended(&self, lease: &Lease) -> bool {
        if self.life.hold().is_held() {
            *lock(&self.lease) = lease.clone();
            true
        } else {
            false
        }
    }
}

impl<L: Lock> AutoExtended<L> {
    /// This lock, with leases that are extended.
    pub fn new(lock: L, config: Config) -> Self {
        AutoExtended { lock, config, holds: Arc::default() }
    }

    fn kept(&self, lease: &Lease) -> Option<Arc<Kept>> {
        lock(&self.holds).get(&lease.token).cloned()
    }

    /// Begins to extend a lease. One without an end is left alone.
    fn keep(&self, lease: Lease) -> Lease {
        let Some(until) = lease.valid_until else { return lease };
        let life = Lifetime::new(until, self.config.ttl);
        let kept = Arc::new(Kept { life, lease: Mutex::new(lease.clone()) });
        lock(&self.holds).insert(lease.token.clone(), Arc::clone(&kept));
        let extender = self.clone();
        self.host().spawn_background(async move {
            let extend = || extender.extend(&kept);
            kept.life.keep(extender.host(), extender.config.request_timeout, extend).await;
        });
        self.as_told(lease)
    }

    /// A lease as its holder is to see it.
    fn as_told(&self, lease: Lease) -> Lease {
        match self.config.told {
            Told::ByTheClock => lease,
            Told::ByTheExtension => Lease { valid_until: None, ..lease },
        }
    }

    /// One extension, of which the history is told.
    async fn extend(&self, kept: &Kept) -> Renewal {
        match self.lock.prolong(&kept.lease()).await {
            Ok(lease) if kept.extended(&lease) => {
                let until = lease.valid_until.unwrap_or_else(|| kept.life.until());
                let Lease { token, valid_until, .. } = self.as_told(lease);
                self.host().record(Event::Extended { lock: self.name().clone(), token, valid_until });
                Renewal::Renewed(until)
            }
            Ok(_) | Err(NotAcquired::Lost) => Renewal::Gone,
            Err(_) => Renewal::Unanswered,
        }
    }
}

impl<L: Lock> Lock for AutoExtended<L> {
    as_inside!();

    async fn attempt(&self) -> Result<Lease, NotAcquired> {
        self.lock.attempt().await.map(|lease| self.keep(lease))
    }

    async fn attempt_within(&self, wait: Duration) -> Result<Lease, NotAcquired> {
        self.lock.attempt_within(wait).await.map(|lease| self.keep(lease))
    }

    async fn unlock(&self, lease: Lease) -> Outcome<bool> {
        let kept = lock(&self.holds).remove(&lease.token);
        let Some(kept) = kept else { return self.lock.unlock(lease).await };
        kept.life.hold().release();
        self.lock.unlock(kept.lease()).await
    }

    async fn prolong(&self, lease: &Lease) -> Result<Lease, NotAcquired> {
        let Some(kept) = self.kept(lease) else { return self.lock.prolong(lease).await };
        let extended = self.lock.prolong(&kept.lease()).await?;
        if !kept.extended(&extended) {
            return Err(NotAcquired::Lost);
        }
        kept.life.renewed(extended.valid_until.unwrap_or_else(|| kept.life.until()));
        Ok(self.as_told(extended))
    }

    fn holds(&self, lease: &Lease) -> bool {
        let Some(kept) = self.kept(lease) else { return self.lock.holds(lease) };
        let in_time = self.config.told == Told::ByTheExtension || self.lock.holds(&kept.lease());
        kept.life.hold().is_held() && in_time
    }

    async fn lost(&self, lease: &Lease) {
        let Some(kept) = self.kept(lease) else { return self.lock.lost(lease).await };
        let _phase = kept.life.ended().await;
    }
}
