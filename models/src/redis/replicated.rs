//! Replicated: servers of which one is the primary and the others copy it, asynchronously.
//!
//! What a primary does goes to each of its replicas as a stream of effects ([`stream`](super::stream)). A replica takes
//! them in one by one; when it does is open, within the longest delay of a message unless it has fallen behind. So a
//! primary that goes down takes with it what no replica has taken in yet: an acknowledged write is lost when another
//! server becomes the primary. A replica that was away for longer than a break of the connection copies the whole data
//! set.
//!
//! What clients can tell apart is a step:
//!
//! - A replica takes in an effect, or a copy ([`Step::CatchUp`](crate::Step)). Readers of the replica can tell, and WAIT; and all
//!   clients once it is the primary.
//! - A replica is promoted ([`Step::FailOver`](crate::Step)). The election, `REPLICAOF NO ONE` and the new configuration at the
//!   Sentinel that leads are one step, since that Sentinel names the new primary only when it has taken the role.
//! - A Sentinel learns of it ([`Step::CatchUp`](crate::Step)). Those who ask this Sentinel can tell.
//! - A server is made a replica of the new primary ([`Step::Follow`](crate::Step)). Its clients can tell, whose connections
//!   end, and WAIT.
//!
//! A step that only a server's own clients could tell is possible once one of them has asked for something
//! ([`matters`](crate::ServiceKind::matters)).

use super::node::Node;
use super::sentinel::{Sentinel, Sight};
use super::state::{Role, State};
use super::stream::{Done, Effect, wire_bytes};
use super::topology::Replication;
use super::{Config, keyspace::Keyspace, persistence::Disk, persistence::Persistence};
use crate::escape::{Fixed, Unordered};
use crate::resp::{Command, Value};
use crate::{ConnId, NodeClock, Output, Response};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// Whose data a server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Follows {
    /// Its own: it is a primary, made that by the failover with this number.
    Nobody { epoch: u32 },
    /// That of another server.
    Server(u8),
}

/// A server that holds data.
#[derive(Clone, Hash)]
pub(super) struct Server {
    pub node: Node,
    pub up: bool,
    pub paused: bool,
    pub follows: Follows,
    /// How much of the stream it has, in bytes.
    pub offset: u64,
    /// Where the stream that it began as a primary branched off from the one before.
    pub began_at: u64,
    /// What its primary has sent, and it has not taken in yet.
    pub on_its_way: VecDeque<Rc<Effect>>,
    /// How much of that was sent before a partition cut the connection, and may have come through.
    pub came_through: usize,
    /// It must copy the primary's data set, behind what is on its way.
    pub needs_copy: bool,
    /// It has fallen behind: what is on its way may take longer than a message does.
    pub behind: bool,
    /// How much of the stream its primary knows it to have.
    pub acknowledged: u64,
    /// Since when its primary has not heard it, by the primary's monotonic clock, in microseconds.
    pub unheard_since: Option<u64>,
    /// Of each connection, the offset behind its last command; where all replicas are known to have that, nothing.
    pub written: Unordered<BTreeMap<ConnId, Offset>>,
    /// Clients that wait for replicas.
    pub waiting: Unordered<Vec<Waiting>>,
}

/// A place in the stream, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Offset(pub u64);

/// A client in WAIT.
#[derive(Clone, Debug, Hash)]
pub(super) struct Waiting {
    pub conn: ConnId,
    pub replicas: i64,
    pub offset: u64,
    /// By the server's wall clock, in microseconds.
    pub until_us: Option<i64>,
}

/// A primary with its replicas, and the Sentinels that watch them.
#[derive(Clone, Hash)]
pub struct Replicated {
    pub(super) config: Fixed<Rc<(Config, Replication)>>,
    pub(super) servers: Vec<Server>,
    pub(super) sentinels: Vec<Sentinel>,
    /// Which members what one member sends does not reach, a bit each; empty while nothing is cut.
    pub(super) cut: Vec<Unreached>,
}

/// The members that what one sends does not reach, a bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Unreached(pub u32);

impl Replicated {
    /// The first server is the primary, and all are empty.
    pub(super) fn new(config: &Config, replication: &Replication) -> Self {
        let server = |number: u8| {
            let mut node = Node::new(config.clone());
            node.state.role = if number == 0 { Role::Primary } else { Role::Replica };
            Server {
                node,
                up: true,
                paused: false,
                follows: if number == 0 { Follows::Nobody { epoch: 0 } } else { Follows::Server(0) },
                offset: 0,
                began_at: 0,
                on_its_way: VecDeque::new(),
                came_through: 0,
                needs_copy: false,
                behind: false,
                acknowledged: 0,
                unheard_since: None,
                written: Unordered::default(),
                waiting: Unordered::default(),
            }
        };
        let sentinel = |_| Sentinel {
            up: true,
            paused: false,
            primary: 0,
            epoch: 0,
            sight: vec![Sight::Fine; usize::from(replication.servers())],
            state: State::new(Keyspace::default(), Disk::new(&Persistence::None)),
        };
        Replicated {
            servers: (0..replication.servers()).map(server).collect(),
            sentinels: (0..replication.sentinels.as_ref().map_or(0, |all| all.count)).map(sentinel).collect(),
            config: Fixed(Rc::new((config.clone(), replication.clone()))),
            cut: Vec::new(),
        }
    }

    pub(super) fn replication(&self) -> &Replication {
        &self.config.1
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

    /// True if what one member sends reaches the other.
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
        matches!(self.server(number).follows, Follows::Nobody { .. })
    }

    /// The replicas of a server.
    pub(super) fn replicas_of(&self, primary: u8) -> impl Iterator<Item = u8> {
        self.numbers().filter(move |number| self.server(*number).follows == Follows::Server(primary))
    }

    /// The primary that was promoted last.
    pub(super) fn newest_primary(&self) -> u8 {
        let epoch = |number: &u8| match self.server(*number).follows {
            Follows::Nobody { epoch } => Some(epoch),
            Follows::Server(_) => None,
        };
        let primaries = self.numbers().filter_map(|number| Some((epoch(&number)?, number)));
        primaries.max().map(|(_, number)| number).expect("a server that is demoted follows another that is a primary")
    }

    /// True if all members are there and reach each other, and the servers follow one primary.
    pub(super) fn is_whole(&self) -> bool {
        let primary = self.newest_primary();
        let follows = |number: u8| number == primary || self.server(number).follows == Follows::Server(primary);
        self.cut.is_empty()
            && self.numbers().all(|number| self.is_running(number) && follows(number))
            && self.sentinels.iter().all(Sentinel::is_running)
    }

    // The stream.

    /// Sends what a primary has done to its replicas.
    pub(super) fn send(&mut self, primary: u8, done: Done, bytes: u64) {
        if done.is_nothing() {
            return;
        }
        let server = self.server_mut(primary);
        let effect = Rc::new(done.effect(&server.node.state.db, server.offset, bytes));
        server.offset = effect.offset;
        for number in self.numbers() {
            let replica = self.server_mut(number);
            if replica.follows == Follows::Server(primary) && !replica.needs_copy && replica.up {
                replica.on_its_way.push_back(Rc::clone(&effect));
            }
        }
    }

    /// True if a replica can take in what comes next.
    pub(super) fn can_take_in(&self, number: u8) -> bool {
        let Follows::Server(primary) = self.server(number).follows else { return false };
        let replica = self.server(number);
        let passes = self.passes(primary, number) || replica.came_through > 0;
        let comes = !replica.on_its_way.is_empty() && passes;
        let copies = replica.needs_copy && self.is_running(primary) && self.reach_each_other(primary, number);
        self.is_running(number) && (comes || (replica.on_its_way.is_empty() && copies && self.is_primary(primary)))
    }

    /// A replica takes in what comes next: an effect, or a copy of the whole data set.
    pub(super) fn take_in(&mut self, clocks: &[NodeClock], number: u8, out: &mut Vec<Output>) {
        let Follows::Server(primary) = self.server(number).follows else { return };
        if let Some(effect) = self.server_mut(number).on_its_way.pop_front() {
            let replica = self.server_mut(number);
            replica.came_through = replica.came_through.saturating_sub(1);
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
        replica.behind &= replica.needs_copy || !replica.on_its_way.is_empty();
        self.acknowledge(number);
        self.answer_waiting(primary, out);
    }

    /// Tells its primary how much of the stream a replica has.
    pub(super) fn acknowledge(&mut self, number: u8) {
        let Follows::Server(primary) = self.server(number).follows else { return };
        let replica = self.server(number);
        if !replica.needs_copy && self.is_running(number) && self.passes(number, primary) {
            self.server_mut(number).acknowledged = self.server(number).offset;
        }
        let least = self.replicas_of(primary).map(|number| self.server(number).acknowledged).min();
        self.server_mut(primary).written.retain(|_, offset| least.is_some_and(|least| least < offset.0));
    }

    // WAIT.

    /// How many replicas are known to have the stream up to here.
    fn count_acknowledged(&self, primary: u8, offset: u64) -> i64 {
        let has = |number: &u8| {
            let replica = self.server(*number);
            replica.up && !replica.needs_copy && replica.acknowledged >= offset
        };
        self.replicas_of(primary).filter(has).count() as i64
    }

    /// WAIT: answered when so many replicas have what the connection wrote, or after the time-out.
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

    /// Answers those for whom enough replicas have acknowledged.
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

    /// Answers those who have waited for long enough.
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

    /// Serves a command.
    pub(super) fn serve(&mut self, clocks: &[NodeClock], conn: ConnId, command: &Command, out: &mut Vec<Output>) {
        let (number, clock) = (conn.member, clocks[usize::from(conn.member)]);
        self.server_mut(number).node.state.role = self.role(number, clock);
        let in_multi = self.server(number).node.state.transactions.get(conn).is_some_and(|at| at.queued.is_some());
        if !in_multi && self.serve_about_replication(clock, conn, command, out) {
            return;
        }
        let done = self.server_mut(number).node.serve(clock, conn, command, out);
        if !self.is_primary(number) {
            return;
        }
        self.send(number, done, wire_bytes(command));
        let offset = self.server(number).offset;
        let missing = self.replicas_of(number).any(|replica| self.server(replica).acknowledged < offset);
        if missing {
            self.server_mut(number).written.insert(conn, Offset(offset));
        }
    }

    /// What a server is to its clients now.
    fn role(&self, number: u8, clock: NodeClock) -> Role {
        if !self.is_primary(number) {
            return Role::Replica;
        }
        let good = self.replicas_of(number).filter(|replica| self.is_heard(*replica, clock)).count();
        let needed = usize::from(self.replication().min_replicas_to_write);
        if good < needed { Role::TooFewReplicas } else { Role::Primary }
    }

    /// True if a replica's primary counts it as heard lately. The moment of its last acknowledgement is up to a second
    /// before it fell silent, and counted in whole seconds: here the primary takes writes for the longest time.
    fn is_heard(&self, replica: u8, clock: NodeClock) -> bool {
        let Server { up, unheard_since, needs_copy, .. } = self.server(replica);
        let lasts = |since: u64| clock.mono_us < self.unheard_at(since);
        (*up || unheard_since.is_some()) && !needs_copy && unheard_since.is_none_or(lasts)
    }

    /// When a replica counts as not heard that has fallen silent at this moment.
    pub(super) fn unheard_at(&self, since_us: u64) -> u64 {
        since_us + (u64::from(self.replication().min_replicas_max_lag_s) + 1) * 1_000_000
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
        match server.follows {
            Follows::Nobody { .. } => {
                let replica = |number: u8| {
                    let acknowledged = self.server(number).acknowledged.to_string();
                    let [host, port] = address(number);
                    Value::Array(vec![host, port, Value::Bulk(acknowledged.into())])
                };
                let replicas = self.replicas_of(number).filter(|number| self.server(*number).up).map(replica);
                let replicas = Value::Array(replicas.collect());
                Value::Array(vec![Value::Bulk("master".into()), offset(server.offset), replicas])
            }
            Follows::Server(primary) => {
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

    // Connections.

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

/// The port of all servers.
pub(super) const PORT: u16 = 6379;

/// Where clients find a server: a name that says which member it is, and the port.
pub(super) fn address(number: u8) -> [Value; 2] {
    [Value::Bulk(format!("member-{number}").into()), Value::Bulk(PORT.to_string().into())]
}
