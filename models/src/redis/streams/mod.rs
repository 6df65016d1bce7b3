//! Streams: entries in the order of their IDs, and the groups of consumers that share them out.
//!
//! A consumer that has been given an entry and has not acknowledged it is in the group's list of pending entries, and
//! stays there when the consumer crashes: another one claims the entry once it has been idle for long enough.

mod claim;
mod entries;
mod groups;
mod id;
mod pending;
mod read;
mod stream;
mod trim;

pub(super) use claim::{xautoclaim, xclaim};
pub(super) use entries::{xadd, xdel, xlen, xrange, xrevrange, xtrim};
pub(super) use groups::{xack, xgroup};
pub(super) use pending::xpending;
pub(super) use read::{xread, xreadgroup};
pub(super) use stream::Stream;
