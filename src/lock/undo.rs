//! Undo: gives a lease back in the background if the code that took it is dropped half-way.

use super::{Lease, Lock};
use crate::port::Host;

/// Armed until it is told that all went well.
pub(crate) struct Undo<'a, L: Lock> {
    lock: &'a L,
    lease: Option<Lease>,
}

impl<'a, L: Lock> Undo<'a, L> {
    /// Will unlock `lease` when dropped.
    pub(crate) fn new(lock: &'a L, lease: Lease) -> Self {
        Undo { lock, lease: Some(lease) }
    }

    /// All went well: nothing to undo.
    pub(crate) fn disarm(&mut self) {
        self.lease = None;
    }
}

impl<L: Lock> Drop for Undo<'_, L> {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            let lock = self.lock.clone();
            self.lock.host().spawn(async move {
                // Nobody is left to tell; a key that stays runs out with its TTL.
                drop(lock.unlock(lease).await);
            });
        }
    }
}
