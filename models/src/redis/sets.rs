//! Sets, answered in byte order.

use super::call::Call;
use super::reply::{Failure, Reply};
use crate::Blob;
use crate::resp::Value;
use std::collections::BTreeSet;

pub(super) fn sadd(call: &mut Call, args: &[Blob]) -> Reply {
    let set = call.set_mut(&args[0])?;
    let added = args[1..].iter().filter(|member| set.insert((*member).clone())).count();
    if added > 0 {
        call.touch(&args[0]);
    }
    Ok(Value::Int(added as i64))
}

pub(super) fn srem(call: &mut Call, args: &[Blob]) -> Reply {
    let Some(set) = call.set(&args[0])? else { return Ok(Value::Int(0)) };
    let removed = args[1..].iter().filter(|member| set.remove(*member)).count();
    if removed > 0 {
        call.drop_if_empty(&args[0]);
        call.touch(&args[0]);
    }
    Ok(Value::Int(removed as i64))
}

pub(super) fn sismember(call: &mut Call, args: &[Blob]) -> Reply {
    Ok(Value::Int(call.set(&args[0])?.is_some_and(|set| set.contains(&args[1])).into()))
}

pub(super) fn smismember(call: &mut Call, args: &[Blob]) -> Reply {
    let set = call.set(&args[0])?;
    let contains = |member: &Blob| Value::Int(set.as_ref().is_some_and(|set| set.contains(member)).into());
    Ok(Value::Array(args[1..].iter().map(contains).collect()))
}

fn members(set: BTreeSet<Blob>) -> Value {
    Value::Array(set.into_iter().map(Value::Bulk).collect())
}

fn get(call: &mut Call, key: &Blob) -> Result<BTreeSet<Blob>, Failure> {
    Ok(call.set(key)?.cloned().unwrap_or_default())
}

pub(super) fn smembers(call: &mut Call, args: &[Blob]) -> Reply {
    Ok(members(get(call, &args[0])?))
}

pub(super) fn scard(call: &mut Call, args: &[Blob]) -> Reply {
    Ok(Value::Int(call.set(&args[0])?.map_or(0, |set| set.len()) as i64))
}

pub(super) fn smove(call: &mut Call, args: &[Blob]) -> Reply {
    let (from, to, member) = (&args[0], &args[1], &args[2]);
    // The real server looks both keys up, and so collects the second where it has expired, even without the first.
    call.exists(to);
    let Some(set) = call.set(from)? else { return Ok(Value::Int(0)) };
    let present = set.contains(member);
    call.set(to)?;
    if !present || from == to {
        return Ok(Value::Int(present.into()));
    }
    srem(call, &[from.clone(), member.clone()])?;
    sadd(call, &[to.clone(), member.clone()])?;
    Ok(Value::Int(1))
}

fn combine(call: &mut Call, args: &[Blob], with: fn(&BTreeSet<Blob>, &BTreeSet<Blob>) -> BTreeSet<Blob>) -> Reply {
    let mut sets = Vec::new();
    for key in args {
        sets.push(get(call, key)?);
    }
    let result = sets.into_iter().reduce(|left, right| with(&left, &right));
    Ok(members(result.unwrap_or_default()))
}

pub(super) fn sinter(call: &mut Call, args: &[Blob]) -> Reply {
    combine(call, args, |left, right| left & right)
}

pub(super) fn sunion(call: &mut Call, args: &[Blob]) -> Reply {
    combine(call, args, |left, right| left | right)
}

pub(super) fn sdiff(call: &mut Call, args: &[Blob]) -> Reply {
    combine(call, args, |left, right| left - right)
}
