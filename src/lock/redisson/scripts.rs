//! The scripts of the watchdog lock. The lock is a hash: its one field is the owner, with the number of times that it holds.

use crate::port::Script;

/// Takes the lock if it is free or the owner's own. Nil: taken; otherwise the rest of its TTL in milliseconds.
pub(super) static ACQUIRE: Script = Script {
    body: "-- acquire
local free = redis.call('EXISTS', KEYS[1]) == 0
if free or redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then
  redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return false
end
return redis.call('PTTL', KEYS[1])",
};

/// Gives the lock back once and tells the waiters when that was the last time. -1: it was not the owner's; otherwise how many times
/// the owner still holds it. A request that was answered before is answered the same again.
pub(super) static RELEASE: Script = Script {
    body: "-- release once
local before = redis.call('GET', KEYS[3])
if before then
  return tonumber(before)
end
local left = -1
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then
  left = redis.call('HINCRBY', KEYS[1], ARGV[1], -1)
  if left > 0 then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
  else
    redis.call('DEL', KEYS[1])
    redis.call('PUBLISH', KEYS[2], 'free')
  end
end
redis.call('SET', KEYS[3], left, 'PX', ARGV[2])
return left",
};

/// The same, but a request that is sent again gives the lock back again.
pub(super) static RELEASE_EACH_TIME: Script = Script {
    body: "-- release each time
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then
  return -1
end
local left = redis.call('HINCRBY', KEYS[1], ARGV[1], -1)
if left > 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
else
  redis.call('DEL', KEYS[1])
  redis.call('PUBLISH', KEYS[2], 'free')
end
return left",
};

/// Renews the TTL if the lock is the owner's.
pub(super) static RENEW: Script = Script {
    body: "-- renew if it is ours
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0",
};

/// Renews the TTL, whoever holds the lock.
pub(super) static RENEW_ANY: Script = Script {
    body: "-- renew
return redis.call('PEXPIRE', KEYS[1], ARGV[2])",
};
