//! The timestamp lock, from before Redis had `SET NX PX`.
//!
//! **Algorithm** ([Redis docs, SETNX, "Design pattern: locking with SETNX"](https://redis.io/docs/latest/commands/setnx/)):
//! `SETNX key until` takes the lock, where `until` is when its holder will be done by its own wall clock. Who finds a moment
//! that is over takes the lock with `GETSET key until`, unless the value that this gives is one that is not over:
//! somebody was faster. That `GETSET` has then put a later moment into the other's lock, which does no harm. The holder
//! deletes the key if its time is not over.
//!
//! **Claims** that at most one client holds the lock, and that the lock of a client that crashed is taken by another.
//!
//! **Assumes** that the clients' wall clocks agree, and that a holder stops before its time is over.
//!
//! **Broken by** taking the lock with `DEL` and `SETNX`, as the document warns: of two clients that have read the same old
//! moment, the slower one deletes the lock that the faster one has just taken (scenario `timestamp-lock-stolen`).

use super::{Lease, Lock, NotAcquired};
use crate::port::{Blob, Command, Outcome, Ports, Redis, Value, WallTime};
use std::time::Duration;

/// How a lock is taken whose time is over.
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
    /// For how long a holder holds at the most.
    pub time: Duration,
    /// How a lock is taken whose time is over.
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

    /// A command about the key. Without an answer the lock may be taken, until its time is over.
    async fn ask(&self, name: &'static str, value: Option<&Blob>) -> Result<Value, NotAcquired> {
        let command = value.into_iter().fold(Command::new(name).arg(&self.key), Command::arg);
        match self.server.call(command).await {
            Outcome::Ok(value) => Ok(value),
            Outcome::Fail(_) | Outcome::Indeterminate(_) => Err(NotAcquired::Unavailable),
        }
    }

    /// True if a moment that was read from the key is over.
    fn is_over(&self, value: &Value) -> bool {
        let until = value.as_blob().and_then(Blob::to_int).map(WallTime::from);
        until.is_some_and(|until| self.host.wall() > until)
    }

    async fn take(&self, until: &Blob) -> Result<bool, NotAcquired> {
        let is_new = |reply: Value| reply.as_int() == Some(1);
        if self.ask("SETNX", Some(until)).await.map(is_new)? {
            return Ok(true);
        }
        if !self.is_over(&self.ask("GET", None).await?) {
            return Ok(false);
        }
        match self.config.steal {
            Steal::GetSet => {
                let before = self.ask("GETSET", Some(until)).await?;
                Ok(before.is_nil() || self.is_over(&before))
            }
            Steal::DelThenSetnx => {
                self.ask("DEL", None).await?;
                self.ask("SETNX", Some(until)).await.map(is_new)
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

    /// What an attempt has taken that is dropped, or whose answer is lost, stays until its time is over: the value does not
    /// say whose it is, so nothing can safely give it back.
    async fn attempt(&self) -> Result<Lease, NotAcquired> {
        let until = Blob::from((self.host.wall() + self.config.time).as_micros());
        let valid_until = self.host.monotonic() + self.config.time;
        if !self.take(&until).await? {
            return Err(NotAcquired::Held);
        }
        if self.host.monotonic() >= valid_until {
            return Err(NotAcquired::Expired);
        }
        Ok(Lease { token: until, fence: None, valid_until: Some(valid_until), session: None, hold: None })
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
