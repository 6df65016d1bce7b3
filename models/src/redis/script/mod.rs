//! EVAL and its kind.

pub(super) mod cache;
mod engine;
mod natives;
mod values;

use super::args::{int, is};
use super::call::{Call, Kind, Refused};
use super::cluster::redirect;
use super::reply::{Failure, QUOTED_BYTES_MAX, Reply, error_quoting, not_modelled};
use crate::Blob;
use crate::resp::{Command, Value};
use cache::ScriptCache;

const SHA_HEX_LEN: usize = 40;

/// Runs one command of a script.
fn serve(call: &mut Call, command: &Command) -> Reply {
    let words = command.words();
    Ok(Value::error(match (call.resolve)(words) {
        Ok(spec) if matches!(spec.name, "READONLY" | "READWRITE") => {
            return not_modelled(format!("{} in a script", spec.name));
        }
        Ok(spec) if spec.kind == Kind::NoScript => "ERR This Redis command is not allowed from script",
        Ok(spec) if call.read_only && matches!(spec.kind, Kind::Write | Kind::Publish) => {
            "ERR Write commands are not allowed from read-only scripts."
        }
        Ok(spec) => match call.refuse_writes().filter(|_| spec.kind == Kind::Write) {
            Some(refusal) => refusal,
            None => match redirect::refuse_in_script(call, spec, words) {
                Some(refusal) => refusal,
                None => return call.execute(spec, words),
            },
        },
        Err(Refused::NotModelled(what)) => return not_modelled(what),
        Err(Refused::Arity(_)) => "ERR Wrong number of args calling Redis command from script",
        Err(Refused::Unknown(_)) => "ERR Unknown Redis command called from script",
    }))
}

/// Reads the number of keys among the arguments of a script.
fn key_count(args: &[Blob]) -> Result<usize, Failure> {
    let keys = int(&args[0])?;
    if keys > args.len() as i64 - 1 {
        return Err("ERR Number of keys can't be greater than number of args".into());
    }
    usize::try_from(keys).map_err(|_| "ERR Number of keys can't be negative".into())
}

fn evaluate(call: &mut Call, script: u32, keys: usize, args: &[Blob]) -> Reply {
    let nested = std::mem::replace(&mut call.nested, true);
    let reply = engine::run(script, keys, args, &mut |command| serve(call, command));
    call.nested = nested;
    reply
}

pub(super) fn eval(call: &mut Call, args: &[Blob]) -> Reply {
    let keys = key_count(&args[1..])?;
    let script = engine::compile(&args[0])?;
    call.state.scripts.add(script);
    evaluate(call, script.number, keys, &args[2..])
}

pub(super) fn eval_ro(call: &mut Call, args: &[Blob]) -> Reply {
    reading(call, |call| eval(call, args))
}

/// Runs what may only read.
fn reading(call: &mut Call, run: impl FnOnce(&mut Call) -> Reply) -> Reply {
    call.read_only = true;
    let reply = run(call);
    call.read_only = false;
    reply
}

/// The number of a script that this server has been given.
fn find(call: &Call, sha: &Blob) -> Option<u32> {
    if sha.len() != SHA_HEX_LEN {
        return None;
    }
    let sha = Blob::copy_from(&sha.to_ascii_lowercase());
    let script = engine::number_of(&sha)?;
    call.state.scripts.has(script).then_some(script)
}

pub(super) fn evalsha(call: &mut Call, args: &[Blob]) -> Reply {
    const NO_SCRIPT: &str = "NOSCRIPT No matching script. Please use EVAL.";
    if args[0].len() != SHA_HEX_LEN {
        return Err(NO_SCRIPT.into());
    }
    let keys = key_count(&args[1..])?;
    let script = find(call, &args[0]).ok_or(NO_SCRIPT)?;
    evaluate(call, script, keys, &args[2..])
}

pub(super) fn evalsha_ro(call: &mut Call, args: &[Blob]) -> Reply {
    reading(call, |call| evalsha(call, args))
}

pub(super) fn script(call: &mut Call, args: &[Blob]) -> Reply {
    match (args[0].to_ascii_uppercase().as_slice(), &args[1..]) {
        (b"LOAD", [body]) => {
            let script = engine::compile(body)?;
            call.state.scripts.add(script);
            Ok(Value::Bulk(engine::sha_of(script.number)))
        }
        (b"EXISTS", shas) => {
            Ok(Value::Array(shas.iter().map(|sha| Value::Int(find(call, sha).is_some().into())).collect()))
        }
        (b"FLUSH", options) => {
            if !matches!(options, [] | [_]) || options.iter().any(|option| !is(option, "SYNC") && !is(option, "ASYNC"))
            {
                return Err("ERR SCRIPT FLUSH only support SYNC|ASYNC option".into());
            }
            call.state.scripts = ScriptCache::default();
            Ok(Value::OK)
        }
        (b"KILL", []) => Err("NOTBUSY No scripts in execution right now.".into()),
        _ => Err(error_quoting(
            "ERR unknown subcommand or wrong number of arguments for '",
            &args[0],
            QUOTED_BYTES_MAX,
            "'. Try SCRIPT HELP.",
        )
        .into()),
    }
}
