//! Inbox: what a node sends of its own accord on a connection that is there for it, until somebody takes it.

use doublehold_models::{Digest, Response};
use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::task::Waker;

/// What has come on one connection.
pub(super) struct Inbox {
    pub(super) node: u16,
    pub(super) lane: u8,
    pub(super) messages: VecDeque<Response>,
    pub(super) closed: bool,
    pub(super) waker: Option<Waker>,
}

impl Inbox {
    pub(super) fn new(node: u16, lane: u8) -> Self {
        Inbox { node, lane, messages: VecDeque::new(), closed: false, waker: None }
    }

    /// True if the client has been told that the connection has broken.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn digest(&self, digest: &mut Digest) {
        digest.write_u64(u64::from(self.node) << 8 | u64::from(self.lane));
        digest.write_u64(self.closed.into());
        digest.write_u64(self.messages.len() as u64);
        self.messages.iter().for_each(|message| message.hash(digest));
    }

    pub(super) fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
