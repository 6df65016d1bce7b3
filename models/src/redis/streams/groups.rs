//! Groups of consumers: making and ending them, and acknowledging.

use super::id::{self, StreamId};
use super::stream::{Group, Stream};
use crate::Blob;
use crate::redis::args::{int, is};
use crate::redis::call::Call;
use crate::redis::reply::{Failure, Reply, c_string, error_quoting, one_line};
use crate::resp::Value;

const NO_KEY: &str = "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use \
    the MKSTREAM option to create an empty stream automatically.";

/// The error of a group that is not there: the text before the key, the text between key and group, the text behind.
pub(super) fn no_group(before: &str, key: &Blob, between: &str, group: &Blob, after: &str) -> Failure {
    let [key, group] = [key, group].map(|word| c_string(word, usize::MAX));
    one_line(&[before.as_bytes(), key, between.as_bytes(), group, after.as_bytes()].concat()).into()
}

/// What may stand behind the ID of XGROUP CREATE and SETID. True for MKSTREAM.
fn options(subcommand: &Blob, options: &[Blob]) -> Result<bool, Failure> {
    let (creates, sets) = (is(subcommand, "CREATE"), is(subcommand, "SETID"));
    let mut make_stream = false;
    let mut rest = options;
    loop {
        rest = match rest {
            [] => return Ok(make_stream),
            [option, rest @ ..] if creates && is(option, "MKSTREAM") => {
                make_stream = true;
                rest
            }
            [option, read, rest @ ..] if (creates || sets) && is(option, "ENTRIESREAD") => {
                // A figure for XINFO alone.
                if int(read)? < -1 {
                    return Err("ERR value for ENTRIESREAD must be positive or -1".into());
                }
                rest
            }
            _ => return Err(bad_syntax(subcommand)),
        };
    }
}

fn bad_syntax(subcommand: &Blob) -> Failure {
    let before = "ERR unknown subcommand or wrong number of arguments for '";
    error_quoting(before, subcommand, 128, "'. Try XGROUP HELP.").into()
}

pub(in crate::redis) fn xgroup(call: &mut Call, args: &[Blob]) -> Reply {
    let [subcommand, key, name, rest @ ..] = args else {
        return Err(bad_syntax(args.first().unwrap_or(&Blob::EMPTY)));
    };
    let make_stream = options(subcommand, rest.get(1..).unwrap_or_default())?;
    let Some(stream) = call.stream(key)? else {
        return if make_stream { create_stream(call, key, name, rest) } else { Err(NO_KEY.into()) };
    };
    match (subcommand.to_ascii_uppercase().as_slice(), rest) {
        (b"CREATE", [id, ..]) => {
            let id = id_or_last(stream, id, id::strict)?;
            create(call, key, name, id)
        }
        (b"DESTROY", []) => {
            let existed = stream.groups.remove(name).is_some();
            call.alter(key, u64::from(existed));
            Ok(Value::Int(existed.into()))
        }
        (word, [argument, ..]) => {
            let last = stream.last_id;
            let group = stream
                .groups
                .get_mut(name)
                .ok_or_else(|| no_group("NOGROUP No such consumer group '", name, "' for key name '", key, "'"))?;
            let (reply, changed) = change(group, word, argument, last)?;
            call.alter(key, u64::from(changed));
            Ok(reply)
        }
        _ => Err(bad_syntax(subcommand)),
    }
}

/// What changes a group that is there. Returns the reply, and whether anything did change.
fn change(group: &mut Group, word: &[u8], argument: &Blob, last: StreamId) -> Result<(Value, bool), Failure> {
    match word {
        b"SETID" => {
            group.last_id = if argument.as_bytes() == b"$" { last } else { id::any(argument, 0)? };
            Ok((Value::OK, true))
        }
        b"CREATECONSUMER" => {
            let created = group.consumers.insert(argument.clone());
            Ok((Value::Int(created.into()), created))
        }
        _ => {
            // What it had not acknowledged is forgotten: no other consumer will be given it.
            let before = group.pending.len();
            group.pending.retain(|_, pending| pending.consumer != *argument);
            let existed = group.consumers.remove(argument);
            Ok((Value::Int((before - group.pending.len()) as i64), existed))
        }
    }
}

fn id_or_last(
    stream: &Stream,
    word: &Blob,
    parse: fn(&Blob, u64) -> Result<StreamId, Failure>,
) -> Result<StreamId, Failure> {
    if word.as_bytes() == b"$" { Ok(stream.last_id) } else { parse(word, 0) }
}

/// Makes an empty stream with a group.
fn create_stream(call: &mut Call, key: &Blob, name: &Blob, rest: &[Blob]) -> Reply {
    let id = id_or_last(&Stream::default(), &rest[0], id::strict)?;
    call.stream_mut(key)?;
    call.touch(key);
    create(call, key, name, id)
}

fn create(call: &mut Call, key: &Blob, name: &Blob, id: StreamId) -> Reply {
    let stream = call.stream_mut(key)?;
    if stream.groups.contains_key(name) {
        return Err("BUSYGROUP Consumer Group name already exists".into());
    }
    stream.groups.insert(name.clone(), Group::new(id));
    call.alter(key, 1);
    Ok(Value::OK)
}

pub(in crate::redis) fn xack(call: &mut Call, args: &[Blob]) -> Reply {
    let group = |stream: &Stream| stream.groups.contains_key(&args[1]);
    if !call.stream(&args[0])?.is_some_and(|stream| group(stream)) {
        return Ok(Value::Int(0));
    }
    let ids = args[2..].iter().map(|word| id::strict(word, 0)).collect::<Result<Vec<_>, _>>()?;
    let stream = call.stream_mut(&args[0])?;
    let group = stream.groups.get_mut(&args[1]).expect("the group is there");
    let acknowledged = ids.iter().filter(|id| group.pending.remove(id).is_some()).count();
    call.alter(&args[0], acknowledged as u64);
    Ok(Value::Int(acknowledged as i64))
}
