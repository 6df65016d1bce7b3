//! The single-instance Redis lock.
//!
//! **Algorithm** ([Redis docs, "Distributed Locks with Redis"](https://redis.io/docs/latest/develop/use/patterns/distributed-locks/),
//! "Correct implementation with a single instance"): `SET key token NX PX ttl` takes the lock, where the token is
//! unique to the acquisition; a script deletes the key only if it still holds the token.
//!
//! **Claims** that at most one client holds the lock, and that it comes free within the TTL of a crash.
//!
//! **Assumes** that the server does not lose the key (no failover to a replica that lacks it, no restart
//! without it), that its wall clock does not jump, and that the holder stops before the TTL is over.
//!
//! Of a primary with replicas, the lock can wait until replicas have its key ([`ReplicaWait`]). That narrows the window
//! in which a failover loses it, and closes it only where every replica that may be promoted is waited for, and `WAIT`
//! is sent in one pipeline with the write (`wait-after-reconnect`).
//!
//! **Broken by** a failover to a replica that lacks the key (scenarios `failover-loses-lock`, `wait-one-of-two`); by a
//! pause longer than the TTL (`pause-past-expiry`); by deleting without looking whose the key is
//! (`delete-without-owner-check`); by setting the TTL in a second command (`setnx-then-expire`); by taking a lost reply
//! for a no (`ambiguous-set`). The fencing token keeps the guarded resource right where the lock cannot.

use super::{Lease, Lock, NotAcquired, Undo};
use crate::port::{Blob, Command, Instant, Outcome, Ports, Redis, Script, Value};
use doublehold_models::slots::beside;
use std::time::Duration;

/// Deletes the key if it holds our token: owner check and deletion are one step.
pub static RELEASE: Script = Script {
    body: "-- release if it is ours
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0",
};

/// Sets a new TTL if the key holds our token.
pub static EXTEND: Script = Script {
    body: "-- extend if it is ours
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0",
};

/// Takes the lock and the next fencing token in one step; the token count outlives the lock's key.
pub static ACQUIRE_FENCED: Script = Script {
    body: "-- acquire with a fencing token
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  return redis.call('INCR', KEYS[2])
end
return false",
};

/// Takes the lock if it is free or the owner's own.
pub static ACQUIRE_OR_EXTEND: Script = Script {
    body: "-- acquire, or extend if it is ours
local owner = redis.call('GET', KEYS[1])
if owner == ARGV[1] then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
elseif owner then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1",
};

/// How the key is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// `SET key token NX PX ttl`.
    SetNxPx,
    /// `SETNX key token`, then `PEXPIRE key ttl`: a crash between the two leaves a key without a TTL (R10).
    SetnxThenExpire,
}

/// How the key is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// A script compares and deletes.
    Script,
    /// `GET`, compared in the client, then `DEL`: the key can change hands in between.
    GetThenDel,
    /// `DEL`, whoever holds it (R9).
    Del,
}

/// What to do when the reply to the `SET` was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterLostReply {
    /// Ask again with the same token and look whose the key is: our own token is a yes. Without an
    /// answer, delete it.
    SameTokenIsYes,
    /// Ask again, and take the nil that our own key causes for a no (R12).
    NilIsNo,
}

/// How the lock makes sure that replicas have its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaWait {
    /// How many replicas must have acknowledged it.
    pub replicas: usize,
    /// How long to wait for them.
    pub timeout: Duration,
    /// Over which connection `WAIT` is sent.
    pub over: WaitOver,
}

/// Whether enough replicas have a write.
type Replicated = Result<(), NotAcquired>;

impl ReplicaWait {
    /// Sends a write, and waits until so many replicas have it.
    async fn write<R: Redis>(&self, server: &R, write: Command) -> (Outcome<Value>, Replicated) {
        let timeout_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        let wait = Command::new("WAIT").arg(self.replicas as u64).arg(timeout_ms);
        if self.over == WaitOver::OnePipeline {
            let [written, counted] = server.pipeline([write, wait]).await;
            return (written, self.judge(counted));
        }
        let written = server.call(write).await;
        let counted = match (&written, self.over) {
            (Outcome::Fail(_) | Outcome::Indeterminate(_), _) => return (written, Err(NotAcquired::Unavailable)),
            (_, WaitOver::Another) => server.another().call(wait).await,
            (_, WaitOver::OnePipeline | WaitOver::NextCall) => server.call(wait).await,
        };
        (written, self.judge(counted))
    }

    /// Whether those are enough.
    fn judge(&self, counted: Outcome<Value>) -> Replicated {
        let granted = counted.ok().and_then(|value| value.as_int()).ok_or(NotAcquired::Unavailable)?;
        let (granted, needed) = (usize::try_from(granted).unwrap_or_default(), self.replicas);
        if granted >= needed { Ok(()) } else { Err(NotAcquired::NoQuorum { granted, needed }) }
    }
}

/// Sends a write, and makes sure that replicas have it where that is wanted.
pub(crate) async fn write<R: Redis>(
    server: &R,
    replicas: Option<&ReplicaWait>,
    write: Command,
) -> (Outcome<Value>, Replicated) {
    match replicas {
        Some(wait) => wait.write(server, write).await,
        None => (server.call(write).await, Ok(())),
    }
}

/// Over which connection `WAIT` is sent. It counts the replicas that have what *its* connection wrote, and all of them
/// where that wrote nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitOver {
    /// The one that the key is set on, whatever becomes of it: both commands are sent in one pipeline.
    OnePipeline,
    /// The client's connection at the next call: a new one if the first has ended meanwhile.
    NextCall,
    /// Another one of the client's (R32).
    Another,
}

/// What a token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenOf {
    /// One acquisition.
    Acquisition,
    /// The lock object, which tasks share: each of them can release what another one holds (R31).
    Object,
    /// This owner, which takes what it has once more: something else must keep its threads apart.
    Owner(Blob),
}

/// Where fencing tokens are counted, and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tokens {
    /// The script that takes the lock counts them, beside it.
    WithTheLock,
    /// The same, but a token is read from a replica, which may not have it yet.
    ReadFromReplica,
    /// A command of its own counts them, at a key in another slot of a Cluster: on a primary that may lose the count
    /// while the lock's does not.
    InAnotherSlot,
}

/// The options of the lock; the default is what the document says.
#[derive(Clone, Debug)]
pub struct Config {
    /// The TTL of the key.
    pub ttl: Duration,
    /// What is taken off the TTL for clock drift between client and server.
    pub drift: Duration,
    /// Whether the holder learns when its lease ends. Without, it believes until it releases.
    pub report_validity: bool,
    /// The random delay between attempts: from the first to below the second.
    pub retry_delay: (Duration, Duration),
    /// What a token stands for.
    pub token_of: TokenOf,
    /// How the key is set.
    pub take: Take,
    /// How the key is deleted.
    pub release: Release,
    /// What a lost reply means.
    pub after_lost_reply: AfterLostReply,
    /// Whether the lock gives fencing tokens. Only with [`Take::SetNxPx`].
    pub fencing: Option<Tokens>,
    /// How many replicas must have the key before the lock is held; `None`: nobody asks.
    pub replicas: Option<ReplicaWait>,
}

impl Config {
    /// The document's lock with this TTL; retries after a tenth to a fifth of it.
    pub fn new(ttl: Duration) -> Self {
        Config {
            ttl,
            drift: drift_of(ttl),
            report_validity: true,
            retry_delay: (ttl / 10, ttl / 5),
            token_of: TokenOf::Acquisition,
            take: Take::SetNxPx,
            release: Release::Script,
            after_lost_reply: AfterLostReply::SameTokenIsYes,
            fencing: None,
            replicas: None,
        }
    }
}

/// What a lease loses of its TTL to clocks that drift: the document's hundredth, and two milliseconds.
pub(super) fn drift_of(ttl: Duration) -> Duration {
    ttl / 100 + Duration::from_millis(2)
}

/// The key of the counter of a lock's fencing tokens: in the lock's slot, as one script uses both.
pub fn fence_key(lock: &[u8]) -> Blob {
    beside(lock, b":fence")
}

/// How often a request is sent again after its reply was lost.
const RESENDS_MAX: usize = 3;

/// A lock on one Redis server.
#[derive(Clone)]
pub struct RedisLock<P: Ports> {
    host: P,
    server: P::Redis,
    key: Blob,
    fence_key: Blob,
    /// Where tokens are read that are read from a replica.
    replica: Option<P::Redis>,
    config: Config,
}

/// What the server said to one try.
enum Answer {
    Granted { fence: Option<u64>, replicated: Replicated },
    Held,
}

impl<P: Ports> RedisLock<P> {
    /// The lock `key` on this server.
    pub fn new(host: &P, server: P::Redis, key: impl Into<Blob>, config: Config) -> Self {
        let key = key.into();
        let fence_key = match config.fencing {
            Some(Tokens::InAnotherSlot) => Blob::copy_from(&[key.as_bytes(), b":fence"].concat()),
            _ => fence_key(&key),
        };
        RedisLock { host: host.clone(), server, key, fence_key, replica: None, config }
    }

    /// The same, which reads its fencing tokens from this replica.
    #[must_use]
    pub fn reading_from(self, replica: P::Redis) -> Self {
        RedisLock { replica: Some(replica), ..self }
    }

    fn ttl_ms(&self) -> u64 {
        u64::try_from(self.config.ttl.as_millis()).unwrap_or(u64::MAX)
    }

    /// The end of a lease that was asked for at `start`.
    fn valid_until(&self, start: Instant) -> Option<Instant> {
        self.config.report_validity.then(|| start + self.config.ttl.saturating_sub(self.config.drift))
    }

    /// Asks the server for the key, again if the reply is lost.
    async fn take(&self, token: &Blob) -> Result<Answer, NotAcquired> {
        let mut reply_lost = false;
        for _ in 0..=RESENDS_MAX {
            match self.set(token).await {
                Outcome::Ok(Answer::Held) if reply_lost => return self.after_lost_reply(token).await,
                Outcome::Ok(answer) => return Ok(answer),
                Outcome::Fail(_) => return Err(NotAcquired::Unavailable),
                Outcome::Indeterminate(_) => reply_lost = true,
            }
        }
        Err(NotAcquired::Unavailable)
    }

    /// The key is taken, and a reply was lost before: is it ours?
    async fn after_lost_reply(&self, token: &Blob) -> Result<Answer, NotAcquired> {
        if self.config.after_lost_reply == AfterLostReply::NilIsNo {
            return Ok(Answer::Held);
        }
        let (looked, replicated) = self.look(token).await;
        match looked {
            // The fencing token went with the lost reply; a later one is as good.
            Outcome::Ok(true) if self.config.fencing.is_some() => {
                let (fence, counted) = self.next_fence().await?;
                Ok(Answer::Granted { fence, replicated: replicated.and(counted) })
            }
            Outcome::Ok(true) => Ok(Answer::Granted { fence: None, replicated }),
            Outcome::Ok(false) => Ok(Answer::Held),
            Outcome::Fail(_) | Outcome::Indeterminate(_) => Err(NotAcquired::Unavailable),
        }
    }

    /// Whether the key holds our token. Where replicas must have it, by a write: a connection that has only looked has
    /// nothing that `WAIT` could count.
    async fn look(&self, token: &Blob) -> (Outcome<bool>, Replicated) {
        if self.config.replicas.is_some() {
            return self.extend(token).await;
        }
        let owner = self.server.call(Command::new("GET").arg(&self.key)).await;
        (owner.map(|owner| owner == Value::Bulk(token.clone())), Ok(()))
    }

    /// Sets a new TTL if the key holds our token.
    async fn extend(&self, token: &Blob) -> (Outcome<bool>, Replicated) {
        let extend = EXTEND.command(std::slice::from_ref(&self.key), &[token.clone(), self.ttl_ms().into()]);
        let (extended, replicated) = self.write(extend).await;
        (extended.map(|value| value.as_int() == Some(1)), replicated)
    }

    async fn write(&self, command: Command) -> (Outcome<Value>, Replicated) {
        write(&self.server, self.config.replicas.as_ref(), command).await
    }

    async fn next_fence(&self) -> Result<(Option<u64>, Replicated), NotAcquired> {
        let (reply, replicated) = self.write(Command::new("INCR").arg(&self.fence_key)).await;
        match fence_in(reply) {
            Outcome::Ok(fence) => Ok((fence, replicated)),
            Outcome::Fail(_) | Outcome::Indeterminate(_) => Err(NotAcquired::Unavailable),
        }
    }

    async fn set(&self, token: &Blob) -> Outcome<Answer> {
        let granted = |yes: bool, replicated| match yes {
            true => Answer::Granted { fence: None, replicated },
            false => Answer::Held,
        };
        if let Some(tokens @ (Tokens::WithTheLock | Tokens::ReadFromReplica)) = self.config.fencing {
            let keys = [self.key.clone(), self.fence_key.clone()];
            let acquire = ACQUIRE_FENCED.command(&keys, &[token.clone(), self.ttl_ms().into()]);
            let (reply, replicated) = self.write(acquire).await;
            return match fence_in(reply) {
                Outcome::Ok(Some(_)) if tokens == Tokens::ReadFromReplica => {
                    let replica = self.replica.as_ref().expect("tokens are read from a replica, and there is none");
                    let read = fence_in(replica.call(Command::new("GET").arg(&self.fence_key)).await);
                    read.map(|fence| Answer::Granted { fence: Some(fence.unwrap_or_default()), replicated })
                }
                reply => reply.map(|fence| match fence {
                    Some(_) => Answer::Granted { fence, replicated },
                    None => Answer::Held,
                }),
            };
        }
        if let TokenOf::Owner(_) = self.config.token_of {
            let arguments = [token.clone(), self.ttl_ms().into()];
            let acquire = ACQUIRE_OR_EXTEND.command(std::slice::from_ref(&self.key), &arguments);
            let (reply, replicated) = self.write(acquire).await;
            return reply.map(|value| granted(value.as_int() == Some(1), replicated));
        }
        match self.config.take {
            Take::SetNxPx => {
                let set = Command::new("SET").arg(&self.key).arg(token).arg("NX").arg("PX").arg(self.ttl_ms());
                let (reply, replicated) = self.write(set).await;
                reply.map(|value| granted(value.is_ok(), replicated))
            }
            Take::SetnxThenExpire => {
                let set = Command::new("SETNX").arg(&self.key).arg(token);
                let reply = self.server.call(set).await.map(|value| value.as_int() == Some(1));
                if reply == Outcome::Ok(true) {
                    let (reply, replicated) =
                        self.write(Command::new("PEXPIRE").arg(&self.key).arg(self.ttl_ms())).await;
                    return reply.map(|_| granted(true, replicated));
                }
                reply.map(|yes| granted(yes, Ok(())))
            }
        }
    }

    async fn delete(&self, token: &Blob) -> Outcome<bool> {
        let delete = || self.server.call(Command::new("DEL").arg(&self.key));
        let removed = |value: Value| value.as_int() == Some(1);
        match self.config.release {
            Release::Script => self
                .server
                .eval(&RELEASE, std::slice::from_ref(&self.key), std::slice::from_ref(token))
                .await
                .map(removed),
            Release::Del => delete().await.map(removed),
            Release::GetThenDel => match self.server.call(Command::new("GET").arg(&self.key)).await {
                Outcome::Ok(Value::Bulk(owner)) if owner == *token => delete().await.map(removed),
                other => other.map(|_| false),
            },
        }
    }
}

/// The fencing token in a reply, if there is one.
fn fence_in(reply: Outcome<Value>) -> Outcome<Option<u64>> {
    let number = |value: Value| value.as_int().or_else(|| value.as_blob().and_then(Blob::to_int));
    reply.map(|value| number(value).and_then(|fence| u64::try_from(fence).ok()))
}

impl<P: Ports> Lock for RedisLock<P> {
    type Host = P;

    fn host(&self) -> &P {
        &self.host
    }

    fn name(&self) -> &Blob {
        &self.key
    }

    async fn attempt(&self) -> Result<Lease, NotAcquired> {
        let (token, hold) = match &self.config.token_of {
            TokenOf::Acquisition => (self.host.unique_id(), None),
            TokenOf::Object => (Blob::copy_from(&[self.key.as_bytes(), b":object"].concat()), None),
            TokenOf::Owner(owner) => (owner.clone(), Some(self.host.unique_id())),
        };
        let start = self.host.monotonic();
        let lease =
            Lease { token: token.clone(), fence: None, valid_until: self.valid_until(start), session: None, hold };
        let mut undo = Undo::new(self, lease.clone());
        match self.take(&token).await {
            Ok(Answer::Granted { mut fence, mut replicated }) => {
                if self.config.fencing == Some(Tokens::InAnotherSlot) {
                    let counted = self.next_fence().await;
                    (fence, replicated) = counted.unwrap_or_else(|why| (None, Err(why)));
                }
                if let Err(why) = replicated {
                    drop(undo.give_back().await);
                    return Err(why);
                }
                if lease.valid_until.is_some_and(|until| self.host.monotonic() >= until) {
                    drop(undo.give_back().await);
                    return Err(NotAcquired::Expired);
                }
                undo.disarm();
                Ok(Lease { fence, ..lease })
            }
            Ok(Answer::Held) => {
                undo.disarm();
                Err(NotAcquired::Held)
            }
            Err(why) => {
                // The key may be ours all the same: what is not known must not be left behind.
                drop(undo.give_back().await);
                Err(why)
            }
        }
    }

    async fn unlock(&self, lease: Lease) -> Outcome<bool> {
        let mut outcome = self.delete(&lease.token).await;
        for _ in 0..RESENDS_MAX {
            match outcome {
                Outcome::Indeterminate(_) => outcome = self.delete(&lease.token).await,
                known => return known,
            }
        }
        outcome
    }

    async fn prolong(&self, lease: &Lease) -> Result<Lease, NotAcquired> {
        let start = self.host.monotonic();
        let (extended, replicated) = self.extend(&lease.token).await;
        match extended {
            Outcome::Ok(true) => replicated.map(|()| Lease { valid_until: self.valid_until(start), ..lease.clone() }),
            Outcome::Ok(false) => Err(NotAcquired::Lost),
            Outcome::Fail(_) | Outcome::Indeterminate(_) => Err(NotAcquired::Unavailable),
        }
    }

    fn leased(&self, ttl: Duration) -> Option<Self> {
        let config = Config { ttl, drift: drift_of(ttl), ..self.config.clone() };
        Some(RedisLock { config, ..self.clone() })
    }

    fn retry_delay(&self) -> Duration {
        self.host.random_between(self.config.retry_delay.0, self.config.retry_delay.1)
    }
}
