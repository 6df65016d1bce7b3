//! What a ZooKeeper ensemble offers as a service. A lock's place is a path; its oldest child is the owner's.

use super::ensemble::Ensemble;
use super::{Config, wire};
use crate::{Ask, At, Blob, ConnId, Due, Ends, Holder, Lost, NodeClock, Output, Request, ServiceKind, Step, Steps};

/// An ensemble whose servers have just started for the first time.
pub(crate) fn start(config: &Config) -> Ensemble {
    Ensemble::new(config.clone())
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

    fn mentions(&self, path: &Blob) -> bool {
        self.paths().contains(&path)
    }
}

impl ServiceKind for Ensemble {
    fn handle(&mut self, clocks: &[NodeClock], conn: ConnId, request: &Request, out: &mut Vec<Output>) {
        let Request::ZooKeeper(request) = request else { panic!("a ZooKeeper was asked for {request}") };
        self.serve(clocks, conn, request, out);
    }

    /// Those of sessions that have ended, or have moved to another server.
    fn hangs_up(&self) -> bool {
        true
    }

    fn disconnect(&mut self, clocks: &[NodeClock], conn: ConnId) {
        self.forget(clocks, conn);
    }

    fn keeps(&self, conn: ConnId) -> bool {
        self.has_session_on(conn)
    }

    fn hear(&mut self, clocks: &[NodeClock], conn: ConnId, heard: bool) {
        self.listen(clocks, conn, heard);
    }

    fn steps(&self, into: &mut Steps) {
        for member in 0..self.members() {
            let step = Step::of_lag(self.is_behind(member), self.can_lag(member));
            into.extend(step.map(|step| (At::Member(member), step)));
        }
        into.extend(self.cut_off().map(|client| (At::Member(0), Step::Expire(client as u8))));
    }

    fn step(&mut self, clocks: &[NodeClock], at: At, step: Step, out: &mut Vec<Output>) {
        match (at, step) {
            (At::Member(member), Step::Lag) => self.lag(member),
            (At::Member(member), Step::CatchUp) => self.catch_up(member, out),
            (_, Step::Expire(client)) => self.expire(clocks, client.into(), out),
            (at, step) => panic!("{at:?}: a ZooKeeper does not do this: {step}"),
        }
    }

    fn has_sessions(&self) -> bool {
        true
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

    fn holder(&self, _clocks: &[NodeClock], path: &Blob) -> Option<Holder> {
        let (token, expires) = self.first_child(path)?;
        Some(Holder { token, ends: Ends::by_time(expires) })
    }

    fn has_queue(&self) -> bool {
        true
    }

    fn tokens(&self, _clocks: &[NodeClock], path: &Blob) -> Vec<Blob> {
        self.child_names(path).collect()
    }

    fn value(&self, _clocks: &[NodeClock], _key: &Blob) -> Option<Blob> {
        None
    }
}
