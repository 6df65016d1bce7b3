//! Escape: what of a state is not in its fingerprint, or not as it stands. Each type says why.
//!
//! A field that is not wrapped is in the fingerprint.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};

macro_rules! transparent {
    ($name:ident) => {
        impl<T> Deref for $name<T> {
            type Target = T;
            fn deref(&self) -> &T {
                &self.0
            }
        }

        impl<T> DerefMut for $name<T> {
            fn deref_mut(&mut self) -> &mut T {
                &mut self.0
            }
        }

        impl<T: fmt::Debug> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

/// What is set up once and is the same in all states of a search.
#[derive(Clone, Default)]
pub(crate) struct Fixed<T>(pub T);
transparent!(Fixed);

impl<T> Hash for Fixed<T> {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// What the rest of the state determines: kept so as not to compute it anew.
#[derive(Clone, Default)]
pub(crate) struct Derived<T>(pub T);
transparent!(Derived);

impl<T> Hash for Derived<T> {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// Entries whose order does not count: renaming clients may change it.
#[derive(Clone, Default)]
pub(crate) struct Unordered<T>(pub T);
transparent!(Unordered);

impl<T> Hash for Unordered<T>
where
    for<'a> &'a T: IntoIterator<Item: Hash>,
{
    fn hash<H: Hasher>(&self, state: &mut H) {
        crate::digest::unordered((&self.0).into_iter(), state);
    }
}

/// A value that does not change, whose own hash is computed once. Clients that it names are not renamed.
#[derive(Clone)]
pub(crate) struct Hashed<T> {
    value: T,
    hash: u128,
}

impl<T: Hash> Hashed<T> {
    pub(crate) fn new(value: T) -> Self {
        let mut digest = crate::Digest::new();
        value.hash(&mut digest);
        Hashed { hash: digest.finish128(), value }
    }
}

impl<T> Deref for Hashed<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Hash for Hashed<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64((self.hash >> 64) as u64);
        state.write_u64(self.hash as u64);
    }
}
