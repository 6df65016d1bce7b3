//! Around: what a lock that wraps another one has from it, unchanged.

/// The items of a [`Lock`](super::Lock) that are those of the lock in `self.lock`, of type `L`.
macro_rules! as_inside {
    () => {
        type Host = L::Host;

        fn host(&self) -> &L::Host {
            self.lock.host()
        }

        fn name(&self) -> &$crate::port::Blob {
            self.lock.name()
        }

        fn mode(&self) -> $crate::base::Mode {
            self.lock.mode()
        }

        fn retry_delay(&self) -> std::time::Duration {
            self.lock.retry_delay()
        }
    };
}
pub(super) use as_inside;
