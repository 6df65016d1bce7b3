//! Fixture: code that runs alone on simulated services, at once: before the clients begin, or after they have ended.

use super::clock::{Clock, Reading};
use super::memories::Violation;
use super::seat::{Outgoing, Seat, SeatPorts, Told, WaitId};
use super::setup::Fixture;
use super::system::System;
use crate::history::Fact;
use crate::port::{Outcome, Unknown};
use crate::property::NOT_MODELLED;
use doublehold_models::{ConnId, Output, Request, Sent};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// The client that a fixture counts as: none of those that there are.
const NO_CLIENT: u16 = u16::MAX;

/// A fixture in mid-run.
struct Running<T> {
    seat: Arc<Seat>,
    code: Fixture<T>,
    connections: Vec<(usize, ConnId)>,
    /// The timers that are set: when they are due, and what for.
    timers: Vec<(u64, WaitId)>,
}

impl<T> Running<T> {
    fn new(now: Reading, start: impl FnOnce(SeatPorts) -> Fixture<T>) -> Self {
        let seat = Seat::new(NO_CLIENT, [0; 32], false);
        let code = start(SeatPorts::new(&seat));
        seat.tell(now, Told::Start);
        Running { seat, code, connections: Vec::new(), timers: Vec::new() }
    }

    fn poll(&mut self) -> Option<T> {
        match self.code.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        }
    }

    /// Where nothing else is left to wait for, the next timer fires.
    fn fire(&mut self, now: Reading) {
        let next = self.timers.iter().enumerate().min_by_key(|(_, timer)| timer.0).map(|(at, _)| at);
        let (_, id) = self.timers.remove(next.expect("a fixture waits for something that does not come"));
        self.seat.tell(now, Told::Fired(id));
    }
}

impl System {
    /// Lets the program put on the servers what must be there before the clients begin.
    pub(super) fn prepare(&mut self) {
        let setup = Arc::clone(&self.setup);
        let running = Running::new(self.fixture_clock(), |ports| setup.program.prepare(ports));
        self.run_fixture(running);
        self.services.iter_mut().for_each(|service| service.flush());
    }

    /// What an auditor finds on the servers, all of whose nodes have started again; nothing if there is nothing to audit.
    pub(super) fn audit(&mut self) -> Option<Fact> {
        let setup = Arc::clone(&self.setup);
        let mut running = Running::new(self.fixture_clock(), |ports| setup.program.audit(ports));
        if let Some(nothing_asked) = running.poll() {
            return nothing_asked;
        }
        let mut after = self.clone();
        after.pushed = None;
        let open = std::mem::take(&mut after.links);
        for node in 0..after.nodes.len() {
            if after.nodes[node].paused_since.is_some() {
                after.resume_node(node);
            }
            if after.nodes[node].down_since.is_some() {
                after.restart_node(node);
            }
        }
        // Their servers end the connections that they have heard nothing on for long enough: those of machines that
        // lost power too.
        for link in open.iter() {
            let conn = after.conn(link);
            after.end_fixture_connection(usize::from(link.node), conn);
        }
        after.settle_groups();
        let audit = after.run_fixture(running);
        self.violation = after.violation;
        audit.flatten()
    }

    /// Runs a fixture to its end on this state's services, all of whose nodes answer; `None` if it asks for what is not
    /// modelled, which ends the execution.
    ///
    /// # Panics
    /// If it waits for something that does not come.
    fn run_fixture<T>(&mut self, mut running: Running<T>) -> Option<T> {
        let mut outbox = Vec::new();
        let result = loop {
            if let Some(result) = running.poll() {
                break Some(result);
            }
            if self.violation.is_some() {
                break None;
            }
            running.seat.take_outbox(&mut outbox);
            let idle = outbox.iter().all(|outgoing| matches!(outgoing, Outgoing::Timer { .. } | Outgoing::Forget(_)));
            for outgoing in outbox.drain(..) {
                self.answer_fixture(&mut running, outgoing);
            }
            if idle {
                running.fire(self.fixture_clock());
            }
        };
        running.seat.kill();
        for (node, conn) in std::mem::take(&mut running.connections) {
            self.end_fixture_connection(node, conn);
        }
        result
    }

    fn fixture_clock(&self) -> Reading {
        Clock::default().read(self.now_us)
    }

    fn answer_fixture<T>(&mut self, running: &mut Running<T>, outgoing: Outgoing) {
        let conn = |system: &System, node: u16, channel: u8| {
            let member = system.node_asked_for(node).member;
            (usize::from(node), ConnId { client: NO_CLIENT, member, lane: channel })
        };
        match outgoing {
            Outgoing::Request { id, node, channel, request, .. } => {
                let (node, conn) = conn(self, node, channel);
                if !running.connections.contains(&(node, conn)) {
                    running.connections.push((node, conn));
                }
                let outcome = self.serve_fixture(node, conn, &request);
                running.seat.tell(self.fixture_clock(), Told::Answer(id, outcome));
            }
            Outgoing::Timer { id, at_mono_us } => running.timers.push((at_mono_us, id)),
            Outgoing::Forget(wait) => running.timers.retain(|(_, id)| *id != wait),
            Outgoing::Close { node, channel } => {
                let closed = conn(self, node, channel);
                running.connections.retain(|connection| *connection != closed);
                self.end_fixture_connection(closed.0, closed.1);
            }
            Outgoing::KeepAlive { .. } | Outgoing::Record(_) => {}
        }
    }

    fn serve_fixture(&mut self, node: usize, conn: ConnId, request: &Request) -> Outcome<doublehold_models::Response> {
        let (service, clocks) = (self.service_of(node), self.clocks_of(node));
        let mut outputs = Vec::new();
        self.services[service].handle(&clocks, conn, request, &mut outputs);
        if let Some(why) = outputs.iter().find_map(Output::as_not_modelled) {
            let what = format!("before or after the clients, somebody asks {request}: the model does not have {why}");
            self.violation.get_or_insert(Violation { property: NOT_MODELLED.to_owned(), what });
            return Outcome::Indeterminate(Unknown::ConnectionLost);
        }
        let reply = outputs.into_iter().find_map(|Output { conn: to, sent }| match sent {
            Sent::Reply(response) if to == conn => Some(response),
            _ => None,
        });
        Outcome::Ok(reply.unwrap_or_else(|| panic!("a fixture is kept waiting for {request}")))
    }

    fn end_fixture_connection(&mut self, node: usize, conn: ConnId) {
        let (service, clocks) = (self.service_of(node), self.clocks_of(node));
        self.services[service].disconnect(&clocks, conn);
    }
}
