//! Any: a lock of a kind that is known only when the program runs, from its configuration say.
//!
//! Each step of the lock inside has a box of its own. Code that takes an [`AnyLock`] is compiled once, and not for each
//! kind of lock.

use super::{Lease, Lock, NotAcquired};
use crate::base::Mode;
use crate::port::{Blob, Host, Outcome};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A lock of any kind.
pub struct AnyLock<H> {
    lock: Arc<dyn Steps<H>>,
}

impl<H: Host> AnyLock<H> {
    /// This lock, without its type.
    pub fn new(lock: impl Lock<Host = H>) -> Self {
        AnyLock { lock: Arc::new(lock) }
    }
}

impl<H> Clone for AnyLock<H> {
    fn clone(&self) -> Self {
        AnyLock { lock: Arc::clone(&self.lock) }
    }
}

/// The steps of a [`Lock`], with futures in boxes.
trait Steps<H>: Send + Sync {
    fn host(&self) -> &H;
    fn name(&self) -> &Blob;
    fn attempt(&self) -> Boxed<'_, Result<Lease, NotAcquired>>;
    fn unlock(&self, lease: Lease) -> Boxed<'_, Outcome<bool>>;
    fn prolong<'a>(&'a self, lease: &'a Lease) -> Boxed<'a, Result<Lease, NotAcquired>>;
    fn retry_delay(&self) -> Duration;
    fn leased(&self, ttl: Duration) -> Option<AnyLock<H>>;
    fn mode(&self) -> Mode;
    fn lost<'a>(&'a self, lease: &'a Lease) -> Boxed<'a, ()>;
    fn holds(&self, lease: &Lease) -> bool;
    fn attempt_within(&self, wait: Duration) -> Boxed<'_, Result<Lease, NotAcquired>>;
}

impl<L: Lock> Steps<L::Host> for L {
    fn host(&self) -> &L::Host {
        Lock::host(self)
    }

    fn name(&self) -> &Blob {
        Lock::name(self)
    }

    fn attempt(&self) -> Boxed<'_, Result<Lease, NotAcquired>> {
        Box::pin(Lock::attempt(self))
    }

    fn unlock(&self, lease: Lease) -> Boxed<'_, Outcome<bool>> {
        Box::pin(Lock::unlock(self, lease))
    }

    fn prolong<'a>(&'a self, lease: &'a Lease) -> Boxed<'a, Result<Lease, NotAcquired>> {
        Box::pin(Lock::prolong(self, lease))
    }

    fn retry_delay(&self) -> Duration {
        Lock::retry_delay(self)
    }

    fn leased(&self, ttl: Duration) -> Option<AnyLock<L::Host>> {
        Lock::leased(self, ttl).map(AnyLock::new)
    }

    fn mode(&self) -> Mode {
        Lock::mode(self)
    }

    fn lost<'a>(&'a self, lease: &'a Lease) -> Boxed<'a, ()> {
        Box::pin(Lock::lost(self, lease))
    }

    fn holds(&self, lease: &Lease) -> bool {
        Lock::holds(self, lease)
    }

    fn attempt_within(&self, wait: Duration) -> Boxed<'_, Result<Lease, NotAcquired>> {
        Box::pin(Lock::attempt_within(self, wait))
    }
}

impl<H: Host> Lock for AnyLock<H> {
    type Host = H;

    fn host(&self) -> &H {
        self.lock.host()
    }

    fn name(&self) -> &Blob {
        self.lock.name()
    }

    fn attempt(&self) -> impl Future<Output = Result<Lease, NotAcquired>> + Send {
        self.lock.attempt()
    }

    fn unlock(&self, lease: Lease) -> impl Future<Output = Outcome<bool>> + Send {
        self.lock.unlock(lease)
    }

    async fn prolong(&self, lease: &Lease) -> Result<Lease, NotAcquired> {
        self.lock.prolong(lease).await
    }

    fn retry_delay(&self) -> Duration {
        self.lock.retry_delay()
    }

    fn leased(&self, ttl: Duration) -> Option<Self> {
        self.lock.leased(ttl)
    }

    fn mode(&self) -> Mode {
        self.lock.mode()
    }

    async fn lost(&self, lease: &Lease) {
        self.lock.lost(lease).await;
    }

    fn holds(&self, lease: &Lease) -> bool {
        self.lock.holds(lease)
    }

    fn attempt_within(&self, wait: Duration) -> impl Future<Output = Result<Lease, NotAcquired>> + Send {
        self.lock.attempt_within(wait)
    }
}
