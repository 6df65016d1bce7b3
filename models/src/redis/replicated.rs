//! Replicated: servers that hold data, primaries and their asynchronous replicas.
//!
//! A primary sends each effect of a command ([`stream`](super::stream)) to all its replicas. A replica applies the
//! effects in order. The moment is a choice, within Δ unless the replica has fallen behind. When the primary goes down,
//! effects in flight may arrive or not, so a failover can lose an acknowledged write. After a restart on either side
//! the replica copies the whole data set (full resynchronization).
//!
//! A replica applies an effect or copies the data set in a step ([`Step::CatchUp`](crate::Step)): its readers, WAIT
//! and, after a failover, all clients observe when. [`failover`](super::failover) says what promotes a replica.

use super::Config;
use super::address::{PORT, address};
use super::node::Node;
use super::state::Role;
use super::stream::{Done, Effect, wire_bytes};
use super::topology::MinReplicas;
use crate::escape::{Fixed, Unordered};
use crate::resp::{Command, Value};
use crate::{At, Blob, ConnId, Due, Lost, NodeClock, Output, Response, Step, Steps};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// What a server is in the replication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ReplicationRole {
    /// A primary, promoted in the failover with this epoch; 0: it was the first.
    Primary { epoch: u32 },
    /// A replica of another server.
    ReplicaOf(u8),
}

/// A server that holds data.
#[derive(Clone, Hash)]
pub(super) struct Server {
    pub node: Node,
    pub up: bool,
    pub paused: bool,
    pub replication_role: ReplicationRole,
    /// Its replication offset, in bytes.
    pub offset: u64,
    /// The offset at which it was promoted.
    pub began_at: u64,
    /// Effects that its primary has sent and it has not applied.
    pub in_flight: VecDeque<Rc<Effect>>,
    /// The number of these that were sent before a partition began: they may have passed it.
    pub in_flight_before_cut: usize,
    /// It copies the primary's data set after the effects in flight.
    pub needs_copy: bool,
    /// It has fallen behind: Δ does not bound the effects in flight.
    pub behind: bool,
    /// The offset that its primary has seen acknowledged.
    pub acknowledged: u64,
    /// When its acknowledgements stopped, by the primary's monotonic clock, in microseconds.
    pub unheard_since: Option<u64>,
    /// The offset after each connection's last command, unless all replicas have acknowledged it.
    pub written: Unordered<BTreeMap<ConnId, Offset>>,
    /// Clients blocked in WAIT.
    pub waiting: Unordered<Vec<Waiting>>,
}

/// A place in the stream, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Offset(pub u64);

/// A client blocked in WAIT.
#[derive(Clone, Debug, Hash)]
pub(super) struct Waiting {
    pub conn: ConnId,
    pub replicas: i64,
    pub offset: u64,
    /// By the server's wall clock, in microseconds.
    pub until_us: Option<i64>,
}

/// Servers of which some replicate others.
#[derive(Clone, Hash)]
pub(super) struct Replicated {
    pub servers: Vec<Server>,
    min_replicas: Fixed<MinReplicas>,
    /// For each member, the members that its messages do not reach; empty without a partition.
    pub cut: Vec<Unreached>,
}

/// The members that one member's messages do not reach, a bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Unreached(pub u32);

impl Replicated {
    /// Empty servers in these roles.
    pub(super) fn new(config: &Config, min_replicas: MinReplicas, roles: &[ReplicationRole]) -> Self {
        let server = |role: &ReplicationRole| {
            let mut node = Node::new(config.clone());
            node.state.role = match role {
                ReplicationRole::Primary { .. } => Role::Primary,
                ReplicationRole::ReplicaOf(_) => Role::Replica,
            };
            Server {
                node,
                up: true,
                paused: false,
                replication_role: *role,
                offset: 0,
                began_at: 0,
                in_flight: VecDeque::new(),
                in_flight_before_cut: 0,
                needs_copy: false,
                behind: false,
                acknowledged: 0,
                unheard_since: None,
                written: Unordered::default(),
                waiting: Unordered::default(),
            }
        };
        Replicated { servers: roles.iter().map(server).collect(), min_replicas: Fixed(min_replicas), cut: Vec::new() }
    }

    pub(super) fn server(&self, number: u8) -> &Server {
        &self.servers[usize::from(number)]
    }

    pub(super) fn server_mut(&mut self, number: u8) -> &mut Server {
        &mut self.servers[usize::from(number)]
    }

    /// The numbers of the servers.
    pub(super) fn numbers(&self) -> std::ops::Range<u8> {
        0..self.servers.len() as u8
    }

    /// True if one member's messages reach the other.
    pub(super) fn passes(&self, from: u8, to: u8) -> bool {
        self.cut.get(usize::from(from)).is_none_or(|unreached| unreached.0 & (1 << to) == 0)
    }

    pub(super) fn reach_each_other(&self, one: u8, other: u8) -> bool {
        self.passes(one, other) && self.passes(other, one)
    }

    pub(super) fn is_running(&self, number: u8) -> bool {
        let server = self.server(number);
        server.up && !server.paused
    }

    pub(super) fn is_primary(&self, number: u8) -> bool {
        matches!(self.server(number).replication_role, ReplicationRole::Primary { .. })
    }

    /// The replicas of a server.
    pub(super) fn replicas_of(&self, primary: u8) -> impl Iterator<Item = u8> {
        self.numbers()
            .filter(move |number| self.server(*number).replication_role == ReplicationRole::ReplicaOf(primary))
    }

    // The stream.

    /// A primary sends an effect to its replicas.
    pub(super) fn send(&mut self, primary: u8, done: Done, bytes: u64) {
        if done.is_nothing() {
            return;
        }
        let server = self.server_mut(primary);
        let effect = Rc::new(done.effect(&server.node.state.db, server.offset, bytes));
        server.offset = effect.offset;
        for number in self.numbers() {
            let replica = self.server_mut(number);
            if replica.replication_role == ReplicationRole::ReplicaOf(primary) && !replica.needs_copy && replica.up {
                replica.in_flight.push_back(Rc::clone(&effect));
            }
        }
    }

    /// True if a replica can apply its next effect, or copy the data set.
    pub(super) fn can_take_in(&self, number: u8) -> bool {
        let ReplicationRole::ReplicaOf(primary) = self.server(number).replication_role else { return false };
        let replica = self.server(number);
        let passes = self.passes(primary, number) || replica.in_flight_before_cut > 0;
        let comes = !replica.in_flight.is_empty() && passes;
        let copies = replica.needs_copy && self.is_running(primary) && self.reach_each_other(primary, number);
        self.is_running(number) && (comes || (replica.in_flight.is_empty() && copies && self.is_primary(primary)))
    }

    /// A replica applies its next effect, or copies the data set.
    pub(super) fn take_in(&mut self, clocks: &[NodeClock], number: u8, out: &mut Vec<Output>) {
        let ReplicationRole::ReplicaOf(primary) = self.server(number).replication_role else { return };
        if let Some(effect) = self.server_mut(number).in_flight.pop_front() {
            let replica = self.server_mut(number);
            replica.in_flight_before_cut = replica.in_flight_before_cut.saturating_sub(1);
            replica.offset = effect.offset;
            replica.node.take_in(clocks[usize::from(number)], &effect, out);
        } else if self.server(number).needs_copy {
            let source = self.server(primary);
            let (node, offset) = (source.node.clone(), source.offset);
            let replica = self.server_mut(number);
            replica.node.copy(&node);
            (replica.offset, replica.needs_copy) = (offset, false);
        }
        let replica = self.server_mut(number);
        replica.behind &= replica.needs_copy || !replica.in_flight.is_empty();
        self.acknowledge(number);
        self.answer_waiting(primary, out);
    }

    /// A replica acknowledges its offset.
    pub(super) fn acknowledge(&mut self, number: u8) {
        let ReplicationRole::ReplicaOf(primary) = self.server(number).replication_role else { return };
        let replica = self.server(number);
        if !replica.needs_copy && self.is_running(number) && self.passes(number, primary) {
            self.server_mut(number).acknowledged = self.server(number).offset;
        }
        let least = self.replicas_of(primary).map(|number| self.server(number).acknowledged).min();
        self.server_mut(primary).written.retain(|_, offset| least.is_some_and(|least| least < offset.0));
    }

    // WAIT.

    /// The number of replicas that have acknowledged this offset.
    fn count_acknowledged(&self, primary: u8, offset: u64) -> i64 {
        let has = |number: &u8| {
            let replica = self.server(*number);
            replica.up && !replica.needs_copy && replica.acknowledged >= offset
        };
        self.replicas_of(primary).filter(has).count() as i64
    }

    /// WAIT: answered when enough replicas have acknowledged the connection's writes, or after the time-out.
    pub(super) fn wait(&mut self, number: u8, clock: NodeClock, conn: ConnId, args: (i64, i64), out: &mut Vec<Output>) {
        let (replicas, timeout_ms) = args;
        let offset = self.server(number).written.get(&conn).map_or(0, |offset| offset.0);
        let count = self.count_acknowledged(number, offset);
        if count >= replicas {
            return out.push(Output::reply(conn, Response::Redis(Value::Int(count))));
        }
        let until_us = (timeout_ms > 0).then(|| clock.wall_us + timeout_ms * 1000);
        self.server_mut(number).waiting.push(Waiting { conn, replicas, offset, until_us });
    }

    /// Unblocks WAITs for which enough replicas have acknowledged.
    pub(super) fn answer_waiting(&mut self, primary: u8, out: &mut Vec<Output>) {
        let waiting = std::mem::take(&mut self.server_mut(primary).waiting.0);
        for waiter in waiting {
            let count = self.count_acknowledged(primary, waiter.offset);
            if count >= waiter.replicas {
                out.push(Output::reply(waiter.conn, Response::Redis(Value::Int(count))));
            } else {
                self.server_mut(primary).waiting.push(waiter);
            }
        }
    }

    /// Unblocks WAITs whose time-out is over.
    pub(super) fn end_waiting(&mut self, primary: u8, clock: NodeClock, out: &mut Vec<Output>) {
        let waiting = std::mem::take(&mut self.server_mut(primary).waiting.0);
        for waiter in waiting {
            if waiter.until_us.is_some_and(|until| until <= clock.wall_us) {
                let count = self.count_acknowledged(primary, waiter.offset);
                out.push(Output::reply(waiter.conn, Response::Redis(Value::Int(count))));
            } else {
                self.server_mut(primary).waiting.push(waiter);
            }
        }
    }

    // Commands.

    /// Serves a command. Returns what it published that the bus of a Cluster carries, each with its channel; without
    /// one the replicas' stream does.
    pub(super) fn serve(
        &mut self,
        clocks: &[NodeClock],
        conn: ConnId,
        command: &Command,
        out: &mut Vec<Output>,
    ) -> Vec<(Blob, Blob)> {
        let (number, clock) = (conn.member, clocks[usize::from(conn.member)]);
        self.server_mut(number).node.state.role = self.role_for_clients(number, clock);
        let in_multi = self.server(number).node.state.transactions.get(conn).is_some_and(|at| at.queued.is_some());
        if !in_multi && self.serve_about_replication(clock, conn, command, out) {
            return Vec::new();
        }
        let node = &mut self.server_mut(number).node;
        let mut done = node.serve(clock, conn, command, out);
        let by_bus = node.state.table.is_some();
        let published = if by_bus { std::mem::take(&mut done.announced) } else { Vec::new() };
        if !self.is_primary(number) {
            return published;
        }
        self.send(number, done, wire_bytes(command));
        let offset = self.server(number).offset;
        let missing = self.replicas_of(number).any(|replica| self.server(replica).acknowledged < offset);
        if missing {
            self.server_mut(number).written.insert(conn, Offset(offset));
        }
        published
    }

    /// The role that a server shows to its clients.
    fn role_for_clients(&self, number: u8, clock: NodeClock) -> Role {
        if !self.is_primary(number) {
            return Role::Replica;
        }
        let good = self.replicas_of(number).filter(|replica| self.is_heard(*replica, clock)).count();
        let needed = usize::from(self.min_replicas.to_write);
        if good < needed { Role::TooFewReplicas } else { Role::Primary }
    }

    /// True if a replica counts for `min-replicas-to-write`. Its last acknowledgement may be up to a second older than
    /// the break, and the server counts whole seconds; the model takes the latest moment, at which most writes are
    /// accepted.
    fn is_heard(&self, replica: u8, clock: NodeClock) -> bool {
        let Server { up, unheard_since, needs_copy, .. } = self.server(replica);
        let lasts = |since: u64| clock.mono_us < self.unheard_at(since);
        (*up || unheard_since.is_some()) && !needs_copy && unheard_since.is_none_or(lasts)
    }

    /// When a replica whose acknowledgements stopped at this moment no longer counts.
    pub(super) fn unheard_at(&self, since_us: u64) -> u64 {
        since_us + (u64::from(self.min_replicas.max_lag_s) + 1) * 1_000_000
    }

    /// Serves WAIT and ROLE; false for other commands.
    fn serve_about_replication(
        &mut self,
        clock: NodeClock,
        conn: ConnId,
        command: &Command,
        out: &mut Vec<Output>,
    ) -> bool {
        let number = conn.member;
        let words = command.words();
        let reply = match (command.name().to_ascii_uppercase().as_slice(), &words[1..]) {
            (b"WAIT", [_, _]) if !self.is_primary(number) => Value::error(
                "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is \
                 configured to be writable (which is not the default) writes to replicas are just local and are not \
                 propagated.",
            ),
            (b"WAIT", [replicas, timeout]) => match (replicas.to_int(), timeout.to_int()) {
                (Some(replicas), Some(timeout)) if timeout >= 0 => {
                    self.wait(number, clock, conn, (replicas, timeout), out);
                    return true;
                }
                _ => return false,
            },
            (b"ROLE", []) => self.tell_role(number),
            _ => return false,
        };
        out.push(Output::reply(conn, Response::Redis(reply)));
        true
    }

    fn tell_role(&self, number: u8) -> Value {
        let server = self.server(number);
        let offset = |offset: u64| Value::Int(offset as i64);
        match server.replication_role {
            ReplicationRole::Primary { .. } => {
                let replica = |number: u8| {
                    let acknowledged = self.server(number).acknowledged.to_string();
                    let [host, port] = address(number);
                    Value::Array(vec![host, port, Value::Bulk(acknowledged.into())])
                };
                let replicas = self.replicas_of(number).filter(|number| self.server(*number).up).map(replica);
                let replicas = Value::Array(replicas.collect());
                Value::Array(vec![Value::Bulk("master".into()), offset(server.offset), replicas])
            }
            ReplicationRole::ReplicaOf(primary) => {
                let state = match (self.is_running(primary), server.needs_copy) {
                    (true, false) => "connected",
                    (true, true) => "sync",
                    (false, _) => "connect",
                };
                let [host, _] = address(primary);
                let (state, port) = (Value::Bulk(state.into()), Value::Int(i64::from(PORT)));
                Value::Array(vec![Value::Bulk("slave".into()), host, port, state, offset(server.offset)])
            }
        }
    }

    // Roles.

    /// A replica becomes a primary: it has applied what it will.
    pub(super) fn promote(&mut self, number: u8, epoch: u32) {
        let server = self.server_mut(number);
        server.replication_role = ReplicationRole::Primary { epoch };
        server.began_at = server.offset;
        server.in_flight.clear();
        server.in_flight_before_cut = 0;
        (server.needs_copy, server.behind, server.unheard_since) = (false, false, None);
        server.node.state.role = Role::Primary;
    }

    /// A server becomes a replica of another one. If both replicated the same primary and the new one had at least
    /// this server's offset when it was promoted, the server applies the effects between the two (partial
    /// resynchronization) and then the new primary's own, which the model copies at once. Otherwise it copies the whole
    /// data set.
    pub(super) fn demote(&mut self, number: u8, primary: u8) {
        let began_at = self.server(primary).began_at;
        let server = self.server_mut(number);
        let continues = matches!(server.replication_role, ReplicationRole::ReplicaOf(_))
            && !server.needs_copy
            && server.offset <= began_at;
        server.in_flight.retain(|effect| continues && effect.offset <= began_at);
        server.replication_role = ReplicationRole::ReplicaOf(primary);
        server.in_flight_before_cut = server.in_flight_before_cut.min(server.in_flight.len());
        server.acknowledged = 0;
        server.needs_copy = true;
        server.unheard_since = None;
        server.node.state.role = Role::Replica;
    }

    // What happens to servers and their links.

    /// Which members' messages reach which: `passes(from, to)`.
    pub(super) fn set_cut(&mut self, members: u8, passes: &dyn Fn(u8, u8) -> bool) {
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
    }

    /// Updates the acknowledgements, after servers or links have changed.
    pub(super) fn refresh_acknowledgements(&mut self, clocks: &[NodeClock]) {
        for replica in self.numbers() {
            let ReplicationRole::ReplicaOf(primary) = self.server(replica).replication_role else { continue };
            let heard = self.is_running(replica) && self.passes(replica, primary);
            let now_us = clocks[usize::from(primary)].mono_us;
            let unheard = &mut self.server_mut(replica).unheard_since;
            *unheard = if heard { None } else { Some(unheard.unwrap_or(now_us)) };
            self.acknowledge(replica);
        }
    }

    /// A server goes down.
    pub(super) fn go_down(&mut self, number: u8, lost: Lost) {
        self.forget_all(number);
        let server = self.server_mut(number);
        (server.up, server.paused) = (false, false);
        server.node.go_down(lost);
        server.in_flight.clear();
        server.in_flight_before_cut = 0;
        server.needs_copy = matches!(server.replication_role, ReplicationRole::ReplicaOf(_));
    }

    /// A replica is down, which its primary has been told if only its process is.
    pub(super) fn has_gone_down(&mut self, number: u8, lost: Lost, out: &mut Vec<Output>) {
        if let ReplicationRole::ReplicaOf(primary) = self.server(number).replication_role {
            if lost == Lost::Process {
                // Its machine has closed the connection to the primary.
                self.server_mut(number).unheard_since = None;
            }
            self.answer_waiting(primary, out);
        }
    }

    /// A server starts again. A primary begins a new stream: its replicas have to copy it.
    pub(super) fn come_up(&mut self, clocks: &[NodeClock], number: u8) {
        self.server_mut(number).up = true;
        self.server_mut(number).node.load(clocks[usize::from(number)]);
        if self.is_primary(number) {
            for replica in self.replicas_of(number).collect::<Vec<u8>>() {
                let replica = self.server_mut(replica);
                replica.in_flight.clear();
                replica.in_flight_before_cut = 0;
                (replica.needs_copy, replica.acknowledged) = (true, 0);
            }
        }
    }

    /// The steps of a server's replication and disk.
    pub(super) fn steps(&self, number: u8, into: &mut Steps) {
        let (at, server) = (At::Member(number), self.server(number));
        into.extend(self.can_take_in(number).then_some((at, Step::CatchUp)));
        let lags = !self.is_primary(number) && server.up && !server.behind;
        into.extend(lags.then_some((at, Step::Lag)));
        into.extend(server.node.state.disk.can_be_slow().then_some((at, Step::SlowSync)));
        into.extend(server.node.state.disk.is_slow().then_some((at, Step::Synced)));
    }

    /// Takes one of them.
    pub(super) fn step(&mut self, clocks: &[NodeClock], number: u8, step: Step, out: &mut Vec<Output>) {
        match step {
            Step::CatchUp => self.take_in(clocks, number, out),
            Step::Lag => self.server_mut(number).behind = true,
            Step::SlowSync => {
                let state = &mut self.server_mut(number).node.state;
                state.disk.slow_down(&state.db);
            }
            Step::Synced => self.server_mut(number).node.state.disk.speed_up(),
            step => panic!("member {number} of a Redis does not do this: {step}"),
        }
    }

    /// True if clients may observe when a replica takes in an effect: WAIT, or `min-replicas-to-write`.
    pub(super) fn counts_replicas(&self) -> bool {
        self.min_replicas.to_write > 0 || self.servers.iter().any(|server| !server.waiting.is_empty())
    }

    // Time.

    /// The next moment at which a server's state changes with time alone: key expiry, sync, WAIT time-out, a replica's
    /// acknowledgement that becomes too old.
    pub(super) fn next_due(&self, clock: NodeClock, number: u8) -> Option<Due> {
        let server = self.server(number);
        let waits = server.waiting.iter().filter_map(|waiting| waiting.until_us);
        let wall = server.node.next_change(clock).into_iter().chain(waits).min();
        let counts = self.min_replicas.to_write > 0;
        let unheard = self.replicas_of(number).filter_map(|replica| self.server(replica).unheard_since);
        let unheard = unheard.map(|since| self.unheard_at(since)).filter(|at| counts && *at > clock.mono_us).min();
        sooner(clock, wall.map(Due::Wall), unheard.map(Due::Monotonic))
    }

    /// True if [`tick`](Replicated::tick) would do something.
    pub(super) fn is_due(&self, clock: NodeClock, number: u8) -> bool {
        let server = self.server(number);
        let over = |until: i64| until <= clock.wall_us;
        server.node.has_fallen_due(clock) || server.waiting.iter().any(|waiting| waiting.until_us.is_some_and(over))
    }

    /// Does what has fallen due.
    pub(super) fn tick(&mut self, clock: NodeClock, number: u8, out: &mut Vec<Output>) {
        let expired = self.server_mut(number).node.cycle(clock);
        let delete = expired.iter().fold(Command::new("DEL"), |command, key| command.arg(key));
        self.send(number, Done::expired(expired), wire_bytes(&delete));
        self.end_waiting(number, clock, out);
    }

    /// How many effects are on their way to a server.
    pub(super) fn in_flight(&self, number: u8) -> usize {
        self.servers.get(usize::from(number)).map_or(0, |server| server.in_flight.len())
    }

    /// The first of them arrives, if it can: while the primary is down or cut off Δ forces no effect to arrive. It may
    /// still be in the primary's output buffer.
    pub(super) fn arrive(&mut self, clocks: &[NodeClock], number: u8, out: &mut Vec<Output>) -> bool {
        let Some(ReplicationRole::ReplicaOf(primary)) =
            self.servers.get(usize::from(number)).map(|server| server.replication_role)
        else {
            return false;
        };
        let flows = self.is_running(primary) && self.passes(primary, number) && !self.server(number).behind;
        let arrives = flows && self.in_flight(number) > 0 && self.can_take_in(number);
        if arrives {
            self.take_in(clocks, number, out);
        }
        arrives
    }

    /// All effects have arrived, and all disks are synced.
    pub(super) fn flush(&mut self) {
        let clocks = vec![NodeClock { wall_us: 0, mono_us: 0 }; self.servers.len()];
        for number in self.numbers() {
            while self.in_flight(number) > 0 {
                self.take_in(&clocks, number, &mut Vec::new());
            }
        }
        self.servers.iter_mut().for_each(|server| server.node.state.disk.sync());
    }

    // Connections.

    /// True if something is kept for a connection and would be lost with it.
    pub(super) fn keeps(&self, conn: ConnId) -> bool {
        let server = self.server(conn.member);
        server.node.has_state_of(conn) || server.written.contains_key(&conn) || self.is_waiting(conn)
    }

    /// True if WAIT blocks a connection.
    pub(super) fn is_waiting(&self, conn: ConnId) -> bool {
        let server = self.servers.get(usize::from(conn.member));
        server.is_some_and(|server| server.waiting.iter().any(|waiting| waiting.conn == conn))
    }

    /// Forgets a connection.
    pub(super) fn forget(&mut self, conn: ConnId) {
        let server = self.server_mut(conn.member);
        server.node.forget(conn);
        server.written.remove(&conn);
        server.waiting.retain(|waiting| waiting.conn != conn);
    }

    /// Forgets all connections of a server.
    pub(super) fn forget_all(&mut self, number: u8) {
        let server = self.server_mut(number);
        server.node.forget_all();
        server.written.clear();
        server.waiting.clear();
    }
}

/// The nearer of two moments, both by one node's clocks.
pub(super) fn sooner(clock: NodeClock, one: Option<Due>, other: Option<Due>) -> Option<Due> {
    let within = |due: &Due| match due {
        Due::Wall(at) => i128::from(*at) - i128::from(clock.wall_us),
        Due::Monotonic(at) => i128::from(*at) - i128::from(clock.mono_us),
    };
    one.into_iter().chain(other).min_by_key(within)
}
