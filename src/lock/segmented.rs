//! Segmentation: a lock per merchant or SKU instead of one for all, so that only those wait for each other who have to.
//!
//! **Algorithm**: a function makes the lock of a segment from the segment's name, whatever kind of lock it is. Segments are the keys
//! themselves, or so many of them that keys are spread over by a hash that is the same on every machine.
//!
//! **Claims** for each key what its lock claims. Whoever takes several takes them in the order of their names, each segment once, so
//! that no two clients wait for each other.
//!
//! **Assumes** that what one key guards is touched by nobody under another.

use super::sync::{Mutex, lock};
use super::{Acquire, Guard, Lock, NotAcquired};
use crate::port::{Blob, Host};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How keys are shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segments {
    /// A segment for each key.
    PerKey,
    /// So many segments for all keys.
    Hashed(u32),
}

/// Locks by key. Its clones share them.
pub struct Segmented<L: Lock> {
    segments: Segments,
    make: Arc<dyn Fn(&Blob) -> L + Send + Sync>,
    /// The locks that were needed so far: one that is only in a process's memory must stay the same one.
    locks: Arc<Mutex<BTreeMap<Blob, L>>>,
}

impl<L: Lock> Clone for Segmented<L> {
    fn clone(&self) -> Self {
        Segmented { segments: self.segments, make: Arc::clone(&self.make), locks: Arc::clone(&self.locks) }
    }
}

impl<L: Lock> Segmented<L> {
    /// Locks that `make` makes, given a segment's name.
    pub fn new(segments: Segments, make: impl Fn(&Blob) -> L + Send + Sync + 'static) -> Self {
        Segmented { segments, make: Arc::new(make), locks: Arc::new(Mutex::new(BTreeMap::new())) }
    }

    /// The name of a key's segment.
    pub fn segment(&self, key: &Blob) -> Blob {
        match self.segments {
            Segments::PerKey => key.clone(),
            Segments::Hashed(count) => Blob::from(u64::from(fnv1a(key) % count.max(1))),
        }
    }

    /// The lock of a key.
    pub fn lock_of(&self, key: &Blob) -> L {
        let segment = self.segment(key);
        let mut locks = lock(&self.locks);
        locks.entry(segment).or_insert_with_key(|segment| (self.make)(segment)).clone()
    }

    /// Acquires the lock of a key.
    pub async fn acquire(&self, key: &Blob, wait: Duration) -> Result<Guard<L>, NotAcquired> {
        self.lock_of(key).acquire(wait).await
    }

    /// Acquires the locks of all these keys, or none: one after the other in the order of their segments, all within `wait`.
    pub async fn acquire_all(&self, keys: &[Blob], wait: Duration) -> Result<Vec<Guard<L>>, NotAcquired> {
        let segments: BTreeSet<Blob> = keys.iter().map(|key| self.segment(key)).collect();
        let locks = segments.into_iter().map(|segment| {
            let mut locks = lock(&self.locks);
            locks.entry(segment).or_insert_with_key(|segment| (self.make)(segment)).clone()
        });
        acquire_in_order(locks.collect(), wait).await
    }
}

/// Acquires these locks in this order, all within `wait`, or none.
pub async fn acquire_in_order<L: Lock>(locks: Vec<L>, wait: Duration) -> Result<Vec<Guard<L>>, NotAcquired> {
    let Some(first) = locks.first() else { return Ok(Vec::new()) };
    let host = first.host().clone();
    let deadline = host.monotonic() + wait;
    let mut guards = Vec::new();
    for lock in locks {
        match lock.acquire(deadline.left_at(host.monotonic())).await {
            Ok(guard) => guards.push(guard),
            Err(why) => {
                for guard in guards {
                    drop(guard.release().await);
                }
                return Err(why);
            }
        }
    }
    Ok(guards)
}

/// FNV-1a, 32 bits ([RFC 9923](https://www.rfc-editor.org/rfc/rfc9923)).
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        fn check(text: &str, expected: u32) {
            assert_eq!(fnv1a(text.as_bytes()), expected, "{text}");
        }
        check("", 0x811c_9dc5);
        check("a", 0xe40c_292c);
        check("foobar", 0xbf9c_f968);
    }
}
