//! What a lock guards: a number that is read and written back, and can check fencing tokens.
//!
//! Fencing (Kleppmann, ["How to do distributed locking"](https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html)):
//! each hold has a number larger than any before; the resource remembers the largest it has seen and refuses what
//! comes with a smaller one. It must see the token on reads too: a reader that is let in late has read nothing new.

use crate::port::{Blob, Command, Outcome, Redis, Script, Value};
use std::future::Future;

/// Reads, unless a later holder has been here.
static READ_FENCED: Script = Script {
    body: "-- read with a fencing token
if tonumber(ARGV[1]) < tonumber(redis.call('GET', KEYS[2]) or '0') then
  return redis.status_reply('STALE')
end
redis.call('SET', KEYS[2], ARGV[1])
return redis.call('GET', KEYS[1])",
};

/// Writes, unless a later holder has been here.
static WRITE_FENCED: Script = Script {
    body: "-- write with a fencing token
if tonumber(ARGV[1]) < tonumber(redis.call('GET', KEYS[2]) or '0') then
  return redis.status_reply('STALE')
end
redis.call('SET', KEYS[2], ARGV[1])
return redis.call('SET', KEYS[1], ARGV[2])",
};

/// Takes from the number if there is enough.
static TAKE: Script = Script {
    body: "-- take if there is enough
if tonumber(redis.call('GET', KEYS[1]) or '0') < tonumber(ARGV[1]) then
  return 0
end
redis.call('DECRBY', KEYS[1], ARGV[1])
return 1",
};

/// A number that is read and written back under a lock.
pub trait Resource: Send + Sync {
    /// The resource's name.
    fn name(&self) -> &Blob;

    /// Reads; with a fencing token the resource checks it.
    fn read(&self, fence: Option<u64>) -> impl Future<Output = Outcome<Access<i64>>> + Send;

    /// Writes; with a fencing token the resource checks it.
    fn write(&self, fence: Option<u64>, number: i64) -> impl Future<Output = Outcome<Access<()>>> + Send;
}

/// The number on a Redis server.
#[derive(Clone)]
pub struct Counter<R: Redis> {
    server: R,
    /// Where it is read without a fencing token.
    read_at: R,
    key: Blob,
    seen_key: Blob,
}

/// What the resource said to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access<T> {
    /// It let the request in.
    Accepted(T),
    /// A later holder has been here: the fencing token is stale.
    Stale,
}

impl<R: Redis> Counter<R> {
    /// The number at `key`; absent is 0.
    pub fn new(server: R, key: impl Into<Blob>) -> Self {
        let key = key.into();
        let seen_key = Blob::copy_from(&[key.as_bytes(), b":seen"].concat());
        Counter { read_at: server.clone(), server, key, seen_key }
    }

    /// The same, read from a replica: it may be behind.
    #[must_use]
    pub fn reading_from(self, replica: R) -> Self {
        Counter { read_at: replica, ..self }
    }

    /// Takes so many if there are enough, in one step on the server.
    pub async fn take(&self, count: i64) -> Outcome<bool> {
        let reply = self.server.eval(&TAKE, std::slice::from_ref(&self.key), &[count.into()]).await;
        reply.map(|value| value.as_int() == Some(1))
    }

    fn keys(&self) -> [Blob; 2] {
        [self.key.clone(), self.seen_key.clone()]
    }
}

impl<R: Redis> Resource for Counter<R> {
    fn name(&self) -> &Blob {
        &self.key
    }

    async fn read(&self, fence: Option<u64>) -> Outcome<Access<i64>> {
        let reply = match fence {
            None => self.read_at.call(Command::new("GET").arg(&self.key)).await,
            Some(fence) => self.server.eval(&READ_FENCED, &self.keys(), &[fence.into()]).await,
        };
        reply.map(|value| match value {
            Value::Status(_) => Access::Stale,
            Value::Bulk(text) => Access::Accepted(text.to_int().unwrap_or_default()),
            _ => Access::Accepted(0),
        })
    }

    async fn write(&self, fence: Option<u64>, number: i64) -> Outcome<Access<()>> {
        let reply = match fence {
            None => self.server.call(Command::new("SET").arg(&self.key).arg(number)).await,
            Some(fence) => self.server.eval(&WRITE_FENCED, &self.keys(), &[fence.into(), number.into()]).await,
        };
        reply.map(|value| if value.is_ok() { Access::Accepted(()) } else { Access::Stale })
    }
}
