//! MULTI, EXEC, DISCARD, WATCH: state that belongs to a connection.

use super::call::{Call, Failure, Reply, error_quoting, is, not_modelled};
use super::commands::{self, Spec};
use crate::escape::Unordered;
use crate::resp::{Command, Value};
use crate::{Blob, ConnId};
use std::collections::BTreeMap;
use std::rc::Rc;

const ABORTED_BECAUSE: &str = "EXECABORT Transaction discarded because of: ";

/// One connection's transaction.
#[derive(Clone, Default, Hash)]
struct Transaction {
    /// The commands queued since MULTI.
    queued: Option<Vec<Command>>,
    /// A queued command was refused: EXEC will abort.
    failed: bool,
    /// Watched keys, and whether the key was there but expired when it was watched.
    watched: Vec<(Blob, bool)>,
    /// A watched key was changed.
    stale: bool,
}

/// All connections that have a transaction or a watch; most have neither.
#[derive(Clone, Default, Hash)]
pub(super) struct Transactions(Option<Rc<Unordered<BTreeMap<ConnId, Transaction>>>>);

impl Transactions {
    fn get(&self, conn: ConnId) -> Option<&Transaction> {
        self.0.as_ref()?.get(&conn)
    }

    fn entry(&mut self, conn: ConnId) -> &mut Transaction {
        Rc::make_mut(self.0.get_or_insert_default()).entry(conn).or_default()
    }

    fn take(&mut self, conn: ConnId) -> Option<Transaction> {
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

/// A command was refused before it ran: inside MULTI the whole transaction fails. EXEC itself ends it.
pub(super) fn refuse(call: &mut Call, name: &Blob, text: Blob) -> Value {
    if is(name, "EXEC") {
        call.node.transactions.forget(call.conn);
        let reason = text.strip_prefix(b"ERR ").unwrap_or(&text);
        return Value::Error(error_quoting(ABORTED_BECAUSE, reason, usize::MAX, ""));
    }
    fail(call);
    Value::Error(text)
}

fn fail(call: &mut Call) {
    if call.node.transactions.get(call.conn).is_some_and(|transaction| transaction.queued.is_some()) {
        call.node.transactions.entry(call.conn).failed = true;
    }
}

/// Inside MULTI: puts the command aside and says so.
pub(super) fn queue(call: &mut Call, spec: &Spec, command: &Command) -> Result<Option<Value>, Failure> {
    let is_queueing = call.node.transactions.get(call.conn).is_some_and(|transaction| transaction.queued.is_some());
    if !is_queueing || matches!(spec.name, "EXEC" | "DISCARD" | "MULTI" | "WATCH") {
        return Ok(None);
    }
    if spec.name == "SAVE" {
        fail(call);
        return Ok(Some(Value::error("ERR Command not allowed inside a transaction")));
    }
    if spec.name.ends_with("SUBSCRIBE") {
        return not_modelled(format!("{} inside MULTI", spec.name));
    }
    if let Some(queued) = &mut call.node.transactions.entry(call.conn).queued {
        queued.push(command.clone());
    }
    Ok(Some(Value::Status("QUEUED".into())))
}

pub(super) fn multi(call: &mut Call, _args: &[Blob]) -> Reply {
    let transaction = call.node.transactions.entry(call.conn);
    if transaction.queued.is_some() {
        return Err("ERR MULTI calls can not be nested".into());
    }
    transaction.queued = Some(Vec::new());
    Ok(Value::OK)
}

pub(super) fn exec(call: &mut Call, _args: &[Blob]) -> Reply {
    if call.node.transactions.get(call.conn).is_none_or(|transaction| transaction.queued.is_none()) {
        return Err("ERR EXEC without MULTI".into());
    }
    let transaction = call.node.transactions.take(call.conn).unwrap_or_default();
    if transaction.failed {
        return Err("EXECABORT Transaction discarded because of previous errors.".into());
    }
    let now_ms = call.now_ms;
    let db = call.db();
    let expired =
        |(key, was_expired): &(Blob, bool)| !was_expired && db.raw(key).is_some_and(|entry| entry.is_expired(now_ms));
    if transaction.stale || transaction.watched.iter().any(expired) {
        return Ok(Value::Nil);
    }
    call.nested = true;
    let replies = transaction.queued.iter().flatten().map(|command| {
        let words = command.words();
        match commands::resolve(words) {
            Ok(spec) => commands::execute(call, spec, words),
            Err(refused) => refused.text().map(Value::Error),
        }
    });
    let replies = replies.collect::<Result<_, Failure>>()?;
    call.nested = false;
    Ok(Value::Array(replies))
}

pub(super) fn discard(call: &mut Call, _args: &[Blob]) -> Reply {
    if call.node.transactions.get(call.conn).is_none_or(|transaction| transaction.queued.is_none()) {
        return Err("ERR DISCARD without MULTI".into());
    }
    call.node.transactions.forget(call.conn);
    Ok(Value::OK)
}

pub(super) fn watch(call: &mut Call, args: &[Blob]) -> Reply {
    if call.node.transactions.get(call.conn).is_some_and(|transaction| transaction.queued.is_some()) {
        return Err("ERR WATCH inside MULTI is not allowed".into());
    }
    for key in args {
        let now_ms = call.now_ms;
        let expired = call.db().raw(key).is_some_and(|entry| entry.is_expired(now_ms));
        let watched = &mut call.node.transactions.entry(call.conn).watched;
        if watched.iter().all(|(seen, _)| seen != key) {
            watched.push((key.clone(), expired));
        }
    }
    Ok(Value::OK)
}

pub(super) fn unwatch(call: &mut Call, _args: &[Blob]) -> Reply {
    if call.node.transactions.get(call.conn).is_some() {
        let transaction = call.node.transactions.entry(call.conn);
        transaction.watched.clear();
        transaction.stale = false;
    }
    Ok(Value::OK)
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
            ("nobody", |all| all.forget(CONN)),
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
