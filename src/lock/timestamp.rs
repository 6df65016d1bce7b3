//! The timestamp lock, from before Redis had `SET NX PX`.
//!
//! **Algorithm** ([Redis docs](https://redis.io/docs/latest/commands/setnx/), SETNX, "Design pattern: locking with
//! SETNX"): `SETNX key deadline` takes the lock; the deadline is by the client's wall clock. A client that reads a
//! deadline in the past sends `GETSET key deadline`. If the old value is still in the past, the client holds the lock;
//! otherwise another client took it first, and its deadline is now a little later, which does no harm. The holder
//! deletes the key, unless its deadline has passed.
//!
//! **Claims** that at most one client holds the lock, and that the lock of a client that crashed is taken by another.
//!
//! **Assumes** that the clients' wall clocks agree, and that a holder stops before its deadline.
//!
//! **Broken by** taking the lock with `DEL` and `SETNX`, as the document warns: of two clients that have read the same
//! old deadline, the slower one deletes the lock that the faster one has just taken (scenario
//! `timestamp-lock-stolen`).

use super::{Lease, Lock, NotAcquired};
use crate::port::{Blob, Command, Outcome, Ports, Redis, Value, WallTime};
use std::time::Duration;

/// How a lock is taken whose deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steal {
    /// `GETSET`, and a look at what was there.
    GetSet,
    /// `DEL`, then `SETNX` (R27).
    DelThenSetnx,
}

/// The options of the lock.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The longest time that a holder holds.
    pub time: Duration,
    /// How a lock is taken whose deadline has passed.
    pub steal: Steal,
    /// The delay between attempts.
    pub retry_delay: Duration,
}

/// A timestamp lock on one Redis server.
#[derive(Clone)]
pub struct TimestampLock<P: Ports> {
    host: P,
    server: P::Redis,
    key: Blob,
    config: Config,
}

impl<P: Ports> TimestampLock<P> {
    /// The lock `key` on this server.
    pub fn new(host: &P, server: P::Redis, key: impl Into<Blob>, config: Config) -> Self {
        TimestampLock { host: host.clone(), server, key: key.into(), config }
    }

    /// Sends a command about the key. Without an answer the lock may be taken, until its deadline.
    async fn ask(&self, name: &'static str, value: Option<&Blob>) -> Result<Value, NotAcquired> {
        let command = value.into_iter().fold(Command::new(name).arg(&self.key), Command::arg);
        match self.server.call(command).await {
            Outcome::Ok(value) => Ok(value),
            Outcome::Fail(_) | Outcome::Indeterminate(_) => Err(NotAcquired::Unavailable),
        }
    }

    /// True if a deadline that was read from the key has passed.
    fn has_passed(&self, value: &Value) -> bool {
        let deadline = value.as_blob().and_then(Blob::to_int).map(WallTime::from);
        deadline.is_some_and(|deadline| self.host.wall() > deadline)
    }

    async fn take(&self, deadline: &Blob) -> Result<bool, NotAcquired> {
        let is_new = |reply: Value| reply.as_int() == Some(1);
        if self.ask("SETNX", Some(deadline)).await.map(is_new)? {
            return Ok(true);
        }
        if !self.has_passed(&self.ask("GET", None).await?) {
            return Ok(false);
        }
        match self.config.steal {
            Steal::GetSet => {
                let before = self.ask("GETSET", Some(deadline)).await?;
                Ok(before.is_nil() || self.has_passed(&before))
            }
            Steal::DelThenSetnx => {
                self.ask("DEL", None).await?;
                self.ask("SETNX", Some(deadline)).await.map(is_new)
            }
        }
    }
}

impl<P: Ports> Lock for TimestampLock<P> {
    type Host = P;

    fn host(&self) -> &P {
        &self.host
    }

    fn name(&self) -> &Blob {
        &self.key
    }

    /// What an attempt took that was dropped, or whose answer was lost, stays until its deadline: the value does not
    /// say whose it is, so no client can safely give it back.
    async fn attempt(&self) -> Result<Lease, NotAcquired> {
        let deadline = Blob::from((self.host.wall() + self.config.time).as_micros());
        let valid_until = self.host.monotonic() + self.config.time;
        if !self.take(&deadline).await? {
            return Err(NotAcquired::Held);
        }
        if self.host.monotonic() >= valid_until {
            return Err(NotAcquired::Expired);
        }
        Ok(Lease { token: deadline, fence: None, valid_until: Some(valid_until), session: None, hold: None })
    }

    async fn unlock(&self, lease: Lease) -> Outcome<bool> {
        if !self.holds(&lease) {
            return Outcome::Ok(false);
        }
        self.server.call(Command::new("DEL").arg(&self.key)).await.map(|removed| removed.as_int() == Some(1))
    }

    /// The pattern has no way to.
    async fn prolong(&self, _lease: &Lease) -> Result<Lease, NotAcquired> {
        Err(NotAcquired::Lost)
    }

    fn retry_delay(&self) -> Duration {
        self.config.retry_delay
    }
}
