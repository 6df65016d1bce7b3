//! What a Kafka broker offers as a service. It keeps no locks.

use super::broker::Broker;
use super::{Config, wire};
use crate::{Ask, At, Blob, ClientId, ConnId, Due, Holder, Lost, NodeClock, Output, Request, ServiceKind, Step, Steps};

/// A broker that has just started for the first time.
pub(crate) fn start(config: &Config) -> Broker {
    Broker::new(config.clone())
}

impl Config {
    /// How many nodes it has.
    pub fn members(&self) -> u8 {
        1
    }
}

impl Ask for wire::Request {
    fn name(&self) -> Blob {
        self.name().into()
    }

    fn mentions(&self, _key: &Blob) -> bool {
        false
    }
}

impl ServiceKind for Broker {
    fn handle(&mut self, clocks: &[NodeClock], conn: ConnId, request: &Request, out: &mut Vec<Output>) {
        let Request::Kafka(request) = request else { panic!("a Kafka was asked for {request}") };
        self.serve(clocks[0], conn, request, out);
    }

    fn disconnect(&mut self, clocks: &[NodeClock], conn: ConnId) {
        self.cut(clocks[0], conn);
    }

    fn keeps(&self, conn: ConnId) -> bool {
        self.has_member_on(conn)
    }

    fn is_waiting(&self, conn: ConnId) -> bool {
        Broker::is_waiting(self, conn)
    }

    fn hear(&mut self, clocks: &[NodeClock], conn: ConnId, heard: bool) {
        self.listen(clocks[0], conn, heard);
    }

    fn steps(&self, into: &mut Steps) {
        into.extend(self.cut_off().map(|client| (At::Member(0), Step::Expire(client.0 as u8))));
    }

    fn step(&mut self, clocks: &[NodeClock], at: At, step: Step, out: &mut Vec<Output>) {
        match step {
            Step::Expire(client) => self.expire(clocks[0], ClientId(client.into()), out),
            step => panic!("{at:?}: a Kafka does not do this: {step}"),
        }
    }

    fn has_sessions(&self) -> bool {
        true
    }

    fn next_timer(&self, _clock: NodeClock, _member: u8) -> Option<Due> {
        self.next_due().map(Due::Monotonic)
    }

    fn is_due(&self, clock: NodeClock, _member: u8) -> bool {
        self.next_due().is_some_and(|at| at <= clock.mono_us)
    }

    fn tick(&mut self, clocks: &[NodeClock], _member: u8, out: &mut Vec<Output>) {
        self.tick_groups(clocks[0], out);
    }

    fn crash(&mut self, _clocks: &[NodeClock], _member: u8, lost: Lost, _out: &mut Vec<Output>) {
        self.stop(lost);
    }

    fn restart(&mut self, clocks: &[NodeClock], _member: u8, _out: &mut Vec<Output>) {
        self.start_again(clocks[0]);
    }

    fn flush(&mut self) {
        self.sync();
    }

    fn holder(&self, _clocks: &[NodeClock], _place: &Blob) -> Option<Holder> {
        None
    }

    fn value(&self, _clocks: &[NodeClock], _key: &Blob) -> Option<Blob> {
        None
    }
}
