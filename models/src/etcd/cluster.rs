//! The cluster: what its servers do together.
//!
//! What is atomic here, and why no client can tell:
//!
//! - *A change* is proposed, written to a quorum's disks, applied and answered in one step. Steps of other clients that the servers
//!   would take in between are steps before or after it: the changes have one order, and an answer still takes its time on
//!   its connection. A server that dies before the answer is sent leaves a change without an answer, as here when the
//!   connection breaks behind the step. A change that a dying leader had not yet brought to a quorum is lost: here the
//!   request dies on its way.
//! - *A linearizable read* asks the leader how far it must be, and waits until it is: here it catches up and reads.
//! - *A server that applies late* can be told apart, by serializable reads and by the moment of watch events: that is
//!   steps, [`Lag`](crate::Step::Lag) and [`CatchUp`](crate::Step::CatchUp), which the explorer schedules.
//! - *An election* takes no time. Connections to servers that stay up do not notice it; requests would only wait.
//! - *The end of a lease* comes at its very moment. The leader of etcd looks twice a second and then needs a quorum, so it comes later
//!   there, at no fixed phase: the earliest moment is the worst one for a holder. A keep-alive that finds its lease at an end
//!   waits in etcd for the keys to be deleted; here they are deleted at once.

use super::Config;
use super::leases::Leases;
use super::store::{Store, check_clashes, check_names};
use super::wire::{Answer, Error, Event, Keys, LeaseId, Op, Range, Reply, Request, Revision, Txn};
use crate::escape::Fixed;
use crate::{Blob, ConnId, Due, NodeClock, Output, Response};
use std::rc::Rc;

/// Somebody who is told of changes.
#[derive(Clone, Hash)]
struct Watcher {
    conn: ConnId,
    keys: Keys,
    from: Revision,
}

#[derive(Clone, Default, Hash)]
struct Server {
    up: bool,
    watchers: Vec<Watcher>,
    /// How far it has got, if it is behind.
    behind: Option<Revision>,
}

/// A cluster.
#[derive(Clone, Hash)]
pub struct Cluster {
    config: Fixed<Config>,
    store: Rc<Store>,
    leases: Leases,
    leader: Option<u8>,
    servers: Vec<Server>,
}

impl Cluster {
    /// A cluster whose servers have just started for the first time.
    pub fn new(config: Config) -> Self {
        let server = Server { up: true, ..Server::default() };
        let servers = vec![server; config.servers.into()];
        Cluster {
            config: Fixed(config),
            store: Rc::new(Store::new()),
            leases: Leases::default(),
            leader: Some(0),
            servers,
        }
    }

    /// Serves one request.
    pub(super) fn serve(&mut self, clocks: &[NodeClock], conn: ConnId, request: &Request, out: &mut Vec<Output>) {
        if let Some(what) = not_modelled(request, self.is_up_to_date(conn.member)) {
            return out.push(Output::not_modelled(conn, what));
        }
        let mut messages = Vec::new();
        let reply = match self.answer(clocks, conn, request, &mut messages) {
            Ok(answer) => Reply::Answer { revision: self.revision_of(conn.member), answer },
            Err(error) => Reply::Failed(error),
        };
        out.push(Output::reply(conn, Response::Etcd(reply)));
        out.append(&mut messages);
    }

    fn answer(
        &mut self,
        clocks: &[NodeClock],
        conn: ConnId,
        request: &Request,
        out: &mut Vec<Output>,
    ) -> Result<Answer, Error> {
        if let Request::Watch { keys, from } = request {
            return Ok(self.watch(conn, keys, *from, out));
        }
        if let Request::Op(Op::Range(range)) = request
            && range.serializable
        {
            check_names(&[Op::Range(range.clone())])?;
            return self.store.read(range, self.revision_of(conn.member));
        }
        let now_us = self.leader_us(clocks).ok_or(Error::NoLeader)?;
        let answer = match request {
            Request::Op(Op::Range(range)) => {
                check_names(&[Op::Range(range.clone())])?;
                self.store.read(range, self.store.revision())
            }
            Request::Op(op) => {
                check_names(std::slice::from_ref(op))?;
                self.change(std::slice::from_ref(op), out).map(|mut answers| answers.remove(0))
            }
            Request::Txn(txn) => self.txn(txn, out),
            Request::Grant { id, ttl_s } => self.grant(*id, *ttl_s, now_us),
            Request::Revoke(id) => self.revoke(*id, out).then_some(Answer::Revoked).ok_or(Error::LeaseNotFound),
            Request::KeepAlive(id) => {
                self.end_leases(now_us, out);
                Ok(Answer::KeptAlive { ttl_s: self.leases.keep_alive(*id, now_us).unwrap_or_default() })
            }
            Request::TimeToLive(id) => Ok(self.time_to_live(*id, now_us)),
            Request::Watch { .. } => unreachable!("served above"),
        };
        // Whoever asked over this server sees it as far as the leader is.
        self.catch_up_fully(conn.member, out);
        answer
    }

    fn change(&mut self, ops: &[Op], out: &mut Vec<Output>) -> Result<Vec<Answer>, Error> {
        for op in ops {
            match op {
                Op::Put { lease, .. } if *lease != 0 && !self.leases.contains(*lease) => {
                    return Err(Error::LeaseNotFound);
                }
                Op::Range(range) if range.revision > self.store.revision() => return Err(Error::FutureRevision),
                _ => {}
            }
        }
        let before = self.store.revision();
        let answers = Rc::make_mut(&mut self.store).apply(ops);
        if self.store.revision() > before {
            let (now, up_to_date) = (self.store.revision(), |server: &&Server| server.up && server.behind.is_none());
            self.servers.iter().filter(up_to_date).for_each(|server| tell(&self.store, server, now, now, out));
        }
        Ok(answers)
    }

    fn txn(&mut self, txn: &Txn, out: &mut Vec<Output>) -> Result<Answer, Error> {
        if txn.when.iter().any(|compare| compare.key.is_empty()) {
            return Err(Error::EmptyKey);
        }
        [&txn.then, &txn.otherwise].into_iter().try_for_each(|ops| check_names(ops))?;
        [&txn.then, &txn.otherwise].into_iter().try_for_each(|ops| check_clashes(ops))?;
        let succeeded = txn.when.iter().all(|compare| self.store.holds(compare));
        let answers = self.change(if succeeded { &txn.then } else { &txn.otherwise }, out)?;
        Ok(Answer::Txn { succeeded, answers })
    }

    // Leases.

    fn grant(&mut self, id: LeaseId, ttl_s: i64, now_us: u64) -> Result<Answer, Error> {
        if self.leases.contains(id) {
            return Err(Error::LeaseExists);
        }
        let id = if id == 0 { self.leases.next_id() } else { id };
        let ttl_s = ttl_s.max(self.config.lease_s_min.into());
        self.leases.grant(id, ttl_s, now_us);
        Ok(Answer::Granted { id, ttl_s })
    }

    fn revoke(&mut self, id: LeaseId, out: &mut Vec<Output>) -> bool {
        let was_there = self.leases.end(id);
        let deletes = |key: &Blob| Op::Delete { keys: Keys::one(key), prev: false };
        let ops: Vec<Op> = self.store.keys_of(id).map(deletes).collect();
        if was_there && !ops.is_empty() {
            self.change(&ops, out).expect("deletes of keys that are there are in order");
        }
        was_there
    }

    fn end_leases(&mut self, now_us: u64, out: &mut Vec<Output>) {
        for id in self.leases.ended(now_us) {
            self.revoke(id, out);
        }
    }

    fn time_to_live(&self, id: LeaseId, now_us: u64) -> Answer {
        let (ttl_s, granted_s) = self.leases.time_left(id, now_us).unwrap_or((-1, 0));
        let keys = if ttl_s < 0 { Vec::new() } else { self.store.keys_of(id).cloned().collect() };
        Answer::TimeToLive { ttl_s, granted_s, keys }
    }

    fn leader_us(&self, clocks: &[NodeClock]) -> Option<u64> {
        self.leader.map(|leader| clocks[usize::from(leader)].mono_us)
    }

    /// The end of the next lease, by the leader's clock.
    pub(super) fn next_due(&self, member: u8) -> Option<Due> {
        let leads = self.leader == Some(member);
        self.leases.next_end().filter(|_| leads).map(Due::Monotonic)
    }

    /// True if a lease has ended by the leader's clock.
    pub(super) fn has_fallen_due(&self, clock: NodeClock, member: u8) -> bool {
        self.next_due(member).is_some_and(|at| at <= Due::Monotonic(clock.mono_us))
    }

    /// The leader ends leases.
    pub(super) fn end_what_is_over(&mut self, clocks: &[NodeClock], member: u8, out: &mut Vec<Output>) {
        if self.leader == Some(member) {
            self.end_leases(clocks[usize::from(member)].mono_us, out);
        }
    }

    // Watches.

    fn watch(&mut self, conn: ConnId, keys: &Keys, from: Revision, out: &mut Vec<Output>) -> Answer {
        let now = self.revision_of(conn.member);
        let from = if from > 0 { from } else { now + 1 };
        let missed = self.store.events(keys, from, now);
        if !missed.is_empty() {
            out.push(Output::message(conn, Response::Etcd(Reply::Events(missed))));
        }
        self.servers[usize::from(conn.member)].watchers.push(Watcher { conn, keys: keys.clone(), from });
        Answer::Watching
    }

    /// True if something is watched for a connection.
    pub(super) fn has_watches_of(&self, conn: ConnId) -> bool {
        self.servers[usize::from(conn.member)].watchers.iter().any(|watcher| watcher.conn == conn)
    }

    /// Takes note that a connection has ended.
    pub(super) fn forget(&mut self, conn: ConnId) {
        self.servers[usize::from(conn.member)].watchers.retain(|watcher| watcher.conn != conn);
    }

    // Servers that fall behind, crash and come back.

    /// How far a server has got.
    fn revision_of(&self, member: u8) -> Revision {
        self.servers[usize::from(member)].behind.unwrap_or(self.store.revision())
    }

    /// True if what a server has is what the leader has.
    fn is_up_to_date(&self, member: u8) -> bool {
        self.leader.is_some() && self.servers[usize::from(member)].behind.is_none()
    }

    pub(super) fn members(&self) -> u8 {
        self.config.servers
    }

    /// True if a server can fall behind: it follows.
    pub(super) fn can_lag(&self, member: u8) -> bool {
        self.leader.is_some_and(|leader| leader != member) && self.servers[usize::from(member)].up
    }

    /// A server falls behind.
    pub(super) fn lag(&mut self, member: u8) {
        self.servers[usize::from(member)].behind.get_or_insert(self.store.revision());
    }

    /// True if a server is behind.
    pub(super) fn is_behind(&self, member: u8) -> bool {
        self.servers[usize::from(member)].behind.is_some()
    }

    /// A server applies its next change; after the last it is not behind any more.
    pub(super) fn catch_up(&mut self, member: u8, out: &mut Vec<Output>) {
        let server = &mut self.servers[usize::from(member)];
        let Some(revision) = &mut server.behind else { return };
        if *revision < self.store.revision() {
            *revision += 1;
            let next = *revision;
            tell(&self.store, server, next, next, out);
        }
        let server = &mut self.servers[usize::from(member)];
        server.behind = server.behind.filter(|revision| *revision < self.store.revision());
    }

    /// A server that is behind applies all that there is; it may fall behind again at once.
    fn catch_up_fully(&mut self, member: u8, out: &mut Vec<Output>) {
        let (server, now) = (&mut self.servers[usize::from(member)], self.store.revision());
        let Some(from) = server.behind else { return };
        server.behind = Some(now);
        (from + 1..=now).for_each(|revision| tell(&self.store, server, revision, revision, out));
    }

    /// A server goes down. What was committed is on the disks of a quorum.
    pub(super) fn stop(&mut self, clocks: &[NodeClock], member: u8, out: &mut Vec<Output>) {
        self.servers[usize::from(member)] = Server::default();
        if self.leader == Some(member) || !self.has_quorum() {
            self.elect(clocks, out);
        }
    }

    /// A server starts again, and has what was committed before it serves anybody.
    pub(super) fn rejoin(&mut self, clocks: &[NodeClock], member: u8, out: &mut Vec<Output>) {
        self.servers[usize::from(member)].up = true;
        if self.leader.is_none() {
            self.elect(clocks, out);
        }
    }

    fn has_quorum(&self) -> bool {
        2 * self.servers.iter().filter(|server| server.up).count() > self.servers.len()
    }

    /// The first server that is up leads. It has taken in everything before it does.
    fn elect(&mut self, clocks: &[NodeClock], out: &mut Vec<Output>) {
        let first = self.servers.iter().position(|server| server.up).map(|member| member as u8);
        let Some(leader) = first.filter(|_| self.has_quorum()) else {
            self.leader = None;
            return self.leases.suspend();
        };
        self.catch_up_fully(leader, out);
        self.servers[usize::from(leader)].behind = None;
        self.leader = Some(leader);
        let now_us = clocks[usize::from(leader)].mono_us;
        self.leases.begin_again(now_us, u64::from(self.config.election_ms) * 1000);
    }

    // What others ask.

    /// The value of a key.
    pub(super) fn value_of(&self, key: &Blob) -> Option<Blob> {
        self.store.get(key).map(|kv| kv.value.clone())
    }

    /// Of the keys with this prefix the one that was created first: its value, and whether it ends with a lease.
    pub(super) fn first_created(&self, prefix: &Blob) -> Option<(Blob, bool)> {
        let kv = self.store.below(prefix).min_by_key(|kv| kv.created)?;
        Some((kv.value.clone(), kv.lease != 0))
    }

    /// The values of the keys with this prefix, by their keys.
    pub(super) fn values_below<'a>(&'a self, prefix: &'a Blob) -> impl Iterator<Item = Blob> + 'a {
        self.store.below(prefix).map(|kv| kv.value.clone())
    }
}

/// The most steps, and the most conditions, of a transaction (`--max-txn-ops`).
const TXN_OPS_MAX: usize = 128;
/// The most bytes of a request (`--max-request-bytes`, a megabyte and a half), with room for what goes with keys and values.
const REQUEST_BYTES_MAX: usize = 1_000_000;
/// The longest time of a lease, in seconds.
const TTL_S_MAX: i64 = 9_000_000_000;

/// What of a request the model does not have.
fn not_modelled(request: &Request, up_to_date: bool) -> Option<&'static str> {
    let (ops, is_txn): (Vec<&Op>, bool) = match request {
        Request::Op(op) => (vec![op], false),
        Request::Txn(txn) => (txn.then.iter().chain(&txn.otherwise).collect(), true),
        Request::Grant { ttl_s, .. } if *ttl_s > TTL_S_MAX => {
            return Some("a lease of more than 9,000,000,000 seconds");
        }
        Request::Grant { ttl_s: ..=0, .. } => return Some("a lease of no time"),
        Request::Grant { id: ..0, .. } => return Some("a negative lease number"),
        Request::Watch { from: ..0, .. } => return Some("a watch from a negative revision"),
        _ => (Vec::new(), false),
    };
    let negative = |op: &&Op| matches!(op, Op::Range(Range { revision, limit, created_max, .. }) if *revision < 0 || *limit < 0 || *created_max < 0);
    let bytes: usize =
        ops.iter().map(|op| if let Op::Put { key, value, .. } = op { key.len() + value.len() } else { 0 }).sum();
    let is_local = |op: &&Op| matches!(op, Op::Range(range) if range.serializable);
    if ops.iter().any(negative) {
        Some("a range with a negative revision or limit")
    } else if bytes > REQUEST_BYTES_MAX {
        Some("a request of more than a megabyte")
    } else if is_txn && !up_to_date && ops.iter().all(is_local) {
        Some("a transaction that is served without the leader, at a server that is behind or has none")
    } else {
        match request {
            Request::Txn(txn) if txn.when.len().max(txn.then.len()).max(txn.otherwise.len()) > TXN_OPS_MAX => {
                Some("a transaction with more than 128 conditions or steps")
            }
            _ => None,
        }
    }
}

/// Tells a server's watchers of the changes of these revisions.
fn tell(store: &Store, server: &Server, from: Revision, to: Revision, out: &mut Vec<Output>) {
    for watcher in &server.watchers {
        let events: Vec<Event> = store.events(&watcher.keys, from.max(watcher.from), to);
        if !events.is_empty() {
            out.push(Output::message(watcher.conn, Response::Etcd(Reply::Events(events))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{Mutation, each_shows};

    #[test]
    fn every_field_is_in_the_digest() {
        let cluster = Cluster::new(Config::default());
        fn put(all: &mut Cluster, lease: LeaseId, value: &'static str) {
            let op = Op::Put { key: "a".into(), value: value.into(), lease, prev: false };
            Rc::make_mut(&mut all.store).apply(&[op]);
        }
        fn watch(all: &mut Cluster, client: u16, from: Revision) {
            let conn = ConnId { client, member: 1, lane: 1 };
            all.servers[1].watchers.push(Watcher { conn, keys: Keys::one(&"a".into()), from });
        }
        let changes: &[Mutation<Cluster>] = &[
            ("a key", |all| put(all, 0, "1")),
            ("its value", |all| put(all, 0, "2")),
            ("its lease", |all| put(all, 1, "1")),
            ("its history", |all| {
                put(all, 0, "2");
                put(all, 0, "1");
            }),
            ("a lease", |all| all.leases.grant(1, 10, 0)),
            ("its time", |all| all.leases.grant(1, 20, 0)),
            ("its end", |all| all.leases.grant(1, 10, 1)),
            ("how many leases were granted", |all| {
                all.leases.next_id();
            }),
            ("a lease without an end", |all| {
                all.leases.grant(1, 10, 0);
                all.leases.suspend();
            }),
            ("the leader", |all| all.leader = None),
            ("a server that is down", |all| all.servers[1].up = false),
            ("one that is behind", |all| all.servers[1].behind = Some(1)),
            ("a watcher", |all| watch(all, 0, 1)),
            ("whose it is", |all| watch(all, 1, 1)),
            ("from when on it watches", |all| watch(all, 0, 2)),
        ];
        each_shows(&cluster, changes);
    }
}
