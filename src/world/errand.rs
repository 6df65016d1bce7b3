//! Errand: one piece of code that runs alone on simulated services, at once: before the clients begin, or after they have ended.

use super::clock::Reading;
use super::seat::{Outgoing, Seat, SeatPorts, Told};
use super::system::System;
use crate::port::Outcome;
use doublehold_models::{ConnId, Output, Sent};
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// The client that an errand counts as: none of those that there are.
const NOBODY: u16 = u16::MAX;

impl System {
    /// Runs an errand to its end on this state's services, all of whose nodes answer. Gives nothing if it asks for what a model
    /// does not have: that is the state's violation then.
    ///
    /// # Panics
    /// If it waits for something that does not come.
    pub(super) fn run_errand<F: Future>(&mut self, start: impl FnOnce(SeatPorts) -> F) -> Option<F::Output> {
        let seat = Seat::new(NOBODY, [0; 32], false);
        let mut errand = pin!(start(SeatPorts::new(&seat)));
        let mut outbox = Vec::new();
        let mut connections = Vec::new();
        seat.tell(self.errand_clock(), Told::Start);
        let result = loop {
            if let Poll::Ready(result) = errand.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                break Some(result);
            }
            seat.take_outbox(&mut outbox);
            assert!(!outbox.is_empty(), "an errand waits for something that does not come");
            for outgoing in outbox.drain(..) {
                self.answer_errand(&seat, outgoing, &mut connections);
            }
            if self.violation.is_some() {
                break None;
            }
        };
        seat.kill();
        for (node, conn) in connections {
            self.end_errand_connection(node, conn);
        }
        result
    }

    fn errand_clock(&self) -> Reading {
        super::clock::Clock::default().read(self.now_us)
    }

    fn answer_errand(&mut self, seat: &Arc<Seat>, outgoing: Outgoing, connections: &mut Vec<(usize, ConnId)>) {
        match outgoing {
            Outgoing::Request { id, node, lane, request } => {
                let node = usize::from(node);
                let conn = ConnId { client: NOBODY, member: self.nodes[node].member, lane };
                if !connections.contains(&(node, conn)) {
                    connections.push((node, conn));
                }
                let (service, clocks) = (self.service_of(node), self.clocks_of(node));
                let mut outputs = Vec::new();
                Rc::make_mut(&mut self.services[service]).handle(&clocks, conn, &request, &mut outputs);
                self.refuse_not_modelled(&outputs, |_| format!("before or after the clients, somebody asks {request}"));
                if self.violation.is_some() {
                    return;
                }
                let reply = outputs.into_iter().find_map(|Output { conn: to, sent }| match sent {
                    Sent::Reply(response) if to == conn => Some(response),
                    _ => None,
                });
                let reply = reply.unwrap_or_else(|| panic!("an errand is kept waiting for {request}"));
                seat.tell(self.errand_clock(), Told::Answer(id, Outcome::Ok(reply)));
            }
            Outgoing::Timer { id, .. } => seat.tell(self.errand_clock(), Told::Fired(id)),
            Outgoing::Close { node, lane } => {
                let node = usize::from(node);
                let closed = ConnId { client: NOBODY, member: self.nodes[node].member, lane };
                connections.retain(|connection| *connection != (node, closed));
                self.end_errand_connection(node, closed);
            }
            Outgoing::Forget(_) | Outgoing::KeepAlive { .. } | Outgoing::Record(_) => {}
        }
    }

    fn end_errand_connection(&mut self, node: usize, conn: ConnId) {
        let (service, clocks) = (self.service_of(node), self.clocks_of(node));
        Rc::make_mut(&mut self.services[service]).disconnect(&clocks, conn);
    }
}
