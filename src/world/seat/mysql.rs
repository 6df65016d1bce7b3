//! The MySQL port of a seat: each session has a connection of its own.

use super::client::{Seat, State, Wait};
use super::exchange::{Outgoing, Purpose};
use super::inbox::Inbox;
use crate::port::mysql::{MySql, Reply, Request, Session};
use crate::port::{Outcome, Refusal};
use doublehold_models::{Request as AnyRequest, Response};
use std::sync::Arc;

/// A simulated server.
#[derive(Clone)]
pub struct SeatMySql {
    pub(super) seat: Arc<Seat>,
    pub(super) node: u16,
}

impl MySql for SeatMySql {
    type Session = SeatSession;

    fn session(&self) -> SeatSession {
        SeatSession { seat: Arc::clone(&self.seat), node: self.node, lane: None, broken: false }
    }
}

/// A session with a simulated server.
pub struct SeatSession {
    seat: Arc<Seat>,
    node: u16,
    /// Its connection, once there is one.
    lane: Option<u8>,
    /// Nothing can be sent any more.
    broken: bool,
}

impl State {
    /// True if the client has been told that a connection has broken.
    fn has_hung_up(&mut self, node: u16, lane: u8) -> bool {
        self.inbox(node, lane).is_none_or(|inbox| inbox.is_closed())
    }
}

impl SeatSession {
    /// The session's connection, which begins with its first statement.
    fn lane(&mut self, state: &mut State) -> u8 {
        *self.lane.get_or_insert_with(|| {
            let lane = state.next_lane();
            state.inboxes.push(Inbox::new(self.node, lane));
            lane
        })
    }

    async fn send(&mut self, request: Request) -> Outcome<Response> {
        let seat = Arc::clone(&self.seat);
        let wait = {
            let mut state = seat.lock();
            let lane = self.lane(&mut state);
            if state.has_hung_up(self.node, lane) {
                return Outcome::Fail(Refusal::Closed);
            }
            let id = state.open_slot();
            let request = AnyRequest::MySql(request);
            let purpose = Purpose::Session;
            state.ask(id, (self.node, lane), purpose, request);
            Wait { seat: &seat, id, open: true }
        };
        wait.answer().await
    }
}

impl Session for SeatSession {
    async fn ask(&mut self, request: Request) -> Outcome<Reply> {
        if self.broken {
            return Outcome::Fail(Refusal::Closed);
        }
        // Should this future be dropped half-way, the answer that is still to come would be taken for the next one's.
        self.broken = true;
        let outcome = self.send(request).await;
        self.broken = !matches!(outcome, Outcome::Ok(_));
        outcome.map(|response| match response {
            Response::MySql(reply) => reply,
            other => panic!("a MySQL answered with {other}"),
        })
    }

    fn is_open(&self) -> bool {
        let hung_up = |lane: u8| self.seat.lock().has_hung_up(self.node, lane);
        !self.broken && !self.lane.is_some_and(hung_up)
    }
}

impl Drop for SeatSession {
    fn drop(&mut self) {
        let Some(lane) = self.lane else { return };
        let mut state = self.seat.lock();
        let hung_up = state.has_hung_up(self.node, lane);
        state.drop_inbox(self.node, lane);
        state.free_lanes.insert(lane);
        if !hung_up {
            state.push(Outgoing::Close { node: self.node, channel: lane });
        }
    }
}
