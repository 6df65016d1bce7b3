//! Who sees whom: the numbers of transactions, what a reader sees, and how transactions stand to each other.

use smallvec::SmallVec;
use std::rc::Rc;

/// A transaction's number.
pub(super) type TrxId = u64;

/// Which transactions a reader sees: those that had committed when it first looked, and its own.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct View {
    pub own: TrxId,
    /// Transactions that began later have this number or a larger one.
    pub below: TrxId,
    /// Those that were under way, in order.
    pub active: Vec<TrxId>,
}

impl View {
    pub(super) fn sees(&self, trx: TrxId) -> bool {
        trx == self.own || (trx < self.below && self.active.binary_search(&trx).is_err())
    }
}

/// How transactions stand: those under way by their order, those that have ended by who sees them.
#[derive(Default)]
pub(super) struct Standing {
    /// In order.
    active: SmallVec<[TrxId; 4]>,
    views: SmallVec<[Rc<View>; 4]>,
    /// How many commits the replica has received.
    received: u64,
}

impl Standing {
    /// From the transactions under way, with what they see.
    pub(super) fn new<'a>(under_way: impl Iterator<Item = (TrxId, Option<&'a Rc<View>>)>, received: u64) -> Self {
        let mut standing = Standing { received, ..Standing::default() };
        for (trx, view) in under_way {
            standing.active.push(trx);
            standing.views.extend(view.cloned());
        }
        standing.active.sort_unstable();
        standing
    }

    /// What of a transaction's number matters.
    pub(super) fn of(&self, trx: TrxId) -> u64 {
        match self.active.binary_search(&trx) {
            Ok(rank) => u64::MAX - rank as u64,
            Err(_) => self.views.iter().fold(1, |seen, view| seen << 1 | u64::from(view.sees(trx))),
        }
    }

    /// How many commits the replica must receive until it has this one.
    pub(super) fn missing(&self, sent: Option<u64>) -> Option<u64> {
        sent.map(|number| number.saturating_sub(self.received))
    }
}
