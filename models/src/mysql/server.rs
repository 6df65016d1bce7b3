//! The server: sessions and their statements, who goes on, time and crashes.
//!
//! A statement that has to wait for a lock is undone to its beginning and done again when the lock is granted; the locks that it has got
//! stay. What it had seen before the lock is locked, so that doing it again gives the same, but for rows that a READ COMMITTED scan had
//! passed and did not lock.

use super::ast::{Isolation, Statement};
use super::failure::{Done, Stop, lock_wait_timeout};
use super::locks::Locks;
use super::parse::parse;
use super::replica::Replica;
use super::table::{Key, Table};
use super::view::{TrxId, View};
use super::wire::{Reply, Request};
use super::{Config, Flush};
use crate::{Blob, ConnId, Due, Lost, NodeClock, Output, Response};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// The tables by name; copies share those that have not changed.
pub(super) type Tables = BTreeMap<Blob, Rc<Table>>;

/// A transaction.
#[derive(Clone)]
pub(super) struct Trx {
    pub id: TrxId,
    pub isolation: Isolation,
    /// It ends with COMMIT or ROLLBACK, not with its statement.
    pub explicit: bool,
    /// What its consistent reads see.
    pub view: Option<Rc<View>>,
    /// The rows that it has changed, in order.
    pub undo: Vec<(Blob, Key)>,
    pub savepoints: Vec<(Blob, usize)>,
    /// The number under which its changes were sent to the replica.
    pub sent: Option<u64>,
}

/// A statement that waits.
#[derive(Clone)]
pub(super) struct Waiting {
    pub request: Rc<Request>,
    /// When the statement began, by the server's wall clock.
    pub began_us: i64,
    /// When it gives up, by the server's monotonic clock.
    pub until_us: u64,
    /// The user lock that it waits for; otherwise it waits for a row.
    pub user_lock: Option<Blob>,
    /// Its place among all that have waited.
    pub number: u64,
    /// It has what it waited for, and may go on.
    pub granted: bool,
    /// It has been done and waits for the replica: the reply, and the number of its commit.
    pub sent: Option<(Reply, u64)>,
}

/// A connection's session.
#[derive(Clone)]
pub(super) struct Session {
    pub autocommit: bool,
    pub isolation: Isolation,
    pub next_isolation: Option<Isolation>,
    pub lock_wait_s: u32,
    pub trx: Option<Trx>,
    pub last_insert_id: u64,
    pub row_count: i64,
    pub waiting: Option<Waiting>,
}

/// A server.
#[derive(Clone)]
pub struct Server {
    pub(super) config: Config,
    pub(super) tables: Tables,
    pub(super) locks: Locks,
    pub(super) sessions: BTreeMap<ConnId, Session>,
    /// User locks: their owner, and how often it has them.
    pub(super) user_locks: BTreeMap<Blob, (ConnId, u32)>,
    pub(super) next_trx: TrxId,
    /// Rows with versions that may be dropped one day.
    pub(super) history: BTreeSet<(Blob, Key)>,
    /// What is on the disk, where commits are not flushed at once; and when that happens next.
    pub(super) flushed: Option<(Rc<Tables>, u64)>,
    /// A flush takes long.
    pub(super) slow_flush: bool,
    /// How many statements have waited.
    pub(super) waits: u64,
    pub(super) replica: Option<Replica>,
    /// The primary has waited for the replica for too long, and does not until that has caught up.
    pub(super) degraded: bool,
    /// What its monotonic clock showed when it was last asked for something.
    pub(super) now_us: u64,
    pub(super) up: bool,
}

/// How often commits are flushed that are not flushed at once.
pub(super) const FLUSH_EVERY_US: u64 = 1_000_000;

impl Server {
    /// A server that has just started for the first time.
    pub fn new(config: Config) -> Self {
        let replica = config.replication.map(|_| Replica::default());
        Server {
            config,
            tables: BTreeMap::new(),
            locks: Locks::default(),
            sessions: BTreeMap::new(),
            user_locks: BTreeMap::new(),
            next_trx: 1,
            history: BTreeSet::new(),
            flushed: None,
            slow_flush: false,
            waits: 0,
            replica,
            degraded: false,
            now_us: 0,
            up: true,
        }
    }

    /// Serves one request. A statement that waits has no reply yet.
    pub(super) fn serve(&mut self, clock: NodeClock, conn: ConnId, request: &Request, out: &mut Vec<Output>) {
        self.now_us = clock.mono_us;
        self.run(clock, conn, &Rc::new(request.clone()), clock.wall_us, out);
        self.grant();
    }

    /// Lets a statement go on that waited and has been granted what it waited for ([`granted`](Server::granted)).
    ///
    /// # Panics
    /// If there is none on this connection.
    pub(super) fn go_on(&mut self, clock: NodeClock, conn: ConnId, out: &mut Vec<Output>) {
        self.now_us = clock.mono_us;
        let waiting = self.session(conn).waiting.clone().filter(|waiting| waiting.granted);
        let waiting = waiting.unwrap_or_else(|| panic!("nothing can go on at {conn:?}"));
        if let Some((reply, _)) = waiting.sent {
            self.commit(conn);
            self.reply(conn, reply, out);
            return self.grant();
        }
        self.run(clock, conn, &waiting.request, waiting.began_us, out);
        self.grant();
    }

    /// The connections whose statements waited and may go on. A real server's threads race: any may be the first.
    pub(super) fn granted(&self) -> impl Iterator<Item = ConnId> {
        let granted = |session: &Session| session.waiting.as_ref().is_some_and(|waiting| waiting.granted);
        self.sessions.iter().filter(move |(_, session)| granted(session)).map(|(conn, _)| *conn)
    }

    pub(super) fn session(&mut self, conn: ConnId) -> &mut Session {
        let config = &self.config;
        self.sessions.entry(conn).or_insert_with(|| Session {
            autocommit: true,
            isolation: Isolation::RepeatableRead,
            next_isolation: None,
            lock_wait_s: config.lock_wait_timeout_s,
            trx: None,
            last_insert_id: 0,
            row_count: 0,
            waiting: None,
        })
    }

    /// Does a statement, or does it again.
    pub(super) fn run(
        &mut self,
        clock: NodeClock,
        conn: ConnId,
        request: &Rc<Request>,
        began_us: i64,
        out: &mut Vec<Output>,
    ) {
        let parsed = parse(&request.sql);
        let mark = self.session(conn).trx.as_ref().map_or(0, |trx| trx.undo.len());
        let done = match parsed.as_ref() {
            Ok(statement) => self.statement(clock, conn, statement, request, began_us),
            Err(problem) => Err(Stop::from(problem)),
        };
        let reply = match done {
            Ok(reply) => reply,
            Err(Stop::Blocked) => {
                self.undo_to(conn, mark);
                self.wait(clock, conn, request, began_us);
                return self.break_circles(conn, out);
            }
            Err(Stop::NotModelled(what)) => return out.push(Output::not_modelled(conn, what)),
            Err(stop) => {
                self.stop(conn, mark, &stop);
                stop.reply()
            }
        };
        self.end_statement(conn, reply, out);
    }

    /// Takes note that a statement waits; a user lock has said already how long it does.
    fn wait(&mut self, clock: NodeClock, conn: ConnId, request: &Rc<Request>, began_us: i64) {
        self.waits += 1;
        let number = self.waits;
        let session = self.session(conn);
        let row_until_us = clock.mono_us.saturating_add(u64::from(session.lock_wait_s) * 1_000_000);
        let user_lock = session.waiting.take().and_then(|waiting| Some((waiting.user_lock?, waiting.until_us)));
        let (user_lock, until_us) = user_lock.map_or((None, row_until_us), |(name, until_us)| (Some(name), until_us));
        let request = Rc::clone(request);
        let granted = false;
        session.waiting = Some(Waiting { request, began_us, until_us, user_lock, number, granted, sent: None });
    }

    pub(super) fn reply(&mut self, conn: ConnId, reply: Reply, out: &mut Vec<Output>) {
        let session = self.session(conn);
        session.waiting = None;
        session.row_count = match &reply {
            Reply::Done { affected, .. } => *affected as i64,
            _ => -1,
        };
        out.push(Output::reply(conn, Response::MySql(reply)));
    }

    /// What a statement that fails takes back.
    fn stop(&mut self, conn: ConnId, mark: usize, stop: &Stop) {
        match stop {
            Stop::Deadlock => self.rollback(conn),
            _ => self.take_back_to(conn, mark),
        }
    }

    /// A statement has been done, or has failed. By itself it is a transaction, which may have to wait for the replica.
    fn end_statement(&mut self, conn: ConnId, reply: Reply, out: &mut Vec<Output>) {
        if let Some(trx) = &mut self.session(conn).trx {
            if trx.isolation <= Isolation::ReadCommitted {
                trx.view = None;
            }
            if !trx.explicit {
                if matches!(reply, Reply::Failed(_)) {
                    self.rollback(conn);
                } else if let Some(number) = self.unreceived(conn) {
                    return self.wait_for_replica(conn, reply, number);
                } else {
                    self.commit(conn);
                }
            }
        }
        self.reply(conn, reply, out);
    }

    // Statements about transactions and sessions; the others are in `execute`.

    fn statement(
        &mut self,
        clock: NodeClock,
        conn: ConnId,
        statement: &Statement,
        request: &Request,
        began_us: i64,
    ) -> Done<Reply> {
        let done = Ok(Reply::Done { affected: 0, last_insert_id: 0 });
        match statement {
            Statement::Begin => {
                self.commit(conn);
                self.trx(conn).explicit = true;
                done
            }
            Statement::Commit => {
                // It ends with this statement.
                if let Some(trx) = &mut self.session(conn).trx {
                    trx.explicit = false;
                }
                done
            }
            Statement::Rollback => {
                self.rollback(conn);
                done
            }
            Statement::Savepoint(_) | Statement::RollbackTo(_) | Statement::Release(_) => {
                self.at_savepoint(conn, statement)?;
                done
            }
            Statement::SetAutocommit(on) => {
                if *on && !self.session(conn).autocommit {
                    self.commit(conn);
                }
                self.session(conn).autocommit = *on;
                done
            }
            Statement::SetIsolation { session: for_session, level } => {
                let session = self.session(conn);
                match (for_session, &session.trx) {
                    (true, _) => session.isolation = *level,
                    (false, Some(_)) => return super::failure::isolation_in_transaction(),
                    (false, None) => session.next_isolation = Some(*level),
                }
                done
            }
            Statement::SetLockWaitTimeout(seconds) => {
                self.session(conn).lock_wait_s = *seconds;
                done
            }
            other => self.execute(clock, conn, other, request, began_us),
        }
    }

    /// Sets a savepoint, goes back to one, or forgets one.
    fn at_savepoint(&mut self, conn: ConnId, statement: &Statement) -> Done<()> {
        match statement {
            Statement::Savepoint(name) => {
                if let Some(trx) = &mut self.session(conn).trx {
                    let mark = trx.undo.len();
                    trx.savepoints.retain(|(other, _)| other != name);
                    trx.savepoints.push((name.clone(), mark));
                }
            }
            Statement::RollbackTo(name) => {
                let place = self.savepoint(conn, name)?;
                let trx = self.trx(conn);
                let mark = trx.savepoints[place].1;
                trx.savepoints.truncate(place + 1);
                self.undo_to(conn, mark);
            }
            Statement::Release(name) => {
                let place = self.savepoint(conn, name)?;
                self.trx(conn).savepoints.truncate(place);
            }
            other => unreachable!("no statement about savepoints: {other:?}"),
        }
        Ok(())
    }

    fn savepoint(&mut self, conn: ConnId, name: &Blob) -> Done<usize> {
        let savepoints = self.session(conn).trx.as_ref().map(|trx| &trx.savepoints[..]).unwrap_or_default();
        let place = savepoints.iter().position(|(other, _)| other == name);
        place.map_or_else(|| super::failure::unknown_savepoint(name), Ok)
    }

    // Connections, time, crashes.

    /// True if a connection has a session.
    pub(super) fn has_session_on(&self, conn: ConnId) -> bool {
        self.sessions.contains_key(&conn)
    }

    /// A connection has ended: its transaction is rolled back, its user locks are free.
    pub(super) fn forget(&mut self, clock: NodeClock, conn: ConnId) {
        if !self.sessions.contains_key(&conn) {
            return;
        }
        self.now_us = clock.mono_us;
        let sent = self.session(conn).waiting.as_ref().is_some_and(|waiting| waiting.sent.is_some());
        if sent {
            self.commit(conn)
        } else {
            self.rollback(conn)
        }
        self.sessions.remove(&conn);
        let theirs = self.user_locks.iter().filter(|(_, (owner, _))| *owner == conn);
        for name in theirs.map(|(name, _)| name.clone()).collect::<Vec<Blob>>() {
            self.hand_on(&name);
        }
        self.grant();
    }

    /// True if a session's statement waits.
    pub(super) fn has_waiting_on(&self, conn: ConnId) -> bool {
        self.sessions.get(&conn).is_some_and(|session| session.waiting.is_some())
    }

    /// When a statement that waits gives up next, or commits are flushed.
    pub(super) fn next_due(&self) -> Option<Due> {
        let waiting = self.sessions.values().filter_map(|session| session.waiting.as_ref());
        let waits =
            waiting.filter(|waiting| !waiting.granted && waiting.until_us < u64::MAX).map(|waiting| waiting.until_us);
        let flush = self.flushed.as_ref().filter(|_| !self.slow_flush).map(|(_, at_us)| *at_us);
        waits.chain(flush).min().map(Due::Monotonic)
    }

    /// True if something has fallen due.
    pub(super) fn has_fallen_due(&self, clock: NodeClock) -> bool {
        self.next_due().is_some_and(|at| at <= Due::Monotonic(clock.mono_us))
    }

    /// Statements that have waited for too long give up.
    pub(super) fn end_what_is_over(&mut self, clock: NodeClock, out: &mut Vec<Output>) {
        self.now_us = clock.mono_us;
        self.flushed.take_if(|(_, at_us)| !self.slow_flush && *at_us <= clock.mono_us);
        let late = |waiting: &Waiting| !waiting.granted && waiting.until_us <= clock.mono_us;
        let over = |session: &Session| session.waiting.as_ref().is_some_and(late);
        let late: Vec<ConnId> =
            self.sessions.iter().filter(|(_, session)| over(session)).map(|(conn, _)| *conn).collect();
        for conn in late {
            let Some(mut waiting) = self.session(conn).waiting.clone() else { continue };
            if waiting.sent.is_some() {
                (self.degraded, waiting.granted) = (true, true);
                self.session(conn).waiting = Some(waiting);
                continue;
            }
            if waiting.user_lock.is_some() {
                // It looks once more, and is told that the time is over.
                self.run(clock, conn, &waiting.request, waiting.began_us, out);
                continue;
            }
            if let Some(trx) = self.session(conn).trx.as_ref().map(|trx| trx.id) {
                self.locks.stop_waiting(trx);
            }
            self.end_statement(conn, lock_wait_timeout().reply(), out);
        }
        self.grant();
    }

    /// What was committed reaches the disk.
    pub(super) fn flush_all(&mut self) {
        self.flushed = None;
    }

    /// True if flushes can take long beside the commits, and none does yet.
    pub(super) fn can_flush_slowly(&self) -> bool {
        self.up && self.config.flush != Flush::EachCommit && !self.slow_flush
    }

    /// True while a flush takes long.
    pub(super) fn flushes_slowly(&self) -> bool {
        self.slow_flush
    }

    /// A flush takes long from now on, or is over.
    pub(super) fn flush_slowly(&mut self, slow: bool) {
        self.slow_flush = slow;
    }

    /// It goes down. What was flushed is on its disk, and what was written where the process alone has ended; where there is a
    /// replica, that takes over with what it has received.
    pub(super) fn go_down(&mut self, lost: Lost) {
        let kept = lost == Lost::Process && self.config.flush == Flush::Written;
        self.tables = match (self.replica.take(), self.flushed.take().filter(|_| !kept)) {
            (Some(replica), _) => replica.into_tables(),
            (None, Some((tables, _))) => Tables::clone(&tables),
            (None, None) => self.committed(),
        };
        self.replica = self.config.replication.map(|_| Replica::of(&self.tables));
        self.degraded = false;
        self.locks = Locks::default();
        self.sessions.clear();
        self.user_locks.clear();
        self.history.clear();
        self.slow_flush = false;
        self.up = false;
    }

    /// It starts again.
    pub(super) fn come_up(&mut self) {
        self.up = true;
    }
}
