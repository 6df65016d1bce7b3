//! What a primary with replicas and Sentinels offers as a service. A lock's place is its string key, on the newest
//! primary.

use super::address::address;
use super::args::is;
use super::call::Call;
use super::commands;
use super::failover::{MASTER_NAME, Watched};
use super::reply::Failure;
use crate::resp::{Command, Value};
use crate::{
    At, Blob, ConnId, Due, Ends, Holder, Lost, NodeClock, Output, Request, Response, ServiceKind, Step, Steps,
};

impl Watched {
    /// A Sentinel serves a command.
    fn serve_as_sentinel(&mut self, clock: NodeClock, conn: ConnId, command: &Command, out: &mut Vec<Output>) {
        let number = self.sentinel_at(conn.member).expect("a Sentinel was asked");
        let words = command.words();
        let name = command.name().to_ascii_uppercase();
        let is_redis = matches!(name.as_slice(), b"PING") || name.ends_with(b"SUBSCRIBE");
        if is_redis {
            let state = &mut self.sentinels[usize::from(number)].state;
            let mut call = Call::new(state, commands::resolve, clock.wall_ms(), clock.wall_us, conn);
            let reply = match commands::dispatch(&mut call, command) {
                Ok(reply) => reply,
                Err(Failure::Error(text)) => Some(Value::Error(text)),
                Err(Failure::NotModelled(what)) => return out.push(Output::not_modelled(conn, what)),
            };
            let replies = std::mem::take(&mut call.replies);
            let replies = replies.into_iter().chain(reply);
            return out.extend(replies.map(|reply| Output::reply(conn, Response::Redis(reply))));
        }
        let known = words.get(2).is_some_and(|master| master.as_bytes() == MASTER_NAME.as_bytes());
        let reply = match words {
            [_, sub, _] if name == b"SENTINEL" && is(sub, "GET-MASTER-ADDR-BY-NAME") => match known {
                true => Value::Array(address(self.sentinels[usize::from(number)].primary).to_vec()),
                false => Value::Nil,
            },
            _ => {
                let what = format!("a Sentinel that is asked {command}");
                return out.push(Output::not_modelled(conn, what));
            }
        };
        out.push(Output::reply(conn, Response::Redis(reply)));
    }

    /// The next moment at which a member's state changes with time alone: key expiry, sync, WAIT time-out, a replica's
    /// acknowledgement that becomes too old; a Sentinel's view of a server.
    fn next_due(&self, clock: NodeClock, member: u8) -> Option<Due> {
        if let Some(number) = self.sentinel_at(member) {
            let next = self.sentinels[usize::from(number)].next_due(&self.sentinel_config());
            return next.map(Due::Monotonic);
        }
        self.data.next_due(clock, member)
    }
}

impl ServiceKind for Watched {
    fn handle(&mut self, clocks: &[NodeClock], conn: ConnId, request: &Request, out: &mut Vec<Output>) {
        let Request::Redis(command) = request else { panic!("a Redis was asked for {request}") };
        match self.sentinel_at(conn.member) {
            Some(_) => self.serve_as_sentinel(clocks[usize::from(conn.member)], conn, command, out),
            None => drop(self.data.serve(clocks, conn, command, out)),
        }
    }

    fn disconnect(&mut self, _clocks: &[NodeClock], conn: ConnId) {
        match self.sentinel_at(conn.member) {
            Some(number) => self.sentinels[usize::from(number)].state.subscribers.forget(conn),
            None => self.data.forget(conn),
        }
    }

    fn keeps(&self, conn: ConnId) -> bool {
        match self.sentinel_at(conn.member) {
            Some(number) => self.sentinels[usize::from(number)].state.subscribers.is_subscribed(conn),
            None => self.data.keeps(conn),
        }
    }

    fn is_waiting(&self, conn: ConnId) -> bool {
        self.data.is_waiting(conn)
    }

    fn steps(&self, into: &mut Steps) {
        for number in self.data.numbers() {
            self.data.steps(number, into);
            into.extend(self.new_primary_of(number).map(|_| (At::Member(number), Step::Follow)));
        }
        for number in 0..self.sentinels.len() as u8 {
            let at = At::Member(self.member_of(number));
            into.extend(self.better_informed(number).map(|_| (at, Step::CatchUp)));
            into.extend(self.candidate(number).map(|_| (at, Step::FailOver)));
        }
    }

    fn step(&mut self, clocks: &[NodeClock], at: At, step: Step, out: &mut Vec<Output>) {
        let At::Member(member) = at else { panic!("{at:?}: a Redis does not do this: {step}") };
        match (self.sentinel_at(member), step) {
            (Some(number), Step::CatchUp) => self.learn(clocks, number, out),
            (Some(number), Step::FailOver) => self.fail_over(clocks, number, out),
            (None, Step::Follow) => self.follow(clocks, member, out),
            (None, step) => self.data.step(clocks, member, step, out),
            (_, step) => panic!("member {member} of a Redis does not do this: {step}"),
        }
    }

    /// An effect in flight can arrive after any fault of its primary. A copy needs a running primary, and a Sentinel's
    /// message a running Sentinel.
    fn matters(&self, at: At, step: Step, endangered: bool) -> bool {
        let At::Member(member) = at else { return true };
        let is_sentinel = self.sentinel_at(member).is_some();
        let counted = || self.data.counts_replicas();
        match step {
            Step::CatchUp if is_sentinel => {
                endangered || !self.data.cut.is_empty() || self.sentinels.iter().any(|sentinel| !sentinel.is_running())
            }
            Step::CatchUp => {
                let copies = self.data.server(member).in_flight.is_empty();
                (endangered && copies) || counted() || !self.is_whole()
            }
            Step::Follow => {
                endangered || counted() || !self.data.is_running(self.newest_primary()) || !self.data.cut.is_empty()
            }
            _ => true,
        }
    }

    fn numbers_clients(&self) -> bool {
        false
    }

    fn next_timer(&self, clock: NodeClock, member: u8) -> Option<Due> {
        self.next_due(clock, member)
    }

    fn is_due(&self, clock: NodeClock, member: u8) -> bool {
        if let Some(number) = self.sentinel_at(member) {
            let next = self.sentinels[usize::from(number)].next_due(&self.sentinel_config());
            return next.is_some_and(|at| at <= clock.mono_us);
        }
        self.data.is_due(clock, member)
    }

    fn tick(&mut self, clocks: &[NodeClock], member: u8, out: &mut Vec<Output>) {
        let clock = clocks[usize::from(member)];
        if let Some(number) = self.sentinel_at(member) {
            let config = self.sentinel_config();
            return self.sentinels[usize::from(number)].tick(&config, clock.mono_us);
        }
        self.data.tick(clock, member, out);
    }

    fn crash(&mut self, clocks: &[NodeClock], member: u8, lost: Lost, out: &mut Vec<Output>) {
        self.go_down(clocks, member, lost, out);
    }

    fn restart(&mut self, clocks: &[NodeClock], member: u8, _out: &mut Vec<Output>) {
        self.come_up(clocks, member);
    }

    fn is_group(&self) -> bool {
        true
    }

    fn pause(&mut self, clocks: &[NodeClock], member: u8, paused: bool, out: &mut Vec<Output>) {
        self.set_paused(clocks, member, paused);
        for number in self.data.numbers() {
            self.data.answer_waiting(number, out);
        }
    }

    fn cut(&mut self, clocks: &[NodeClock], passes: &dyn Fn(u8, u8) -> bool, out: &mut Vec<Output>) {
        self.data.set_cut(self.config.members(), passes);
        self.refresh_views(clocks);
        for number in self.data.numbers() {
            self.data.answer_waiting(number, out);
        }
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
        let primary = self.newest_primary();
        let (token, expiry) = self.data.server(primary).node.token(clocks[usize::from(primary)], key)?;
        Some(Holder { token, ends: Ends::by_time(expiry.is_some()) })
    }

    fn value(&self, clocks: &[NodeClock], key: &Blob) -> Option<Blob> {
        let primary = self.newest_primary();
        self.data.server(primary).node.string(clocks[usize::from(primary)], key).map(|(value, _)| value)
    }
}
