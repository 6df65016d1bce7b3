//! Hashes.

use super::args::int;
use super::call::Call;
use super::reply::{Failure, Reply, bulk_or_nil, error, wrong_arity};
use crate::Blob;
use crate::resp::Value;

fn set_fields(call: &mut Call, args: &[Blob], command: &str) -> Result<usize, Failure> {
    if args.len() % 2 != 1 {
        return Err(wrong_arity(command).into());
    }
    let hash = call.hash_mut(&args[0])?;
    let mut created = 0;
    for pair in args[1..].chunks_exact(2) {
        created += usize::from(hash.insert(pair[0].clone(), pair[1].clone()).is_none());
    }
    call.touch(&args[0]);
    Ok(created)
}

pub(super) fn hset(call: &mut Call, args: &[Blob]) -> Reply {
    Ok(Value::Int(set_fields(call, args, "hset")? as i64))
}

pub(super) fn hmset(call: &mut Call, args: &[Blob]) -> Reply {
    set_fields(call, args, "hmset")?;
    Ok(Value::OK)
}

pub(super) fn hsetnx(call: &mut Call, args: &[Blob]) -> Reply {
    if call.hash(&args[0])?.is_some_and(|hash| hash.contains_key(&args[1])) {
        return Ok(Value::Int(0));
    }
    call.hash_mut(&args[0])?.insert(args[1].clone(), args[2].clone());
    call.touch(&args[0]);
    Ok(Value::Int(1))
}

pub(super) fn hget(call: &mut Call, args: &[Blob]) -> Reply {
    Ok(bulk_or_nil(call.hash(&args[0])?.and_then(|hash| hash.get(&args[1]).cloned())))
}

pub(super) fn hmget(call: &mut Call, args: &[Blob]) -> Reply {
    let hash = call.hash(&args[0])?;
    let get = |field: &Blob| bulk_or_nil(hash.as_ref().and_then(|hash| hash.get(field).cloned()));
    Ok(Value::Array(args[1..].iter().map(get).collect()))
}

fn list(call: &mut Call, key: &Blob, keys: bool, values: bool) -> Reply {
    let mut items = Vec::new();
    for (field, value) in call.hash(key)?.iter().flat_map(|hash| hash.iter()) {
        items.extend(keys.then(|| Value::Bulk(field.clone())));
        items.extend(values.then(|| Value::Bulk(value.clone())));
    }
    Ok(Value::Array(items))
}

pub(super) fn hgetall(call: &mut Call, args: &[Blob]) -> Reply {
    list(call, &args[0], true, true)
}

pub(super) fn hkeys(call: &mut Call, args: &[Blob]) -> Reply {
    list(call, &args[0], true, false)
}

pub(super) fn hvals(call: &mut Call, args: &[Blob]) -> Reply {
    list(call, &args[0], false, true)
}

pub(super) fn hdel(call: &mut Call, args: &[Blob]) -> Reply {
    let Some(hash) = call.hash(&args[0])? else { return Ok(Value::Int(0)) };
    let removed = args[1..].iter().filter(|field| hash.shift_remove(*field).is_some()).count();
    if removed > 0 {
        call.drop_if_empty(&args[0]);
        call.touch(&args[0]);
    }
    Ok(Value::Int(removed as i64))
}

pub(super) fn hexists(call: &mut Call, args: &[Blob]) -> Reply {
    Ok(Value::Int(call.hash(&args[0])?.is_some_and(|hash| hash.contains_key(&args[1])).into()))
}

pub(super) fn hlen(call: &mut Call, args: &[Blob]) -> Reply {
    Ok(Value::Int(call.hash(&args[0])?.map_or(0, |hash| hash.len()) as i64))
}

pub(super) fn hstrlen(call: &mut Call, args: &[Blob]) -> Reply {
    Ok(Value::Int(call.hash(&args[0])?.and_then(|hash| hash.get(&args[1])).map_or(0, |value| value.len()) as i64))
}

pub(super) fn hincrby(call: &mut Call, args: &[Blob]) -> Reply {
    let amount = int(&args[2])?;
    let old = match call.hash(&args[0])?.and_then(|hash| hash.get(&args[1])) {
        Some(value) => value.to_int().ok_or_else(|| error("ERR hash value is not an integer"))?,
        None => 0,
    };
    let sum = old.checked_add(amount).ok_or_else(|| error("ERR increment or decrement would overflow"))?;
    call.hash_mut(&args[0])?.insert(args[1].clone(), Blob::from_int(sum));
    call.touch(&args[0]);
    Ok(Value::Int(sum))
}
