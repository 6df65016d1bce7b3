//! Inbox: what a node sends of its own accord on a connection that is there for it, until somebody takes it.

use super::{Outgoing, Purpose, Seat, State, Wait};
use crate::port::Outcome;
use doublehold_models::{Digest, Request, Response};
use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::task::{Poll, Waker};

/// What has come on one connection.
pub(super) struct Inbox {
    node: u16,
    lane: u8,
    messages: VecDeque<Response>,
    closed: bool,
    waker: Option<Waker>,
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

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl State {
    pub(super) fn inbox(&mut self, node: u16, lane: u8) -> Option<&mut Inbox> {
        self.inboxes.iter_mut().find(|inbox| (inbox.node, inbox.lane) == (node, lane))
    }

    pub(super) fn deliver(&mut self, node: u16, lane: u8, message: Response) {
        if let Some(inbox) = self.inbox(node, lane) {
            inbox.messages.push_back(message);
            inbox.wake();
        }
    }

    pub(super) fn drop_inbox(&mut self, node: u16, lane: u8) {
        self.inboxes.retain(|inbox| (inbox.node, inbox.lane) != (node, lane));
    }

    pub(super) fn hang_up(&mut self, node: u16, lane: u8) {
        if let Some(inbox) = self.inbox(node, lane) {
            inbox.closed = true;
            inbox.wake();
        }
    }
}

/// A connection on which a node sends what it wants. Dropping it closes the connection.
pub(super) struct Messages {
    seat: Arc<Seat>,
    node: u16,
    lane: u8,
}

impl Messages {
    /// Opens one with this request, and waits for its answer.
    pub(super) async fn open(seat: &Arc<Seat>, node: u16, request: Request) -> (Outcome<Response>, Messages) {
        let (lane, id) = {
            let mut state = seat.lock();
            let lane = state.next_lane();
            state.inboxes.push(Inbox::new(node, lane));
            let id = state.open_slot();
            let purpose = Purpose::Push;
            state.push(Outgoing::Request { id, node, channel: lane, purpose, request });
            (lane, id)
        };
        let messages = Messages { seat: Arc::clone(seat), node, lane };
        (Wait { seat, id, open: true }.await, messages)
    }

    /// The next message; `None` once the connection has broken.
    pub(super) async fn next(&mut self) -> Option<Response> {
        std::future::poll_fn(|cx| {
            let mut state = self.seat.lock();
            let round = state.round();
            let inbox = state.inbox(self.node, self.lane).expect("an inbox lives as long as its connection");
            let message = match inbox.messages.pop_front() {
                Some(message) => Some(message),
                None if inbox.closed => None,
                None => {
                    inbox.waker = Some(cx.waker().clone());
                    return Poll::Pending;
                }
            };
            state.see(round, 4, |digest| message.hash(digest));
            Poll::Ready(message)
        })
        .await
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        let mut state = self.seat.lock();
        state.drop_inbox(self.node, self.lane);
        state.push(Outgoing::Close { node: self.node, channel: self.lane });
    }
}
