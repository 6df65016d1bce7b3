//! The Redis port of a seat.

use super::{Inbox, Outgoing, Seat, Wait};
use crate::port::{Blob, Command, Outcome, Redis, Refusal, Subscription, Value};
use doublehold_models::{Request, Response};
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Poll;

/// A connection to a simulated Redis.
#[derive(Clone)]
pub struct SeatRedis {
    pub(super) seat: Arc<Seat>,
    pub(super) node: u16,
}

impl SeatRedis {
    fn send(&self, lane: u8, command: Command) -> Wait<'_> {
        let mut state = self.seat.lock();
        let id = state.open_slot();
        state.push(Outgoing::Request { id, node: self.node, lane, request: Request::Redis(command) });
        Wait { seat: &self.seat, id, open: true }
    }
}

/// The answer as the port gives it: an error reply means that nothing was done.
fn redis_outcome(outcome: Outcome<Response>) -> Outcome<Value> {
    match outcome {
        Outcome::Ok(Response::Redis(Value::Error(text))) => Outcome::Fail(Refusal::Server(text)),
        other => other.map(|response| match response {
            Response::Redis(value) => value,
            other => panic!("a Redis answered with {other}"),
        }),
    }
}

impl Redis for SeatRedis {
    type Subscription = SeatSubscription;

    async fn call(&self, command: Command) -> Outcome<Value> {
        redis_outcome(self.send(0, command).await)
    }

    async fn subscribe(&self, channel: Blob) -> Outcome<SeatSubscription> {
        let lane = {
            let mut state = self.seat.lock();
            let lane = state.next_lane();
            state.inboxes.push(Inbox { node: self.node, lane, messages: VecDeque::new(), closed: false, waker: None });
            lane
        };
        let subscription = SeatSubscription { seat: Arc::clone(&self.seat), node: self.node, lane };
        let reply = self.send(lane, Command::new("SUBSCRIBE").arg(channel)).await;
        redis_outcome(reply).map(|_| subscription)
    }
}

/// A channel that is listened to on a simulated Redis.
pub struct SeatSubscription {
    seat: Arc<Seat>,
    node: u16,
    lane: u8,
}

impl Subscription for SeatSubscription {
    async fn next(&mut self) -> Option<Blob> {
        std::future::poll_fn(|cx| {
            let mut state = self.seat.lock();
            let round = state.round();
            let lane = (self.node, self.lane);
            let inbox = state.inboxes.iter_mut().find(|inbox| (inbox.node, inbox.lane) == lane);
            let inbox = inbox.expect("an inbox lives as long as its subscription");
            let message = match inbox.messages.pop_front() {
                Some(Value::Array(parts)) => parts.last().and_then(Value::as_blob).cloned(),
                Some(_) => None,
                None if inbox.closed => None,
                None => {
                    inbox.waker = Some(cx.waker().clone());
                    return Poll::Pending;
                }
            };
            state.see(round, 4, |digest| digest.text(message.as_deref().unwrap_or(b"closed")));
            Poll::Ready(message)
        })
        .await
    }
}

impl Drop for SeatSubscription {
    fn drop(&mut self) {
        let mut state = self.seat.lock();
        let lane = (self.node, self.lane);
        state.inboxes.retain(|inbox| (inbox.node, inbox.lane) != lane);
        state.push(Outgoing::Close { node: self.node, lane: self.lane });
    }
}
