//! What connections have between their commands for MULTI and WATCH.

use crate::escape::Unordered;
use crate::resp::Command;
use crate::{Blob, ConnId};
use std::collections::BTreeMap;
use std::rc::Rc;

/// One connection's transaction.
#[derive(Clone, Default, Hash)]
pub(super) struct Transaction {
    /// The commands queued since MULTI.
    pub queued: Option<Vec<Command>>,
    /// A queued command was refused: EXEC will abort.
    pub failed: bool,
    /// Watched keys, and whether the key was there but expired when it was watched.
    pub watched: Vec<(Blob, bool)>,
    /// A watched key was changed.
    pub stale: bool,
}

/// All connections that have a transaction or a watch; most have neither.
#[derive(Clone, Default, Hash)]
pub(super) struct Transactions(Option<Rc<Unordered<BTreeMap<ConnId, Transaction>>>>);

impl Transactions {
    pub(super) fn get(&self, conn: ConnId) -> Option<&Transaction> {
        self.0.as_ref()?.get(&conn)
    }

    pub(super) fn entry(&mut self, conn: ConnId) -> &mut Transaction {
        Rc::make_mut(self.0.get_or_insert_default()).entry(conn).or_default()
    }

    pub(super) fn take(&mut self, conn: ConnId) -> Option<Transaction> {
        let all = self.0.as_mut()?;
        let taken = all.contains_key(&conn).then(|| Rc::make_mut(all).remove(&conn)).flatten();
        self.0.take_if(|all| all.is_empty());
        taken
    }

    /// True if a connection has a transaction or a watch.
    pub(super) fn has(&self, conn: ConnId) -> bool {
        self.get(conn).is_some()
    }

    /// Forgets a connection.
    pub(super) fn forget(&mut self, conn: ConnId) {
        self.take(conn);
    }

    /// Tells those who watch one of `keys`.
    pub(super) fn invalidate(&mut self, keys: &[Blob]) {
        let Some(all) = self.0.as_mut().filter(|all| !keys.is_empty() && !all.is_empty()) else { return };
        for transaction in Rc::make_mut(all).values_mut() {
            transaction.stale |= transaction.watched.iter().any(|(key, _)| keys.contains(key));
        }
    }

    /// Tells all who watch something.
    pub(super) fn invalidate_all(&mut self) {
        let Some(all) = self.0.as_mut().filter(|all| !all.is_empty()) else { return };
        for transaction in Rc::make_mut(all).values_mut() {
            transaction.stale |= !transaction.watched.is_empty();
        }
    }

    /// Tells those who watch one of `keys` that it has expired and is gone: for one who watched it
    /// after it had expired, nothing has changed.
    pub(super) fn collected(&mut self, keys: &[Blob]) {
        let Some(all) = self.0.as_mut().filter(|all| !keys.is_empty() && !all.is_empty()) else { return };
        for transaction in Rc::make_mut(all).values_mut() {
            for (_, was_expired) in transaction.watched.iter_mut().filter(|(key, _)| keys.contains(key)) {
                transaction.stale |= !*was_expired;
                *was_expired = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{Mutation, each_shows};

    const CONN: ConnId = ConnId { client: 1, member: 0, lane: 0 };

    #[test]
    fn every_field_is_in_the_digest() {
        let mut transactions = Transactions::default();
        transactions.entry(CONN).watched.push(("a".into(), false));
        let changes: &[Mutation<Transactions>] = &[
            ("MULTI", |all| all.entry(CONN).queued = Some(Vec::new())),
            ("a queued command", |all| all.entry(CONN).queued = Some(vec![Command::new("PING")])),
            ("failed", |all| all.entry(CONN).failed = true),
            ("stale", |all| all.entry(CONN).stale = true),
            ("a watch", |all| all.entry(CONN).watched.push(("b".into(), false))),
            ("a watch of an expired key", |all| all.entry(CONN).watched[0].1 = true),
            ("another client", |all| all.entry(ConnId { client: 2, ..CONN }).stale = true),
            ("another connection", |all| all.entry(ConnId { lane: 1, ..CONN }).stale = true),
            ("no connection", |all| all.forget(CONN)),
        ];
        each_shows(&transactions, changes);
    }

    #[test]
    fn what_has_ended_leaves_no_trace() {
        let mut transactions = Transactions::default();
        transactions.entry(CONN).stale = true;
        transactions.forget(CONN);
        assert!(transactions.0.is_none());
    }
}
