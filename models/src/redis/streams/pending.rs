//! XPENDING: what consumers were given and have not acknowledged.

use super::groups::no_group;
use super::id;
use super::stream::{Group, Pending};
use crate::Blob;
use crate::redis::args::{int, is};
use crate::redis::call::Call;
use crate::redis::reply::{Failure, Reply, SYNTAX};
use crate::resp::Value;
use std::collections::BTreeMap;

/// The group of a stream, for the commands that fail without one.
pub(super) fn group<'a>(call: &'a mut Call, key: &Blob, name: &Blob) -> Result<&'a mut Group, Failure> {
    let group = call.stream(key)?.and_then(|stream| stream.groups.get_mut(name));
    group.ok_or_else(|| no_group("NOGROUP No such key '", key, "' or consumer group '", name, "'"))
}

pub(in crate::redis) fn xpending(call: &mut Call, args: &[Blob]) -> Reply {
    let (key, name) = (&args[0], &args[1]);
    let (min_idle_ms, range) = match &args[2..] {
        [] => return Ok(summary(group(call, key, name)?)),
        [_, _] | [_] | [_, _, _, _, _, _, _, ..] => return Err(SYNTAX.into()),
        [option, idle, range @ ..] if is(option, "IDLE") => (int(idle)?, range),
        range => (0, range),
    };
    // What stands behind the consumer is ignored.
    let [start, end, count, ..] = range else { return Err(SYNTAX.into()) };
    let count = usize::try_from(int(count)?).unwrap_or(0);
    let (start, end) = (id::start(start)?, id::end(end)?);
    let now_ms = call.now_ms;
    let group = group(call, key, name)?;
    if start > end {
        return Ok(Value::Array(Vec::new()));
    }
    let idle = |pending: &Pending| now_ms.saturating_sub(pending.delivered_ms);
    let found = group.pending.range(start..=end).filter(|(_, pending)| {
        range.get(3).is_none_or(|consumer| pending.consumer == *consumer)
            && (min_idle_ms == 0 || idle(pending) >= min_idle_ms)
    });
    let found = found.take(count).map(|(id, pending)| {
        let idle_ms = idle(pending).max(0);
        let consumer = Value::Bulk(pending.consumer.clone());
        Value::Array(vec![id.to_value(), consumer, Value::Int(idle_ms), Value::Int(pending.deliveries)])
    });
    Ok(Value::Array(found.collect()))
}

/// How many, the first and the last, and how many each consumer has.
fn summary(group: &Group) -> Value {
    let (first, last) = match (group.pending.first_key_value(), group.pending.last_key_value()) {
        (Some((first, _)), Some((last, _))) => (first, last),
        _ => return Value::Array(vec![Value::Int(0), Value::Nil, Value::Nil, Value::Nil]),
    };
    let mut by_consumer: BTreeMap<&Blob, i64> = BTreeMap::new();
    for pending in group.pending.values() {
        *by_consumer.entry(&pending.consumer).or_default() += 1;
    }
    let consumers = by_consumer
        .into_iter()
        .map(|(consumer, count)| Value::Array(vec![Value::Bulk(consumer.clone()), Value::Bulk(Blob::from_int(count))]));
    let count = Value::Int(group.pending.len() as i64);
    Value::Array(vec![count, first.to_value(), last.to_value(), Value::Array(consumers.collect())])
}
