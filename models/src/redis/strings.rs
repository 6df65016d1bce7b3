//! Strings and counters.

use super::args::{byte_range, int, is};
use super::call::Call;
use super::expiry::{deadline_from, persist, set_deadline};
use super::keyspace::Data;
use super::reply::{Failure, NOT_INTEGER, Reply, SYNTAX, bulk_or_nil, error, wrong_arity};
use crate::Blob;
use crate::resp::Value;

/// The longest string.
pub(super) const STRING_BYTES_MAX: i64 = 512 * 1024 * 1024;

/// When SET may write.
#[derive(PartialEq)]
enum Condition {
    Always,
    IfAbsent,
    IfPresent,
}

/// What becomes of a key's deadline.
enum Expiry<'a> {
    Clear,
    Keep,
    /// The name of the option and its argument, which is looked at only once all options are understood.
    Option(&'a Blob, &'a Blob),
}

/// Reads an option that sets a deadline; the same one may be given again, another one not.
fn expiry_option<'a>(
    option: &'a Blob,
    seen: &Option<Expiry>,
    rest: &mut std::slice::Iter<'a, Blob>,
) -> Result<Expiry<'a>, Failure> {
    let repeated = match seen {
        None => true,
        Some(Expiry::Option(name, _)) => name.eq_ignore_ascii_case(option),
        Some(_) => false,
    };
    if !repeated || !["EX", "PX", "EXAT", "PXAT"].iter().any(|name| is(option, name)) {
        return Err(SYNTAX.into());
    }
    Ok(Expiry::Option(option, rest.next().ok_or(SYNTAX)?))
}

pub(super) fn set(call: &mut Call, args: &[Blob]) -> Reply {
    let (key, value) = (&args[0], &args[1]);
    let mut condition = Condition::Always;
    let mut expiry = None;
    let mut get = false;
    let mut options = args[2..].iter();
    while let Some(option) = options.next() {
        if is(option, "NX") && condition != Condition::IfPresent {
            condition = Condition::IfAbsent;
        } else if is(option, "XX") && condition != Condition::IfAbsent {
            condition = Condition::IfPresent;
        } else if is(option, "GET") {
            get = true;
        } else if is(option, "KEEPTTL") && !matches!(expiry, Some(Expiry::Option(..))) {
            expiry = Some(Expiry::Keep);
        } else {
            expiry = Some(expiry_option(option, &expiry, &mut options)?);
        }
    }
    let deadline = match expiry {
        Some(Expiry::Option(option, amount)) => Some(deadline_from(option, amount, call.now_ms, "set")?),
        _ => None,
    };
    let old = if get { call.string(key)?.cloned() } else { None };
    let allowed = match condition {
        Condition::Always => true,
        Condition::IfAbsent => !call.exists(key),
        Condition::IfPresent => call.exists(key),
    };
    if allowed {
        let expire_at = match expiry {
            Some(Expiry::Keep) => call.entry(key).and_then(|entry| entry.expire_at),
            _ => deadline,
        };
        call.store(key, Data::Str(value.clone()), expire_at);
    }
    Ok(match (get, allowed) {
        (true, _) => bulk_or_nil(old),
        (false, true) => Value::OK,
        (false, false) => Value::Nil,
    })
}

pub(super) fn get(call: &mut Call, args: &[Blob]) -> Reply {
    Ok(bulk_or_nil(call.string(&args[0])?.cloned()))
}

pub(super) fn setnx(call: &mut Call, args: &[Blob]) -> Reply {
    if call.exists(&args[0]) {
        return Ok(Value::Int(0));
    }
    call.store(&args[0], Data::Str(args[1].clone()), None);
    Ok(Value::Int(1))
}

pub(super) fn setex(call: &mut Call, args: &[Blob]) -> Reply {
    let deadline = deadline_from(&Blob::from("EX"), &args[1], call.now_ms, "setex")?;
    call.store(&args[0], Data::Str(args[2].clone()), Some(deadline));
    Ok(Value::OK)
}

pub(super) fn psetex(call: &mut Call, args: &[Blob]) -> Reply {
    let deadline = deadline_from(&Blob::from("PX"), &args[1], call.now_ms, "psetex")?;
    call.store(&args[0], Data::Str(args[2].clone()), Some(deadline));
    Ok(Value::OK)
}

pub(super) fn getset(call: &mut Call, args: &[Blob]) -> Reply {
    let old = call.string(&args[0])?.cloned();
    call.store(&args[0], Data::Str(args[1].clone()), None);
    Ok(bulk_or_nil(old))
}

pub(super) fn getdel(call: &mut Call, args: &[Blob]) -> Reply {
    let old = call.string(&args[0])?.cloned();
    call.delete(&args[0]);
    Ok(bulk_or_nil(old))
}

pub(super) fn getex(call: &mut Call, args: &[Blob]) -> Reply {
    let mut expiry = None;
    let mut options = args[1..].iter();
    while let Some(option) = options.next() {
        if is(option, "PERSIST") && !matches!(expiry, Some(Expiry::Option(..))) {
            expiry = Some(Expiry::Clear);
        } else {
            expiry = Some(expiry_option(option, &expiry, &mut options)?);
        }
    }
    let key = &args[0];
    let Some(value) = call.string(key)?.cloned() else { return Ok(Value::Nil) };
    match expiry {
        Some(Expiry::Option(option, amount)) => {
            let deadline = deadline_from(option, amount, call.now_ms, "getex")?;
            set_deadline(call, key, deadline);
        }
        Some(Expiry::Clear) => {
            persist(call, std::slice::from_ref(key))?;
        }
        Some(Expiry::Keep) | None => {}
    }
    Ok(Value::Bulk(value))
}

pub(super) fn mget(call: &mut Call, args: &[Blob]) -> Reply {
    let values = args.iter().map(|key| bulk_or_nil(call.string(key).ok().flatten().cloned())).collect();
    Ok(Value::Array(values))
}

pub(super) fn mset(call: &mut Call, args: &[Blob]) -> Reply {
    if !args.len().is_multiple_of(2) {
        return Err(wrong_arity("mset").into());
    }
    for pair in args.chunks_exact(2) {
        call.store(&pair[0], Data::Str(pair[1].clone()), None);
    }
    Ok(Value::OK)
}

pub(super) fn msetnx(call: &mut Call, args: &[Blob]) -> Reply {
    if !args.len().is_multiple_of(2) {
        return Err(wrong_arity("msetnx").into());
    }
    if args.chunks_exact(2).any(|pair| call.exists(&pair[0])) {
        return Ok(Value::Int(0));
    }
    mset(call, args)?;
    Ok(Value::Int(1))
}

pub(super) fn append(call: &mut Call, args: &[Blob]) -> Reply {
    let old = call.string(&args[0])?.cloned().unwrap_or_default();
    let joined = Blob::copy_from(&[old.as_bytes(), args[1].as_bytes()].concat());
    let len = joined.len();
    keep_deadline(call, &args[0], joined);
    Ok(Value::Int(len as i64))
}

/// Replaces a string and leaves its deadline as it is.
pub(super) fn keep_deadline(call: &mut Call, key: &Blob, value: Blob) {
    let expire_at = call.entry(key).and_then(|entry| entry.expire_at);
    call.store(key, Data::Str(value), expire_at);
}

pub(super) fn strlen(call: &mut Call, args: &[Blob]) -> Reply {
    Ok(Value::Int(call.string(&args[0])?.map_or(0, |text| text.len()) as i64))
}

pub(super) fn getrange(call: &mut Call, args: &[Blob]) -> Reply {
    let (start, stop) = (int(&args[1])?, int(&args[2])?);
    let text = call.string(&args[0])?.cloned().unwrap_or_default();
    let part = byte_range(start, stop, text.len()).map_or(&[][..], |(from, to)| &text[from..=to]);
    Ok(Value::Bulk(Blob::copy_from(part)))
}

pub(super) fn setrange(call: &mut Call, args: &[Blob]) -> Reply {
    let offset = int(&args[1])?;
    if offset < 0 {
        return Err("ERR offset is out of range".into());
    }
    let mut text = call.string(&args[0])?.map(|text| text.to_vec()).unwrap_or_default();
    if args[2].is_empty() {
        return Ok(Value::Int(text.len() as i64));
    }
    if offset.saturating_add(args[2].len() as i64) > STRING_BYTES_MAX {
        return Err("ERR string exceeds maximum allowed size (proto-max-bulk-len)".into());
    }
    let (from, to) = (offset as usize, offset as usize + args[2].len());
    if text.len() < to {
        text.resize(to, 0);
    }
    text[from..to].copy_from_slice(&args[2]);
    let len = text.len();
    keep_deadline(call, &args[0], text.into());
    Ok(Value::Int(len as i64))
}

fn add(call: &mut Call, key: &Blob, amount: i64) -> Reply {
    let old = match call.string(key)? {
        Some(text) => text.to_int().ok_or(NOT_INTEGER)?,
        None => 0,
    };
    let sum = old.checked_add(amount).ok_or_else(|| error("ERR increment or decrement would overflow"))?;
    keep_deadline(call, key, Blob::from_int(sum));
    Ok(Value::Int(sum))
}

pub(super) fn incr(call: &mut Call, args: &[Blob]) -> Reply {
    add(call, &args[0], 1)
}

pub(super) fn decr(call: &mut Call, args: &[Blob]) -> Reply {
    add(call, &args[0], -1)
}

pub(super) fn incrby(call: &mut Call, args: &[Blob]) -> Reply {
    add(call, &args[0], int(&args[1])?)
}

pub(super) fn decrby(call: &mut Call, args: &[Blob]) -> Reply {
    let amount = int(&args[1])?;
    add(call, &args[0], amount.checked_neg().ok_or_else(|| error("ERR decrement would overflow"))?)
}
