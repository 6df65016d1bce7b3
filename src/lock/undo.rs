//! Undo: gives a lease back in the background if the code that took it, or is giving it back, is dropped half-way.

use super::{Lease, Lock};
use crate::port::{Host, Outcome};

/// Armed until the lease is kept, or is given back.
pub(crate) struct Undo<'a, L: Lock> {
    lock: &'a L,
    lease: Option<Lease>,
}

impl<'a, L: Lock> Undo<'a, L> {
    /// Will unlock `lease` when dropped.
    pub(crate) fn new(lock: &'a L, lease: Lease) -> Self {
        Undo { lock, lease: Some(lease) }
    }

    /// The lease is kept, or was never taken: nothing to undo.
    pub(crate) fn disarm(&mut self) {
        self.lease = None;
    }

    /// Gives the lease back now. Armed until the answer is there: dropping this future gives it back in the background.
    pub(crate) async fn give_back(mut self) -> Outcome<bool> {
        let lease = self.lease.clone().expect("an undo is armed until it is used");
        let outcome = self.lock.unlock(lease).await;
        self.disarm();
        outcome
    }
}

impl<L: Lock> Drop for Undo<'_, L> {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            let lock = self.lock.clone();
            self.lock.host().spawn(async move {
                // There is no caller to tell; a key that stays runs out with its TTL.
                drop(lock.unlock(lease).await);
            });
        }
    }
}
