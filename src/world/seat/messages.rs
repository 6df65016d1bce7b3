//! Messages: a connection on which a node sends of its own accord.

use super::client::{Seat, Wait};
use super::exchange::{Outgoing, Purpose};
use super::inbox::Inbox;
use crate::port::Outcome;
use doublehold_models::{Request, Response};
use std::hash::Hash;
use std::sync::Arc;
use std::task::Poll;

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
            state.ask(id, (node, lane), purpose, request);
            (lane, id)
        };
        let messages = Messages { seat: Arc::clone(seat), node, lane };
        (Wait { seat, id, open: true }.answer().await, messages)
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
