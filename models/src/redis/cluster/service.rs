//! What a Cluster offers as a service. A lock's place is its key, on the primary that was elected last for its slot.

use super::super::replicated::sooner;
use super::servers::Cluster;
use crate::slots::slot_of;
use crate::{At, Blob, ConnId, Due, Ends, Holder, Lost, NodeClock, Output, Request, ServiceKind, Step, Steps};

impl Cluster {
    /// The server that was elected last for the slot of a key.
    fn newest_owner(&self, key: &[u8]) -> u8 {
        let shard = self.table(0).shard_of(slot_of(key));
        let owners = self.data.numbers().map(|number| self.table(number).owners[shard]);
        owners.max_by_key(|owner| owner.epoch).expect("a Cluster has servers").server
    }

    /// True if all servers run and reach each other, and know the same owners.
    fn is_whole(&self) -> bool {
        self.data.cut.is_empty()
            && self.data.numbers().all(|number| self.data.is_running(number) && !self.can_learn(number))
    }

    fn answer_all_waiting(&mut self, out: &mut Vec<Output>) {
        for number in self.data.numbers() {
            self.data.answer_waiting(number, out);
        }
    }
}

impl ServiceKind for Cluster {
    fn handle(&mut self, clocks: &[NodeClock], conn: ConnId, request: &Request, out: &mut Vec<Output>) {
        let Request::Redis(command) = request else { panic!("a Redis was asked for {request}") };
        let announced = self.data.serve(clocks, conn, command, out);
        self.spread(conn.member, announced, out);
    }

    fn disconnect(&mut self, _clocks: &[NodeClock], conn: ConnId) {
        self.data.forget(conn);
    }

    fn keeps(&self, conn: ConnId) -> bool {
        self.data.keeps(conn)
    }

    fn is_waiting(&self, conn: ConnId) -> bool {
        self.data.is_waiting(conn)
    }

    fn steps(&self, into: &mut Steps) {
        for number in self.data.numbers() {
            self.data.steps(number, into);
            let at = At::Member(number);
            into.extend(self.can_learn(number).then_some((at, Step::Learn)));
            into.extend(self.can_be_elected(number).then_some((at, Step::FailOver)));
        }
    }

    fn step(&mut self, clocks: &[NodeClock], at: At, step: Step, out: &mut Vec<Output>) {
        let At::Member(number) = at else { panic!("{at:?}: a Redis does not do this: {step}") };
        match step {
            Step::Learn => self.learn(clocks, number, out),
            Step::FailOver => self.elect(clocks, number),
            step => self.data.step(clocks, number, step, out),
        }
        let server = self.data.server(number);
        self.members[usize::from(number)].linked |= !server.needs_copy && server.up;
    }

    /// An effect in flight can arrive after any fault of its primary. A copy needs a running primary, and a server that
    /// learns one that tells it.
    fn matters(&self, at: At, step: Step, endangered: bool) -> bool {
        let At::Member(number) = at else { return true };
        let counted = || self.data.counts_replicas();
        match step {
            Step::CatchUp => {
                let copies = self.data.server(number).in_flight.is_empty();
                (endangered && copies) || counted() || !self.is_whole()
            }
            _ => true,
        }
    }

    fn numbers_clients(&self) -> bool {
        false
    }

    fn next_timer(&self, clock: NodeClock, member: u8) -> Option<Due> {
        let bus = self.bus_due(member).map(Due::Monotonic);
        sooner(clock, self.data.next_due(clock, member), bus)
    }

    fn is_due(&self, clock: NodeClock, member: u8) -> bool {
        self.data.is_due(clock, member) || self.bus_due(member).is_some_and(|at| at <= clock.mono_us)
    }

    fn tick(&mut self, clocks: &[NodeClock], member: u8, out: &mut Vec<Output>) {
        self.data.tick(clocks[usize::from(member)], member, out);
        self.refresh(clocks);
    }

    fn crash(&mut self, clocks: &[NodeClock], member: u8, lost: Lost, out: &mut Vec<Output>) {
        self.data.go_down(member, lost);
        let gone = &mut self.members[usize::from(member)];
        (gone.linked, gone.may_be_elected) = (false, false);
        gone.unread.clear();
        self.refresh(clocks);
        self.data.has_gone_down(member, lost, out);
    }

    fn restart(&mut self, clocks: &[NodeClock], member: u8, _out: &mut Vec<Output>) {
        self.data.come_up(clocks, member);
        self.begin(member, clocks[usize::from(member)].mono_us);
        self.refresh(clocks);
    }

    fn is_group(&self) -> bool {
        true
    }

    fn pause(&mut self, clocks: &[NodeClock], member: u8, paused: bool, out: &mut Vec<Output>) {
        self.data.server_mut(member).paused = paused;
        if !paused {
            self.hear_again(member);
            self.read(member, out);
        }
        self.refresh(clocks);
        self.answer_all_waiting(out);
    }

    fn cut(&mut self, clocks: &[NodeClock], passes: &dyn Fn(u8, u8) -> bool, out: &mut Vec<Output>) {
        self.data.set_cut(self.config.servers(), passes);
        self.refresh(clocks);
        self.answer_all_waiting(out);
    }

    fn in_flight(&self, member: u8) -> usize {
        self.data.in_flight(member)
    }

    fn arrive(&mut self, clocks: &[NodeClock], member: u8, out: &mut Vec<Output>) -> bool {
        self.data.arrive(clocks, member, out)
    }

    fn flush(&mut self) {
        self.data.flush();
    }

    fn holder(&self, clocks: &[NodeClock], key: &Blob) -> Option<Holder> {
        let owner = self.newest_owner(key);
        let (token, expiry) = self.data.server(owner).node.token(clocks[usize::from(owner)], key)?;
        Some(Holder { token, ends: Ends::by_time(expiry.is_some()) })
    }

    fn value(&self, clocks: &[NodeClock], key: &Blob) -> Option<Blob> {
        let owner = self.newest_owner(key);
        self.data.server(owner).node.string(clocks[usize::from(owner)], key).map(|(value, _)| value)
    }
}
