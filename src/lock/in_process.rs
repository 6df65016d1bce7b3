//! A mutex inside one process: the baseline.
//!
//! **Algorithm**: a flag in memory, as `synchronized` or `ReentrantLock` is (article oversell).
//!
//! **Claims** mutual exclusion between the tasks of one process.
//!
//! **Assumes** that there is one process. **Broken by** a second one (scenario `in-process-two-machines`): each has a flag of its own.

use super::{Lease, Lock, NotAcquired};
use crate::port::{Blob, Host, Outcome};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A lock in the memory of one process; clones share it.
#[derive(Clone)]
pub struct InProcessLock<H: Host> {
    host: H,
    name: Blob,
    /// The number of the holder, 0 while free.
    holder: Arc<AtomicU64>,
    /// The number of holds so far: the fencing token.
    holds: Arc<AtomicU64>,
    retry_delay: Duration,
}

impl<H: Host> InProcessLock<H> {
    /// A free lock; waiters look again every `retry_delay`.
    pub fn new(host: &H, name: impl Into<Blob>, retry_delay: Duration) -> Self {
        InProcessLock {
            host: host.clone(),
            name: name.into(),
            holder: Arc::default(),
            holds: Arc::default(),
            retry_delay,
        }
    }
}

impl<H: Host> Lock for InProcessLock<H> {
    type Host = H;

    fn host(&self) -> &H {
        &self.host
    }

    fn name(&self) -> &Blob {
        &self.name
    }

    async fn attempt(&self) -> Result<Lease, NotAcquired> {
        let number = self.holds.fetch_add(1, Ordering::SeqCst) + 1;
        match self.holder.compare_exchange(0, number, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => Ok(Lease {
                token: self.host.unique_id(),
                fence: Some(number),
                valid_until: None,
                session: None,
                hold: None,
            }),
            Err(_) => Err(NotAcquired::Held),
        }
    }

    async fn unlock(&self, lease: Lease) -> Outcome<bool> {
        let number = lease.fence.unwrap_or_default();
        Outcome::Ok(self.holder.compare_exchange(number, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok())
    }

    async fn prolong(&self, lease: &Lease) -> Result<Lease, NotAcquired> {
        if Some(self.holder.load(Ordering::SeqCst)) == lease.fence { Ok(lease.clone()) } else { Err(NotAcquired::Lost) }
    }

    fn retry_delay(&self) -> Duration {
        self.retry_delay
    }
}
