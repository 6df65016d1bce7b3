//! Sorted sets.

use super::args::{self, int, is, range};
use super::call::Call;
use super::keyspace::{Score, ZSet};
use super::number;
use super::reply::{Failure, Reply, SYNTAX, bulk_or_nil, not_modelled};
use crate::Blob;
use crate::resp::Value;

const NOT_FLOAT: Blob = Blob::from_static(b"ERR value is not a valid float");
const NOT_BOUND: Blob = Blob::from_static(b"ERR min or max is not a float");
const NAN_SCORE: Blob = Blob::from_static(b"ERR resulting score is not a number (NaN)");

fn score(word: &Blob) -> Result<f64, Failure> {
    number::parse(word, NOT_FLOAT)
}

/// The options of ZADD.
#[derive(Default)]
struct AddOptions {
    only_new: bool,
    only_old: bool,
    only_greater: bool,
    only_less: bool,
    count_changed: bool,
    increment: bool,
}

impl AddOptions {
    /// The options, and the scores and members behind them.
    fn parse(mut words: &[Blob]) -> Result<(Self, &[Blob]), Failure> {
        let mut options = AddOptions::default();
        while let [word, rest @ ..] = words {
            match word {
                word if is(word, "NX") => options.only_new = true,
                word if is(word, "XX") => options.only_old = true,
                word if is(word, "GT") => options.only_greater = true,
                word if is(word, "LT") => options.only_less = true,
                word if is(word, "CH") => options.count_changed = true,
                word if is(word, "INCR") => options.increment = true,
                _ => break,
            }
            words = rest;
        }
        if words.is_empty() || !words.len().is_multiple_of(2) {
            return Err(SYNTAX.into());
        }
        if options.only_new && options.only_old {
            return Err("ERR XX and NX options at the same time are not compatible".into());
        }
        if (options.only_new && (options.only_greater || options.only_less))
            || (options.only_greater && options.only_less)
        {
            return Err("ERR GT, LT, and/or NX options at the same time are not compatible".into());
        }
        if options.increment && words.len() > 2 {
            return Err("ERR INCR option supports a single increment-element pair".into());
        }
        Ok((options, words))
    }

    /// The score that a member gets, if it gets one.
    fn new_score(&self, old: Option<f64>, given: f64) -> Result<Option<f64>, Failure> {
        let Some(old) = old else { return Ok((!self.only_old).then_some(given)) };
        if self.only_new {
            return Ok(None);
        }
        let new = if self.increment { old + given } else { given };
        if new.is_nan() {
            return Err(NAN_SCORE.into());
        }
        Ok(if (self.only_greater && new <= old) || (self.only_less && new >= old) { None } else { Some(new) })
    }
}

pub(super) fn zadd(call: &mut Call, args: &[Blob]) -> Reply {
    let (options, pairs) = AddOptions::parse(&args[1..])?;
    let scores = pairs.iter().step_by(2).map(score).collect::<Result<Vec<f64>, Failure>>()?;
    if options.only_old && call.zset(&args[0])?.is_none() {
        return Ok(if options.increment { Value::Nil } else { Value::Int(0) });
    }
    let zset = call.zset_mut(&args[0])?;
    let (mut added, mut changed, mut last) = (0, 0, None);
    for (pair, given) in pairs.chunks_exact(2).zip(scores) {
        let old = zset.score(&pair[1]);
        last = options.new_score(old, given)?;
        let Some(new) = last else { continue };
        if old != Some(new) {
            zset.insert(&pair[1], new);
            added += i64::from(old.is_none());
            changed += 1;
        }
    }
    call.drop_if_empty(&args[0]);
    if changed > 0 {
        call.touch(&args[0]);
    }
    Ok(match (options.increment, options.count_changed) {
        (true, _) => bulk_or_nil(last.map(number::format)),
        (false, true) => Value::Int(changed),
        (false, false) => Value::Int(added),
    })
}

pub(super) fn zincrby(call: &mut Call, args: &[Blob]) -> Reply {
    let amount = score(&args[1])?;
    let zset = call.zset_mut(&args[0])?;
    let sum = zset.score(&args[2]).map_or(amount, |old| old + amount);
    if sum.is_nan() {
        return Err(NAN_SCORE.into());
    }
    zset.insert(&args[2], sum);
    call.touch(&args[0]);
    Ok(Value::Bulk(number::format(sum)))
}

pub(super) fn zscore(call: &mut Call, args: &[Blob]) -> Reply {
    let score = call.zset(&args[0])?.and_then(|zset| zset.score(&args[1]));
    Ok(bulk_or_nil(score.map(number::format)))
}

pub(super) fn zmscore(call: &mut Call, args: &[Blob]) -> Reply {
    let zset = call.zset(&args[0])?;
    let get = |member: &Blob| zset.as_ref().and_then(|zset| zset.score(member));
    Ok(Value::Array(args[1..].iter().map(|member| bulk_or_nil(get(member).map(number::format))).collect()))
}

fn remove(call: &mut Call, key: &Blob, members: &[Blob]) -> Reply {
    let Some(zset) = call.zset(key)? else { return Ok(Value::Int(0)) };
    let removed = members.iter().filter(|member| zset.remove(member).is_some()).count();
    if removed > 0 {
        call.drop_if_empty(key);
        call.touch(key);
    }
    Ok(Value::Int(removed as i64))
}

pub(super) fn zrem(call: &mut Call, args: &[Blob]) -> Reply {
    remove(call, &args[0], &args[1..])
}

pub(super) fn zcard(call: &mut Call, args: &[Blob]) -> Reply {
    Ok(Value::Int(call.zset(&args[0])?.map_or(0, |zset| zset.scores.len()) as i64))
}

/// A bound of a score range: `5`, `(5`, `-inf`.
struct Bound {
    score: f64,
    exclusive: bool,
}

impl Bound {
    fn parse(word: &Blob) -> Result<Self, Failure> {
        let (digits, exclusive) = match word.as_bytes() {
            [b'(', digits @ ..] => (digits, true),
            digits => (digits, false),
        };
        let score = number::parse_bound(digits, NOT_BOUND)?;
        Ok(Bound { score, exclusive })
    }
}

fn within(zset: &ZSet, min: &Bound, max: &Bound) -> Vec<(Score, Blob)> {
    let above = |score: f64| if min.exclusive { score > min.score } else { score >= min.score };
    let below = |score: f64| if max.exclusive { score < max.score } else { score <= max.score };
    zset.order.iter().filter(|(score, _)| above(score.0) && below(score.0)).cloned().collect()
}

pub(super) fn zcount(call: &mut Call, args: &[Blob]) -> Reply {
    let (min, max) = (Bound::parse(&args[1])?, Bound::parse(&args[2])?);
    Ok(Value::Int(call.zset(&args[0])?.map_or(0, |zset| within(zset, &min, &max).len()) as i64))
}

/// How a range command answers.
#[derive(Default)]
struct RangeOptions {
    by_score: bool,
    reverse: bool,
    with_scores: bool,
    limit: Option<(i64, i64)>,
}

impl RangeOptions {
    /// `full` allows BYSCORE, BYLEX and REV, as ZRANGE does.
    fn parse(mut self, words: &[Blob], full: bool) -> Result<Self, Failure> {
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word {
                word if is(word, "WITHSCORES") => self.with_scores = true,
                word if full && !self.by_score && is(word, "BYSCORE") => self.by_score = true,
                word if full && !self.reverse && is(word, "REV") => self.reverse = true,
                word if full && !self.by_score && is(word, "BYLEX") => return not_modelled("ZRANGE … BYLEX"),
                word if is(word, "LIMIT") => {
                    let (Some(offset), Some(count)) = (words.next(), words.next()) else { return Err(SYNTAX.into()) };
                    self.limit = Some((int(offset)?, int(count)?));
                }
                _ => return Err(SYNTAX.into()),
            }
        }
        if self.limit.is_some_and(|(_, count)| count != -1) && !self.by_score {
            let only = "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX";
            return Err(only.into());
        }
        Ok(self)
    }

    fn run(&self, call: &mut Call, key: &Blob, start: &Blob, stop: &Blob) -> Reply {
        if self.by_score { self.run_by_score(call, key, start, stop) } else { self.run_by_rank(call, key, start, stop) }
    }

    fn run_by_rank(&self, call: &mut Call, key: &Blob, start: &Blob, stop: &Blob) -> Reply {
        let (start, stop) = (int(start)?, int(stop)?);
        let Some(zset) = call.zset(key)? else { return Ok(Value::Array(Vec::new())) };
        let Some((from, to)) = range(start, stop, zset.order.len()) else { return Ok(Value::Array(Vec::new())) };
        let count = to - from + 1;
        let items: Vec<_> = if self.reverse {
            zset.order.iter().rev().skip(from).take(count).cloned().collect()
        } else {
            zset.order.iter().skip(from).take(count).cloned().collect()
        };
        Ok(self.answer(items))
    }

    fn run_by_score(&self, call: &mut Call, key: &Blob, start: &Blob, stop: &Blob) -> Reply {
        let (min, max) = if self.reverse { (stop, start) } else { (start, stop) };
        let (min, max) = (Bound::parse(min)?, Bound::parse(max)?);
        let Some(zset) = call.zset(key)? else { return Ok(Value::Array(Vec::new())) };
        let mut items = within(zset, &min, &max);
        if self.reverse {
            items.reverse();
        }
        let (offset, count) = self.limit.unwrap_or((0, -1));
        let Ok(offset) = usize::try_from(offset) else { return Ok(Value::Array(Vec::new())) };
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        Ok(self.answer(items.into_iter().skip(offset).take(count).collect()))
    }

    fn answer(&self, items: Vec<(Score, Blob)>) -> Value {
        let mut answer = Vec::new();
        for (score, member) in items {
            answer.push(Value::Bulk(member));
            answer.extend(self.with_scores.then(|| Value::Bulk(number::format(score.0))));
        }
        Value::Array(answer)
    }
}

pub(super) fn zrange(call: &mut Call, args: &[Blob]) -> Reply {
    RangeOptions::default().parse(&args[3..], true)?.run(call, &args[0], &args[1], &args[2])
}

pub(super) fn zrevrange(call: &mut Call, args: &[Blob]) -> Reply {
    let options = RangeOptions { reverse: true, ..RangeOptions::default() };
    options.parse(&args[3..], false)?.run(call, &args[0], &args[1], &args[2])
}

pub(super) fn zrangebyscore(call: &mut Call, args: &[Blob]) -> Reply {
    let options = RangeOptions { by_score: true, ..RangeOptions::default() };
    options.parse(&args[3..], false)?.run(call, &args[0], &args[1], &args[2])
}

pub(super) fn zrevrangebyscore(call: &mut Call, args: &[Blob]) -> Reply {
    let options = RangeOptions { by_score: true, reverse: true, ..RangeOptions::default() };
    options.parse(&args[3..], false)?.run(call, &args[0], &args[1], &args[2])
}

fn rank(call: &mut Call, args: &[Blob], reverse: bool) -> Reply {
    let Some(zset) = call.zset(&args[0])? else { return Ok(Value::Nil) };
    let Some(rank) = zset.order.iter().position(|(_, member)| *member == args[1]) else { return Ok(Value::Nil) };
    Ok(Value::Int(if reverse { zset.order.len() - 1 - rank } else { rank } as i64))
}

pub(super) fn zrank(call: &mut Call, args: &[Blob]) -> Reply {
    rank(call, args, false)
}

pub(super) fn zrevrank(call: &mut Call, args: &[Blob]) -> Reply {
    rank(call, args, true)
}

pub(super) fn zremrangebyscore(call: &mut Call, args: &[Blob]) -> Reply {
    let (min, max) = (Bound::parse(&args[1])?, Bound::parse(&args[2])?);
    let Some(zset) = call.zset(&args[0])? else { return Ok(Value::Int(0)) };
    let members: Vec<Blob> = within(zset, &min, &max).into_iter().map(|(_, member)| member).collect();
    remove(call, &args[0], &members)
}

pub(super) fn zremrangebyrank(call: &mut Call, args: &[Blob]) -> Reply {
    let (start, stop) = (int(&args[1])?, int(&args[2])?);
    let Some(zset) = call.zset(&args[0])? else { return Ok(Value::Int(0)) };
    let Some((from, to)) = range(start, stop, zset.order.len()) else { return Ok(Value::Int(0)) };
    let members: Vec<Blob> =
        zset.order.iter().skip(from).take(to - from + 1).map(|(_, member)| member.clone()).collect();
    remove(call, &args[0], &members)
}

fn pop(call: &mut Call, args: &[Blob], largest: bool) -> Reply {
    let count = match &args[1..] {
        [] => 1,
        [count] => args::count(count)?,
        _ => return Err(SYNTAX.into()),
    };
    let Some(zset) = call.zset(&args[0])? else { return Ok(Value::Array(Vec::new())) };
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let items: Vec<(Score, Blob)> = if largest {
        zset.order.iter().rev().take(count).cloned().collect()
    } else {
        zset.order.iter().take(count).cloned().collect()
    };
    let members: Vec<Blob> = items.iter().map(|(_, member)| member.clone()).collect();
    remove(call, &args[0], &members)?;
    Ok(RangeOptions { with_scores: true, ..RangeOptions::default() }.answer(items))
}

pub(super) fn zpopmin(call: &mut Call, args: &[Blob]) -> Reply {
    pop(call, args, false)
}

pub(super) fn zpopmax(call: &mut Call, args: &[Blob]) -> Reply {
    pop(call, args, true)
}
