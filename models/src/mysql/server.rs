//! The server: sessions, transactions, who waits and who goes on.
//!
//! A statement that has to wait for a lock is undone to its beginning and done again when the lock is granted; the locks that it has got
//! stay. What it had seen before the lock is locked, so that doing it again gives the same, but for rows that a READ COMMITTED scan had
//! passed and did not lock.

use super::ast::{Isolation, LockMode, Statement};
use super::failure::{Done, Stop, lock_wait_timeout, not_modelled};
use super::locks::{Answer, Locks, Part, Place};
use super::parse::parse;
use super::replica::{Change, Replica};
use super::table::{Key, Table, TrxId, Values, View};
use super::wire::{Reply, Request, Value};
use super::{Config, Flush, Replication};
use crate::{Blob, ConnId, Digest, Due, NodeClock, Output, Response};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// The tables by name; copies share those that have not changed.
type Tables = BTreeMap<Blob, Rc<Table>>;

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
    savepoints: Vec<(Blob, usize)>,
    /// The number under which its changes were sent to the replica.
    sent: Option<u64>,
}

/// A statement that waits.
#[derive(Clone)]
struct Waiting {
    request: Rc<Request>,
    /// When the statement began, by the server's wall clock.
    began_us: i64,
    /// When it gives up, by the server's monotonic clock.
    until_us: u64,
    /// The user lock that it waits for; otherwise it waits for a row.
    user_lock: Option<Blob>,
    /// Its place among all that have waited.
    number: u64,
    /// It has what it waited for, and may go on.
    granted: bool,
    /// It has been done and waits for the replica: the reply, and the number of its commit.
    sent: Option<(Reply, u64)>,
}

/// A connection's session.
#[derive(Clone)]
pub(super) struct Session {
    autocommit: bool,
    isolation: Isolation,
    next_isolation: Option<Isolation>,
    lock_wait_s: u32,
    pub trx: Option<Trx>,
    pub last_insert_id: u64,
    pub row_count: i64,
    waiting: Option<Waiting>,
}

/// A server.
#[derive(Clone)]
pub struct Server {
    pub(super) config: Config,
    pub(super) tables: Tables,
    pub(super) locks: Locks,
    pub(super) sessions: BTreeMap<ConnId, Session>,
    /// User locks: their owner, and how often it has them.
    user_locks: BTreeMap<Blob, (ConnId, u32)>,
    next_trx: TrxId,
    /// Rows with versions that may be dropped one day.
    pub(super) history: BTreeSet<(Blob, Key)>,
    /// What is on the disk, where commits are not flushed at once; and when that happens next.
    flushed: Option<(Rc<Tables>, u64)>,
    /// How many statements have waited.
    waits: u64,
    replica: Option<Replica>,
    /// The primary has waited for the replica for too long, and does not until that has caught up.
    degraded: bool,
    /// What its monotonic clock showed when it was last asked for something.
    now_us: u64,
    up: bool,
}

/// How often commits are flushed that are not flushed at once.
const FLUSH_EVERY_US: u64 = 1_000_000;

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
            waits: 0,
            replica,
            degraded: false,
            now_us: 0,
            up: true,
        }
    }

    /// Serves one request. A statement that waits has no reply yet.
    pub fn handle(&mut self, clock: NodeClock, conn: ConnId, request: &Request, out: &mut Vec<Output>) {
        self.now_us = clock.mono_us;
        self.run(clock, conn, &Rc::new(request.clone()), clock.wall_us, out);
        self.grant();
    }

    /// Lets a statement go on that waited and has been granted what it waited for ([`ready`](Server::ready)).
    ///
    /// # Panics
    /// If there is none on this connection.
    pub fn go_on(&mut self, clock: NodeClock, conn: ConnId, out: &mut Vec<Output>) {
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
    pub fn ready(&self) -> impl Iterator<Item = ConnId> {
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
    fn run(&mut self, clock: NodeClock, conn: ConnId, request: &Rc<Request>, began_us: i64, out: &mut Vec<Output>) {
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

    fn reply(&mut self, conn: ConnId, reply: Reply, out: &mut Vec<Output>) {
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
            _ => self.undo_to(conn, mark),
        }
    }

    /// A statement has been done, or has failed. By itself it is a transaction, which may have to wait for the replica.
    fn end_statement(&mut self, conn: ConnId, reply: Reply, out: &mut Vec<Output>) {
        if let Some(trx) = &mut self.session(conn).trx {
            if trx.isolation <= Isolation::ReadCommitted {
                trx.view = None;
            }
            if !trx.explicit {
                if matches!(reply, Reply::Failed(_) | Reply::NotModelled(_)) {
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

    /// Sends a transaction's changes to the replica. Gives their number if they must have arrived before they are committed.
    fn unreceived(&mut self, conn: ConnId) -> Option<u64> {
        let number = self.replicate(conn)?;
        let waits = matches!(self.config.replication, Some(Replication::SemiSynchronous { .. })) && !self.degraded;
        (waits && !self.replica.as_ref()?.has(number)).then_some(number)
    }

    fn wait_for_replica(&mut self, conn: ConnId, reply: Reply, number: u64) {
        self.waits += 1;
        let request = Rc::new(Request::new(Blob::EMPTY, Vec::new()));
        let timeout_us = match self.config.replication {
            Some(Replication::SemiSynchronous { timeout_ms: Some(ms) }) => u64::from(ms) * 1000,
            _ => u64::MAX,
        };
        let until_us = self.now_us.saturating_add(timeout_us);
        let (sent, waits) = (Some((reply, number)), self.waits);
        let waiting = Waiting { request, began_us: 0, until_us, user_lock: None, number: waits, granted: false, sent };
        self.session(conn).waiting = Some(waiting);
    }

    /// Sends what a transaction has changed to the replica, once. Gives the number under which it was sent.
    fn replicate(&mut self, conn: ConnId) -> Option<u64> {
        self.replica.as_ref()?;
        let trx = self.session(conn).trx.as_ref()?;
        if trx.sent.is_some() || trx.undo.is_empty() {
            return trx.sent;
        }
        let rows: BTreeSet<(Blob, Key)> = trx.undo.iter().cloned().collect();
        let names: BTreeSet<&Blob> = rows.iter().map(|(table, _)| table).collect();
        let numbers = names.iter().filter_map(|name| {
            Some(Change::NextAuto { table: (*name).clone(), next: self.tables.get(*name)?.next_auto })
        });
        let row = |(table, primary): &(Blob, Key)| {
            let values = self.tables.get(table)?.newest(primary).and_then(|version| version.values.clone());
            Some(Change::Row { table: table.clone(), primary: primary.clone(), values })
        };
        let changes = rows.iter().filter_map(row).chain(numbers).collect();
        let number = self.replica.as_mut()?.send(changes);
        self.trx(conn).sent = Some(number);
        Some(number)
    }

    /// Sends a definition to the replica.
    pub(super) fn replicate_definition(&mut self, change: Change) {
        if let Some(replica) = &mut self.replica {
            replica.send(vec![change]);
        }
    }

    // The replica falls behind by a fault, and catches up step by step.

    /// True if there is a replica, which can fall behind.
    pub fn can_lag(&self) -> bool {
        self.replica.is_some()
    }

    /// True if the replica is behind.
    pub fn is_behind(&self) -> bool {
        self.replica.as_ref().is_some_and(Replica::is_behind)
    }

    /// The replica falls behind.
    pub fn lag(&mut self) {
        if let Some(replica) = &mut self.replica {
            replica.lag();
        }
    }

    /// The replica receives one commit more.
    pub fn catch_up(&mut self) {
        let Some(replica) = &mut self.replica else { return };
        replica.catch_up();
        self.degraded &= replica.is_behind();
        for session in self.sessions.values_mut() {
            if let Some(Waiting { sent: Some((_, number)), granted, .. }) = &mut session.waiting {
                *granted |= replica.has(*number);
            }
        }
    }

    /// Grants row locks to those who waited for them.
    fn grant(&mut self) {
        for trx in self.locks.grant() {
            let conn = self.conn_of(trx).expect("a transaction has a session");
            if let Some(waiting) = &mut self.session(conn).waiting {
                waiting.granted = true;
            }
        }
    }

    /// The transactions that are under way.
    fn active(&self) -> impl Iterator<Item = &Trx> {
        self.sessions.values().filter_map(|session| session.trx.as_ref())
    }

    /// Their numbers, in order.
    fn active_ids(&self) -> Vec<TrxId> {
        let mut ids: Vec<TrxId> = self.active().map(|trx| trx.id).collect();
        ids.sort_unstable();
        ids
    }

    fn conn_of(&self, trx: TrxId) -> Option<ConnId> {
        let theirs = |session: &Session| session.trx.as_ref().is_some_and(|own| own.id == trx);
        self.sessions.iter().find(|(_, session)| theirs(session)).map(|(conn, _)| *conn)
    }

    /// The victim of a deadlock: who has done least, and among equals who closed the circle.
    fn break_circles(&mut self, conn: ConnId, out: &mut Vec<Output>) {
        while let Some(trx) = self.session(conn).trx.as_ref().map(|trx| trx.id)
            && let Some(circle) = self.locks.circle(trx)
        {
            let weight = |id: &TrxId| {
                let done = self
                    .conn_of(*id)
                    .and_then(|conn| self.sessions[&conn].trx.as_ref())
                    .map_or(0, |trx| trx.undo.len());
                done + self.locks.count(*id)
            };
            let victim = circle.iter().copied().min_by_key(weight).expect("a circle is not empty");
            let victim = self.conn_of(victim).expect("a transaction has a session");
            self.rollback(victim);
            self.reply(victim, Stop::Deadlock.reply(), out);
            if victim == conn {
                return;
            }
        }
    }

    // Transactions.

    /// The statement's transaction, begun if there is none.
    pub(super) fn trx(&mut self, conn: ConnId) -> &mut Trx {
        let id = self.next_trx;
        let session = self.session(conn);
        if session.trx.is_none() {
            let isolation = session.next_isolation.take().unwrap_or(session.isolation);
            let explicit = !session.autocommit;
            let (undo, savepoints) = (Vec::new(), Vec::new());
            session.trx = Some(Trx { id, isolation, explicit, view: None, undo, savepoints, sent: None });
            self.next_trx += 1;
        }
        self.session(conn).trx.as_mut().expect("begun above")
    }

    /// What the statement's consistent reads see; nothing if they see everything.
    pub(super) fn view(&mut self, conn: ConnId) -> Option<Rc<View>> {
        let trx = self.trx(conn);
        if trx.isolation == Isolation::ReadUncommitted {
            return None;
        }
        if trx.view.is_none() {
            let own = trx.id;
            let mut active = self.active_ids();
            active.retain(|id| *id != own);
            let view = View { own, below: self.next_trx, active };
            self.trx(conn).view = Some(Rc::new(view));
        }
        self.trx(conn).view.clone()
    }

    /// Changes a row.
    pub(super) fn write(&mut self, conn: ConnId, table: &Blob, primary: &Key, values: Option<Values>) {
        let trx = self.trx(conn);
        trx.undo.push((table.clone(), primary.clone()));
        let id = trx.id;
        Rc::make_mut(self.tables.get_mut(table).expect("looked up before")).push(primary, id, values);
        self.history.insert((table.clone(), primary.clone()));
    }

    fn undo_to(&mut self, conn: ConnId, mark: usize) {
        let Some(trx) = &mut self.session(conn).trx else { return };
        let undone = trx.undo.split_off(mark.min(trx.undo.len()));
        for (name, primary) in undone.into_iter().rev() {
            let Some(table) = self.tables.get_mut(&name) else { continue };
            let gone = Rc::make_mut(table).pop(&primary);
            self.forget_places(&name, gone);
        }
    }

    fn end(&mut self, conn: ConnId) {
        let Some(trx) = self.session(conn).trx.take() else { return };
        self.locks.release(trx.id);
        self.purge();
    }

    /// Ends the transaction, if there is one, and keeps what it has done.
    pub(super) fn commit(&mut self, conn: ConnId) {
        let changes = self.session(conn).trx.as_ref().is_some_and(|trx| !trx.undo.is_empty());
        if changes && self.config.flush == Flush::EachSecond && self.flushed.is_none() {
            // Until the next flush the disk has what was committed before.
            self.flushed = Some((Rc::new(self.committed()), self.now_us + FLUSH_EVERY_US));
        }
        self.replicate(conn);
        self.end(conn);
    }

    /// The tables with what was committed alone.
    fn committed(&self) -> Tables {
        let active = self.active_ids();
        let committed = |table: &Rc<Table>| Rc::new(table.committed(|trx| active.binary_search(&trx).is_ok()));
        self.tables.iter().map(|(name, table)| (name.clone(), committed(table))).collect()
    }

    fn rollback(&mut self, conn: ConnId) {
        self.undo_to(conn, 0);
        self.end(conn);
    }

    /// Drops the versions of rows that nobody can see any more.
    fn purge(&mut self) {
        if self.history.is_empty() {
            return;
        }
        let active = self.active_ids();
        let views: Vec<Rc<View>> = self.active().filter_map(|trx| trx.view.clone()).collect();
        for (name, primary) in std::mem::take(&mut self.history) {
            let Some(table) = self.tables.get_mut(&name) else { continue };
            let table = Rc::make_mut(table);
            let gone = table.purge(&primary, &views, |trx| active.binary_search(&trx).is_ok());
            if table.has_history(&primary) {
                self.history.insert((name.clone(), primary));
            }
            self.forget_places(&name, gone);
        }
    }

    /// Records of indexes are gone: what was locked there is the gap before the next.
    fn forget_places(&mut self, name: &Blob, gone: Vec<(usize, Key)>) {
        if gone.is_empty() {
            return;
        }
        let with_gaps = self.active().filter(|trx| trx.isolation >= Isolation::RepeatableRead);
        let keep_gaps: BTreeSet<TrxId> = with_gaps.map(|trx| trx.id).collect();
        for (index, key) in gone {
            let next = self.tables[name].next_key(index, &key);
            let place = |key| Place { table: name.clone(), index, key };
            self.locks.merge(&place(Some(key)), &place(next), |trx| keep_gaps.contains(&trx));
        }
    }

    /// Locks a part of a place for the statement's transaction; true if that is new.
    pub(super) fn lock(&mut self, conn: ConnId, place: &Place, mode: LockMode, part: Part) -> Done<bool> {
        let trx = self.trx(conn).id;
        match self.locks.try_lock(trx, place, mode, part) {
            Answer::Had => Ok(false),
            Answer::Granted => Ok(true),
            Answer::Conflict => {
                self.locks.wait(trx, place.clone(), mode, part);
                Err(Stop::Blocked)
            }
        }
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

    // User locks: tied to the session, not to its transaction.

    /// Takes a user lock, or waits for it: 1, or 0 when the time is over.
    pub(super) fn get_lock(&mut self, clock: NodeClock, conn: ConnId, name: &Blob, wait_s: i64) -> Done<i64> {
        if name.is_empty() || name.len() > 64 {
            return not_modelled("a user lock without a name, or with a long one");
        }
        let waiting = self.session(conn).waiting.clone();
        if waiting.as_ref().is_some_and(|waiting| waiting.granted) {
            return Ok(1);
        }
        let (owner, count) = self.user_locks.entry(name.clone()).or_insert((conn, 0));
        if *owner == conn {
            *count += 1;
            return Ok(1);
        }
        let wait_us = u64::try_from(wait_s).unwrap_or(u64::MAX).saturating_mul(1_000_000);
        let until_us = waiting.map_or(clock.mono_us.saturating_add(wait_us), |waiting| waiting.until_us);
        if until_us <= clock.mono_us {
            return Ok(0);
        }
        let request = Rc::new(Request::new(Blob::EMPTY, Vec::new()));
        let user_lock = Some(name.clone());
        let (number, granted) = (0, false);
        let waiting = Waiting { request, began_us: 0, until_us, user_lock, number, granted, sent: None };
        self.session(conn).waiting = Some(waiting);
        Err(Stop::Blocked)
    }

    /// Gives a user lock back: 1, 0 if it is another's, nothing if nobody has it.
    pub(super) fn release_lock(&mut self, conn: ConnId, name: &Blob) -> Option<i64> {
        let (owner, count) = self.user_locks.get_mut(name)?;
        if *owner != conn {
            return Some(0);
        }
        *count -= 1;
        if *count == 0 {
            self.hand_on(name);
        }
        Some(1)
    }

    /// A user lock goes to whoever has waited for it longest, or is free.
    fn hand_on(&mut self, name: &Blob) {
        let waits = |session: &Session| {
            session.waiting.as_ref().filter(|waiting| waiting.user_lock.as_ref() == Some(name)).map(|one| one.number)
        };
        let waiting = self.sessions.iter().filter_map(|(conn, session)| Some((waits(session)?, *conn)));
        match waiting.min() {
            Some((_, conn)) => {
                self.user_locks.insert(name.clone(), (conn, 1));
                if let Some(waiting) = &mut self.session(conn).waiting {
                    waiting.granted = true;
                }
            }
            None => drop(self.user_locks.remove(name)),
        }
    }

    pub(super) fn is_free_lock(&self, name: &Blob) -> bool {
        !self.user_locks.contains_key(name)
    }

    // Connections, time, crashes.

    /// A connection has ended: its transaction is rolled back, its user locks are free.
    pub fn disconnect(&mut self, clock: NodeClock, conn: ConnId) {
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
    pub fn is_waiting(&self, conn: ConnId) -> bool {
        self.sessions.get(&conn).is_some_and(|session| session.waiting.is_some())
    }

    /// When a statement that waits gives up next, or commits are flushed.
    pub fn next_timer(&self) -> Option<Due> {
        let waiting = self.sessions.values().filter_map(|session| session.waiting.as_ref());
        let waits =
            waiting.filter(|waiting| !waiting.granted && waiting.until_us < u64::MAX).map(|waiting| waiting.until_us);
        let flush = self.flushed.as_ref().map(|(_, at_us)| *at_us);
        waits.chain(flush).min().map(Due::Monotonic)
    }

    /// True if something has fallen due.
    pub fn is_due(&self, clock: NodeClock) -> bool {
        self.next_timer().is_some_and(|at| at <= Due::Monotonic(clock.mono_us))
    }

    /// Statements that have waited for too long give up.
    pub fn tick(&mut self, clock: NodeClock, out: &mut Vec<Output>) {
        self.now_us = clock.mono_us;
        self.flushed.take_if(|(_, at_us)| *at_us <= clock.mono_us);
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
    pub fn flush(&mut self) {
        self.flushed = None;
    }

    /// The machine loses power. What was flushed is on its disk, and nothing else; where there is a replica, that takes over with what it
    /// has received.
    pub fn crash(&mut self) {
        self.tables = match (self.replica.take(), self.flushed.take()) {
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
        self.up = false;
    }

    /// It starts again.
    pub fn restart(&mut self) {
        self.up = true;
    }

    // What oracles ask.

    /// The committed rows of a table, in the order of its primary key.
    fn committed_rows(&self, table: &Blob) -> Vec<Values> {
        let active = |id: TrxId| self.active().any(|trx| trx.id == id);
        self.tables.get(table).map_or_else(Vec::new, |table| table.committed_rows(active))
    }

    /// The committed rows of a table as a text; nothing if there is no such table.
    pub fn committed_text(&self, table: &Blob) -> Option<Blob> {
        self.tables.get(table)?;
        let row = |values: Values| values.iter().map(ToString::to_string).collect::<Vec<String>>().join(", ");
        let rows: Vec<String> = self.committed_rows(table).into_iter().map(row).collect();
        Some(Blob::from(rows.join("; ")))
    }

    /// The owner in the committed row of the table `locks (fence, name, owner, expires_at)` with this name that has not ended by
    /// the server's clock, and whether it will.
    pub fn lock_row(&self, clock: NodeClock, lock: &Blob) -> Option<(Blob, bool)> {
        self.committed_rows(&"locks".into()).iter().find_map(|row| match &row[..] {
            [_, Value::Text(name), Value::Text(owner), ends] if name == lock => match ends {
                Value::DateTime(at_us) if *at_us <= clock.wall_us => None,
                ends => Some((owner.clone(), *ends != Value::Null)),
            },
            _ => None,
        })
    }

    /// The connection whose session has this user lock.
    pub fn user_lock_owner(&self, name: &Blob) -> Option<ConnId> {
        self.user_locks.get(name).map(|(owner, _)| *owner)
    }

    /// Adds the state to a fingerprint. Transactions count by their order and by who sees whom, not by their numbers.
    pub fn digest(&self, clock: NodeClock, digest: &mut Digest) {
        digest.int(self.up.into());
        let active = self.active_ids();
        let rank = |trx: TrxId| active.binary_search(&trx).map_or(u64::MAX, |rank| rank as u64);
        let views: Vec<&View> = self.active().filter_map(|trx| trx.view.as_deref()).collect();
        // A transaction that has ended matters by those who see it alone.
        let standing = |trx: TrxId| match rank(trx) {
            u64::MAX => views.iter().fold(1, |seen, view| seen << 1 | u64::from(view.sees(trx))),
            rank => u64::MAX - rank,
        };
        digest.int(self.tables.len() as u64);
        for (name, table) in &self.tables {
            digest.text(name);
            table.digest(digest, standing);
        }
        self.locks.digest(digest, rank);
        if let Some((tables, at_us)) = &self.flushed {
            digest.int(at_us.saturating_sub(clock.mono_us));
            tables.values().for_each(|table| table.digest(digest, |_| 0));
        }
        for (conn, session) in &self.sessions {
            digest.client(conn.client.into());
            digest.int(u64::from(conn.lane));
            session.digest(clock, digest, rank);
        }
        if let Some(replica) = &self.replica {
            digest.int(self.degraded.into());
            replica.digest(digest);
        }
        for (name, (owner, count)) in &self.user_locks {
            digest.text(name);
            digest.client(owner.client.into());
            digest.int(u64::from(*count) << 8 | u64::from(owner.lane));
        }
    }
}

impl Session {
    fn digest(&self, clock: NodeClock, digest: &mut Digest, rank: impl Fn(TrxId) -> u64) {
        digest.hashed(&(self.autocommit, self.isolation, self.next_isolation, self.lock_wait_s));
        digest.hashed(&(self.last_insert_id, self.row_count));
        if let Some(trx) = &self.trx {
            digest.int(rank(trx.id));
            digest.hashed(&(trx.isolation, trx.explicit, trx.view.is_some(), trx.sent.is_some()));
            digest.hashed(&(&trx.undo, &trx.savepoints));
        }
        if let Some(waiting) = &self.waiting {
            digest.hashed(&(&waiting.request, &waiting.user_lock, waiting.began_us, waiting.granted));
            digest.int(waiting.until_us.saturating_sub(clock.mono_us));
            digest.hashed(&waiting.sent.as_ref().map(|(reply, _)| reply));
        }
    }
}
