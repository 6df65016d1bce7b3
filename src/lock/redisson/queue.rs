//! The queue of the fair lock (Redisson's `RFairLock`): clients that wait get the lock in the order in which they came.
//!
//! **Algorithm**
//! ([`RedissonFairLock`](https://github.com/redisson/redisson/blob/redisson-3.45.1/redisson/src/main/java/org/redisson/RedissonFairLock.java)):
//! an attempt that is refused puts its place at the end of a list. The lock is given to the place at the head only, and
//! a release wakes that one alone. Places run out, so that a waiter that has crashed does not block the others.
//!
//! **Claims** that a client whose place has not run out is overtaken by none that begins to acquire later, unless the
//! answer to its attempt is lost: what it may have taken is given back, and it may come back behind the others.
//!
//! **Assumes** that the server does not lose the queue.
//!
//! Two things Redisson does otherwise. It computes when a place runs out from the callers' wall clocks: a caller whose
//! clock is ahead puts the head out of the queue (R30, `fair-lock-callers-clocks`). Here a place is a key with a TTL,
//! so that the server's clock alone decides. And its places run out a fixed time after the one before them was due,
//! also under a waiter that lives; here a waiter renews its place each time that it looks at the lock.

use super::scripts::{script, take, unless_given_back};
use crate::base::Event;
use crate::port::{Blob, Host, Instant, Ports, Redis, Script};
use std::time::Duration;

/// In whose order clients get the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turns {
    /// In the order of the queue, from which the server removes the places that have run out.
    InOrder,
    /// Likewise, but each caller removes the places that have run out by its own wall clock (R30).
    ByCallersClocks,
    /// In the order of the queue. No place runs out.
    ForEver,
    /// In any order: the queue is kept, but a client that finds the lock free takes it.
    Any,
}

/// The options of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// How long a place lasts that is not renewed: not longer than the lock's TTL.
    pub place_ttl: Duration,
    /// In whose order clients get the lock.
    pub turns: Turns,
}

impl Queue {
    /// The queue, of a lock with this TTL.
    pub fn new(ttl: Duration) -> Self {
        Queue { place_ttl: ttl, turns: Turns::InOrder }
    }

    /// How long a waiter waits at the most before it looks again, which renews its place.
    pub(super) fn look_after(&self) -> Duration {
        self.place_ttl / LOOKS_PER_PLACE
    }
}

/// How many times a waiter looks at the lock before a place would run out.
const LOOKS_PER_PLACE: u32 = 3;

/// The list of places. It is the key of the lock with this behind it.
pub(super) const QUEUE: &[u8] = b":queue";

/// A place in the queue, or the wish for one. Dropping it leaves the queue in the background.
pub(super) struct Place<P: Ports> {
    host: P,
    server: P::Redis,
    /// The lock, the queue, and the place. A message to the channel of that name says that it may be its turn.
    keys: [Blob; 3],
    /// How long it certainly lasts after it was asked for.
    good_for: Duration,
    /// It may be in the queue.
    entered: bool,
}

impl<P: Ports> Place<P> {
    /// A place that is not in the queue yet: the lock, the queue, and its own key.
    pub(super) fn new(host: &P, server: P::Redis, keys: [Blob; 3], good_for: Duration) -> Self {
        Place { host: host.clone(), server, keys, good_for, entered: false }
    }

    /// Its key, which is also the name of the channel on which it is told that it may be its turn.
    pub(super) fn key(&self) -> &Blob {
        &self.keys[2]
    }

    /// An attempt begins, which enters the queue with this key if it is refused.
    pub(super) fn enter(&mut self) -> &Blob {
        self.entered = true;
        self.key()
    }

    /// The attempt that was sent at this moment was refused.
    pub(super) fn kept(&mut self, asked_at: Instant) {
        self.host.record(Event::Queued { lock: self.keys[0].clone(), valid_until: asked_at + self.good_for });
    }

    /// The lock is taken, and the place is given up with that.
    pub(super) fn used(&mut self) {
        self.entered = false;
    }
}

impl<P: Ports> Drop for Place<P> {
    fn drop(&mut self) {
        if self.entered {
            lose_turn(&self.host, &self.keys[0], Some(self.key()));
            let (server, keys) = (self.server.clone(), self.keys.clone());
            self.host.spawn(async move {
                // There is no caller to tell; a place that stays runs out with its TTL.
                drop(server.eval(&LEAVE, &keys, &[]).await);
            });
        }
    }
}

/// What becomes of a place is not known any more, or what was taken for it is given back.
pub(super) fn lose_turn<H: Host>(host: &H, lock: &Blob, place: Option<&Blob>) {
    if place.is_some() {
        host.record(Event::Dequeued { lock: lock.clone() });
    }
}

impl Queue {
    /// The script of an attempt.
    pub(super) fn acquire(&self) -> &'static Script {
        match self.turns {
            Turns::InOrder => &ACQUIRE_IN_TURN,
            Turns::ByCallersClocks => &ACQUIRE_BY_CALLERS_CLOCKS,
            Turns::ForEver => &ACQUIRE_BEHIND_ALL,
            Turns::Any => &ACQUIRE_OUT_OF_TURN,
        }
    }

    /// The arguments of an attempt behind those of the plain lock: the place or nothing, its TTL, what is kept in it,
    /// and the caller's time.
    pub(super) fn arguments<H: Host>(&self, host: &H, place: Option<&Blob>) -> [Blob; 4] {
        let place = place.cloned().unwrap_or_default();
        let ttl_ms = i64::try_from(self.place_ttl.as_millis()).unwrap_or(i64::MAX);
        let now_ms = if self.turns == Turns::ByCallersClocks { host.wall().as_micros() / 1000 } else { 0 };
        [place, ttl_ms.into(), (now_ms + ttl_ms).into(), now_ms.into()]
    }
}

/// The script of an attempt, given when the place at the head has run out, and whether a free lock is the caller's.
///
/// Keys: the lock, the hold's latch, the queue. Arguments: the owner, the TTL in milliseconds, the hold, the place or
/// nothing, its TTL in milliseconds, when it runs out and what time it is by the caller's clock. A place names itself
/// by its key, which is in the queue: it is no key of the call, but in the slot of the others.
///
/// Nil: taken; otherwise for how long, in milliseconds, the lock or the turn is another's at the most.
macro_rules! acquire {
    ($name:literal, $has_run_out:literal, $is_ours:literal) => {
        script!(
            $name,
            unless_given_back!(),
            "local place = ARGV[4]
local head = redis.call('LINDEX', KEYS[3], 0)
while head and ",
            $has_run_out,
            " do
  redis.call('LPOP', KEYS[3])
  head = redis.call('LINDEX', KEYS[3], 0)
end
local free = redis.call('EXISTS', KEYS[1]) == 0
if free and (",
            $is_ours,
            ") or redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then
  if place ~= '' then
    redis.call('LREM', KEYS[3], 0, place)
    redis.call('DEL', place)
  end
",
            take!(),
            "  return false
end
if place ~= '' then
  if not redis.call('LPOS', KEYS[3], place) then
    redis.call('RPUSH', KEYS[3], place)
  end
  redis.call('SET', place, ARGV[6], 'PX', ARGV[5])
  redis.call('PEXPIRE', KEYS[3], ARGV[5])
end
if free then
  local left = redis.call('PTTL', head)
  return left >= 0 and left or tonumber(ARGV[5])
end
return redis.call('PTTL', KEYS[1])"
        )
    };
}

/// Takes the lock if it is free and the caller is at the head of the queue, or if it is the owner's own.
static ACQUIRE_IN_TURN: Script =
    acquire!("acquire in turn", "redis.call('EXISTS', head) == 0", "not head or head == place");

/// As Redisson does: the caller's clock says which places have run out.
static ACQUIRE_BY_CALLERS_CLOCKS: Script = acquire!(
    "acquire in turn, by the callers' clocks",
    "tonumber(redis.call('GET', head) or 0) <= tonumber(ARGV[7])",
    "not head or head == place"
);

/// No place runs out.
static ACQUIRE_BEHIND_ALL: Script = acquire!("acquire behind all", "false", "not head or head == place");

/// Takes a free lock at any place in the queue.
static ACQUIRE_OUT_OF_TURN: Script = acquire!("acquire out of turn", "redis.call('EXISTS', head) == 0", "true");

/// Leaves the queue. If that makes it another's turn, that one is woken.
///
/// Keys: the lock, the queue, the place.
static LEAVE: Script = Script {
    body: "-- leave the queue
redis.call('DEL', KEYS[3])
if redis.call('LREM', KEYS[2], 0, KEYS[3]) == 0 or redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
local head = redis.call('LINDEX', KEYS[2], 0)
if head then
  redis.call('PUBLISH', head, 'free')
end
return 1",
};
