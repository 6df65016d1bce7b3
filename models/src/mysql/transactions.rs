//! Transactions: who has begun one, what it sees and has locked, who waits for whom, and how it ends.

use super::Flush;
use super::ast::{Isolation, LockMode};
use super::failure::{Done, Stop};
use super::locks::{Answer, Part, Place};
use super::server::{FLUSH_EVERY_US, Server, Session, Tables, Trx};
use super::table::{Key, Table, Values};
use super::view::{TrxId, View};
use crate::{Blob, ConnId, Output};
use std::collections::BTreeSet;
use std::rc::Rc;

impl Server {
    /// Grants row locks to those who waited for them.
    pub(super) fn grant(&mut self) {
        for trx in self.locks.grant() {
            let conn = self.conn_of(trx).expect("a transaction has a session");
            if let Some(waiting) = &mut self.session(conn).waiting {
                waiting.granted = true;
            }
        }
    }

    /// The transactions that are under way.
    pub(super) fn active(&self) -> impl Iterator<Item = &Trx> {
        self.sessions.values().filter_map(|session| session.trx.as_ref())
    }

    /// Their numbers, in order.
    pub(super) fn active_ids(&self) -> Vec<TrxId> {
        let mut ids: Vec<TrxId> = self.active().map(|trx| trx.id).collect();
        ids.sort_unstable();
        ids
    }

    pub(super) fn conn_of(&self, trx: TrxId) -> Option<ConnId> {
        let theirs = |session: &Session| session.trx.as_ref().is_some_and(|own| own.id == trx);
        self.sessions.iter().find(|(_, session)| theirs(session)).map(|(conn, _)| *conn)
    }

    /// The victim of a deadlock: who has done least, and among equals who closed the circle.
    pub(super) fn break_circles(&mut self, conn: ConnId, out: &mut Vec<Output>) {
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

    pub(super) fn undo_to(&mut self, conn: ConnId, mark: usize) {
        let Some(trx) = &mut self.session(conn).trx else { return };
        let undone = trx.undo.split_off(mark.min(trx.undo.len()));
        for (name, primary) in undone.into_iter().rev() {
            let Some(table) = self.tables.get_mut(&name) else { continue };
            let gone = Rc::make_mut(table).pop(&primary);
            self.forget_places(&name, gone);
        }
    }

    /// The same for a statement that has failed: records that it had inserted are gone with the locks that they were
    /// by themselves.
    pub(super) fn take_back_to(&mut self, conn: ConnId, mark: usize) {
        let Some(trx) = &mut self.session(conn).trx else { return };
        let undone = trx.undo.split_off(mark.min(trx.undo.len()));
        for (name, primary) in undone.into_iter().rev() {
            let Some(table) = self.tables.get_mut(&name) else { continue };
            let gone = Rc::make_mut(table).pop(&primary);
            self.leave_places(conn, &name, gone);
        }
    }

    /// Records of indexes that a transaction has inserted are gone. It had them locked by their being its own, which
    /// leaves nothing, unless another one waits: then it was made an explicit lock.
    pub(super) fn leave_places(&mut self, conn: ConnId, name: &Blob, gone: Vec<(usize, Key)>) {
        let trx = self.trx(conn).id;
        for (index, key) in &gone {
            let place = Place { table: name.clone(), index: *index, key: Some(key.clone()) };
            self.locks.leave(trx, &place);
        }
        self.forget_places(name, gone);
    }

    pub(super) fn end(&mut self, conn: ConnId) {
        let Some(trx) = self.session(conn).trx.take() else { return };
        self.locks.release(trx.id);
        self.purge();
    }

    /// Ends the transaction, if there is one, and keeps what it has done.
    pub(super) fn commit(&mut self, conn: ConnId) {
        let changes = self.session(conn).trx.as_ref().is_some_and(|trx| !trx.undo.is_empty());
        if changes && self.config.flush != Flush::EachCommit && self.flushed.is_none() {
            // Until the next flush the disk has what was committed before.
            self.flushed = Some((Rc::new(self.committed()), self.now_us + FLUSH_EVERY_US));
        }
        self.replicate(conn);
        self.end(conn);
    }

    /// The tables with what was committed alone.
    pub(super) fn committed(&self) -> Tables {
        let active = self.active_ids();
        let committed = |table: &Rc<Table>| Rc::new(table.committed(|trx| active.binary_search(&trx).is_ok()));
        self.tables.iter().map(|(name, table)| (name.clone(), committed(table))).collect()
    }

    pub(super) fn rollback(&mut self, conn: ConnId) {
        self.undo_to(conn, 0);
        self.end(conn);
    }

    /// Drops the versions of rows that nobody can see any more.
    pub(super) fn purge(&mut self) {
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
    pub(super) fn forget_places(&mut self, name: &Blob, gone: Vec<(usize, Key)>) {
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

    /// Makes sure that no other transaction has locked a record that is about to be deleted or to get another key. It
    /// is locked by that change itself, which leaves no lock unless it has to wait.
    pub(super) fn mark_record(&mut self, conn: ConnId, place: &Place) -> Done<()> {
        let trx = self.trx(conn).id;
        if self.locks.is_free(trx, place) {
            return Ok(());
        }
        self.lock(conn, place, LockMode::Exclusive, Part::Record).map(drop)
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
}
