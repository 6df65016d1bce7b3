//! Who listens to which channels.

use crate::escape::Unordered;
use crate::resp::Value;
use crate::{Blob, ConnId};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// What one connection listens to.
#[derive(Clone, Default, Hash)]
pub(super) struct Subscriptions {
    pub channels: BTreeSet<Blob>,
    pub patterns: BTreeSet<Blob>,
}

impl Subscriptions {
    pub(super) fn count(&self) -> Value {
        Value::Int((self.channels.len() + self.patterns.len()) as i64)
    }
}

/// The connections that listen to something; most listen to nothing.
#[derive(Clone, Default, Hash)]
pub(super) struct Subscribers(Option<Rc<Unordered<BTreeMap<ConnId, Subscriptions>>>>);

impl Subscribers {
    pub(super) fn all(&self) -> impl Iterator<Item = (&ConnId, &Subscriptions)> {
        self.0.iter().flat_map(|all| all.iter())
    }

    pub(super) fn is_subscribed(&self, conn: ConnId) -> bool {
        self.0.as_ref().is_some_and(|all| all.contains_key(&conn))
    }

    /// Changes a connection's subscriptions; one that listens to nothing is an ordinary one again.
    pub(super) fn change(&mut self, conn: ConnId, change: impl FnOnce(&mut Subscriptions)) -> Value {
        let all = Rc::make_mut(self.0.get_or_insert_default());
        let subscriptions = all.entry(conn).or_default();
        change(subscriptions);
        let count = subscriptions.count();
        if count == Value::Int(0) {
            all.remove(&conn);
        }
        self.0.take_if(|all| all.is_empty());
        count
    }

    /// Forgets a connection.
    pub(super) fn forget(&mut self, conn: ConnId) {
        if self.is_subscribed(conn) {
            self.change(conn, |subscriptions| *subscriptions = Subscriptions::default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{Mutation, each_shows};

    #[test]
    fn every_field_is_in_the_digest() {
        const CONN: ConnId = ConnId { client: 1, member: 0, lane: 1 };
        fn insert(all: &mut Subscribers, conn: ConnId, name: &'static str, is_pattern: bool) {
            all.change(conn, |one| {
                let names = if is_pattern { &mut one.patterns } else { &mut one.channels };
                names.insert(name.into());
            });
        }
        let mut subscribers = Subscribers::default();
        insert(&mut subscribers, CONN, "a", false);
        let changes: &[Mutation<Subscribers>] = &[
            ("a channel", |all| insert(all, CONN, "b", false)),
            ("a pattern", |all| insert(all, CONN, "b", true)),
            ("another client", |all| insert(all, ConnId { client: 2, ..CONN }, "a", false)),
            ("another connection", |all| insert(all, ConnId { lane: 2, ..CONN }, "a", false)),
            ("no subscriber", |all| all.forget(CONN)),
        ];
        each_shows(&subscribers, changes);
        subscribers.forget(CONN);
        assert!(subscribers.0.is_none());
    }
}
