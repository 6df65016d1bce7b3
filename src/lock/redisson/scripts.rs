//! The scripts of the watchdog lock. The lock is a hash: its first field is the owner, with the number of times that it
//! holds; the others are these holds. A latch remembers that a hold was given back: what comes after that, on a
//! connection that has broken, does nothing.
//!
//! Keys: the lock, the hold's latch, the channel. Arguments: the owner, the TTL in milliseconds, the hold. Those of the
//! fair lock's attempts are in `queue.rs`.

use crate::port::Script;

/// A script of this name, put together of parts.
macro_rules! script {
    ($name:literal, $($parts:tt)*) => {
        Script { body: concat!("-- ", $name, "\n", $($parts)*) }
    };
}
pub(super) use script;

/// The part of a script that ends an attempt which was given back before.
macro_rules! unless_given_back {
    () => {
        "if redis.call('EXISTS', KEYS[2]) == 1 then
  return 0
end
"
    };
}
pub(super) use unless_given_back;

/// The part of a script that takes a hold for the owner.
macro_rules! take {
    () => {
        "  redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
  redis.call('HSET', KEYS[1], ARGV[3], 1)
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
"
    };
}
pub(super) use take;

/// The script of an attempt, given what it returns if the lock is taken. Otherwise it returns the rest of the holder's
/// TTL in milliseconds.
macro_rules! acquire {
    ($name:literal, $taken:literal) => {
        script!(
            $name,
            unless_given_back!(),
            "local free = redis.call('EXISTS', KEYS[1]) == 0
if free or redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then
",
            take!(),
            "  return ",
            $taken,
            "
end
return redis.call('PTTL', KEYS[1])"
        )
    };
}

/// Takes the lock if it is free or the owner's own, and returns nil.
pub(super) static ACQUIRE: Script = acquire!("acquire", "false");

/// The same; it returns a fencing token in an array. The third key counts them, and outlives the lock.
pub(super) static ACQUIRE_FENCED: Script = acquire!("acquire with a fencing token", "{redis.call('INCR', KEYS[3])}");

/// The script of a release, given what tells the waiters when it was the last one. -1: it was not the owner's;
/// otherwise how many times the owner still holds the lock. A request that was answered before is answered the same
/// again.
macro_rules! release {
    ($name:literal, $tell:literal) => {
        script!(
            $name,
            "local before = redis.call('GET', KEYS[2])
if before then
  return tonumber(before)
end
local left = -1
if redis.call('HDEL', KEYS[1], ARGV[3]) == 1 then
  left = redis.call('HINCRBY', KEYS[1], ARGV[1], -1)
  if left > 0 then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
  else
    redis.call('DEL', KEYS[1])
    ",
            $tell,
            "
  end
end
redis.call('SET', KEYS[2], left, 'PX', ARGV[2])
return left"
        )
    };
}

/// Gives a hold back, and tells all waiters.
pub(super) static RELEASE: Script = release!("release", "redis.call('PUBLISH', KEYS[3], 'free')");

/// Gives a hold back, and tells the waiter at the head of the queue, which is the third key.
pub(super) static RELEASE_TO_HEAD: Script = release!(
    "release to the head",
    "local head = redis.call('LINDEX', KEYS[3], 0)
    if head then
      redis.call('PUBLISH', head, 'free')
    end"
);

/// Gives the lock back once. A request that is sent again gives it back again.
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
  redis.call('PUBLISH', KEYS[3], 'free')
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

/// Renews the TTL without an owner check.
pub(super) static RENEW_ANY: Script = Script {
    body: "-- renew
return redis.call('PEXPIRE', KEYS[1], ARGV[2])",
};

/// Makes this owner the holder without an owner check.
pub(super) static REWRITE: Script = Script {
    body: "-- rewrite
redis.call('DEL', KEYS[1])
redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
return redis.call('PEXPIRE', KEYS[1], ARGV[2])",
};
