//! The Redis port of a seat.

use super::client::{Seat, Wait};
use super::exchange::Purpose;
use super::messages::Messages;
use crate::port::{Blob, Command, Outcome, Redis, Refusal, Subscription, Value};
use doublehold_models::{Request, Response};
use std::sync::Arc;

/// A connection to a simulated Redis.
#[derive(Clone)]
pub struct SeatRedis {
    pub(super) seat: Arc<Seat>,
    pub(super) node: u16,
    /// The client's number for the connection.
    pub(super) channel: u8,
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
        let wait = {
            let mut state = self.seat.lock();
            let id = state.open_slot();
            let (purpose, request) = (Purpose::Commands, Request::Redis(command));
            state.ask(id, (self.node, self.channel), purpose, request);
            Wait { seat: &self.seat, id, open: true }
        };
        redis_outcome(wait.answer().await)
    }

    fn another(&self) -> SeatRedis {
        SeatRedis { channel: self.seat.lock().next_lane(), ..self.clone() }
    }

    async fn subscribe(&self, channel: Blob) -> Outcome<SeatSubscription> {
        let request = Request::Redis(Command::new("SUBSCRIBE").arg(channel));
        let (reply, messages) = Messages::open(&self.seat, self.node, request).await;
        redis_outcome(reply).map(|_| SeatSubscription { messages })
    }
}

/// A channel that is listened to on a simulated Redis.
pub struct SeatSubscription {
    messages: Messages,
}

impl Subscription for SeatSubscription {
    async fn next(&mut self) -> Option<Blob> {
        match self.messages.next().await? {
            Response::Redis(Value::Array(parts)) => parts.last().and_then(Value::as_blob).cloned(),
            other => panic!("a Redis sent {other} of its own accord"),
        }
    }
}
