//! MULTI, EXEC, DISCARD, WATCH: state that belongs to a connection.

use super::args::is;
use super::call::{Call, Kind, Spec};
use super::reply::{Failure, Reply, error_quoting, not_modelled};
use crate::Blob;
use crate::resp::{Command, Value};

const ABORTED_BECAUSE: &str = "EXECABORT Transaction discarded because of: ";

/// A command was refused before it ran: inside MULTI the whole transaction fails. EXEC itself ends it.
pub(super) fn refuse(call: &mut Call, name: &Blob, text: Blob) -> Value {
    if is(name, "EXEC") {
        call.state.transactions.forget(call.conn);
        let reason = text.strip_prefix(b"ERR ").unwrap_or(&text);
        return Value::Error(error_quoting(ABORTED_BECAUSE, reason, usize::MAX, ""));
    }
    fail(call);
    Value::Error(text)
}

/// Another server of a Cluster has the command's keys, or none has: EXEC ends its transaction with this error, another
/// command makes it fail.
pub(super) fn send_elsewhere(call: &mut Call, spec: &Spec, text: Blob) -> Value {
    match spec.name {
        "EXEC" => call.state.transactions.forget(call.conn),
        _ => fail(call),
    }
    Value::Error(text)
}

/// True if the command writes, or ends a transaction that does.
pub(super) fn writes(call: &Call, spec: &Spec) -> bool {
    let queued_write = || {
        let queued = call.state.transactions.get(call.conn).and_then(|transaction| transaction.queued.as_ref());
        let is_write = |command: &Command| (call.resolve)(command.words()).is_ok_and(|spec| spec.kind == Kind::Write);
        queued.is_some_and(|queued| queued.iter().any(is_write))
    };
    spec.kind == Kind::Write || (spec.name == "EXEC" && queued_write())
}

fn fail(call: &mut Call) {
    if call.state.transactions.get(call.conn).is_some_and(|transaction| transaction.queued.is_some()) {
        call.state.transactions.entry(call.conn).failed = true;
    }
}

/// Inside MULTI: puts the command aside and says so.
pub(super) fn queue(call: &mut Call, spec: &Spec, command: &Command) -> Result<Option<Value>, Failure> {
    let is_queueing = call.state.transactions.get(call.conn).is_some_and(|transaction| transaction.queued.is_some());
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
    let transaction = call.state.transactions.entry(call.conn);
    let is_lost = transaction.failed || transaction.stale;
    // What EXEC will abort is not kept: EXEC looks at no keys of it.
    if let Some(queued) = transaction.queued.as_mut().filter(|_| !is_lost) {
        queued.push(command.clone());
    }
    Ok(Some(Value::Status("QUEUED".into())))
}

pub(super) fn multi(call: &mut Call, _args: &[Blob]) -> Reply {
    let transaction = call.state.transactions.entry(call.conn);
    if transaction.queued.is_some() {
        return Err("ERR MULTI calls can not be nested".into());
    }
    transaction.queued = Some(Vec::new());
    Ok(Value::OK)
}

pub(super) fn exec(call: &mut Call, _args: &[Blob]) -> Reply {
    if call.state.transactions.get(call.conn).is_none_or(|transaction| transaction.queued.is_none()) {
        return Err("ERR EXEC without MULTI".into());
    }
    let transaction = call.state.transactions.take(call.conn).unwrap_or_default();
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
        match (call.resolve)(words) {
            Ok(spec) => call.execute(spec, words),
            Err(refused) => refused.text().map(Value::Error),
        }
    });
    let replies = replies.collect::<Result<_, Failure>>()?;
    call.nested = false;
    Ok(Value::Array(replies))
}

pub(super) fn discard(call: &mut Call, _args: &[Blob]) -> Reply {
    if call.state.transactions.get(call.conn).is_none_or(|transaction| transaction.queued.is_none()) {
        return Err("ERR DISCARD without MULTI".into());
    }
    call.state.transactions.forget(call.conn);
    Ok(Value::OK)
}

pub(super) fn watch(call: &mut Call, args: &[Blob]) -> Reply {
    if call.state.transactions.get(call.conn).is_some_and(|transaction| transaction.queued.is_some()) {
        return Err("ERR WATCH inside MULTI is not allowed".into());
    }
    for key in args {
        let now_ms = call.now_ms;
        let expired = call.db().raw(key).is_some_and(|entry| entry.is_expired(now_ms));
        let watched = &mut call.state.transactions.entry(call.conn).watched;
        if watched.iter().all(|(seen, _)| seen != key) {
            watched.push((key.clone(), expired));
        }
    }
    Ok(Value::OK)
}

pub(super) fn unwatch(call: &mut Call, _args: &[Blob]) -> Reply {
    if call.state.transactions.get(call.conn).is_some() {
        let transaction = call.state.transactions.entry(call.conn);
        transaction.watched.clear();
        transaction.stale = false;
    }
    Ok(Value::OK)
}
