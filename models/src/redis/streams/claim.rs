//! XCLAIM and XAUTOCLAIM: a consumer takes over what another was given and has not acknowledged.

use super::id::{self, StreamId};
use super::pending::group;
use super::stream::{Pending, Stream, entry};
use crate::Blob;
use crate::redis::args::is;
use crate::redis::call::Call;
use crate::redis::reply::{Failure, Reply, SYNTAX, error_quoting, not_modelled};
use crate::resp::Value;

/// The entries that one XAUTOCLAIM takes over unless it says how many.
const COUNT_DEFAULT: i64 = 100;
/// The entries that it looks at for each one that it may take over.
const ATTEMPTS_FACTOR: i64 = 10;
/// Above this the two multiplied, or the IDs in bytes, do not fit.
const COUNT_MAX: i64 = i64::MAX / 16;
/// Up to this the real server surely has the memory that it asks for beforehand, 16 bytes for each entry.
const COUNT_MODELLED_MAX: i64 = 1 << 24;

/// How an entry changes hands.
struct Claim<'a> {
    consumer: &'a Blob,
    min_idle_ms: i64,
    delivered_ms: i64,
    deliveries: Option<i64>,
    force: bool,
    just_ids: bool,
    last_id: StreamId,
}

fn int_or(word: &Blob, otherwise: &'static str) -> Result<i64, Failure> {
    word.to_int().ok_or_else(|| otherwise.into())
}

impl<'a> Claim<'a> {
    fn new(consumer: &'a Blob, min_idle_ms: i64, now_ms: i64) -> Self {
        Claim {
            consumer,
            min_idle_ms: min_idle_ms.max(0),
            delivered_ms: now_ms,
            deliveries: None,
            force: false,
            just_ids: false,
            last_id: StreamId::ZERO,
        }
    }

    /// Reads the options behind the IDs of XCLAIM.
    fn options(&mut self, options: &[Blob], now_ms: i64) -> Result<(), Failure> {
        let mut rest = options;
        let mut delivered_ms = -1;
        loop {
            rest = match rest {
                [] => break,
                [option, rest @ ..] if is(option, "FORCE") => {
                    self.force = true;
                    rest
                }
                [option, rest @ ..] if is(option, "JUSTID") => {
                    self.just_ids = true;
                    rest
                }
                [option, idle, rest @ ..] if is(option, "IDLE") => {
                    let idle = int_or(idle, "ERR Invalid IDLE option argument for XCLAIM")?;
                    delivered_ms = now_ms.wrapping_sub(idle);
                    rest
                }
                [option, time, rest @ ..] if is(option, "TIME") => {
                    delivered_ms = int_or(time, "ERR Invalid TIME option argument for XCLAIM")?;
                    rest
                }
                [option, count, rest @ ..] if is(option, "RETRYCOUNT") => {
                    let count = int_or(count, "ERR Invalid RETRYCOUNT option argument for XCLAIM")?;
                    self.deliveries = Some(count).filter(|count| *count >= 0);
                    rest
                }
                [option, last, rest @ ..] if is(option, "LASTID") => {
                    self.last_id = id::strict(last, 0)?;
                    rest
                }
                [other, ..] => {
                    return Err(error_quoting("ERR Unrecognized XCLAIM option '", other, usize::MAX, "'").into());
                }
            };
        }
        // A delivery time below 0 or in the future counts as now.
        self.delivered_ms = if (0..=now_ms).contains(&delivered_ms) { delivered_ms } else { now_ms };
        Ok(())
    }

    /// Takes over one entry. `None` if it stays where it is; `Some(Err)` if it was deleted, and so is no longer
    /// pending either.
    fn take(&self, stream: &mut Stream, group: &Blob, id: StreamId, now_ms: i64) -> Option<Result<Value, StreamId>> {
        let group = stream.groups.get_mut(group).expect("the group was found before");
        let Some(found) = stream.entries.get_key_value(&id) else {
            return group.pending.remove(&id).map(|_| Err(id));
        };
        let pending = group.pending.get_mut(&id);
        let mut taken = match pending {
            None if !self.force => return None,
            None => Pending { consumer: self.consumer.clone(), delivered_ms: now_ms, deliveries: 1 },
            Some(pending) if self.min_idle_ms > 0 && now_ms - pending.delivered_ms < self.min_idle_ms => return None,
            Some(pending) => pending.clone(),
        };
        taken.consumer = self.consumer.clone();
        taken.delivered_ms = self.delivered_ms;
        taken.deliveries = self.deliveries.unwrap_or(taken.deliveries + i64::from(!self.just_ids));
        group.pending.insert(id, taken);
        group.consumers.insert(self.consumer.clone());
        Some(Ok(if self.just_ids { id.to_value() } else { entry(found) }))
    }

    /// Moves the last ID that went to a consumer forward. Returns what this changed.
    fn move_on(&self, stream: &mut Stream, name: &Blob) -> u64 {
        let group = stream.groups.get_mut(name).expect("the group was found before");
        let moved = self.last_id > group.last_id;
        group.last_id = group.last_id.max(self.last_id);
        u64::from(moved)
    }
}

pub(in crate::redis) fn xclaim(call: &mut Call, args: &[Blob]) -> Reply {
    let now_ms = call.now_ms;
    let (key, name) = (&args[0], &args[1]);
    group(call, key, name)?;
    let min_idle_ms = int_or(&args[3], "ERR Invalid min-idle-time argument for XCLAIM")?;
    let ids: Vec<StreamId> = args[4..].iter().map_while(|word| id::strict(word, 0).ok()).collect();
    let mut claim = Claim::new(&args[2], min_idle_ms, now_ms);
    claim.options(&args[4 + ids.len()..], now_ms)?;
    let stream = call.stream_mut(key)?;
    let mut changes = claim.move_on(stream, name);
    let mut taken = Vec::new();
    for id in ids {
        let outcome = claim.take(stream, name, id, now_ms);
        changes += u64::from(outcome.is_some());
        taken.extend(outcome.and_then(Result::ok));
    }
    call.alter(key, changes);
    Ok(Value::Array(taken))
}

pub(in crate::redis) fn xautoclaim(call: &mut Call, args: &[Blob]) -> Reply {
    let now_ms = call.now_ms;
    let (key, name) = (&args[0], &args[1]);
    let min_idle_ms = int_or(&args[3], "ERR Invalid min-idle-time argument for XAUTOCLAIM")?;
    let start = id::start(&args[4])?;
    let mut claim = Claim::new(&args[2], min_idle_ms, now_ms);
    let count = auto_options(&mut claim, &args[5..])?;
    group(call, key, name)?;
    if count > COUNT_MODELLED_MAX {
        return not_modelled("XAUTOCLAIM of more entries than may fit in memory");
    }
    let stream = call.stream_mut(key)?;
    let mut changes = 0;
    let pending: Vec<StreamId> = stream.groups[name].pending.range(start..).map(|(id, _)| *id).collect();
    let (mut taken, mut deleted) = (Vec::new(), Vec::new());
    let (mut left, mut at) = (count, 0);
    while at < pending.len() && left > 0 && (at as i64) < count * ATTEMPTS_FACTOR {
        let outcome = claim.take(stream, name, pending[at], now_ms);
        at += 1;
        changes += u64::from(outcome.is_some());
        left -= i64::from(outcome.is_some());
        match outcome {
            None => {}
            Some(Ok(entry)) => taken.push(entry),
            Some(Err(id)) => deleted.push(id.to_value()),
        }
    }
    call.alter(key, changes);
    let next = pending.get(at).copied().unwrap_or_default();
    Ok(Value::Array(vec![next.to_value(), Value::Array(taken), Value::Array(deleted)]))
}

/// Reads the options of XAUTOCLAIM and returns how many entries it may take over.
fn auto_options(claim: &mut Claim, options: &[Blob]) -> Result<i64, Failure> {
    let mut count = COUNT_DEFAULT;
    let mut rest = options;
    loop {
        rest = match rest {
            [] => return Ok(count),
            [option, number, rest @ ..] if is(option, "COUNT") => {
                let number = number.to_int().filter(|number| (1..=COUNT_MAX).contains(number));
                count = number.ok_or("ERR COUNT must be > 0")?;
                rest
            }
            [option, rest @ ..] if is(option, "JUSTID") => {
                claim.just_ids = true;
                rest
            }
            _ => return Err(SYNTAX.into()),
        };
    }
}
