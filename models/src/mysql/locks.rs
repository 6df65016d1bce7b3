//! Row locks: on records of an index, on the gaps before them, and who waits for whom.

use super::ast::LockMode;
use super::table::{Key, TrxId};
use crate::{Blob, Digest};
use std::collections::BTreeSet;

/// A place in an index: a record, and the gap before it; without a key the gap behind the last record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub table: Blob,
    pub index: usize,
    pub key: Option<Key>,
}

/// What of a place is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// The record.
    Record,
    /// The gap before it: nobody else inserts there.
    Gap,
    /// Both.
    NextKey,
    /// A record is about to be inserted into the gap.
    Insert,
}

#[derive(Clone, Debug)]
struct Lock {
    trx: TrxId,
    place: Place,
    mode: LockMode,
    part: Part,
    waiting: bool,
}

/// How a request for a lock ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It was there already.
    Had,
    /// It is there now.
    Granted,
    /// Somebody else is in the way.
    Conflict,
}

/// All locks, in the order in which they were asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Locks {
    locks: Vec<Lock>,
    /// Transactions that wait for nothing any more, and have not gone on yet.
    go_on: Vec<TrxId>,
}

fn covers(held: &Lock, mode: LockMode, part: Part) -> bool {
    let strong = held.mode == LockMode::Exclusive || mode == LockMode::Shared;
    // A gap is the same to everybody who holds it.
    match part {
        Part::Gap => matches!(held.part, Part::Gap | Part::NextKey),
        Part::Record => strong && matches!(held.part, Part::Record | Part::NextKey),
        Part::NextKey => strong && held.part == Part::NextKey,
        Part::Insert => false,
    }
}

fn conflict(wanted: &Lock, held: &Lock) -> bool {
    if wanted.trx == held.trx || wanted.place != held.place {
        return false;
    }
    let exclusive = wanted.mode == LockMode::Exclusive || held.mode == LockMode::Exclusive;
    match (wanted.part, held.part) {
        (Part::Insert, Part::Gap | Part::NextKey) => true,
        (Part::Insert | Part::Gap, _) | (_, Part::Gap | Part::Insert) => false,
        // Behind the last record is only a gap.
        (Part::Record | Part::NextKey, _) => exclusive && wanted.place.key.is_some(),
    }
}

impl Locks {
    /// Asks for a lock without waiting for it.
    pub(super) fn try_lock(&mut self, trx: TrxId, place: &Place, mode: LockMode, part: Part) -> Answer {
        let theirs = |lock: &&Lock| lock.trx == trx && !lock.waiting && lock.place == *place;
        if self.locks.iter().filter(theirs).any(|held| covers(held, mode, part)) {
            return Answer::Had;
        }
        // Whoever has the record already, and as strongly, only adds the gap: that goes before those who wait for the record.
        let has_record =
            |held: &Lock| matches!(held.part, Part::Record | Part::NextKey) && covers(held, mode, Part::Record);
        let bypasses = self.locks.iter().filter(theirs).any(has_record);
        let wanted = Lock { trx, place: place.clone(), mode, part, waiting: false };
        if self.locks.iter().any(|held| conflict(&wanted, held) && !(bypasses && held.waiting)) {
            return Answer::Conflict;
        }
        // To be about to insert leaves nothing behind.
        if part != Part::Insert {
            let waiting = self.locks.iter().position(|lock| lock.waiting && lock.place == *place);
            self.locks.insert(waiting.filter(|_| bypasses).unwrap_or(self.locks.len()), wanted);
        }
        Answer::Granted
    }

    /// Waits for a lock that somebody else is in the way of.
    pub(super) fn wait(&mut self, trx: TrxId, place: Place, mode: LockMode, part: Part) {
        self.locks.push(Lock { trx, place, mode, part, waiting: true });
    }

    /// Gives up waiting.
    pub(super) fn stop_waiting(&mut self, trx: TrxId) {
        self.locks.retain(|lock| lock.trx != trx || !lock.waiting);
    }

    /// Gives back one lock that was granted.
    pub(super) fn unlock(&mut self, trx: TrxId, place: &Place) {
        let last = self.locks.iter().rposition(|lock| lock.trx == trx && lock.place == *place && !lock.waiting);
        if let Some(at) = last {
            self.locks.remove(at);
        }
    }

    /// Gives back all of a transaction's locks.
    pub(super) fn release(&mut self, trx: TrxId) {
        self.locks.retain(|lock| lock.trx != trx);
    }

    /// Grants what nobody is in the way of any more, first come, first served. Gives the transactions that go on.
    pub(super) fn grant(&mut self) -> Vec<TrxId> {
        let mut granted = std::mem::take(&mut self.go_on);
        for at in 0..self.locks.len() {
            let free = |at: usize| !self.locks[..at].iter().any(|held| conflict(&self.locks[at], held));
            if self.locks[at].waiting && free(at) {
                self.locks[at].waiting = false;
                granted.push(self.locks[at].trx);
            }
        }
        self.locks.retain(|lock| lock.part != Part::Insert || lock.waiting);
        granted
    }

    /// The transactions that a waiting one waits for.
    fn waits_for(&self, trx: TrxId) -> BTreeSet<TrxId> {
        let Some(at) = self.locks.iter().position(|lock| lock.trx == trx && lock.waiting) else {
            return BTreeSet::new();
        };
        self.locks[..at].iter().filter(|held| conflict(&self.locks[at], held)).map(|held| held.trx).collect()
    }

    /// A circle of transactions that wait for each other and that `trx` is one of, beginning with it.
    pub(super) fn circle(&self, trx: TrxId) -> Option<Vec<TrxId>> {
        let mut path = vec![trx];
        let mut seen = BTreeSet::new();
        self.search(trx, trx, &mut path, &mut seen).then_some(path)
    }

    fn search(&self, from: TrxId, goal: TrxId, path: &mut Vec<TrxId>, seen: &mut BTreeSet<TrxId>) -> bool {
        for next in self.waits_for(from) {
            if next == goal {
                return true;
            }
            if seen.insert(next) {
                path.push(next);
                if self.search(next, goal, path, seen) {
                    return true;
                }
                path.pop();
            }
        }
        false
    }

    /// How many locks a transaction has, as InnoDB counts them: one for each table, and one for all records of a page that are locked
    /// in one way. Here an index is a page.
    pub(super) fn count(&self, trx: TrxId) -> usize {
        let theirs = || self.locks.iter().filter(|lock| lock.trx == trx);
        let tables: BTreeSet<&Blob> = theirs().map(|lock| &lock.place.table).collect();
        let way = |lock: &Lock| {
            let part = (lock.part as u8, lock.mode == LockMode::Exclusive, lock.waiting);
            (lock.place.table.clone(), lock.place.index, part)
        };
        let ways: BTreeSet<(Blob, usize, (u8, bool, bool))> = theirs().map(way).collect();
        tables.len() + ways.len()
    }

    /// A record has come into a gap: whoever has the gap has both parts of it.
    pub(super) fn split(&mut self, new: &Place, next: &Place) {
        let gaps = self
            .locks
            .iter()
            .filter(|lock| !lock.waiting && lock.place == *next && matches!(lock.part, Part::Gap | Part::NextKey));
        let inherited: Vec<Lock> =
            gaps.map(|lock| Lock { place: new.clone(), part: Part::Gap, ..lock.clone() }).collect();
        self.locks.extend(inherited);
    }

    /// A record has gone. Those who keep gaps and had it, the gap before it, or waited for it, have the gap before the next;
    /// whoever waited goes on and looks again.
    pub(super) fn merge(&mut self, gone: &Place, next: &Place, keeps_gaps: impl Fn(TrxId) -> bool) {
        for mut lock in self.locks.extract_if(.., |lock| lock.place == *gone).collect::<Vec<Lock>>() {
            if lock.waiting {
                self.go_on.push(lock.trx);
            }
            if lock.part != Part::Insert && keeps_gaps(lock.trx) {
                (lock.place, lock.part, lock.waiting) = (next.clone(), Part::Gap, false);
                self.locks.push(lock);
            }
        }
    }

    pub(super) fn digest(&self, digest: &mut Digest) {
        digest.int(self.locks.len() as u64);
        for lock in &self.locks {
            digest.int(lock.trx);
            digest.hashed(&(&lock.place, lock.mode, lock.part, lock.waiting));
        }
    }
}
