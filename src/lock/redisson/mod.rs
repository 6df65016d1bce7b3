//! The watchdog lock (Redisson's `RLock`).
//!
//! **Algorithm**
//! ([`RedissonLock`](https://github.com/redisson/redisson/blob/redisson-3.45.1/redisson/src/main/java/org/redisson/RedissonLock.java)):
//! the lock is a hash whose field, the owner, counts how many times it holds. A script takes it if it is free or the
//! owner's own. While it is held a watchdog renews its TTL each third of it, if it is still the owner's. Release counts
//! down, and deletes the hash and publishes a message with the last time. A waiter subscribes to that channel, tries
//! once more, and then waits for a message, at the longest until the holder's TTL is over.
//!
//! **Claims** that at most one owner holds the lock, for as long as its process lives, and that it comes free within
//! the TTL of a crash.
//!
//! **Assumes** that the server does not lose the lock (no failover to a replica that lacks it), that its wall clock
//! does not jump, and that a holder stops when it is told that its hold is lost.
//!
//! **Broken by** a failover (scenario `redisson-failover`), by a watchdog that stalls for longer than the TTL, and by
//! each of the options here that is not the default.
//!
//! Two things Redisson does not do. The holder is told when its hold is lost: when a renewal finds that the lock is
//! gone, or when none was answered for so long that it may be. And each hold is a field of its own beside the owner's:
//! an attempt whose answer was lost is given back by name, and takes nothing if it arrives after that.

mod scripts;

use super::hold::Hold;
use super::lifetime::{Lifetime, Renewal};
use super::redis::{self, ReplicaWait, drift_of};
use super::sync::{Mutex, lock};
use super::{Lease, Lock, NotAcquired, Undo};
use crate::base::Event;
use crate::port::{Blob, Outcome, Ports, Redis, Script, Subscription};
use doublehold_models::slots::beside;
use scripts::{ACQUIRE, RELEASE, RELEASE_EACH_TIME, RENEW, RENEW_ANY, REWRITE};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What the watchdog looks at before it renews.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renew {
    /// Whether the lock is still the owner's.
    IfOurs,
    /// Nothing: it renews the TTL of any holder.
    Anyway,
    /// Nothing: it writes the owner into the lock anew.
    Rewrite,
}

/// Which servers must have a renewal before it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenewedOn {
    /// The primary, and as many replicas as an attempt waits for.
    Replicas,
    /// The primary alone (R6).
    Primary,
}

/// When a release ends the watchdog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndWatchdog {
    /// Before it is sent.
    BeforeRelease,
    /// Once it is answered: a renewal may come after it.
    AfterRelease,
}

/// What keeps a hold alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepAlive {
    /// The watchdog.
    Watchdog,
    /// Nothing: it ends with its TTL.
    Nothing,
}

/// What becomes of an attempt whose caller is interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnInterrupt {
    /// It is given back.
    GiveBack,
    /// It goes on in the background, and the watchdog renews what it takes (R16).
    GoOn,
}

/// What becomes of a holder whose lock is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterLoss {
    /// It is told.
    TellHolder,
    /// The watchdog stops, and the holder carries on (R17).
    Silent,
}

/// What a renewal without an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFailedRenewal {
    /// The next one may have an answer.
    TryAgain,
    /// There is none any more, and the holder is not told (R15).
    GiveUp,
}

/// What an attempt does whose answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterLostReply {
    /// It gives back what it may have taken.
    GiveBack,
    /// It is sent again, and counts twice if the first one was done (R13).
    SendAgain,
}

/// When a waiter looks at the lock, and when it begins to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// It listens, then looks, then waits; it looks again when it has to listen anew.
    ListenThenLook,
    /// It looks, then listens, then waits (R34).
    LookThenListen,
    /// As the first, but when the subscription breaks it waits for the holder's TTL (R25).
    MissBroken,
}

/// What remembers the TTL of a lease that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseOf {
    /// The hold.
    Hold,
    /// The lock object: the watchdog's later holds have it too (R18).
    Object,
}

/// What a release does that is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resend {
    /// It names its hold, and is answered as before.
    Once,
    /// It counts again.
    EachTime,
}

/// The options of the lock; the default is the algorithm without its known mistakes.
#[derive(Clone, Debug)]
pub struct Config {
    /// The TTL, which the watchdog renews.
    pub ttl: Duration,
    /// The TTL of a hold until it is first prolonged, where that is another one.
    pub first_ttl: Option<Duration>,
    /// What is taken off the TTL for clock drift between client and server.
    pub drift: Duration,
    /// How long to wait for the answer to a renewal.
    pub request_timeout: Duration,
    /// What keeps a hold alive.
    pub keep_alive: KeepAlive,
    /// What the watchdog looks at before it renews.
    pub renew: Renew,
    /// When a release ends the watchdog.
    pub end_watchdog: EndWatchdog,
    /// What becomes of an attempt whose caller is interrupted.
    pub on_interrupt: OnInterrupt,
    /// What becomes of a holder whose lock is gone.
    pub after_loss: AfterLoss,
    /// What a renewal without an answer means.
    pub after_failed_renewal: AfterFailedRenewal,
    /// What an attempt does whose answer was lost.
    pub after_lost_reply: AfterLostReply,
    /// When a waiter looks at the lock, and when it begins to listen.
    pub waiting: Waiting,
    /// What a release does that is sent again.
    pub resend: Resend,
    /// What remembers the TTL of a lease that was asked for.
    pub lease_of: LeaseOf,
    /// How many replicas must have the lock before it is held; `None`: none is waited for.
    pub replicas: Option<ReplicaWait>,
    /// Which servers must have a renewal before it counts.
    pub renewed_on: RenewedOn,
}

impl Config {
    /// The lock with this TTL.
    pub fn new(ttl: Duration) -> Self {
        Config {
            ttl,
            first_ttl: None,
            drift: drift_of(ttl),
            request_timeout: ttl / 3,
            keep_alive: KeepAlive::Watchdog,
            renew: Renew::IfOurs,
            end_watchdog: EndWatchdog::BeforeRelease,
            on_interrupt: OnInterrupt::GiveBack,
            after_loss: AfterLoss::TellHolder,
            after_failed_renewal: AfterFailedRenewal::TryAgain,
            after_lost_reply: AfterLostReply::GiveBack,
            waiting: Waiting::ListenThenLook,
            resend: Resend::Once,
            lease_of: LeaseOf::Hold,
            replicas: None,
            renewed_on: RenewedOn::Replicas,
        }
    }
}

/// How often a release is sent again after its reply was lost.
const RESENDS_MAX: usize = 3;

/// A lock on one Redis server, for one owner: a thread, or a task. Its clones are one.
#[derive(Clone)]
pub struct RedissonLock<P: Ports> {
    host: P,
    server: P::Redis,
    key: Blob,
    /// Where waiters listen.
    channel: Blob,
    /// The owner's field in the hash.
    owner: Blob,
    config: Config,
    kept: Arc<Kept>,
}

/// What the clones of a lock share.
#[derive(Default)]
struct Kept {
    /// The holds that there are, each by its name.
    holds: Mutex<BTreeMap<Blob, Arc<Lifetime>>>,
    /// The TTL of the latest lease that was asked for, where the object remembers it.
    ttl: Mutex<Option<Duration>>,
}

impl Kept {
    fn get(&self, hold: &Blob) -> Option<Arc<Lifetime>> {
        lock(&self.holds).get(hold).cloned()
    }

    fn put(&self, hold: &Blob, life: &Arc<Lifetime>) {
        lock(&self.holds).insert(hold.clone(), Arc::clone(life));
    }

    fn take(&self, hold: &Blob) -> Option<Arc<Lifetime>> {
        lock(&self.holds).remove(hold)
    }
}

/// The name of a hold.
fn hold_of(lease: &Lease) -> &Blob {
    lease.hold.as_ref().expect("a lease of this lock names its hold")
}

fn millis(duration: Duration) -> Blob {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).into()
}

/// What the server said to one attempt.
enum Answer {
    /// It is ours; whether enough replicas have it.
    Granted(Result<(), NotAcquired>),
    /// It is another's, for so long at the most.
    Held(Duration),
}

impl<P: Ports> RedissonLock<P> {
    /// The lock `key` on this server, for an owner of its own.
    pub fn new(host: &P, server: P::Redis, key: impl Into<Blob>, config: Config) -> Self {
        RedissonLock::owned(host, server, key, host.unique_id(), config)
    }

    /// The lock `key` on this server, for this owner.
    pub fn owned(host: &P, server: P::Redis, key: impl Into<Blob>, owner: Blob, config: Config) -> Self {
        let key = key.into();
        let channel = beside(&key, b":channel");
        RedissonLock { host: host.clone(), server, key, channel, owner, config, kept: Arc::default() }
    }

    /// The TTL that is sent, in milliseconds, where this one is meant.
    fn sent_ms(&self, ttl: Duration) -> Blob {
        let remembered = if self.config.lease_of == LeaseOf::Object { *lock(&self.kept.ttl) } else { None };
        millis(remembered.unwrap_or(ttl))
    }

    fn ttl_ms(&self) -> Blob {
        self.sent_ms(self.config.ttl)
    }

    fn first_ttl(&self) -> Duration {
        self.config.first_ttl.unwrap_or(self.config.ttl)
    }

    /// For how long a hold may be believed in after it was renewed.
    fn good_for(&self) -> Duration {
        self.config.ttl.saturating_sub(self.config.drift)
    }

    /// The keys that the scripts name.
    fn keys(&self, hold: &Blob) -> [Blob; 3] {
        let latch = beside(&self.key, &[b":latch:", hold.as_bytes()].concat());
        [self.key.clone(), latch, self.channel.clone()]
    }

    async fn acquire_once(&self, hold: &Blob) -> Outcome<Answer> {
        let arguments = [self.owner.clone(), self.sent_ms(self.first_ttl()), hold.clone()];
        let acquire = ACQUIRE.command(&self.keys(hold)[..2], &arguments);
        let (reply, replicated) = redis::write(&self.server, self.config.replicas.as_ref(), acquire).await;
        reply.map(|value| match value.as_int() {
            None => Answer::Granted(replicated),
            // In whole milliseconds, and the key is gone only when the last of them is over.
            Some(left_ms) => Answer::Held(Duration::from_millis(u64::try_from(left_ms).unwrap_or_default() + 1)),
        })
    }

    /// One attempt. What it may have taken is given back unless it is kept.
    async fn take(&self) -> Result<Lease, Refused> {
        let asked_at = self.host.monotonic();
        let told = self.config.after_loss == AfterLoss::TellHolder;
        let valid_until = told.then(|| asked_at + self.first_ttl().saturating_sub(self.config.drift));
        let hold = self.host.unique_id();
        let token = self.owner.clone();
        let lease = Lease { token, fence: None, valid_until, session: None, hold: Some(hold.clone()) };
        let mut undo = Undo::new(self, lease.clone());
        let mut answer = self.acquire_once(&hold).await;
        if self.config.after_lost_reply == AfterLostReply::SendAgain {
            for _ in 0..RESENDS_MAX {
                if let Outcome::Indeterminate(_) = answer {
                    answer = self.acquire_once(&hold).await;
                }
            }
        }
        match answer {
            Outcome::Ok(Answer::Granted(replicated)) => {
                let expired = valid_until.is_some_and(|until| self.host.monotonic() >= until);
                if let Err(why) = replicated.and(if expired { Err(NotAcquired::Expired) } else { Ok(()) }) {
                    drop(undo.give_back().await);
                    return Err(why.into());
                }
                undo.disarm();
                Ok(lease)
            }
            Outcome::Ok(Answer::Held(left)) => {
                undo.disarm();
                Err(Refused { why: NotAcquired::Held, left })
            }
            Outcome::Fail(_) => {
                undo.disarm();
                Err(NotAcquired::Unavailable.into())
            }
            Outcome::Indeterminate(_) => {
                drop(undo.give_back().await);
                Err(NotAcquired::Unavailable.into())
            }
        }
    }

    /// One attempt in a round of its own. The hold that it takes is watched.
    async fn try_once(&self) -> Result<Lease, Refused> {
        if self.config.on_interrupt == OnInterrupt::GoOn {
            return self.take_in_background().await;
        }
        let lease = self.host.round(self.take()).await?;
        self.watch(&lease);
        Ok(lease)
    }

    /// One attempt, which goes on if nothing waits for it any more.
    async fn take_in_background(&self) -> Result<Lease, Refused> {
        let (ended, result) = (Arc::new(Hold::new()), Arc::new(Mutex::new(None)));
        let (attempt, end, told) = (self.clone(), Arc::clone(&ended), Arc::clone(&result));
        self.host.spawn(async move {
            let taken = attempt.take().await;
            if let Ok(lease) = &taken {
                attempt.watch(lease);
            }
            *lock(&told) = Some(taken);
            end.release();
        });
        ended.ended().await;
        lock(&result).take().expect("an attempt that has ended has a result")
    }

    /// Starts the watchdog of a hold.
    fn watch(&self, lease: &Lease) {
        let now = self.host.monotonic();
        let left = lease.valid_until.map_or(self.good_for(), |until| until.left_at(now));
        let asked_at = now - self.good_for().saturating_sub(left);
        let life = Arc::new(Lifetime::new(asked_at, self.good_for()));
        self.kept.put(hold_of(lease), &life);
        if self.config.keep_alive == KeepAlive::Nothing {
            return;
        }
        let watchdog = self.clone();
        self.host.spawn_background(async move { watchdog.keep_alive(&life).await });
    }

    async fn keep_alive(&self, life: &Lifetime) {
        let renew = || async {
            let asked_at = self.host.monotonic();
            let renewal = self.renew().await;
            let until = asked_at + self.good_for();
            // An answer that comes too late renews nothing.
            let renewed = renewal == Renewal::Renewed && life.hold().is_held() && self.host.monotonic() < until;
            if renewed && self.config.after_loss == AfterLoss::TellHolder {
                let (lock, token) = (self.key.clone(), self.owner.clone());
                self.host.record(Event::Extended { lock, token, valid_until: Some(until) });
            }
            renewal
        };
        life.keep(&self.host, self.config.request_timeout, renew).await;
    }

    async fn renew(&self) -> Renewal {
        let script = match self.config.renew {
            Renew::IfOurs => &RENEW,
            Renew::Anyway => &RENEW_ANY,
            Renew::Rewrite => &REWRITE,
        };
        let renew = script.command(std::slice::from_ref(&self.key), &[self.owner.clone(), self.ttl_ms()]);
        let replicas = self.config.replicas.as_ref().filter(|_| self.config.renewed_on == RenewedOn::Replicas);
        let (reply, replicated) = redis::write(&self.server, replicas, renew).await;
        match reply {
            Outcome::Ok(value) if value.as_int() == Some(1) => match replicated {
                Ok(()) => Renewal::Renewed,
                Err(_) => Renewal::Unanswered,
            },
            Outcome::Ok(_) => Renewal::Gone,
            Outcome::Fail(_) | Outcome::Indeterminate(_) => match self.config.after_failed_renewal {
                AfterFailedRenewal::TryAgain => Renewal::Unanswered,
                AfterFailedRenewal::GiveUp => Renewal::Gone,
            },
        }
    }

    /// Waits until the lock may be free: for a message, at the longest until the holder's TTL is over or `left` has
    /// passed.
    async fn await_message(&self, heard: &mut Option<<P::Redis as Redis>::Subscription>, longest: Duration) {
        let Some(subscription) = heard else { return self.host.sleep(longest.min(self.retry_delay())).await };
        let began = self.host.monotonic();
        if let Some(None) = self.host.timeout(longest, subscription.next()).await {
            *heard = None;
            if self.config.waiting == Waiting::MissBroken {
                self.host.sleep((began + longest).left_at(self.host.monotonic())).await;
            }
        }
    }

    /// Waits for the end of a hold: its watchdog tells, and where it has none, its TTL.
    async fn end_of(&self, life: &Lifetime) {
        if self.config.keep_alive == KeepAlive::Watchdog {
            let _phase = life.ended().await;
            return;
        }
        loop {
            let left = life.until().left_at(self.host.monotonic());
            if left.is_zero() || self.host.timeout(left, life.ended()).await.is_some() {
                return;
            }
        }
    }

    fn end_watchdog(&self, lease: &Lease) {
        if let Some(life) = self.kept.take(hold_of(lease)) {
            life.hold().release();
        }
    }

    /// Gives a hold back, and sends that again if the reply is lost.
    async fn release(&self, lease: &Lease) -> Outcome<bool> {
        let script = match self.config.resend {
            Resend::Once => &RELEASE,
            Resend::EachTime => &RELEASE_EACH_TIME,
        };
        let hold = hold_of(lease);
        let arguments = [self.owner.clone(), self.ttl_ms(), hold.clone()];
        let mut outcome = self.release_once(script, &self.keys(hold), &arguments).await;
        for _ in 0..RESENDS_MAX {
            match outcome {
                Outcome::Indeterminate(_) => outcome = self.release_once(script, &self.keys(hold), &arguments).await,
                known => return known,
            }
        }
        outcome
    }

    async fn release_once(&self, script: &Script, keys: &[Blob], arguments: &[Blob]) -> Outcome<bool> {
        let reply = self.server.eval(script, keys, arguments).await;
        reply.map(|value| value.as_int().is_some_and(|left| left >= 0))
    }
}

/// Why an attempt was refused, and for how long the lock is another's at the most.
#[derive(Hash)]
struct Refused {
    why: NotAcquired,
    left: Duration,
}

impl From<NotAcquired> for Refused {
    fn from(why: NotAcquired) -> Self {
        Refused { why, left: Duration::ZERO }
    }
}

impl<P: Ports> Lock for RedissonLock<P> {
    type Host = P;

    fn host(&self) -> &P {
        &self.host
    }

    fn name(&self) -> &Blob {
        &self.key
    }

    async fn attempt(&self) -> Result<Lease, NotAcquired> {
        let lease = self.take().await.map_err(|refused| refused.why)?;
        self.watch(&lease);
        Ok(lease)
    }

    async fn attempt_within(&self, wait: Duration) -> Result<Lease, NotAcquired> {
        let deadline = self.host.monotonic() + wait;
        let mut heard = None;
        loop {
            let mut refused = match self.try_once().await {
                Ok(lease) => return Ok(lease),
                Err(refused) => refused,
            };
            let left = deadline.left_at(self.host.monotonic());
            if heard.is_none() && !left.is_zero() {
                let listening = self.host.timeout(left, self.server.subscribe(self.channel.clone())).await;
                heard = listening.and_then(Outcome::ok);
                if heard.is_some() && self.config.waiting != Waiting::LookThenListen {
                    refused = match self.try_once().await {
                        Ok(lease) => return Ok(lease),
                        Err(refused) => refused,
                    };
                }
            }
            let left = deadline.left_at(self.host.monotonic());
            if left.is_zero() {
                return Err(refused.why);
            }
            let longest = if refused.why == NotAcquired::Held { refused.left } else { self.retry_delay() };
            self.await_message(&mut heard, longest.min(left)).await;
        }
    }

    async fn unlock(&self, lease: Lease) -> Outcome<bool> {
        let before = self.config.end_watchdog == EndWatchdog::BeforeRelease;
        if before {
            self.end_watchdog(&lease);
        }
        let outcome = self.release(&lease).await;
        if !before {
            self.end_watchdog(&lease);
        }
        outcome
    }

    async fn prolong(&self, lease: &Lease) -> Result<Lease, NotAcquired> {
        let asked_at = self.host.monotonic();
        match self.renew().await {
            Renewal::Renewed => {
                if let Some(life) = self.kept.get(hold_of(lease)) {
                    life.renewed(asked_at);
                }
                let valid_until = lease.valid_until.map(|_| asked_at + self.good_for());
                Ok(Lease { valid_until, ..lease.clone() })
            }
            Renewal::Gone => Err(NotAcquired::Lost),
            Renewal::Unanswered => Err(NotAcquired::Unavailable),
        }
    }

    fn retry_delay(&self) -> Duration {
        self.config.ttl / 3
    }

    fn leased(&self, ttl: Duration) -> Option<Self> {
        if self.config.lease_of == LeaseOf::Object {
            *lock(&self.kept.ttl) = Some(ttl);
        }
        let keep_alive = KeepAlive::Nothing;
        let config = Config { ttl, first_ttl: None, drift: drift_of(ttl), keep_alive, ..self.config.clone() };
        Some(RedissonLock { config, ..self.clone() })
    }

    fn holds(&self, lease: &Lease) -> bool {
        match self.config.after_loss {
            AfterLoss::Silent => true,
            AfterLoss::TellHolder => self
                .kept
                .get(hold_of(lease))
                .is_some_and(|life| life.hold().is_held() && self.host.monotonic() < life.until()),
        }
    }

    async fn lost(&self, lease: &Lease) {
        match self.kept.get(hold_of(lease)) {
            Some(life) if self.config.after_loss == AfterLoss::TellHolder => self.end_of(&life).await,
            Some(_) => std::future::pending().await,
            None => {}
        }
    }
}
