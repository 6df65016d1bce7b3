//! The etcd port of a seat: as the field's clients do, it stays with one server until its connection there breaks, and then goes
//! on with the next.

use super::client::{Seat, State, Wait};
use super::exchange::Purpose;
use super::messages::Messages;
use crate::port::etcd::{Answered, Etcd, Event, Keys, Request, Revision, Watch};
use crate::port::{Outcome, Refusal};
use doublehold_models::etcd::wire::Reply;
use doublehold_models::{Request as AnyRequest, Response};
use std::ops::Range;
use std::sync::Arc;

/// A cluster.
#[derive(Clone)]
pub struct SeatEtcd {
    pub(super) seat: Arc<Seat>,
    pub(super) servers: Range<u16>,
}

impl State {
    /// How far behind the cluster's first server the client's present one is. Clients begin with different ones.
    fn place(&mut self, servers: &Range<u16>) -> &mut u16 {
        self.told_apart |= servers.end - servers.start > 1;
        let at = self.kept.places.iter().position(|(first, _)| *first == servers.start).unwrap_or_else(|| {
            self.kept.places.push((servers.start, self.client % (servers.end - servers.start)));
            self.kept.places.len() - 1
        });
        &mut self.kept.places[at].1
    }
}

impl SeatEtcd {
    fn server(&self) -> u16 {
        self.servers.start + *self.seat.lock().place(&self.servers)
    }

    /// Goes on with the next server, unless somebody else of this client already has.
    fn move_on(&self, from: u16) {
        let (first, count) = (self.servers.start, self.servers.end - self.servers.start);
        let mut state = self.seat.lock();
        let place = state.place(&self.servers);
        if first + *place == from {
            *place = (*place + 1) % count;
        }
    }

    /// Takes note of how a request to a server went: true if it is to be sent to the next.
    fn is_to_be_sent_again(&self, server: u16, outcome: &Outcome<Response>) -> bool {
        match outcome {
            Outcome::Ok(_) => false,
            Outcome::Fail(_) => {
                self.move_on(server);
                true
            }
            Outcome::Indeterminate(_) => {
                self.move_on(server);
                false
            }
        }
    }

    fn send(&self, server: u16, request: Request) -> Wait<'_> {
        let mut state = self.seat.lock();
        let id = state.open_slot();
        let (purpose, request) = (Purpose::Commands, AnyRequest::Etcd(request));
        state.ask(id, (server, 0), purpose, request);
        Wait { seat: &self.seat, id, open: true }
    }
}

fn answer_of(outcome: Outcome<Response>) -> Outcome<Answered> {
    match outcome {
        Outcome::Ok(Response::Etcd(Reply::Failed(error))) => Outcome::Fail(Refusal::Etcd(error)),
        other => other.map(|response| match response {
            Response::Etcd(Reply::Answer { revision, answer }) => Answered { revision, answer },
            other => panic!("an etcd answered with {other}"),
        }),
    }
}

impl Etcd for SeatEtcd {
    type Watch = SeatWatch;

    async fn ask(&self, request: Request) -> Outcome<Answered> {
        for _ in self.servers.clone() {
            let server = self.server();
            let outcome = self.send(server, request.clone()).answer().await;
            if !self.is_to_be_sent_again(server, &outcome) {
                return answer_of(outcome);
            }
        }
        Outcome::Fail(Refusal::Refused)
    }

    async fn watch(&self, keys: Keys, from: Revision) -> Outcome<SeatWatch> {
        let request = AnyRequest::Etcd(Request::Watch { keys, from });
        for _ in self.servers.clone() {
            let server = self.server();
            let (outcome, messages) = Messages::open(&self.seat, server, request.clone()).await;
            if !self.is_to_be_sent_again(server, &outcome) {
                return answer_of(outcome).map(|_| SeatWatch { messages });
            }
        }
        Outcome::Fail(Refusal::Refused)
    }
}

/// A watch.
pub struct SeatWatch {
    messages: Messages,
}

impl Watch for SeatWatch {
    async fn next(&mut self) -> Option<Vec<Event>> {
        match self.messages.next().await? {
            Response::Etcd(Reply::Events(events)) => Some(events),
            other => panic!("an etcd sent {other} of its own accord"),
        }
    }
}
