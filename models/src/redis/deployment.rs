//! What a primary with replicas and Sentinels offers as a service. A lock's place is its string key, on the newest
//! primary.

use super::args::is;
use super::call::Call;
use super::commands;
use super::failover::MASTER_NAME;
use super::replicated::{Replicated, ReplicationRole, Unreached, address};
use super::reply::Failure;
use super::stream::{Done, wire_bytes};
use crate::resp::{Command, Value};
use crate::{
    At, Blob, ConnId, Due, Ends, Holder, Lost, NodeClock, Output, Request, Response, ServiceKind, Step, Steps,
};

impl Replicated {
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
        let server = self.server(member);
        let waits = server.waiting.iter().filter_map(|waiting| waiting.until_us);
        let wall = server.node.next_change(clock).into_iter().chain(waits).min();
        let counts = self.replication().min_replicas_to_write > 0;
        let unheard = self.replicas_of(member).filter_map(|replica| self.server(replica).unheard_since);
        let unheard = unheard.map(|since| self.unheard_at(since)).filter(|at| counts && *at > clock.mono_us).min();
        // The nearer of the two, both by this server's clocks.
        let wall_in = wall.map(|at| i128::from(at) - i128::from(clock.wall_us));
        let mono_in = unheard.map(|at| i128::from(at) - i128::from(clock.mono_us));
        match (wall_in, mono_in) {
            (Some(wall_in), Some(mono_in)) if mono_in < wall_in => unheard.map(Due::Monotonic),
            (Some(_), _) => wall.map(Due::Wall),
            (None, _) => unheard.map(Due::Monotonic),
        }
    }
}

impl ServiceKind for Replicated {
    fn handle(&mut self, clocks: &[NodeClock], conn: ConnId, request: &Request, out: &mut Vec<Output>) {
        let Request::Redis(command) = request else { panic!("a Redis was asked for {request}") };
        match self.sentinel_at(conn.member) {
            Some(_) => self.serve_as_sentinel(clocks[usize::from(conn.member)], conn, command, out),
            None => self.serve(clocks, conn, command, out),
        }
    }

    fn disconnect(&mut self, _clocks: &[NodeClock], conn: ConnId) {
        match self.sentinel_at(conn.member) {
            Some(number) => self.sentinels[usize::from(number)].state.subscribers.forget(conn),
            None => self.forget(conn),
        }
    }

    fn keeps(&self, conn: ConnId) -> bool {
        match self.sentinel_at(conn.member) {
            Some(number) => self.sentinels[usize::from(number)].state.subscribers.is_subscribed(conn),
            None => {
                let server = self.server(conn.member);
                server.node.has_state_of(conn) || server.written.contains_key(&conn) || self.is_waiting(conn)
            }
        }
    }

    fn is_waiting(&self, conn: ConnId) -> bool {
        let server = self.servers.get(usize::from(conn.member));
        server.is_some_and(|server| server.waiting.iter().any(|waiting| waiting.conn == conn))
    }

    fn steps(&self, into: &mut Steps) {
        for number in self.numbers() {
            let (at, server) = (At::Member(number), self.server(number));
            into.extend(self.can_take_in(number).then_some((at, Step::CatchUp)));
            let lags = !self.is_primary(number) && server.up && !server.behind;
            into.extend(lags.then_some((at, Step::Lag)));
            into.extend(self.new_primary_of(number).map(|_| (at, Step::Follow)));
            into.extend(server.node.state.disk.can_be_slow().then_some((at, Step::SlowSync)));
            into.extend(server.node.state.disk.is_slow().then_some((at, Step::Synced)));
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
            (None, Step::CatchUp) => self.take_in(clocks, member, out),
            (None, Step::Lag) => self.server_mut(member).behind = true,
            (None, Step::Follow) => self.follow(clocks, member, out),
            (None, Step::SlowSync) => {
                let state = &mut self.server_mut(member).node.state;
                state.disk.slow_down(&state.db);
            }
            (None, Step::Synced) => self.server_mut(member).node.state.disk.speed_up(),
            (_, step) => panic!("member {member} of a Redis does not do this: {step}"),
        }
    }

    /// An effect in flight can arrive after any fault of its primary. A copy needs a running primary, and a Sentinel's
    /// message a running Sentinel.
    fn matters(&self, at: At, step: Step, endangered: bool) -> bool {
        let At::Member(member) = at else { return true };
        let is_sentinel = self.sentinel_at(member).is_some();
        let waited_for = || self.servers.iter().any(|server| !server.waiting.is_empty());
        let counted = self.replication().min_replicas_to_write > 0;
        match step {
            Step::CatchUp if is_sentinel => {
                endangered || !self.cut.is_empty() || self.sentinels.iter().any(|sentinel| !sentinel.is_running())
            }
            Step::CatchUp => {
                let copies = self.server(member).in_flight.is_empty();
                (endangered && copies) || waited_for() || counted || !self.is_whole()
            }
            Step::Follow => {
                endangered || waited_for() || counted || !self.is_running(self.newest_primary()) || !self.cut.is_empty()
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
        let server = self.server(member);
        let over = |until: i64| until <= clock.wall_us;
        server.node.has_fallen_due(clock) || server.waiting.iter().any(|waiting| waiting.until_us.is_some_and(over))
    }

    fn tick(&mut self, clocks: &[NodeClock], member: u8, out: &mut Vec<Output>) {
        let clock = clocks[usize::from(member)];
        if let Some(number) = self.sentinel_at(member) {
            let config = self.sentinel_config();
            return self.sentinels[usize::from(number)].tick(&config, clock.mono_us);
        }
        let expired = self.server_mut(member).node.cycle(clock);
        let delete = expired.iter().fold(Command::new("DEL"), |command, key| command.arg(key));
        self.send(member, Done::expired(expired), wire_bytes(&delete));
        self.end_waiting(member, clock, out);
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
        for number in self.numbers() {
            self.answer_waiting(number, out);
        }
    }

    fn cut(&mut self, clocks: &[NodeClock], passes: &dyn Fn(u8, u8) -> bool, out: &mut Vec<Output>) {
        let members = self.replication().members();
        let unreached = |from: u8| {
            let bits = (0..members).filter(|to| !passes(from, *to)).fold(0, |bits, to| bits | 1 << to);
            Unreached(bits)
        };
        self.cut = (0..members).map(unreached).collect();
        if self.cut.iter().all(|unreached| unreached.0 == 0) {
            self.cut.clear();
        }
        let is_whole = self.cut.is_empty();
        for replica in &mut self.servers {
            replica.in_flight_before_cut = if is_whole { 0 } else { replica.in_flight.len() };
        }
        self.refresh_views(clocks);
        for number in self.numbers() {
            self.answer_waiting(number, out);
        }
    }

    fn in_flight(&self, member: u8) -> usize {
        self.servers.get(usize::from(member)).map_or(0, |server| server.in_flight.len())
    }

    /// While the primary is down or cut off Δ forces no effect to arrive: it may still be in the primary's output
    /// buffer.
    fn arrive(&mut self, clocks: &[NodeClock], member: u8, out: &mut Vec<Output>) -> bool {
        let Some(ReplicationRole::ReplicaOf(primary)) =
            self.servers.get(usize::from(member)).map(|server| server.replication_role)
        else {
            return false;
        };
        let flows = self.is_running(primary) && self.passes(primary, member) && !self.server(member).behind;
        let arrives = flows && self.in_flight(member) > 0 && self.can_take_in(member);
        if arrives {
            self.take_in(clocks, member, out);
        }
        arrives
    }

    fn flush(&mut self) {
        let clock = NodeClock { wall_us: 0, mono_us: 0 };
        let clocks = vec![clock; usize::from(self.replication().members())];
        for number in self.numbers() {
            while self.in_flight(number) > 0 {
                self.take_in(&clocks, number, &mut Vec::new());
            }
        }
        self.servers.iter_mut().for_each(|server| server.node.state.disk.sync());
    }

    fn holder(&self, clocks: &[NodeClock], key: &Blob) -> Option<Holder> {
        let primary = self.newest_primary();
        let (token, expiry) = self.server(primary).node.token(clocks[usize::from(primary)], key)?;
        Some(Holder { token, ends: Ends::by_time(expiry.is_some()) })
    }

    fn value(&self, clocks: &[NodeClock], key: &Blob) -> Option<Blob> {
        let primary = self.newest_primary();
        self.server(primary).node.string(clocks[usize::from(primary)], key).map(|(value, _)| value)
    }
}
