//! Deadlines: the EXPIRE family. A deadline is absolute, in milliseconds of the node's wall clock.

use super::args::{int, is};
use super::call::Call;
use super::reply::{Failure, Reply, error, error_quoting};
use crate::Blob;
use crate::resp::Value;

/// The error of a deadline that is not positive or does not fit.
pub(super) fn invalid_expire(command: &str) -> Failure {
    error(format!("ERR invalid expire time in '{command}' command")).into()
}

/// The deadline that an EX, PX, EXAT or PXAT option names.
pub(super) fn deadline_from(option: &Blob, amount: &Blob, now_ms: i64, command: &str) -> Result<i64, Failure> {
    let amount = int(amount)?;
    let in_seconds = is(option, "EX") || is(option, "EXAT");
    let relative = is(option, "EX") || is(option, "PX");
    if amount <= 0 || (in_seconds && amount > i64::MAX / 1000) {
        return Err(invalid_expire(command));
    }
    let amount = if in_seconds { amount * 1000 } else { amount };
    match relative {
        true => amount.checked_add(now_ms).ok_or_else(|| invalid_expire(command)),
        false => Ok(amount),
    }
}

/// Which of the EXPIRE conditions were given.
#[derive(Default)]
struct Conditions {
    absent: bool,
    present: bool,
    later: bool,
    earlier: bool,
}

impl Conditions {
    fn parse(options: &[Blob]) -> Result<Self, Failure> {
        let mut conditions = Conditions::default();
        for option in options {
            match option {
                option if is(option, "NX") => conditions.absent = true,
                option if is(option, "XX") => conditions.present = true,
                option if is(option, "GT") => conditions.later = true,
                option if is(option, "LT") => conditions.earlier = true,
                other => return Err(error_quoting("ERR Unsupported option ", other, usize::MAX, "").into()),
            }
        }
        if conditions.absent && (conditions.present || conditions.later || conditions.earlier) {
            return Err("ERR NX and XX, GT or LT options at the same time are not compatible".into());
        }
        if conditions.later && conditions.earlier {
            return Err("ERR GT and LT options at the same time are not compatible".into());
        }
        Ok(conditions)
    }

    fn allow(&self, old: Option<i64>, new: i64) -> bool {
        !(self.absent && old.is_some()
            || self.present && old.is_none()
            || self.later && old.is_none_or(|old| new <= old)
            || self.earlier && old.is_some_and(|old| new >= old))
    }
}

/// `unit` is the number of milliseconds in one unit of the argument, `base` what it counts from.
fn expire_generic(call: &mut Call, args: &[Blob], unit: i64, base: i64, command: &str) -> Reply {
    let conditions = Conditions::parse(&args[2..])?;
    let amount = int(&args[1])?;
    let deadline = amount.checked_mul(unit).and_then(|amount| amount.checked_add(base));
    let deadline = deadline.ok_or_else(|| invalid_expire(command))?;
    let Some(entry) = call.entry(&args[0]) else { return Ok(Value::Int(0)) };
    if !conditions.allow(entry.expire_at, deadline) {
        return Ok(Value::Int(0));
    }
    set_deadline(call, &args[0], deadline);
    Ok(Value::Int(1))
}

/// Gives a key that is alive a deadline; one that has passed deletes it.
pub(super) fn set_deadline(call: &mut Call, key: &Blob, deadline: i64) {
    if deadline <= call.now_ms {
        call.delete(key);
    } else if let Some(entry) = call.entry(key) {
        entry.expire_at = Some(deadline);
        call.touch(key);
    }
}

pub(super) fn expire(call: &mut Call, args: &[Blob]) -> Reply {
    expire_generic(call, args, 1000, call.now_ms, "expire")
}

pub(super) fn pexpire(call: &mut Call, args: &[Blob]) -> Reply {
    expire_generic(call, args, 1, call.now_ms, "pexpire")
}

pub(super) fn expireat(call: &mut Call, args: &[Blob]) -> Reply {
    expire_generic(call, args, 1000, 0, "expireat")
}

pub(super) fn pexpireat(call: &mut Call, args: &[Blob]) -> Reply {
    expire_generic(call, args, 1, 0, "pexpireat")
}

/// -2 without a key, -1 without a deadline, else what `read` makes of the deadline.
fn query(call: &mut Call, key: &Blob, read: impl Fn(i64) -> i64) -> Reply {
    Ok(Value::Int(match call.entry(key) {
        None => -2,
        Some(entry) => entry.expire_at.map_or(-1, read),
    }))
}

pub(super) fn ttl(call: &mut Call, args: &[Blob]) -> Reply {
    let now_ms = call.now_ms;
    query(call, &args[0], |deadline| (deadline - now_ms).wrapping_add(500) / 1000)
}

pub(super) fn pttl(call: &mut Call, args: &[Blob]) -> Reply {
    let now_ms = call.now_ms;
    query(call, &args[0], |deadline| deadline - now_ms)
}

pub(super) fn expiretime(call: &mut Call, args: &[Blob]) -> Reply {
    // Without a sign, as the real server turns out to reckon: the largest deadlines do not overflow.
    query(call, &args[0], |deadline| (deadline.cast_unsigned().wrapping_add(500) / 1000).cast_signed())
}

pub(super) fn pexpiretime(call: &mut Call, args: &[Blob]) -> Reply {
    query(call, &args[0], |deadline| deadline)
}

pub(super) fn persist(call: &mut Call, args: &[Blob]) -> Reply {
    let had_deadline = call.entry(&args[0]).is_some_and(|entry| entry.expire_at.take().is_some());
    if had_deadline {
        call.touch(&args[0]);
    }
    Ok(Value::Int(had_deadline.into()))
}
