//! Serializability of small histories: is there an order in which the transactions, one after the other, give what was seen?
//!
//! The registers are the rows of one table, by their keys. All orders are tried, with what was tried before cut: for a few dozen transactions
//! of which few are concurrent, or about a dozen that all are. The problem is NP-complete (Papadimitriou, "The serializability of concurrent
//! database updates", 1979).

use std::collections::{BTreeMap, BTreeSet};

/// A register's key.
pub type Key = i64;
/// What the registers hold; one that is absent is no row.
pub type Registers = BTreeMap<Key, i64>;

/// A step of a transaction, with what it saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// It found this in a register, or no row.
    Read(Key, Option<i64>),
    /// It wrote this, or deleted the row.
    Write(Key, Option<i64>),
    /// It looked at all rows and found these.
    Scan(Registers),
}

/// Whether a transaction was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// It was.
    Yes,
    /// The answer to `COMMIT` was lost.
    Perhaps,
}

/// A transaction that may have been committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Txn {
    /// What it did, in order.
    pub ops: Vec<Op>,
    /// Whether it was committed.
    pub committed: Committed,
    /// When it began and when its end was known, in any unit.
    pub span: (u64, u64),
}

/// Which orders count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Any: serializability.
    Any,
    /// Those that keep what had ended before what began after it: strict serializability.
    RealTime,
}

/// More transactions than this are not judged.
pub const TXNS_MAX: usize = 64;

/// An order of the transactions, by their places, that gives what was seen, if there is one. Transactions that were perhaps committed may be left out.
///
/// # Panics
/// If there are more than [`TXNS_MAX`] transactions.
pub fn serial_order(initial: &Registers, txns: &[Txn], order: Order) -> Option<Vec<usize>> {
    assert!(txns.len() <= TXNS_MAX, "{} transactions are too many to judge", txns.len());
    let mut search = Search { txns, order, tried: BTreeSet::new(), path: Vec::new() };
    search.go_on(0, initial.clone()).then_some(search.path)
}

struct Search<'a> {
    txns: &'a [Txn],
    order: Order,
    /// Which transactions were done, and what that gave.
    tried: BTreeSet<(u64, Registers)>,
    path: Vec<usize>,
}

impl Search<'_> {
    fn go_on(&mut self, done: u64, registers: Registers) -> bool {
        let is_left = |at: &usize| done & 1 << at == 0;
        let left: Vec<usize> = (0..self.txns.len()).filter(is_left).collect();
        if left.iter().all(|at| self.txns[*at].committed == Committed::Perhaps) {
            return true;
        }
        if !self.tried.insert((done, registers.clone())) {
            return false;
        }
        for at in left.iter().copied() {
            let mut after = registers.clone();
            if !self.may_come(at, &left) || !self.txns[at].ops.iter().all(|op| takes(op, &mut after)) {
                continue;
            }
            self.path.push(at);
            if self.go_on(done | 1 << at, after) {
                return true;
            }
            self.path.pop();
        }
        false
    }

    /// True if nothing that must come before it is left. What was perhaps committed may have been left out.
    fn may_come(&self, at: usize, left: &[usize]) -> bool {
        let before = |other: &Txn| other.committed == Committed::Yes && other.span.1 < self.txns[at].span.0;
        self.order == Order::Any || !left.iter().any(|other| before(&self.txns[*other]))
    }
}

/// Does a step on these registers; false if it would have seen something else.
fn takes(op: &Op, registers: &mut Registers) -> bool {
    match op {
        Op::Read(key, found) => registers.get(key) == found.as_ref(),
        Op::Scan(found) => registers == found,
        Op::Write(key, Some(value)) => {
            registers.insert(*key, *value);
            true
        }
        Op::Write(key, None) => {
            registers.remove(key);
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Op::{Read, Scan, Write};

    fn txn(ops: &[Op]) -> Txn {
        Txn { ops: ops.to_vec(), committed: Committed::Yes, span: (0, 10) }
    }

    fn is_serializable(txns: &[Txn]) -> bool {
        serial_order(&BTreeMap::from([(1, 10), (2, 20)]), txns, Order::Any).is_some()
    }

    #[test]
    fn known_anomalies_are_not_serializable() {
        let rows = |rows: &[(i64, i64)]| rows.iter().copied().collect::<Registers>();
        let anomalies: [(&str, Vec<Txn>); 8] = [
            ("G1a, aborted read", vec![txn(&[Read(1, Some(101))])]),
            (
                "G1b, intermediate read",
                vec![txn(&[Write(1, Some(101)), Write(1, Some(11))]), txn(&[Read(1, Some(101))])],
            ),
            (
                "G1c, circular information flow",
                vec![txn(&[Write(1, Some(11)), Read(2, Some(22))]), txn(&[Write(2, Some(22)), Read(1, Some(11))])],
            ),
            (
                "OTV, observed transaction vanishes",
                vec![
                    txn(&[Write(1, Some(11)), Write(2, Some(19))]),
                    txn(&[Write(1, Some(12)), Write(2, Some(18))]),
                    txn(&[Read(1, Some(12)), Read(2, Some(19))]),
                    txn(&[Read(1, Some(11)), Read(2, Some(18))]),
                ],
            ),
            (
                "PMP, predicate-many-preceders",
                vec![
                    txn(&[Scan(rows(&[(1, 10), (2, 20)])), Scan(rows(&[(1, 10), (2, 20), (3, 30)]))]),
                    txn(&[Write(3, Some(30))]),
                ],
            ),
            (
                "P4, lost update",
                vec![txn(&[Read(1, Some(10)), Write(1, Some(11))]), txn(&[Read(1, Some(10)), Write(1, Some(12))])],
            ),
            (
                "G-single, read skew",
                vec![txn(&[Read(1, Some(10)), Read(2, Some(18))]), txn(&[Write(1, Some(12)), Write(2, Some(18))])],
            ),
            (
                "G2-item, write skew",
                vec![
                    txn(&[Read(1, Some(10)), Read(2, Some(20)), Write(1, Some(11))]),
                    txn(&[Read(1, Some(10)), Read(2, Some(20)), Write(2, Some(21))]),
                ],
            ),
        ];
        for (name, txns) in anomalies {
            assert!(!is_serializable(&txns), "{name}");
        }
    }

    #[test]
    fn what_some_order_explains_is_serializable() {
        let txns = [
            txn(&[Read(1, Some(11)), Write(1, Some(12))]),
            txn(&[Read(1, Some(10)), Write(1, Some(11)), Read(1, Some(11))]),
            txn(&[Write(2, None), Scan(BTreeMap::from([(1, 12)]))]),
        ];
        assert_eq!(serial_order(&BTreeMap::from([(1, 10), (2, 20)]), &txns, Order::Any), Some(vec![1, 0, 2]));
    }

    #[test]
    fn a_commit_in_doubt_may_have_happened_or_not() {
        let doubtful = Txn { committed: Committed::Perhaps, ..txn(&[Write(1, Some(11))]) };
        assert!(is_serializable(&[doubtful.clone(), txn(&[Read(1, Some(11))])]));
        assert!(is_serializable(&[doubtful, txn(&[Read(1, Some(10))])]));
    }

    #[test]
    fn real_time_forbids_what_another_order_would_explain() {
        let initial = BTreeMap::from([(1, 10)]);
        let write = Txn { span: (0, 1), ..txn(&[Write(1, Some(11))]) };
        let stale = Txn { span: (2, 3), ..txn(&[Read(1, Some(10))]) };
        assert_eq!(serial_order(&initial, &[write.clone(), stale.clone()], Order::Any), Some(vec![1, 0]));
        assert_eq!(serial_order(&initial, &[write, stale], Order::RealTime), None);
    }
}
