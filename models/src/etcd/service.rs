//! What an etcd cluster offers as a service. A lock's place is a prefix; the oldest key below it is the owner's.

use super::cluster::Cluster;
use super::{Config, wire};
use crate::{Ask, At, Blob, ConnId, Due, Ends, Holder, Lost, NodeClock, Output, Request, ServiceKind, Step, Steps};

/// A cluster whose servers have just started for the first time.
pub(crate) fn start(config: &Config) -> Cluster {
    Cluster::new(config.clone())
}

impl Config {
    /// How many nodes it has.
    pub fn members(&self) -> u8 {
        self.servers
    }
}

impl Ask for wire::Request {
    fn name(&self) -> Blob {
        self.name().into()
    }

    fn mentions(&self, key: &Blob) -> bool {
        self.mentions(key)
    }

    fn tells_time(&self) -> bool {
        matches!(self, wire::Request::TimeToLive(_))
    }
}

impl ServiceKind for Cluster {
    fn handle(&mut self, clocks: &[NodeClock], conn: ConnId, request: &Request, out: &mut Vec<Output>) {
        let Request::Etcd(request) = request else { panic!("an etcd was asked for {request}") };
        self.serve(clocks, conn, request, out);
    }

    fn disconnect(&mut self, _clocks: &[NodeClock], conn: ConnId) {
        self.forget(conn);
    }

    fn keeps(&self, conn: ConnId) -> bool {
        self.has_watches_of(conn)
    }

    fn steps(&self, into: &mut Steps) {
        for member in 0..self.members() {
            let step = Step::of_lag(self.is_behind(member), self.can_lag(member));
            into.extend(step.map(|step| (At::Member(member), step)));
        }
    }

    fn step(&mut self, _clocks: &[NodeClock], at: At, step: Step, out: &mut Vec<Output>) {
        match (at, step) {
            (At::Member(member), Step::Lag) => self.lag(member),
            (At::Member(member), Step::CatchUp) => self.catch_up(member, out),
            (at, step) => panic!("{at:?}: an etcd does not do this: {step}"),
        }
    }

    fn next_timer(&self, _clock: NodeClock, member: u8) -> Option<Due> {
        self.next_due(member)
    }

    fn is_due(&self, clock: NodeClock, member: u8) -> bool {
        self.has_fallen_due(clock, member)
    }

    fn tick(&mut self, clocks: &[NodeClock], member: u8, out: &mut Vec<Output>) {
        self.end_what_is_over(clocks, member, out);
    }

    /// Its servers sync what they acknowledge: whatever goes down loses nothing.
    fn crash(&mut self, clocks: &[NodeClock], member: u8, _lost: Lost, out: &mut Vec<Output>) {
        self.stop(clocks, member, out);
    }

    fn restart(&mut self, clocks: &[NodeClock], member: u8, out: &mut Vec<Output>) {
        self.rejoin(clocks, member, out);
    }

    fn holder(&self, _clocks: &[NodeClock], prefix: &Blob) -> Option<Holder> {
        let (token, expires) = self.first_created(prefix)?;
        Some(Holder { token, ends: Ends::by_time(expires) })
    }

    fn has_queue(&self) -> bool {
        true
    }

    fn tokens(&self, _clocks: &[NodeClock], prefix: &Blob) -> Vec<Blob> {
        self.values_below(prefix).collect()
    }

    fn value(&self, _clocks: &[NodeClock], key: &Blob) -> Option<Blob> {
        self.value_of(key)
    }
}
