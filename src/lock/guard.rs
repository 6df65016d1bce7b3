//! Guard: acquiring a lock, holding it, and what the history is told of both.

use super::hold::Hold;
use super::undo::Undo;
use super::{Lease, Lock, NotAcquired};
use crate::base::{Ended, Event};
use crate::port::{Host, Outcome};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Acquiring: every lock can.
pub trait Acquire: Lock {
    /// Tries once to take the lock.
    fn try_acquire(&self) -> impl Future<Output = Result<Guard<Self>, NotAcquired>> + Send {
        self.try_times(1)
    }

    /// Tries to take the lock, at once again if it was not had, so often at the most.
    fn try_times(&self, times: usize) -> impl Future<Output = Result<Guard<Self>, NotAcquired>> + Send {
        async move {
            let acquiring = Acquiring::begin(self, Duration::ZERO);
            let mut result = self.host().round(self.attempt()).await;
            for _ in 1..times {
                if result.is_err() {
                    result = self.host().round(self.attempt()).await;
                }
            }
            acquiring.end(result)
        }
    }

    /// Tries until it holds the lock or `wait` has passed by its own monotonic clock.
    fn acquire(&self, wait: Duration) -> impl Future<Output = Result<Guard<Self>, NotAcquired>> + Send {
        async move {
            let acquiring = Acquiring::begin(self, wait);
            acquiring.end(self.attempt_within(wait).await)
        }
    }
}

impl<L: Lock> Acquire for L {}

/// Tells the history of an acquisition, also if it is dropped half-way.
struct Acquiring<'a, L: Lock> {
    lock: &'a L,
    ended: bool,
}

impl<'a, L: Lock> Acquiring<'a, L> {
    fn begin(lock: &'a L, wait: Duration) -> Self {
        let wait_us_max = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        lock.host().record(Event::Acquiring { lock: lock.name().clone(), wait_us_max });
        Acquiring { lock, ended: false }
    }

    fn end(mut self, result: Result<Lease, NotAcquired>) -> Result<Guard<L>, NotAcquired> {
        self.ended = true;
        match result {
            Ok(lease) => Ok(Guard::new(self.lock, lease)),
            Err(why) => {
                self.give_up(&why.to_string());
                Err(why)
            }
        }
    }

    fn give_up(&self, why: &str) {
        self.lock.host().record(Event::NotAcquired { lock: self.lock.name().clone(), why: why.to_owned() });
    }
}

impl<L: Lock> Drop for Acquiring<'_, L> {
    fn drop(&mut self) {
        if !self.ended {
            self.give_up("interrupted");
        }
    }
}

/// A lock that is held. Dropping it releases in the background.
pub struct Guard<L: Lock> {
    lock: L,
    lease: Option<Lease>,
    hold: Arc<Hold>,
    /// The history was told that the hold is lost.
    told_lost: AtomicBool,
}

impl<L: Lock> Guard<L> {
    fn new(lock: &L, lease: Lease) -> Self {
        let guard =
            Guard { lock: lock.clone(), lease: Some(lease), hold: Arc::default(), told_lost: AtomicBool::new(false) };
        guard.tell_acquired();
        guard
    }

    fn tell_acquired(&self) {
        let Lease { token, fence, valid_until, .. } = self.lease().clone();
        let (lock, mode) = (self.lock.name().clone(), self.lock.mode());
        self.lock.host().record(Event::Acquired { lock, token, fence, valid_until, mode });
    }

    /// The holder has learnt that the hold is lost.
    fn tell_lost(&self) {
        if self.hold.is_held() && !self.told_lost.swap(true, Ordering::Relaxed) {
            let (lock, token) = (self.lock.name().clone(), self.lease().token.clone());
            self.lock.host().record(Event::Lost { lock, token });
        }
    }

    fn tell_extended(&self) {
        if self.told_lost.swap(false, Ordering::Relaxed) {
            // It had been told that it is lost: the holder believes in it anew.
            return self.tell_acquired();
        }
        let (lock, token, valid_until) =
            (self.lock.name().clone(), self.lease().token.clone(), self.lease().valid_until);
        self.lock.host().record(Event::Extended { lock, token, valid_until });
    }

    /// Takes the lease out, to be given back; the history is told that the holder does nothing more under it.
    fn take_lease(&mut self) -> Option<Lease> {
        let lease = self.lease.take()?;
        let (lock, token) = (self.lock.name().clone(), lease.token.clone());
        self.lock.host().record(Event::Releasing { lock, token });
        self.hold.release();
        Some(lease)
    }

    /// Where the hold is in its life, for threads that work under it: they see at once that it was released, or that an
    /// extension has found it lost.
    pub fn hold(&self) -> Arc<Hold> {
        Arc::clone(&self.hold)
    }

    /// The lock.
    pub fn lock(&self) -> &L {
        &self.lock
    }

    /// The lease behind it.
    pub fn lease(&self) -> &Lease {
        self.lease.as_ref().expect("a guard has its lease until it is released")
    }

    /// The fencing token to hand to the guarded resource.
    pub fn fence(&self) -> Option<u64> {
        self.lease().fence
    }

    /// True while the holder may believe in the lease, by what its own machine knows.
    pub fn is_valid(&self) -> bool {
        let valid = self.hold.is_held() && self.lock.holds(self.lease());
        if !valid {
            self.tell_lost();
        }
        valid
    }

    /// Ends when the holder must stop to believe in the lease, as far as its own machine knows.
    pub async fn lost(&self) {
        self.lock.lost(self.lease()).await;
        self.tell_lost();
    }

    /// Makes the lease last a full TTL from now.
    pub async fn extend(&mut self) -> Result<(), NotAcquired> {
        match self.lock.host().round(self.lock.prolong(self.lease())).await {
            Ok(extended) => {
                self.lease = Some(extended);
                self.tell_extended();
                Ok(())
            }
            Err(why) => {
                if why == NotAcquired::Lost {
                    self.tell_lost();
                    self.hold.lose();
                }
                Err(why)
            }
        }
    }

    /// Releases and tells how it went: `false` if the lease was not ours any more.
    /// Dropping the future releases in the background.
    pub async fn release(mut self) -> Outcome<bool> {
        let lease = self.take_lease().expect("a guard is released once");
        let outcome = self.lock.host().round(Undo::new(&self.lock, lease).give_back()).await;
        let lock = self.lock.name().clone();
        self.lock.host().record(Event::Released { lock, outcome: Ended::of(&outcome, |ours| *ours) });
        outcome
    }
}

impl<L: Lock> Drop for Guard<L> {
    fn drop(&mut self) {
        if let Some(lease) = self.take_lease() {
            drop(Undo::new(&self.lock, lease));
        }
    }
}
