//! Holds that several have at once: readers (Redisson's `RReadWriteLock`), and permits that expire
//! (`RPermitExpirableSemaphore`).
//!
//! **Algorithm**
//! ([`RedissonReadLock`](https://github.com/redisson/redisson/blob/redisson-3.45.1/redisson/src/main/java/org/redisson/RedissonReadLock.java),
//! [`RedissonPermitExpirableSemaphore`](https://github.com/redisson/redisson/blob/redisson-3.45.1/redisson/src/main/java/org/redisson/RedissonPermitExpirableSemaphore.java)):
//! beside the writer's hash there is a set of the holds that are shared. A reader comes in if there is no writer but
//! itself, a permit is given if fewer are out than there are, and a writer comes in if no reader is there.
//!
//! **Claims** that a writer is alone, and that not more permits are out than there are; and that what a crashed client
//! held comes free within the TTL, by itself.
//!
//! **Assumes** what the watchdog lock does. Readers may overtake a writer that waits, for ever.
//!
//! Redisson's permits end at times that callers compute from their wall clocks, and compare with them: a caller whose
//! clock is ahead takes the permit of a holder that still has it (`permits-callers-clocks`). Here each hold is a key
//! with a TTL of its own, which the server's clock ends. So the set may name holds that have ended: they are taken out
//! by the next attempt.

use super::scripts::{script, take, unless_given_back};
use crate::port::{Blob, Host, Script};
use std::time::Duration;

/// The permits of a semaphore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permits {
    /// How many there are.
    pub count: usize,
    /// What ends one that is not given back.
    pub end: PermitsEnd,
}

/// What ends a permit that is not given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PermitsEnd {
    /// The server's clock.
    ByTheServersClock,
    /// The wall clock of each client that tries to take one, as in Redisson.
    ByCallersClocks,
}

/// The set of holds. It is the key of the lock with this behind it.
pub(super) const HOLDS: &[u8] = b":holds";

/// A hold's key is the lock's with this and its name behind it.
pub(super) const HOLD: &[u8] = b":hold:";

// Keys of these scripts: the lock, the hold's latch, the channel, the set, the hold. Arguments: the owner, the TTL in
// milliseconds, the hold's name, how many permits there are, when this one ends and what time it is by the caller's
// clock. A hold names itself in the set by its key: the keys of the
// other holds are no keys of the call, but in its slot.

/// The part of a script that ends an attempt beside another's writer.
macro_rules! unless_written {
    () => {
        "if redis.call('EXISTS', KEYS[1]) == 1 and redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then
  return redis.call('PTTL', KEYS[1])
end
"
    };
}

/// The script that takes a hold beside others, given how long, in milliseconds, another hold still lasts, and what is
/// kept in this one. Nil: taken; otherwise for how long, in milliseconds, there is none at the most.
macro_rules! share {
    ($name:literal, $left:literal, $kept:literal) => {
        script!(
            $name,
            unless_given_back!(),
            unless_written!(),
            "local held, soonest = 0, math.huge
for _, hold in ipairs(redis.call('SMEMBERS', KEYS[4])) do
  local left = ",
            $left,
            "
  if left < 0 then
    redis.call('SREM', KEYS[4], hold)
  elseif hold ~= KEYS[5] then
    held, soonest = held + 1, math.min(soonest, left)
  end
end
if held >= tonumber(ARGV[4]) then
  return soonest
end
redis.call('SET', KEYS[5], ",
            $kept,
            ", 'PX', ARGV[2])
redis.call('SADD', KEYS[4], KEYS[5])
if redis.call('PTTL', KEYS[4]) < tonumber(ARGV[2]) then
  redis.call('PEXPIRE', KEYS[4], ARGV[2])
end
return false"
        )
    };
}

/// Takes a hold beside others. The server's clock ends them.
static SHARE: Script = share!("share", "redis.call('PTTL', hold)", "ARGV[1]");

/// As Redisson does: the caller's clock says which permits have ended.
static SHARE_BY_CALLERS_CLOCKS: Script =
    share!("share, by the callers' clocks", "tonumber(redis.call('GET', hold) or 0) - tonumber(ARGV[6])", "ARGV[5]");

impl Permits {
    /// So many permits, which the server's clock ends.
    pub fn new(count: usize) -> Self {
        Permits { count, end: PermitsEnd::ByTheServersClock }
    }

    /// More than there are clients.
    pub(super) fn for_readers() -> Self {
        Permits::new(u32::MAX as usize)
    }

    /// The script of an attempt.
    pub(super) fn share(self) -> &'static Script {
        match self.end {
            PermitsEnd::ByTheServersClock => &SHARE,
            PermitsEnd::ByCallersClocks => &SHARE_BY_CALLERS_CLOCKS,
        }
    }

    /// The arguments of an attempt behind those of the plain lock: how many permits there are, when this one ends and
    /// what time it is by the caller's clock.
    pub(super) fn arguments<H: Host>(self, host: &H, ttl: Duration) -> Vec<Blob> {
        let count = Blob::from(self.count as u64);
        match self.end {
            PermitsEnd::ByTheServersClock => vec![count],
            PermitsEnd::ByCallersClocks => {
                let now_ms = host.wall().as_micros() / 1000;
                let ttl_ms = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
                vec![count, now_ms.saturating_add(ttl_ms).into(), now_ms.into()]
            }
        }
    }
}

/// Takes the lock for a writer if it is free or its own, and no reader is there. Nil: taken; otherwise for how long, in
/// milliseconds, another is there at the most.
pub(super) static ACQUIRE_ALONE: Script = script!(
    "acquire alone",
    unless_given_back!(),
    unless_written!(),
    "local last = -1
for _, hold in ipairs(redis.call('SMEMBERS', KEYS[4])) do
  last = math.max(last, redis.call('PTTL', hold))
end
if last >= 0 then
  return last
end
redis.call('DEL', KEYS[4])
",
    take!(),
    "return false"
);

/// Gives a hold back and tells the waiters. -1: it had ended; otherwise 0. A request that was answered before is
/// answered the same again.
pub(super) static RELEASE_SHARE: Script = Script {
    body: "-- release a share
local before = redis.call('GET', KEYS[2])
if before then
  return tonumber(before)
end
local left = redis.call('DEL', KEYS[5]) - 1
redis.call('SREM', KEYS[4], KEYS[5])
if left == 0 then
  redis.call('PUBLISH', KEYS[3], 'free')
end
redis.call('SET', KEYS[2], left, 'PX', ARGV[2])
return left",
};

/// Gives any hold back. A request that is sent again gives another one back.
pub(super) static RELEASE_ANY_SHARE: Script = Script {
    body: "-- release any share
local hold = redis.call('SMEMBERS', KEYS[4])[1]
if not hold then
  return -1
end
redis.call('DEL', hold)
redis.call('SREM', KEYS[4], hold)
redis.call('PUBLISH', KEYS[3], 'free')
return 0",
};

/// Renews the TTL of a hold that has not ended. Keys: the set, the hold. Argument: the TTL in milliseconds.
pub(super) static RENEW_SHARE: Script = Script {
    body: "-- renew a share
if redis.call('PEXPIRE', KEYS[2], ARGV[1]) == 0 then
  return 0
end
redis.call('SADD', KEYS[1], KEYS[2])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return 1",
};
