//! Commands on the entries of a stream.

use super::id::{self, Given, StreamId};
use super::stream::{Stream, entry};
use super::trim::{Options, trim};
use crate::Blob;
use crate::redis::args::{int, is};
use crate::redis::call::Call;
use crate::redis::reply::{Failure, Reply, SYNTAX, wrong_arity};
use crate::resp::Value;

const NOT_GREATER: &str = "ERR The ID specified in XADD is equal or smaller than the target stream top item";

/// The ID of the next entry: it never goes back, whatever the clock does.
fn new_id(stream: &Stream, given: Option<Given>, now_ms: u64) -> Result<StreamId, Failure> {
    let last = stream.last_id;
    if last == StreamId::MAX {
        return Err("ERR The stream has exhausted the last possible ID, unable to add more items".into());
    }
    let id = match given {
        None if now_ms > last.ms => StreamId { ms: now_ms, seq: 0 },
        None => last.next().expect("the last ID is not the highest"),
        Some(Given::Milliseconds(ms)) if ms == last.ms => {
            StreamId { ms, seq: last.seq.checked_add(1).ok_or(NOT_GREATER)? }
        }
        Some(Given::Milliseconds(ms)) => StreamId { ms, seq: 0 },
        Some(Given::Whole(id)) => id,
    };
    if id > last { Ok(id) } else { Err(NOT_GREATER.into()) }
}

pub(in crate::redis) fn xadd(call: &mut Call, args: &[Blob]) -> Reply {
    let (options, given, words) = Options::of_xadd(&args[1..])?;
    if words.is_empty() || words.len() % 2 == 1 {
        return Err(wrong_arity("xadd").into());
    }
    if let Some(Given::Whole(StreamId::ZERO)) = given {
        return Err("ERR The ID specified in XADD must be greater than 0-0".into());
    }
    if call.stream(&args[0])?.is_none() && options.only_existing {
        return Ok(Value::Nil);
    }
    let now_ms = u64::try_from(call.now_ms).unwrap_or(0);
    let stream = call.stream_mut(&args[0])?;
    let id = new_id(stream, given, now_ms)?;
    stream.entries.insert(id, words.into());
    stream.last_id = id;
    if let Some(keep) = options.keep {
        trim(stream, keep);
    }
    call.touch(&args[0]);
    Ok(id.to_value())
}

pub(in crate::redis) fn xlen(call: &mut Call, args: &[Blob]) -> Reply {
    Ok(Value::Int(call.stream(&args[0])?.map_or(0, |stream| stream.entries.len()) as i64))
}

pub(in crate::redis) fn xdel(call: &mut Call, args: &[Blob]) -> Reply {
    if call.stream(&args[0])?.is_none() {
        return Ok(Value::Int(0));
    }
    let ids = args[1..].iter().map(|word| id::strict(word, 0)).collect::<Result<Vec<_>, _>>()?;
    let Some(stream) = call.stream(&args[0])? else { return Ok(Value::Int(0)) };
    let deleted = ids.iter().filter(|id| stream.entries.remove(id).is_some()).count();
    if deleted > 0 {
        call.touch(&args[0]);
    }
    Ok(Value::Int(deleted as i64))
}

pub(in crate::redis) fn xtrim(call: &mut Call, args: &[Blob]) -> Reply {
    let options = Options::of_xtrim(&args[1..])?;
    let keep = options.keep.expect("XTRIM has been told what to keep");
    let Some(stream) = call.stream(&args[0])? else { return Ok(Value::Int(0)) };
    let deleted = trim(stream, keep);
    if deleted > 0 {
        call.touch(&args[0]);
    }
    Ok(Value::Int(deleted as i64))
}

/// The number behind COUNT; `None` if there is no such option.
fn count(options: &[Blob]) -> Result<Option<usize>, Failure> {
    let mut count = None;
    for pair in options.chunks(2) {
        let [option, number] = pair else { return Err(SYNTAX.into()) };
        if !is(option, "COUNT") {
            return Err(SYNTAX.into());
        }
        count = Some(usize::try_from(int(number)?).unwrap_or(0));
    }
    Ok(count)
}

fn range(call: &mut Call, args: &[Blob], reverse: bool) -> Reply {
    let (start, end) = if reverse { (&args[2], &args[1]) } else { (&args[1], &args[2]) };
    let (start, end) = (id::start(start)?, id::end(end)?);
    let count = count(&args[3..])?;
    let Some(stream) = call.stream(&args[0])? else { return Ok(Value::Array(Vec::new())) };
    if count == Some(0) {
        return Ok(Value::Nil);
    }
    if start > end {
        return Ok(Value::Array(Vec::new()));
    }
    let count = count.unwrap_or(usize::MAX);
    let found = stream.entries.range(start..=end);
    Ok(Value::Array(match reverse {
        true => found.rev().take(count).map(entry).collect(),
        false => found.take(count).map(entry).collect(),
    }))
}

pub(in crate::redis) fn xrange(call: &mut Call, args: &[Blob]) -> Reply {
    range(call, args, false)
}

pub(in crate::redis) fn xrevrange(call: &mut Call, args: &[Blob]) -> Reply {
    range(call, args, true)
}
