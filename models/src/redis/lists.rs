//! Lists.

use super::args::{self, int, is, range};
use super::call::Call;
use super::reply::{Failure, NOT_INTEGER, Reply, SYNTAX, bulk_or_nil, error, wrong_arity};
use crate::Blob;
use crate::resp::Value;

/// An end of a list.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Left,
    Right,
}

impl End {
    fn parse(word: &Blob) -> Result<Self, Failure> {
        match word {
            word if is(word, "LEFT") => Ok(End::Left),
            word if is(word, "RIGHT") => Ok(End::Right),
            _ => Err(SYNTAX.into()),
        }
    }
}

fn push(call: &mut Call, args: &[Blob], end: End, only_existing: bool) -> Reply {
    if only_existing && call.list(&args[0])?.is_none() {
        return Ok(Value::Int(0));
    }
    let list = call.list_mut(&args[0])?;
    for item in &args[1..] {
        match end {
            End::Left => list.push_front(item.clone()),
            End::Right => list.push_back(item.clone()),
        }
    }
    let len = list.len();
    call.touch(&args[0]);
    Ok(Value::Int(len as i64))
}

pub(super) fn lpush(call: &mut Call, args: &[Blob]) -> Reply {
    push(call, args, End::Left, false)
}

pub(super) fn rpush(call: &mut Call, args: &[Blob]) -> Reply {
    push(call, args, End::Right, false)
}

pub(super) fn lpushx(call: &mut Call, args: &[Blob]) -> Reply {
    push(call, args, End::Left, true)
}

pub(super) fn rpushx(call: &mut Call, args: &[Blob]) -> Reply {
    push(call, args, End::Right, true)
}

fn pop_one(call: &mut Call, key: &Blob, end: End) -> Result<Option<Blob>, Failure> {
    let Some(list) = call.list(key)? else { return Ok(None) };
    let item = match end {
        End::Left => list.pop_front(),
        End::Right => list.pop_back(),
    };
    if item.is_some() {
        call.drop_if_empty(key);
        call.touch(key);
    }
    Ok(item)
}

fn pop(call: &mut Call, args: &[Blob], end: End, name: &str) -> Reply {
    match &args[1..] {
        [] => Ok(bulk_or_nil(pop_one(call, &args[0], end)?)),
        [count] => {
            let count = args::count(count)?;
            if call.list(&args[0])?.is_none() {
                return Ok(Value::Nil);
            }
            let mut items = Vec::new();
            while (items.len() as i64) < count {
                let Some(item) = pop_one(call, &args[0], end)? else { break };
                items.push(Value::Bulk(item));
            }
            Ok(Value::Array(items))
        }
        _ => Err(wrong_arity(name).into()),
    }
}

pub(super) fn lpop(call: &mut Call, args: &[Blob]) -> Reply {
    pop(call, args, End::Left, "lpop")
}

pub(super) fn rpop(call: &mut Call, args: &[Blob]) -> Reply {
    pop(call, args, End::Right, "rpop")
}

pub(super) fn llen(call: &mut Call, args: &[Blob]) -> Reply {
    Ok(Value::Int(call.list(&args[0])?.map_or(0, |list| list.len()) as i64))
}

pub(super) fn lrange(call: &mut Call, args: &[Blob]) -> Reply {
    let (start, stop) = (int(&args[1])?, int(&args[2])?);
    let Some(list) = call.list(&args[0])? else { return Ok(Value::Array(Vec::new())) };
    let Some((from, to)) = range(start, stop, list.len()) else { return Ok(Value::Array(Vec::new())) };
    Ok(Value::Array(list.range(from..=to).cloned().map(Value::Bulk).collect()))
}

/// The position that an index from either end names.
fn position(index: i64, len: usize) -> Option<usize> {
    let at = if index < 0 { len as i64 + index } else { index };
    usize::try_from(at).ok().filter(|at| *at < len)
}

pub(super) fn lindex(call: &mut Call, args: &[Blob]) -> Reply {
    let Some(list) = call.list(&args[0])? else { return Ok(Value::Nil) };
    let at = position(int(&args[1])?, list.len());
    Ok(bulk_or_nil(at.and_then(|at| list.get(at).cloned())))
}

pub(super) fn lset(call: &mut Call, args: &[Blob]) -> Reply {
    let index = args[1].to_int();
    let list = call.list(&args[0])?.ok_or_else(|| error("ERR no such key"))?;
    let index = index.ok_or(NOT_INTEGER)?;
    let at = position(index, list.len()).ok_or_else(|| error("ERR index out of range"))?;
    list[at] = args[2].clone();
    call.touch(&args[0]);
    Ok(Value::OK)
}

pub(super) fn lrem(call: &mut Call, args: &[Blob]) -> Reply {
    let count = int(&args[1])?;
    let Some(list) = call.list(&args[0])? else { return Ok(Value::Int(0)) };
    let limit = if count == 0 { usize::MAX } else { count.unsigned_abs() as usize };
    let matches = |at: &usize| list[*at] == args[2];
    let mut doomed: Vec<usize> = if count < 0 {
        (0..list.len()).rev().filter(matches).take(limit).collect()
    } else {
        (0..list.len()).filter(matches).take(limit).collect()
    };
    doomed.sort_unstable();
    doomed.iter().rev().for_each(|at| {
        list.remove(*at);
    });
    if !doomed.is_empty() {
        call.drop_if_empty(&args[0]);
        call.touch(&args[0]);
    }
    Ok(Value::Int(doomed.len() as i64))
}

/// What `LPOS` looks for.
struct Search {
    /// The first match that counts: from the head, or below zero from the tail.
    rank: i64,
    /// How many are told; `None`: one, and not as an array. Zero: all.
    count: Option<i64>,
    /// How many elements are looked at; zero: all.
    looked_at_max: i64,
}

impl Search {
    fn parse(options: &[Blob]) -> Result<Self, Failure> {
        let mut search = Search { rank: 1, count: None, looked_at_max: 0 };
        let positive = |value: &Blob, problem| value.to_int().filter(|n| *n >= 0).ok_or_else(|| error(problem));
        for option in options.chunks(2) {
            match option {
                [name, rank] if is(name, "RANK") => {
                    search.rank = int(rank)?;
                    if search.rank == 0 {
                        return Err(error(RANK_ZERO).into());
                    }
                }
                [name, count] if is(name, "COUNT") => {
                    search.count = Some(positive(count, "ERR COUNT can't be negative")?);
                }
                [name, most] if is(name, "MAXLEN") => {
                    search.looked_at_max = positive(most, "ERR MAXLEN can't be negative")?;
                }
                _ => return Err(SYNTAX.into()),
            }
        }
        Ok(search)
    }
}

const RANK_ZERO: &str = "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use \
                         negative to start from the end of the list";
pub(super) fn lpos(call: &mut Call, args: &[Blob]) -> Reply {
    let Search { rank, count, looked_at_max } = Search::parse(&args[2..])?;
    let Some(list) = call.list(&args[0])? else {
        return Ok(if count.is_some() { Value::Array(Vec::new()) } else { Value::Nil });
    };
    let all = |limit: i64| if limit == 0 { usize::MAX } else { usize::try_from(limit).unwrap_or(usize::MAX) };
    let from_tail = rank < 0;
    let at = |index: usize| if from_tail { list.len() - 1 - index } else { index };
    let looked_at = (0..list.len()).take(all(looked_at_max)).map(at);
    // The smallest rank has no positive counterpart: the server then skips nothing, and counts nothing.
    let (skipped, count) = match rank {
        i64::MIN => (0, count.map(|_| 0)),
        rank => (usize::try_from(rank.unsigned_abs() - 1).unwrap_or(usize::MAX), count),
    };
    let mut found = looked_at.filter(|at| list[*at] == args[1]).skip(skipped).map(|at| Value::Int(at as i64));
    Ok(match count {
        None => found.next().unwrap_or(Value::Nil),
        Some(count) => Value::Array(found.take(all(count)).collect()),
    })
}

pub(super) fn ltrim(call: &mut Call, args: &[Blob]) -> Reply {
    let (start, stop) = (int(&args[1])?, int(&args[2])?);
    let Some(list) = call.list(&args[0])? else { return Ok(Value::OK) };
    match range(start, stop, list.len()) {
        Some((from, to)) => {
            list.truncate(to + 1);
            list.drain(..from);
        }
        None => list.clear(),
    }
    call.drop_if_empty(&args[0]);
    call.touch(&args[0]);
    Ok(Value::OK)
}

pub(super) fn linsert(call: &mut Call, args: &[Blob]) -> Reply {
    let behind = match &args[1] {
        word if is(word, "BEFORE") => 0,
        word if is(word, "AFTER") => 1,
        _ => return Err(SYNTAX.into()),
    };
    let Some(list) = call.list(&args[0])? else { return Ok(Value::Int(0)) };
    let Some(at) = list.iter().position(|item| *item == args[2]) else { return Ok(Value::Int(-1)) };
    list.insert(at + behind, args[3].clone());
    let len = list.len();
    call.touch(&args[0]);
    Ok(Value::Int(len as i64))
}

/// Moves an item within one list, which keeps its deadline even if it has only that item.
fn rotate(call: &mut Call, key: &Blob, from: End, to: End) -> Reply {
    let Some(list) = call.list(key)? else { return Ok(Value::Nil) };
    match (from, to) {
        (End::Left, End::Right) => list.rotate_left(1),
        (End::Right, End::Left) => list.rotate_right(1),
        _ => {}
    }
    let item = if to == End::Left { list.front() } else { list.back() };
    let item = bulk_or_nil(item.cloned());
    call.touch(key);
    Ok(item)
}

fn move_item(call: &mut Call, from: (&Blob, End), to: (&Blob, End)) -> Reply {
    call.list(to.0)?;
    if from.0 == to.0 {
        return rotate(call, from.0, from.1, to.1);
    }
    let Some(item) = pop_one(call, from.0, from.1)? else { return Ok(Value::Nil) };
    push(call, &[to.0.clone(), item.clone()], to.1, false)?;
    Ok(Value::Bulk(item))
}

pub(super) fn lmove(call: &mut Call, args: &[Blob]) -> Reply {
    let (from, to) = (End::parse(&args[2])?, End::parse(&args[3])?);
    if call.list(&args[0])?.is_none() {
        return Ok(Value::Nil);
    }
    move_item(call, (&args[0], from), (&args[1], to))
}

pub(super) fn rpoplpush(call: &mut Call, args: &[Blob]) -> Reply {
    if call.list(&args[0])?.is_none() {
        return Ok(Value::Nil);
    }
    move_item(call, (&args[0], End::Right), (&args[1], End::Left))
}
