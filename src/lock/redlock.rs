//! RedLock: a lock on the majority of N independent Redis servers.
//!
//! **Algorithm** ([Redis docs, "The Redlock
//! Algorithm"](https://redis.io/docs/latest/develop/use/patterns/distributed-locks/#the-redlock-algorithm)), step by
//! step in [`attempt`](Lock::attempt).
//!
//! **Claims** that at most one client believes in its lease at any time, while a minority of servers may be down.
//!
//! **Assumes** clocks that all run at nearly the same rate and never jump, servers that come back from a crash either
//! with every key or after the longest TTL, and a client that stops when its validity is over.
//!
//! **Broken by** a wall clock that steps on one server (scenario `redlock-clock-step`); by a server that restarts
//! without an unsynced key (`redlock-crash-restart`); by accepting a quorum that came too late (`redlock-late-quorum`).
//! The libraries' deviations are options of [`Config`]; scenario `redlock-mutant-…` shows what each costs.

use super::redis::{EXTEND, RELEASE};
use super::{Lease, Lock, NotAcquired, Undo};
use crate::port::{Blob, Command, Instant, Outcome, Ports, Redis, Unknown, Value};
use futures_util::future::join_all;
use std::future::Future;
use std::time::Duration;

/// In which order the servers are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contact {
    /// One after another, as the document describes it.
    Sequential,
    /// All at once, waiting for every answer or its time-out (rslock, node-redlock, redsync).
    Parallel,
}

/// Which servers a failed attempt gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiveBack {
    /// All of them, those too that did not answer.
    All,
    /// Only those that said yes: a yes whose answer was lost stays until its TTL.
    GrantedOnly,
    /// All except servers that did not answer and do not answer a PING on a second connection either: those are assumed
    /// to be down and to hold no key.
    NotSilent,
    /// None: what was taken stays until its TTL, and refuses the client's own next attempt (R28).
    Nothing,
}

/// What an extension does on a server that does not have the lease any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    /// Nothing.
    OwnedOnly,
    /// It sets the key again if it is free, although another client may have held it in between (R29; redsync's
    /// `WithSetNXOnExtend`).
    SetNx,
}

/// What becomes of an attempt whose quorum came too late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LateQuorum {
    /// It is given back, as the document says.
    GiveBack,
    /// It is reported as failed but left on the servers (rslock's `TtlExceeded` path, R24).
    Leave,
    /// It counts as acquired: the validity is not computed at all (Redisson's RedLock, R4).
    Accept,
}

/// What becomes of an attempt that no server answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// It fails, as the document says.
    FailClosed,
    /// It counts as acquired: the client assumes that every server is down and that no other client holds the lock.
    FailOpen,
}

/// The options of the lock; the default is what the document says.
#[derive(Clone, Debug)]
pub struct Config {
    /// The TTL of the keys.
    pub ttl: Duration,
    /// Per-server time-out, far below the TTL.
    pub node_timeout: Duration,
    /// Clock drift allowed for, as a share of the TTL in parts per thousand; libraries use 10.
    pub drift_permille: u32,
    /// Clock drift allowed for, on top.
    pub drift_extra: Duration,
    /// How many servers must say yes; `None`: the majority.
    pub quorum: Option<usize>,
    /// In which order the servers are asked.
    pub contact: Contact,
    /// Which servers a failed attempt gives back.
    pub give_back: GiveBack,
    /// What an extension does on a server that does not have the lease any more.
    pub extension: Extension,
    /// What becomes of a quorum that came too late.
    pub late_quorum: LateQuorum,
    /// What becomes of an attempt that no server answered.
    pub outage: Outage,
    /// The random delay between attempts: from the first to below the second.
    pub retry_delay: (Duration, Duration),
}

impl Config {
    /// The document's lock with this TTL.
    pub fn new(ttl: Duration) -> Self {
        Config {
            ttl,
            node_timeout: ttl / 20,
            drift_permille: 10,
            drift_extra: Duration::from_millis(2),
            quorum: None,
            contact: Contact::Sequential,
            give_back: GiveBack::All,
            extension: Extension::OwnedOnly,
            late_quorum: LateQuorum::GiveBack,
            outage: Outage::FailClosed,
            retry_delay: (ttl / 20, ttl / 5),
        }
    }
}

/// A lock on N independent Redis servers.
#[derive(Clone)]
pub struct RedLock<P: Ports> {
    host: P,
    servers: Vec<P::Redis>,
    key: Blob,
    config: Config,
}

impl<P: Ports> RedLock<P> {
    /// The lock `key` on these servers.
    pub fn new(host: &P, servers: Vec<P::Redis>, key: impl Into<Blob>, config: Config) -> Self {
        RedLock { host: host.clone(), servers, key: key.into(), config }
    }

    /// N/2 + 1, unless the configuration says otherwise.
    fn quorum(&self) -> usize {
        self.config.quorum.unwrap_or(self.servers.len() / 2 + 1)
    }

    fn ttl_ms(&self) -> u64 {
        u64::try_from(self.config.ttl.as_millis()).unwrap_or(u64::MAX)
    }

    /// The end of the validity of keys that were asked for at `start`: the TTL, less what clocks may drift within it.
    fn valid_until(&self, start: Instant) -> Instant {
        let drift = self.config.ttl * self.config.drift_permille / 1000 + self.config.drift_extra;
        start + self.config.ttl.saturating_sub(drift)
    }

    /// Sends one request to each server in turn or to all at once, each under the per-server time-out.
    async fn ask_all<'a, F>(&'a self, request: impl Fn(&'a P::Redis) -> F) -> Vec<Outcome<Value>>
    where
        F: Future<Output = Outcome<Value>> + Send,
    {
        let timed = |reply: F| async {
            let reply = self.host.timeout(self.config.node_timeout, reply).await;
            reply.unwrap_or(Outcome::Indeterminate(Unknown::TimedOut))
        };
        match self.config.contact {
            Contact::Parallel => join_all(self.servers.iter().map(|server| timed(request(server)))).await,
            Contact::Sequential => {
                let mut replies = Vec::with_capacity(self.servers.len());
                for server in &self.servers {
                    replies.push(timed(request(server)).await);
                }
                replies
            }
        }
    }

    /// Deletes the key on every server where it holds `token`.
    async fn release_all(&self, token: &Blob) -> Vec<Outcome<Value>> {
        self.ask_all(|server| self.release_with_retry(server, token)).await
    }

    /// Deletes the key if it holds `token`, and tries once more if the outcome is indeterminate.
    async fn release_with_retry(&self, server: &P::Redis, token: &Blob) -> Outcome<Value> {
        match self.release_on(server, token).await {
            Outcome::Indeterminate(_) => self.release_on(server, token).await,
            known => known,
        }
    }

    /// True if the server answers a PING on a second connection.
    async fn answers_elsewhere(&self, server: &P::Redis) -> bool {
        let other = server.another();
        self.host.timeout(self.config.node_timeout, other.call(Command::new("PING"))).await.is_some()
    }

    fn release_on<'a>(
        &'a self,
        server: &'a P::Redis,
        token: &'a Blob,
    ) -> impl Future<Output = Outcome<Value>> + Send + use<'a, P> {
        server.eval(&RELEASE, std::slice::from_ref(&self.key), std::slice::from_ref(token))
    }

    /// Makes the key last a full TTL if it holds `token`.
    async fn extend_on(&self, server: &P::Redis, token: &Blob) -> Outcome<Value> {
        let arguments = [token.clone(), self.ttl_ms().into()];
        let extended = server.eval(&EXTEND, std::slice::from_ref(&self.key), &arguments).await;
        if self.config.extension == Extension::OwnedOnly || is_yes(&extended) {
            return extended;
        }
        server.call(self.set(token)).await
    }

    fn set(&self, token: &Blob) -> Command {
        Command::new("SET").arg(&self.key).arg(token).arg("NX").arg("PX").arg(self.ttl_ms())
    }

    /// True if no server answered and the lock fails open.
    fn fails_open(&self, replies: &[Outcome<Value>]) -> bool {
        self.config.outage == Outage::FailOpen && replies.iter().all(is_silence)
    }

    /// Gives back an attempt that failed.
    async fn give_back(&self, token: &Blob, replies: &[Outcome<Value>]) {
        match self.config.give_back {
            GiveBack::All => drop(self.release_all(token).await),
            GiveBack::Nothing => {}
            GiveBack::GrantedOnly => {
                for (server, reply) in self.servers.iter().zip(replies) {
                    if is_yes(reply) {
                        drop(self.release_on(server, token).await);
                    }
                }
            }
            GiveBack::NotSilent => {
                for (server, reply) in self.servers.iter().zip(replies) {
                    if !is_silence(reply) || self.answers_elsewhere(server).await {
                        drop(self.release_with_retry(server, token).await);
                    }
                }
            }
        }
    }
}

/// True for `OK` and for 1.
fn is_yes(reply: &Outcome<Value>) -> bool {
    matches!(reply, Outcome::Ok(value) if value.is_ok() || value.as_int() == Some(1))
}

/// True if no answer came in time.
fn is_silence(reply: &Outcome<Value>) -> bool {
    matches!(reply, Outcome::Indeterminate(Unknown::TimedOut))
}

impl<P: Ports> Lock for RedLock<P> {
    type Host = P;

    fn host(&self) -> &P {
        &self.host
    }

    fn name(&self) -> &Blob {
        &self.key
    }

    async fn attempt(&self) -> Result<Lease, NotAcquired> {
        let token = self.host.unique_id();

        // 1. Get the current time. By the monotonic clock, which no operator can step.
        let start = self.host.monotonic();
        let lease = Lease {
            token: token.clone(),
            fence: None,
            valid_until: Some(self.valid_until(start)),
            session: None,
            hold: None,
        };
        let mut undo = Undo::new(self, lease.clone());

        // 2. Try to take the lock on all N servers, with the same key and the same random value.
        let set = self.set(&token);
        let replies = self.ask_all(|server| server.call(set.clone())).await;
        let granted = replies.iter().filter(|reply| is_yes(reply)).count();

        // 3. The lock is acquired if a majority said yes and the time that it took is less than its validity.
        // 4. The validity is the TTL, less the time elapsed, less the drift.
        let in_time = self.host.monotonic() < self.valid_until(start);
        let acquired = granted >= self.quorum() || self.fails_open(&replies);
        let kept = match (acquired, in_time, self.config.late_quorum) {
            (true, true, _) => Some(Ok(lease)),
            (true, false, LateQuorum::Accept) => Some(Ok(Lease { valid_until: None, ..lease })),
            (true, false, LateQuorum::Leave) => Some(Err(NotAcquired::Expired)),
            _ => None,
        };
        if let Some(kept) = kept {
            undo.disarm();
            return kept;
        }

        // 5. Otherwise unlock all servers, those too that seemed to say no.
        self.give_back(&token, &replies).await;
        undo.disarm();
        if granted >= self.quorum() {
            return Err(NotAcquired::Expired);
        }
        Err(NotAcquired::NoQuorum { granted, needed: self.quorum() })
    }

    async fn unlock(&self, lease: Lease) -> Outcome<bool> {
        let replies = self.release_all(&lease.token).await;
        let released = replies.iter().filter(|reply| is_yes(reply)).count();
        if replies.iter().filter(|reply| matches!(reply, Outcome::Ok(_))).count() >= self.quorum() {
            return Outcome::Ok(released >= self.quorum());
        }
        Outcome::Indeterminate(Unknown::TimedOut)
    }

    /// Extends on a majority, within the validity.
    async fn prolong(&self, lease: &Lease) -> Result<Lease, NotAcquired> {
        let start = self.host.monotonic();
        let replies = self.ask_all(|server| self.extend_on(server, &lease.token)).await;
        let granted = replies.iter().filter(|reply| is_yes(reply)).count();
        let now = self.host.monotonic();
        if granted < self.quorum() {
            return Err(NotAcquired::NoQuorum { granted, needed: self.quorum() });
        }
        // The old validity counts: once it is over, another client may have been in between.
        let continuous = self.config.extension == Extension::SetNx || lease.valid_until.is_none_or(|until| now < until);
        if now >= self.valid_until(start) || !continuous {
            return Err(NotAcquired::Expired);
        }
        Ok(Lease { valid_until: Some(self.valid_until(start)), ..lease.clone() })
    }

    fn retry_delay(&self) -> Duration {
        self.host.random_between(self.config.retry_delay.0, self.config.retry_delay.1)
    }
}
