//! XREAD and XREADGROUP: what has been added, alone or shared out in a group.

use super::groups::no_group;
use super::id::{self, StreamId};
use super::stream::{Group, Pending, Stream, entry};
use crate::Blob;
use crate::redis::args::{int, is};
use crate::redis::call::Call;
use crate::redis::reply::{Failure, Reply, SYNTAX, error, not_modelled};
use crate::resp::Value;
use std::ops::Bound::{Excluded, Unbounded};

const DOLLAR_IN_GROUP: &str = "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the \
    history of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just \
    return an empty result set.";

const UNBALANCED: &str = "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.";

/// The words of the command, sorted.
struct Request<'a> {
    group: Option<(&'a Blob, &'a Blob)>,
    count: usize,
    blocks: bool,
    acknowledges: bool,
    keys: &'a [Blob],
    ids: &'a [Blob],
}

/// From where a stream is read.
#[derive(Clone, Copy)]
enum From {
    /// What no consumer of the group has been given.
    New,
    Behind(StreamId),
}

impl<'a> Request<'a> {
    fn parse(args: &'a [Blob], name: &str) -> Result<Self, Failure> {
        let in_group = name == "xreadgroup";
        let only_in_group = |option: &str| -> Failure {
            error(format!("ERR The {option} option is only supported by XREADGROUP. You called XREAD instead.")).into()
        };
        let mut request =
            Request { group: None, count: usize::MAX, blocks: false, acknowledges: false, keys: &[], ids: &[] };
        let mut rest = args;
        loop {
            rest = match rest {
                [option, timeout, rest @ ..] if is(option, "BLOCK") => {
                    check_timeout(timeout)?;
                    request.blocks = true;
                    rest
                }
                [option, count, rest @ ..] if is(option, "COUNT") => {
                    let count = int(count)?;
                    request.count = usize::try_from(count).ok().filter(|count| *count > 0).unwrap_or(usize::MAX);
                    rest
                }
                [option, streams @ ..] if is(option, "STREAMS") && !streams.is_empty() => {
                    if streams.len() % 2 == 1 {
                        return Err(UNBALANCED.into());
                    }
                    (request.keys, request.ids) = streams.split_at(streams.len() / 2);
                    break;
                }
                [option, group, consumer, rest @ ..] if is(option, "GROUP") => {
                    if !in_group {
                        return Err(only_in_group("GROUP"));
                    }
                    request.group = Some((group, consumer));
                    rest
                }
                [option, rest @ ..] if is(option, "NOACK") => {
                    if !in_group {
                        return Err(only_in_group("NOACK"));
                    }
                    request.acknowledges = true;
                    rest
                }
                _ => return Err(SYNTAX.into()),
            };
        }
        if in_group && request.group.is_none() {
            return Err("ERR Missing GROUP option for XREADGROUP".into());
        }
        Ok(request)
    }
}

fn check_timeout(word: &Blob) -> Result<(), Failure> {
    match word.to_int() {
        None => Err("ERR timeout is not an integer or out of range".into()),
        Some(..0) => Err("ERR timeout is negative".into()),
        Some(_) => Ok(()),
    }
}

/// Reads the ID of one stream, which with a group must be there.
fn from(call: &mut Call, request: &Request, key: &Blob, word: &Blob) -> Result<From, Failure> {
    let stream = call.stream(key)?;
    if let Some((name, _)) = request.group
        && !stream.as_ref().is_some_and(|stream| stream.groups.contains_key(name))
    {
        let after = "' in XREADGROUP with GROUP option";
        return Err(no_group("NOGROUP No such key '", key, "' or consumer group '", name, after));
    }
    match (word.as_bytes(), request.group.is_some()) {
        (b"$", true) => Err(DOLLAR_IN_GROUP.into()),
        (b"$", false) => Ok(From::Behind(stream.map_or(StreamId::ZERO, |stream| stream.last_id))),
        (b">", true) => Ok(From::New),
        (b">", false) => {
            let only = "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> \
                option.";
            Err(only.into())
        }
        // The highest ID is how the server writes `>` to itself.
        (_, true) => id::strict(word, 0).map(|id| if id == StreamId::MAX { From::New } else { From::Behind(id) }),
        (_, false) => id::strict(word, 0).map(From::Behind),
    }
}

fn read(call: &mut Call, args: &[Blob], name: &str) -> Reply {
    let request = Request::parse(args, name)?;
    if request.blocks && call.nested {
        return not_modelled("BLOCK in a transaction or a script");
    }
    let pairs = request.keys.iter().zip(request.ids);
    let froms = pairs.map(|(key, word)| from(call, &request, key, word)).collect::<Result<Vec<_>, _>>()?;
    let mut found = Vec::new();
    for (key, from) in request.keys.iter().zip(froms) {
        let entries = match (request.group, from) {
            (None, From::Behind(id)) => plain(call, key, id, request.count)?,
            (Some((group, consumer)), from) => shared(call, &request, key, group, consumer, from)?,
            (None, From::New) => unreachable!("only a group has entries that are new to it"),
        };
        found.extend(entries.map(|entries| Value::Array(vec![Value::Bulk(key.clone()), Value::Array(entries)])));
    }
    if !found.is_empty() {
        return Ok(Value::Array(found));
    }
    if request.blocks { not_modelled(format!("{} that waits (BLOCK)", name.to_uppercase())) } else { Ok(Value::Nil) }
}

/// The entries behind an ID, if there are any.
fn plain(call: &mut Call, key: &Blob, id: StreamId, count: usize) -> Result<Option<Vec<Value>>, Failure> {
    let Some(stream) = call.stream(key)? else { return Ok(None) };
    let entries: Vec<Value> = stream.entries.range((Excluded(id), Unbounded)).take(count).map(entry).collect();
    Ok((!entries.is_empty()).then_some(entries))
}

/// What one consumer of a group is given.
fn shared(
    call: &mut Call,
    request: &Request,
    key: &Blob,
    name: &Blob,
    consumer: &Blob,
    from: From,
) -> Result<Option<Vec<Value>>, Failure> {
    let now_ms = call.now_ms;
    let Stream { entries, groups, .. } = call.stream_mut(key)?;
    let group = groups.get_mut(name).expect("the group was found when the IDs were read");
    let given = match from {
        From::Behind(id) => history(entries, group, consumer, id, request.count, now_ms),
        From::New => match deliver(entries, group, consumer, request, now_ms) {
            // A consumer that has been given nothing is not known to the group.
            None => return Ok(None),
            Some(given) => given,
        },
    };
    let is_new = group.consumers.insert(consumer.clone());
    call.alter(key, 1 + u64::from(is_new));
    Ok(Some(given))
}

type Entries = std::collections::BTreeMap<StreamId, std::rc::Rc<[Blob]>>;

/// What the consumer has been given before and has not acknowledged; an entry that was deleted since has no fields.
fn history(
    entries: &Entries,
    group: &mut Group,
    consumer: &Blob,
    behind: StreamId,
    count: usize,
    now_ms: i64,
) -> Vec<Value> {
    // Behind the last ID of a millisecond comes the next one; behind the very last, none.
    let pending = group.pending.range_mut((Excluded(behind), Unbounded));
    let own = pending.filter(|(_, pending)| pending.consumer == *consumer).take(count);
    own.map(|(id, pending)| match entries.get_key_value(id) {
        None => Value::Array(vec![id.to_value(), Value::Nil]),
        Some(found) => {
            pending.delivered_ms = now_ms;
            pending.deliveries += 1;
            entry(found)
        }
    })
    .collect()
}

/// Gives the consumer what none has been given.
fn deliver(
    entries: &Entries,
    group: &mut Group,
    consumer: &Blob,
    request: &Request,
    now_ms: i64,
) -> Option<Vec<Value>> {
    let new: Vec<_> = entries.range((Excluded(group.last_id), Unbounded)).take(request.count).collect();
    group.last_id = *new.last()?.0;
    if !request.acknowledges {
        let pending = Pending { consumer: consumer.clone(), delivered_ms: now_ms, deliveries: 1 };
        group.pending.extend(new.iter().map(|(id, _)| (**id, pending.clone())));
    }
    Some(new.into_iter().map(entry).collect())
}

pub(in crate::redis) fn xread(call: &mut Call, args: &[Blob]) -> Reply {
    read(call, args, "xread")
}

pub(in crate::redis) fn xreadgroup(call: &mut Call, args: &[Blob]) -> Reply {
    read(call, args, "xreadgroup")
}
