//! The ensemble: what its servers do together, as one state machine.
//!
//! What its servers say to each other is made atomic where no client can tell:
//!
//! - **A change commits when the leader takes it in.** Before a quorum has it on disk nobody sees it, and its client knows
//!   nothing; a leader that dies with a proposal of which the new leader knows leaves a change that happened without an
//!   answer, one of which it does not know leaves a change that did not happen. Both are there: the leader dies after
//!   it served the request and before the answer arrives, or before it served the request.
//! - **Servers apply a commit at once, unless one has fallen behind** ([`lag`](Ensemble::lag)). Then it applies one
//!   transaction a step, and in between serves reads, fires watches and takes in new connections as of where it is. A
//!   change or a `sync` that goes through it makes it catch up, as the answer comes after all that was committed before.
//! - **An election takes no time.** While there is no leader no server serves anybody, so nobody can tell how long it took but
//!   by the clock. All connections break, every server that is up has everything that was committed, and the new leader
//!   gives each session its whole time-out again.
//! - **Pings are taken for granted**: a session's time runs only while its client stands still, is cut off, or
//!   its connection is gone. So expiry comes a time-out after the moment of silence, where the real server counts from the last
//!   ping, up to a third of the time-out earlier.
//!
//! Sessions are expired by the leader's monotonic clock in ticks; containers whose last child has gone are deleted at its next
//! check, once a minute.
//!
//! Not modelled, and without words in [`wire`](super::wire): access control lists, quotas, TTL nodes, persistent and recursive
//! watches, observers, local sessions, reconfiguration, the times (`ctime`, `mtime`) in a [`Stat`], and transaction numbers used up
//! by refused requests. What can be asked for and is not modelled, [`not_modelled`] names.

use super::Config;
use super::sessions::Sessions;
use super::tree::{self, Change, Happened, Tree};
use super::watches::Watches;
use super::wire::{Answer, Error, EventKind, Op, Reply, Request, SessionId, Stat, Zxid};
use crate::escape::Fixed;
use crate::{Blob, ConnId, Due, NodeClock, Output, Response};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::rc::Rc;

/// How often the leader looks for containers to delete.
const CONTAINER_CHECK_US: u64 = 60_000_000;

/// A transaction: changes that are made together.
#[derive(Hash)]
struct Txn {
    zxid: Zxid,
    changes: Vec<Change>,
}

/// One server.
#[derive(Clone, Hash)]
struct Server {
    up: bool,
    watches: Watches,
    /// Where it is, while it is behind, and what it has yet to apply.
    behind: Option<(Rc<Tree>, VecDeque<Rc<Txn>>)>,
}

/// A simulated ensemble.
#[derive(Clone, Hash)]
pub struct Ensemble {
    config: Fixed<Rc<Config>>,
    /// What is committed, and what every server that is not behind has applied.
    committed: Rc<Tree>,
    servers: SmallVec<[Server; 3]>,
    leader: Option<u8>,
    sessions: Sessions,
    /// When the leader next looks for containers to delete, by its monotonic clock.
    container_check: Option<u64>,
}

impl Ensemble {
    /// An ensemble that has just elected its first leader.
    pub fn new(config: Config) -> Self {
        let server = Server { up: true, watches: Watches::default(), behind: None };
        Ensemble {
            servers: std::iter::repeat_n(server, config.servers.into()).collect(),
            config: Fixed(Rc::new(config)),
            committed: Rc::new(Tree::new(1 << 32)),
            leader: Some(0),
            sessions: Sessions::default(),
            container_check: None,
        }
    }

    /// Serves one request.
    pub(super) fn serve(&mut self, clocks: &[NodeClock], conn: ConnId, request: &Request, out: &mut Vec<Output>) {
        if let Some(what) = not_modelled(request, self.sessions.over(conn).is_some()) {
            return out.push(Output::not_modelled(conn, what));
        }
        if self.leader.is_none() {
            return out.push(Output::close(conn));
        }
        if let Request::Connect { session, timeout_ms, seen } = request {
            return self.connect(conn, *session, *timeout_ms, *seen, out);
        }
        let Some(session) = self.sessions.over(conn) else {
            // The session has gone on over another server.
            return out.push(Output::close(conn));
        };
        match request {
            Request::Write(op) => self.write(clocks, conn, session, op, out),
            Request::Multi(ops) => self.multi(clocks, conn, session, ops, out),
            Request::CloseSession => {
                self.end_session(clocks, session, out);
                self.catch_up_fully(conn.member, out);
                self.answer(conn, Answer::Done, out);
                out.push(Output::close(conn));
            }
            Request::Sync { .. } => {
                self.catch_up_fully(conn.member, out);
                self.answer(conn, Answer::Done, out);
            }
            Request::SetWatches { seen, data, exist, child } => {
                self.set_watches(conn, *seen, [data, exist, child], out);
                self.answer(conn, Answer::Done, out);
            }
            read => match self.read(conn, read) {
                Ok(answer) => self.answer(conn, answer, out),
                Err(error) => self.refuse(conn, error, out),
            },
        }
    }

    fn connect(&mut self, conn: ConnId, session: SessionId, timeout_ms: u32, seen: Zxid, out: &mut Vec<Output>) {
        if seen > self.tree_of(conn.member).zxid {
            // It would see the world as it was before.
            return out.push(Output::close(conn));
        }
        let (session, timeout_us) = if session == 0 {
            let tick = self.config.tick_ms;
            let timeout_us = u64::from(timeout_ms.clamp(2 * tick, 20 * tick)) * 1000;
            let session = self.sessions.open(timeout_us, conn);
            self.commit(vec![Change::OpenSession { session }], out);
            self.catch_up_fully(conn.member, out);
            (session, timeout_us)
        } else if let Some(known) = self.sessions.get(session) {
            let timeout_us = known.timeout_us();
            if let Some(old) = self.sessions.go_on(session, conn) {
                self.forget_watches(old);
                out.push(Output::close(old));
            }
            (session, timeout_us)
        } else {
            self.refuse(conn, Error::SessionExpired, out);
            return out.push(Output::close(conn));
        };
        self.answer(conn, Answer::Connected { session, timeout_ms: (timeout_us / 1000) as u32 }, out);
    }

    fn write(&mut self, clocks: &[NodeClock], conn: ConnId, session: SessionId, op: &Op, out: &mut Vec<Output>) {
        let prepared = self.committed.prepare(op, session, &self.config);
        if let Ok(change) = &prepared {
            self.commit(vec![change.clone()], out);
            self.plan_container_check(clocks);
        }
        self.catch_up_fully(conn.member, out);
        match prepared {
            Ok(change) => self.answer(conn, self.committed.answer(&change), out),
            Err(error) => self.refuse(conn, error, out),
        }
    }

    fn multi(&mut self, clocks: &[NodeClock], conn: ConnId, session: SessionId, ops: &[Op], out: &mut Vec<Output>) {
        let mut tentative = Tree::clone(&self.committed);
        tentative.zxid += 1;
        let (mut changes, mut answers) = (Vec::new(), Vec::new());
        for (at, op) in ops.iter().enumerate() {
            match tentative.prepare(op, session, &self.config) {
                Ok(change) => {
                    tentative.apply(&change, &self.config, &mut Vec::new());
                    answers.push(match &change {
                        // Within a multi the server tells the path of what it created and nothing more, but for containers.
                        Change::Create { path, container: false, .. } => {
                            Answer::Created { path: path.clone(), stat: Stat::default() }
                        }
                        change => tentative.answer(change),
                    });
                    changes.push(change);
                }
                Err(error) => {
                    let why = |other: usize| match other.cmp(&at) {
                        std::cmp::Ordering::Less => None,
                        std::cmp::Ordering::Equal => Some(error),
                        std::cmp::Ordering::Greater => Some(Error::RuntimeInconsistency),
                    };
                    self.catch_up_fully(conn.member, out);
                    return self.answer(conn, Answer::MultiFailed((0..ops.len()).map(why).collect()), out);
                }
            }
        }
        self.commit(changes, out);
        self.plan_container_check(clocks);
        self.catch_up_fully(conn.member, out);
        self.answer(conn, Answer::Multi(answers), out);
    }

    fn read(&mut self, conn: ConnId, request: &Request) -> Result<Answer, Error> {
        let (Request::Exists { path, watch } | Request::GetData { path, watch } | Request::GetChildren { path, watch }) =
            request
        else {
            return Err(Error::BadArguments);
        };
        if !tree::is_path(path) {
            return Err(Error::BadArguments);
        }
        let node = self.tree_of(conn.member).get(path).cloned();
        let watches = &mut self.servers[usize::from(conn.member)].watches;
        let is_exists = matches!(request, Request::Exists { .. });
        if *watch && (node.is_some() || is_exists) {
            match request {
                Request::GetChildren { .. } => watches.on_children(path, conn),
                _ => watches.on_data(path, conn),
            }
        }
        let node = node.ok_or(Error::NoNode)?;
        Ok(match request {
            Request::GetData { .. } => Answer::Data(node.data().clone(), node.stat()),
            Request::GetChildren { .. } => Answer::Children(node.children().cloned().collect(), node.stat()),
            _ => Answer::Stat(node.stat()),
        })
    }

    /// Leaves the watches of a client that goes on over this server; those whose event it has missed fire at once.
    fn set_watches(&mut self, conn: ConnId, seen: Zxid, [data, exist, child]: [&Vec<Blob>; 3], out: &mut Vec<Output>) {
        let tree = Rc::clone(self.tree_of(conn.member));
        let missed = |path: &Blob, changed: fn(&Stat) -> Zxid, kind: EventKind| match tree.stat(path) {
            None => Some(EventKind::Deleted),
            Some(stat) => (changed(&stat) > seen).then_some(kind),
        };
        let watches = &mut self.servers[usize::from(conn.member)].watches;
        let mut fire = |kind: EventKind, path: &Blob| {
            let event = Reply::Event { kind, path: path.clone() };
            out.push(Output::message(conn, Response::ZooKeeper(event)));
        };
        for path in data {
            match missed(path, |stat| stat.mzxid, EventKind::DataChanged) {
                Some(kind) => fire(kind, path),
                None => watches.on_data(path, conn),
            }
        }
        for path in exist {
            match tree.stat(path) {
                Some(_) => fire(EventKind::Created, path),
                None => watches.on_data(path, conn),
            }
        }
        for path in child {
            match missed(path, |stat| stat.pzxid, EventKind::ChildrenChanged) {
                Some(kind) => fire(kind, path),
                None => watches.on_children(path, conn),
            }
        }
    }

    fn answer(&self, conn: ConnId, answer: Answer, out: &mut Vec<Output>) {
        let reply = Reply::Answer { zxid: self.tree_of(conn.member).zxid, answer };
        out.push(Output::reply(conn, Response::ZooKeeper(reply)));
    }

    fn refuse(&self, conn: ConnId, error: Error, out: &mut Vec<Output>) {
        let reply = Reply::Failed { zxid: self.tree_of(conn.member).zxid, error };
        out.push(Output::reply(conn, Response::ZooKeeper(reply)));
    }

    /// What a server has applied.
    fn tree_of(&self, member: u8) -> &Rc<Tree> {
        self.servers[usize::from(member)].behind.as_ref().map_or(&self.committed, |(tree, _)| tree)
    }

    /// Makes a transaction, everywhere but at servers that are behind.
    fn commit(&mut self, changes: Vec<Change>, out: &mut Vec<Output>) {
        let tree = Rc::make_mut(&mut self.committed);
        tree.zxid += 1;
        let mut happened = Vec::new();
        changes.iter().for_each(|change| tree.apply(change, &self.config, &mut happened));
        let txn = Rc::new(Txn { zxid: tree.zxid, changes });
        for server in self.servers.iter_mut().filter(|server| server.up) {
            match &mut server.behind {
                Some((_, queue)) => queue.push_back(Rc::clone(&txn)),
                None => fire(&mut server.watches, &happened, out),
            }
        }
    }

    /// A server that is behind applies its next transaction.
    fn apply_next(&mut self, member: u8, out: &mut Vec<Output>) {
        let server = &mut self.servers[usize::from(member)];
        let Some((tree, queue)) = &mut server.behind else { return };
        let Some(txn) = queue.pop_front() else { return };
        let tree = Rc::make_mut(tree);
        tree.zxid = txn.zxid;
        let mut happened = Vec::new();
        txn.changes.iter().for_each(|change| tree.apply(change, &self.config, &mut happened));
        fire(&mut server.watches, &happened, out);
    }

    fn catch_up_fully(&mut self, member: u8, out: &mut Vec<Output>) {
        while self.servers[usize::from(member)].behind.as_ref().is_some_and(|(_, queue)| !queue.is_empty()) {
            self.apply_next(member, out);
        }
    }

    // Sessions.

    fn end_session(&mut self, clocks: &[NodeClock], session: SessionId, out: &mut Vec<Output>) {
        self.sessions.close(session);
        // The bug, in its general form: a server that comes back brings along what it has not seen go.
        if self.config.keeps_ephemerals && self.servers.iter().any(|server| !server.up) {
            return;
        }
        self.commit(vec![Change::CloseSession { session }], out);
        self.plan_container_check(clocks);
    }

    fn forget_watches(&mut self, conn: ConnId) {
        self.servers[usize::from(conn.member)].watches.forget(conn);
    }

    /// What the leader's monotonic clock shows.
    fn leader_us(&self, clocks: &[NodeClock]) -> Option<u64> {
        self.leader.map(|leader| clocks[usize::from(leader)].mono_us)
    }

    fn tick_us(&self) -> u64 {
        u64::from(self.config.tick_ms) * 1000
    }

    /// True if a connection has a session or watches.
    pub(super) fn has_session_on(&self, conn: ConnId) -> bool {
        self.sessions.over(conn).is_some() || self.servers[usize::from(conn.member)].watches.has(conn)
    }

    /// Takes note that a connection has ended.
    pub(super) fn forget(&mut self, clocks: &[NodeClock], conn: ConnId) {
        let (now_us, tick_us) = (self.leader_us(clocks), self.tick_us());
        self.sessions.cut(conn, now_us, tick_us);
        self.forget_watches(conn);
    }

    /// Takes note that a client has fallen silent or is heard again.
    pub(super) fn listen(&mut self, clocks: &[NodeClock], conn: ConnId, heard: bool) {
        let (now_us, tick_us) = (self.leader_us(clocks), self.tick_us());
        self.sessions.hear(conn, heard, now_us, tick_us);
    }

    // Time.

    /// The leader's next expiry of a session or look at the containers.
    pub(super) fn next_due(&self, member: u8) -> Option<Due> {
        if self.leader != Some(member) {
            return None;
        }
        [self.sessions.next_expiry(), self.container_check].into_iter().flatten().min().map(Due::Monotonic)
    }

    /// True if the leader has something to do.
    pub(super) fn has_fallen_due(&self, clock: NodeClock, member: u8) -> bool {
        self.next_due(member).is_some_and(|at| at <= Due::Monotonic(clock.mono_us))
    }

    /// The leader expires sessions, and deletes containers that have been emptied.
    pub(super) fn end_what_is_over(&mut self, clocks: &[NodeClock], member: u8, out: &mut Vec<Output>) {
        let now_us = clocks[usize::from(member)].mono_us;
        if self.leader != Some(member) {
            return;
        }
        for session in self.sessions.expired(now_us) {
            let conn = self.sessions.get(session).and_then(|session| session.conn);
            self.end_session(clocks, session, out);
            if let Some(conn) = conn {
                self.forget_watches(conn);
                out.push(Output::close(conn));
            }
        }
        if self.container_check.is_some_and(|at| at <= now_us) {
            self.container_check = None;
            let emptied: Vec<Blob> = self.committed.emptied_containers().cloned().collect();
            emptied.into_iter().for_each(|path| self.commit(vec![Change::Delete { path }], out));
            self.plan_container_check(clocks);
        }
    }

    /// The clients that have a session and no connection.
    pub(super) fn cut_off(&self) -> impl Iterator<Item = u16> {
        let mut clients: Vec<u16> = self.sessions.cut_off().map(|(_, client)| client).collect();
        clients.dedup();
        clients.into_iter()
    }

    /// The sessions of a client without a connection expire.
    pub(super) fn expire(&mut self, clocks: &[NodeClock], client: u16, out: &mut Vec<Output>) {
        let theirs: Vec<SessionId> =
            self.sessions.cut_off().filter(|(_, of)| *of == client).map(|(session, _)| session).collect();
        theirs.into_iter().for_each(|session| self.end_session(clocks, session, out));
    }

    fn plan_container_check(&mut self, clocks: &[NodeClock]) {
        let Some(now_us) = self.leader_us(clocks) else { return };
        if self.container_check.is_none() && self.committed.emptied_containers().next().is_some() {
            self.container_check = Some((now_us / CONTAINER_CHECK_US + 1) * CONTAINER_CHECK_US);
        }
    }

    // Servers that fall behind, crash and come back.

    pub(super) fn members(&self) -> u8 {
        self.config.servers
    }

    /// True if a server can fall behind: it follows.
    pub(super) fn can_lag(&self, member: u8) -> bool {
        self.leader.is_some_and(|leader| leader != member) && self.servers[usize::from(member)].up
    }

    /// A server falls behind.
    pub(super) fn lag(&mut self, member: u8) {
        let tree = Rc::clone(&self.committed);
        self.servers[usize::from(member)].behind.get_or_insert((tree, VecDeque::new()));
    }

    /// True if a server is behind.
    pub(super) fn is_behind(&self, member: u8) -> bool {
        self.servers[usize::from(member)].behind.is_some()
    }

    /// A server applies its next transaction; after the last it is not behind any more.
    pub(super) fn catch_up(&mut self, member: u8, out: &mut Vec<Output>) {
        self.apply_next(member, out);
        let server = &mut self.servers[usize::from(member)];
        if server.behind.as_ref().is_some_and(|(_, queue)| queue.is_empty()) {
            server.behind = None;
        }
    }

    /// A server goes down. What was committed is on the disks of a quorum.
    pub(super) fn stop(&mut self, clocks: &[NodeClock], member: u8, out: &mut Vec<Output>) {
        let lost: Vec<ConnId> = self.sessions.connections().into_iter().filter(|conn| conn.member == member).collect();
        lost.into_iter().for_each(|conn| self.forget(clocks, conn));
        self.servers[usize::from(member)] = Server { up: false, watches: Watches::default(), behind: None };
        if self.leader == Some(member) || !self.has_quorum() {
            self.elect(clocks, out);
        }
    }

    /// A server starts again, and catches up with the leader before it serves anybody.
    pub(super) fn rejoin(&mut self, clocks: &[NodeClock], member: u8, out: &mut Vec<Output>) {
        self.servers[usize::from(member)].up = true;
        if self.leader.is_none() {
            self.elect(clocks, out);
        }
    }

    fn has_quorum(&self) -> bool {
        2 * self.servers.iter().filter(|server| server.up).count() > self.servers.len()
    }

    /// All connections break. If a quorum is up it has a new leader, and everybody has what was committed.
    fn elect(&mut self, clocks: &[NodeClock], out: &mut Vec<Output>) {
        out.extend(self.sessions.connections().into_iter().map(Output::close));
        for server in &mut self.servers {
            (server.watches, server.behind) = (Watches::default(), None);
        }
        self.container_check = None;
        if !self.has_quorum() {
            self.leader = None;
            return self.sessions.suspend();
        }
        self.leader = self.servers.iter().position(|server| server.up).map(|member| member as u8);
        let tree = Rc::make_mut(&mut self.committed);
        tree.zxid = ((tree.zxid >> 32) + 1) << 32;
        let (now_us, tick_us) = (self.leader_us(clocks).expect("elected above"), self.tick_us());
        self.sessions.begin_again(now_us, tick_us);
        self.plan_container_check(clocks);
    }

    // What others ask.

    /// The child of `path` that was created first: its name, and whether it ends with a session that there is.
    pub(super) fn first_child(&self, path: &[u8]) -> Option<(Blob, bool)> {
        let parent = self.committed.get(path)?;
        let child = |name: &Blob| {
            let full = [path, b"/", name].concat();
            let node = self.committed.get(&full)?;
            Some((node.stat().czxid, name.clone(), self.sessions.get(node.owner()).is_some()))
        };
        parent.children().filter_map(child).min().map(|(_, name, ephemeral)| (name, ephemeral))
    }

    /// The names of the children of `path`.
    pub(super) fn child_names(&self, path: &[u8]) -> impl Iterator<Item = Blob> {
        self.committed.get(path).into_iter().flat_map(|parent| parent.children().cloned())
    }
}

/// The most bytes of a request (`jute.maxbuffer`): the server closes the connection. What goes with the data is left room for.
const DATA_BYTES_MAX: usize = 1_000_000;

/// What of a request the model does not have.
fn not_modelled(request: &Request, connected: bool) -> Option<String> {
    match request {
        Request::Connect { .. } if connected => return Some("a second session over one connection".to_owned()),
        Request::Write(Op::Check { .. }) => return Some("a check outside a multi".to_owned()),
        Request::Exists { path, .. } | Request::GetData { path, .. } | Request::GetChildren { path, .. }
            if path.as_bytes() == b"/" =>
        {
            return Some("a look at the root, which has nodes of the server's own".to_owned());
        }
        _ => {}
    }
    let data = |op: &Op| match op {
        Op::Create { data, .. } | Op::SetData { data, .. } => data.len(),
        Op::Delete { .. } | Op::Check { .. } => 0,
    };
    let bytes = match request {
        Request::Write(op) => data(op),
        Request::Multi(ops) => ops.iter().map(data).sum(),
        _ => 0,
    };
    if bytes > DATA_BYTES_MAX {
        return Some("a request of more than a megabyte".to_owned());
    }
    request.paths().into_iter().find_map(|path| {
        let own = path.as_bytes() == b"/zookeeper" || path.starts_with(b"/zookeeper/");
        let odd = std::str::from_utf8(path).map_or(true, |path| path.chars().any(|char| char != '\0' && is_odd(char)));
        (own || odd).then(|| format!("the path {path:?}"))
    })
}

/// Characters that the server refuses in paths, or may.
fn is_odd(char: char) -> bool {
    char.is_control() || char >= '\u{E000}'
}

/// Sends the events of the watches that fire.
fn fire(watches: &mut Watches, happened: &[Happened], out: &mut Vec<Output>) {
    for one in happened {
        let (kind, path) = one;
        for conn in watches.fire(one) {
            let event = Reply::Event { kind: *kind, path: path.clone() };
            out.push(Output::message(conn, Response::ZooKeeper(event)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{Mutation, each_shows};

    #[test]
    fn every_field_is_in_the_digest() {
        let ensemble = Ensemble::new(Config::default());
        let changes: &[Mutation<Ensemble>] = &[
            ("what is committed", |all| Rc::make_mut(&mut all.committed).zxid += 1),
            ("the leader", |all| all.leader = Some(1)),
            ("no leader", |all| all.leader = None),
            ("the container check", |all| all.container_check = Some(0)),
            ("the sessions", |all| {
                let conn = ConnId { client: 0, member: 0, lane: 1 };
                all.sessions.open(1, conn);
            }),
            ("a server that is down", |all| all.servers[1].up = false),
            ("another that is", |all| all.servers[2].up = false),
            ("one that is behind", |all| all.lag(1)),
            ("what it has yet to apply", |all| {
                all.lag(1);
                let txn = Txn { zxid: 1, changes: vec![Change::Delete { path: "/a".into() }] };
                let queue = &mut all.servers[1].behind.as_mut().expect("it is behind").1;
                queue.push_back(Rc::new(txn));
            }),
            ("a watch", |all| {
                let conn = ConnId { client: 0, member: 1, lane: 1 };
                all.servers[1].watches.on_data(&"/a".into(), conn);
            }),
        ];
        each_shows(&ensemble, changes);
    }
}
