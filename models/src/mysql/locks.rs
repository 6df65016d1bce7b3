//! Row locks: on records of an index, on the gaps before them, and who waits for whom.

use super::ast::LockMode;
use super::table::Key;
use super::view::{Standing, TrxId};
use crate::Blob;
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

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
    mode: LockMode,
    part: Part,
    waiting: bool,
    /// Its place among all requests.
    number: u64,
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

/// All locks: at each place in the order in which they were asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Locks {
    queues: BTreeMap<Place, Vec<Lock>>,
    /// Where a transaction has locks, or waits for one.
    places: BTreeMap<TrxId, BTreeSet<Place>>,
    /// Where a transaction waits.
    waits_at: BTreeMap<TrxId, Place>,
    /// The tables in which a transaction has locked records, and how it was going to: sharing them, changing them, or one after the
    /// other.
    intents: BTreeMap<TrxId, BTreeMap<Blob, Intent>>,
    /// Where something was given back, so that somebody may go on.
    freed: BTreeSet<Place>,
    /// Transactions that wait for nothing any more, and have not gone on yet.
    go_on: Vec<TrxId>,
    requests: u64,
}

/// What a transaction was going to do with the records of a table.
#[derive(Clone, Copy, Debug, Default, Hash)]
struct Intent {
    share: bool,
    change: bool,
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

/// Whether a lock is in the way of another one at the same place.
fn conflict(place: &Place, wanted: &Lock, held: &Lock) -> bool {
    if wanted.trx == held.trx {
        return false;
    }
    let exclusive = wanted.mode == LockMode::Exclusive || held.mode == LockMode::Exclusive;
    match (wanted.part, held.part) {
        (Part::Insert, Part::Gap | Part::NextKey) => true,
        (Part::Insert | Part::Gap, _) | (_, Part::Gap | Part::Insert) => false,
        // Behind the last record is only a gap.
        (Part::Record | Part::NextKey, _) => exclusive && place.key.is_some(),
    }
}

impl Locks {
    fn queue(&self, place: &Place) -> &[Lock] {
        self.queues.get(place).map_or(&[], |queue| queue)
    }

    fn add(&mut self, place: &Place, at: usize, lock: Lock) {
        self.places.entry(lock.trx).or_default().insert(place.clone());
        self.queues.entry(place.clone()).or_default().insert(at, lock);
    }

    fn new_lock(&mut self, trx: TrxId, mode: LockMode, part: Part, waiting: bool) -> Lock {
        self.requests += 1;
        Lock { trx, mode, part, waiting, number: self.requests }
    }

    /// Takes note that a transaction is going to lock records of a table in this mode.
    pub(super) fn intend(&mut self, trx: TrxId, table: &Blob, mode: LockMode) {
        let tables = self.intents.entry(trx).or_default();
        let intent = tables.entry(table.clone()).or_default();
        match mode {
            LockMode::Exclusive => intent.change = true,
            // Whoever is going to change may share as well.
            LockMode::Shared => intent.share |= !intent.change,
        }
    }

    /// Asks for a lock without waiting for it.
    pub(super) fn try_lock(&mut self, trx: TrxId, place: &Place, mode: LockMode, part: Part) -> Answer {
        let queue = self.queue(place);
        let theirs = || queue.iter().filter(|lock| lock.trx == trx && !lock.waiting);
        if theirs().any(|held| covers(held, mode, part)) {
            return Answer::Had;
        }
        // Whoever has the record already, and as strongly, only adds the gap: that goes before those who wait for the record. But
        // whoever is about to insert waits for them.
        let has_record =
            |held: &Lock| matches!(held.part, Part::Record | Part::NextKey) && covers(held, mode, Part::Record);
        let bypasses = part != Part::Insert && theirs().any(has_record);
        let wanted = Lock { trx, mode, part, waiting: false, number: 0 };
        if queue.iter().any(|held| conflict(place, &wanted, held) && !(bypasses && held.waiting)) {
            return Answer::Conflict;
        }
        // To be about to insert leaves nothing behind.
        if part != Part::Insert {
            let waiting = queue.iter().position(|lock| lock.waiting).filter(|_| bypasses);
            let at = waiting.unwrap_or(queue.len());
            let lock = self.new_lock(trx, mode, part, false);
            self.add(place, at, lock);
        }
        Answer::Granted
    }

    /// True if a transaction could lock a record for itself alone.
    pub(super) fn is_free(&self, trx: TrxId, place: &Place) -> bool {
        let wanted = Lock { trx, mode: LockMode::Exclusive, part: Part::Record, waiting: false, number: 0 };
        self.queue(place).iter().all(|held| !conflict(place, &wanted, held))
    }

    /// Makes a lock that a transaction has by what it has done to a record one like others.
    pub(super) fn give(&mut self, trx: TrxId, place: &Place) {
        let held = Lock { trx, mode: LockMode::Exclusive, part: Part::Record, waiting: false, number: 0 };
        if !self.queue(place).iter().any(|lock| lock.trx == trx && !lock.waiting && covers(lock, held.mode, held.part))
        {
            self.append(place, held);
        }
    }

    /// Waits for a lock that somebody else is in the way of.
    pub(super) fn wait(&mut self, trx: TrxId, place: Place, mode: LockMode, part: Part) {
        let lock = self.new_lock(trx, mode, part, true);
        self.add(&place, self.queue(&place).len(), lock);
        self.waits_at.insert(trx, place);
    }

    /// Takes locks away from a place.
    fn take(&mut self, place: &Place, which: impl Fn(&Lock) -> bool) -> Vec<Lock> {
        let Some(queue) = self.queues.get_mut(place) else { return Vec::new() };
        let taken: Vec<Lock> = queue.extract_if(.., |lock| which(lock)).collect();
        for lock in &taken {
            let left = queue.iter().any(|other| other.trx == lock.trx);
            if !left && let Some(places) = self.places.get_mut(&lock.trx) {
                places.remove(place);
            }
            if lock.waiting {
                self.waits_at.remove(&lock.trx);
            }
        }
        if queue.is_empty() {
            self.queues.remove(place);
        } else if !taken.is_empty() {
            self.freed.insert(place.clone());
        }
        taken
    }

    /// Gives up waiting.
    pub(super) fn stop_waiting(&mut self, trx: TrxId) {
        if let Some(place) = self.waits_at.get(&trx).cloned() {
            self.take(&place, |lock| lock.trx == trx && lock.waiting);
        }
    }

    /// Gives back one lock that was granted.
    pub(super) fn unlock(&mut self, trx: TrxId, place: &Place) {
        let last = self.queue(place).iter().rfind(|lock| lock.trx == trx && !lock.waiting).map(|lock| lock.number);
        self.take(place, |lock| Some(lock.number) == last);
    }

    /// Gives back a transaction's locks on a record, unless another transaction waits for it.
    pub(super) fn leave(&mut self, trx: TrxId, place: &Place) {
        if self.queue(place).iter().all(|lock| !lock.waiting) {
            self.take(place, |lock| lock.trx == trx && lock.part == Part::Record);
        }
    }

    /// Gives back all of a transaction's locks.
    pub(super) fn release(&mut self, trx: TrxId) {
        for place in self.places.get(&trx).cloned().unwrap_or_default() {
            self.take(&place, |lock| lock.trx == trx);
        }
        self.places.remove(&trx);
        self.intents.remove(&trx);
        self.waits_at.remove(&trx);
    }

    /// Grants what nobody is in the way of any more, first come, first served. Gives the transactions that go on.
    pub(super) fn grant(&mut self) -> Vec<TrxId> {
        let mut granted: Vec<(u64, TrxId)> = Vec::new();
        for place in std::mem::take(&mut self.freed) {
            let Some(queue) = self.queues.get_mut(&place) else { continue };
            for at in 0..queue.len() {
                if queue[at].waiting && !queue[..at].iter().any(|held| conflict(&place, &queue[at], held)) {
                    queue[at].waiting = false;
                    granted.push((queue[at].number, queue[at].trx));
                }
            }
            for (_, trx) in &granted {
                self.waits_at.remove(trx);
            }
            // To be about to insert leaves nothing behind.
            self.take(&place, |lock| lock.part == Part::Insert && !lock.waiting);
            self.freed.remove(&place);
        }
        granted.sort_unstable();
        std::mem::take(&mut self.go_on).into_iter().chain(granted.into_iter().map(|(_, trx)| trx)).collect()
    }

    /// The transactions that a waiting one waits for.
    fn waits_for(&self, trx: TrxId) -> BTreeSet<TrxId> {
        let Some(place) = self.waits_at.get(&trx) else { return BTreeSet::new() };
        let queue = self.queue(place);
        let at = queue.iter().position(|lock| lock.trx == trx && lock.waiting).expect("it waits there");
        queue[..at].iter().filter(|held| conflict(place, &queue[at], held)).map(|held| held.trx).collect()
    }

    /// A circle of transactions that wait for each other and that `trx` is one of, beginning with it.
    pub(super) fn circle(&self, trx: TrxId) -> Option<Vec<TrxId>> {
        if !self.is_waited_for(trx) {
            return None;
        }
        let mut path = vec![trx];
        let mut seen = BTreeSet::new();
        self.search(trx, trx, &mut path, &mut seen).then_some(path)
    }

    /// True if somebody waits for what a transaction has or has asked for.
    fn is_waited_for(&self, trx: TrxId) -> bool {
        self.places.get(&trx).into_iter().flatten().any(|place| {
            let mut theirs: Vec<&Lock> = Vec::new();
            self.queue(place).iter().any(|lock| {
                if lock.trx == trx {
                    theirs.push(lock);
                }
                lock.waiting && theirs.iter().any(|held| conflict(place, lock, held))
            })
        })
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

    /// How many locks a transaction has, as InnoDB counts them: one for each intent with a table, and one for all records of a page that
    /// are locked in one way. Here an index is a page.
    pub(super) fn count(&self, trx: TrxId) -> usize {
        let places = || self.places.get(&trx).into_iter().flatten();
        let intents = self.intents.get(&trx).into_iter().flat_map(BTreeMap::values);
        let intents: usize = intents.map(|intent| usize::from(intent.share) + usize::from(intent.change)).sum();
        let theirs = places().flat_map(|place| self.queue(place).iter().map(move |lock| (place, lock)));
        let way = |(place, lock): (&Place, &Lock)| {
            // Behind the last record there is only a gap, which counts as if there were one.
            let part = if place.key.is_none() { Part::NextKey } else { lock.part };
            let part = (part as u8, lock.mode == LockMode::Exclusive, lock.waiting);
            (place.table.clone(), place.index, part)
        };
        let ways: BTreeSet<(Blob, usize, (u8, bool, bool))> =
            theirs.filter(|(_, lock)| lock.trx == trx).map(way).collect();
        intents + ways.len()
    }

    /// A record has come into a gap: whoever has the gap has both parts of it.
    pub(super) fn split(&mut self, new: &Place, next: &Place) {
        let gaps =
            self.queue(next).iter().filter(|lock| !lock.waiting && matches!(lock.part, Part::Gap | Part::NextKey));
        let inherited: Vec<Lock> = gaps.map(|lock| Lock { part: Part::Gap, ..lock.clone() }).collect();
        for lock in inherited {
            self.append(new, lock);
        }
    }

    fn append(&mut self, place: &Place, lock: Lock) {
        let lock = self.new_lock(lock.trx, lock.mode, lock.part, false);
        self.add(place, self.queue(place).len(), lock);
    }

    /// A record has gone. Those who keep gaps and had it, the gap before it, or waited for it, have the gap before the next;
    /// whoever waited goes on and looks again.
    pub(super) fn merge(&mut self, gone: &Place, next: &Place, keeps_gaps: impl Fn(TrxId) -> bool) {
        for lock in self.take(gone, |_| true) {
            if lock.waiting {
                self.go_on.push(lock.trx);
            }
            if lock.part != Part::Insert && keeps_gaps(lock.trx) {
                self.append(next, Lock { part: Part::Gap, ..lock });
            }
        }
    }

    /// Hashes what there is, with transactions as they stand.
    pub(super) fn hash_at<H: Hasher>(&self, standing: &Standing, state: &mut H) {
        // The queues tell where a transaction has locks and where it waits; new requests are numbered in their order.
        let Locks { queues, places: _, waits_at: _, intents, freed, go_on, requests: _ } = self;
        state.write_usize(queues.len());
        for (place, queue) in queues {
            (place, queue.len()).hash(state);
            // Of numbers only the order of those who wait matters.
            for Lock { trx, mode, part, waiting, number: _ } in queue {
                (standing.of(*trx), mode, part, waiting).hash(state);
            }
        }
        state.write_usize(intents.len());
        for (trx, tables) in intents {
            (standing.of(*trx), tables).hash(state);
        }
        (freed, go_on.len()).hash(state);
        go_on.iter().for_each(|trx| state.write_u64(standing.of(*trx)));
        // Where several go on at once, they do so in the order in which they came.
        let waiting = queues.values().flatten().filter(|lock| lock.waiting);
        let mut order: SmallVec<[(u64, TrxId); 4]> = waiting.map(|lock| (lock.number, lock.trx)).collect();
        order.sort_unstable();
        order.iter().for_each(|(_, trx)| state.write_u64(standing.of(*trx)));
    }
}
