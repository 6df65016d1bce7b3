//! Connections to a broker: one that a client's producers share, and one per consumer, whose silence the group notices.

use crate::port::kafka::{Answer, Request};
use crate::port::{Outcome, Refusal};
use crate::world::seat::client::{Seat, Wait};
use crate::world::seat::exchange::{Outgoing, Purpose};
use crate::world::seat::inbox::Inbox;
use doublehold_models::kafka::wire::Reply;
use doublehold_models::{Request as AnyRequest, Response};
use std::sync::Arc;
use std::time::Duration;

fn answer_of(outcome: Outcome<Response>) -> Outcome<Answer> {
    match outcome {
        Outcome::Ok(Response::Kafka(Reply::Failed(error))) => Outcome::Fail(Refusal::Kafka(error)),
        other => other.map(|response| match response {
            Response::Kafka(Reply::Answer(answer)) => answer,
            other => panic!("a Kafka answered with {other}"),
        }),
    }
}

/// Asks over the connection that a client's producers share.
pub(super) async fn ask(seat: &Seat, node: u16, request: Request) -> Outcome<Answer> {
    let wait = {
        let mut state = seat.lock();
        let id = state.open_slot();
        state.ask(id, (node, 0), Purpose::Commands, AnyRequest::Kafka(request));
        Wait { seat, id, open: true }
    };
    answer_of(wait.answer().await)
}

/// The connection of a consumer. After a break the next request goes over a new one.
pub(super) struct Connection {
    seat: Arc<Seat>,
    node: u16,
    /// So long the consumer bears its silence, in microseconds.
    silence_us_max: u64,
    lane: Option<u8>,
}

impl Connection {
    pub(super) fn new(seat: &Arc<Seat>, node: u16, silence_max: Duration) -> Self {
        let silence_us_max = u64::try_from(silence_max.as_micros()).unwrap_or(u64::MAX);
        Connection { seat: Arc::clone(seat), node, silence_us_max, lane: None }
    }

    pub(super) async fn ask(&mut self, request: Request) -> Outcome<Answer> {
        if self.lane.is_some_and(|lane| self.seat.lock().inbox(self.node, lane).is_none_or(|inbox| inbox.is_closed())) {
            self.close();
        }
        let wait = {
            let mut state = self.seat.lock();
            let lane = *self.lane.get_or_insert_with(|| {
                let lane = state.next_lane();
                state.inboxes.push(Inbox::new(self.node, lane));
                let (node, channel, silence_us_max) = (self.node, lane, self.silence_us_max);
                state.push(Outgoing::KeepAlive { node, channel, silence_us_max });
                lane
            });
            let id = state.open_slot();
            state.ask(id, (self.node, lane), Purpose::Push, AnyRequest::Kafka(request));
            Wait { seat: &self.seat, id, open: true }
        };
        answer_of(wait.answer().await)
    }

    /// Closes it, if the client does not know yet that it has broken.
    fn close(&mut self) {
        let Some(lane) = self.lane.take() else { return };
        let mut state = self.seat.lock();
        let hung_up = state.inbox(self.node, lane).is_none_or(|inbox| inbox.is_closed());
        state.drop_inbox(self.node, lane);
        state.free_lanes.insert(lane);
        if !hung_up {
            state.push(Outgoing::Close { node: self.node, channel: lane });
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close();
    }
}
