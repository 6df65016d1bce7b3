//! Sync: what the parts that threads share are made of; loom's instead of the standard library's under `--cfg doublehold_loom`.

#[cfg(doublehold_loom)]
pub(super) use loom::sync::{Arc, Mutex, MutexGuard};
use std::sync::PoisonError;
#[cfg(not(doublehold_loom))]
pub(super) use std::sync::{Arc, Mutex, MutexGuard};

/// What a mutex guards. A thread that panicked while it had it has left a value that is as good as any.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
