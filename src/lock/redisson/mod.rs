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
//! The fenced lock counts its holds beside that; the fair lock has a queue ([`Queue`]); readers, writers and permits
//! have a set of holds ([`Kind`]).
//!
//! Two things Redisson does not do. The holder is told when its hold is lost: when a renewal finds that the lock is
//! gone, or when none was answered for so long that it may be. And each hold is a field of its own beside the owner's:
//! an attempt whose answer was lost is given back by name, and takes nothing if it arrives after that.

mod config;
mod queue;
mod scripts;
mod shared;

use super::hold::Hold;
use super::lifetime::{Lifetime, Renewal};
use super::redis::{self, drift_of};
use super::sync::{Mutex, lock};
use super::{Lease, Lock, NotAcquired, Undo};
use crate::base::{Event, Mode};
use crate::port::{Blob, Command, Outcome, Ports, Redis, Subscription, Value};
pub use config::{
    AfterFailedRenewal, AfterLoss, AfterLostReply, Config, EndWatchdog, KeepAlive, Kind, LeaseOf, OnInterrupt, Renew,
    RenewedOn, Resend, Waiting,
};
use doublehold_models::slots::beside;
use queue::Place;
pub use queue::{Queue, Turns};
use scripts::{ACQUIRE, ACQUIRE_FENCED, RELEASE, RELEASE_EACH_TIME, RELEASE_TO_HEAD, RENEW, RENEW_ANY, REWRITE};
use shared::{ACQUIRE_ALONE, RELEASE_ANY_SHARE, RELEASE_SHARE, RENEW_SHARE};
pub use shared::{Permits, PermitsEnd};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

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
    /// It is ours.
    Granted {
        /// The fencing token, if the lock gives one.
        fence: Option<u64>,
        /// Whether enough replicas have it.
        replicated: Result<(), NotAcquired>,
    },
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

    /// The key with this behind the lock's.
    fn beside(&self, suffix: &[u8], name: &Blob) -> Blob {
        beside(&self.key, &[suffix, name].concat())
    }

    /// The keys that the scripts name: the lock, the hold's latch, whom a release tells.
    fn keys(&self, hold: &Blob) -> [Blob; 3] {
        let waiters = if self.config.kind.queue().is_some() {
            self.beside(queue::QUEUE, &Blob::EMPTY)
        } else {
            self.channel.clone()
        };
        [self.key.clone(), self.beside(b":latch:", hold), waiters]
    }

    /// The keys of what is shared: the set of holds, and this one.
    fn shared_keys(&self, hold: &Blob) -> [Blob; 2] {
        [self.beside(shared::HOLDS, &Blob::EMPTY), self.beside(shared::HOLD, hold)]
    }

    /// The request of an attempt.
    fn acquisition(&self, hold: &Blob, place: Option<&Blob>) -> Command {
        let arguments = [self.owner.clone(), self.sent_ms(self.first_ttl()), hold.clone()];
        let keys = self.keys(hold);
        match self.config.kind {
            Kind::Mutex => ACQUIRE.command(&keys[..2], &arguments),
            Kind::Fenced => {
                let [key, latch, _] = keys;
                ACQUIRE_FENCED.command(&[key, latch, self.beside(b":fence", &Blob::EMPTY)], &arguments)
            }
            Kind::Fair(queue) => {
                let arguments = [&arguments[..], &queue.arguments(&self.host, place)].concat();
                queue.acquire().command(&keys, &arguments)
            }
            Kind::Writer => ACQUIRE_ALONE.command(&[&keys[..], &self.shared_keys(hold)].concat(), &arguments),
            Kind::Reader | Kind::Semaphore(_) => {
                let permits =
                    if let Kind::Semaphore(permits) = self.config.kind { permits } else { Permits::for_readers() };
                let arguments = [&arguments[..], &permits.arguments(&self.host, self.first_ttl())].concat();
                permits.share().command(&[&keys[..], &self.shared_keys(hold)].concat(), &arguments)
            }
        }
    }

    /// The request of a renewal.
    fn renewal(&self, hold: &Blob) -> Command {
        if self.config.kind.is_shared() {
            return RENEW_SHARE.command(&self.shared_keys(hold), &[self.ttl_ms()]);
        }
        let script = match self.config.renew {
            Renew::IfOurs => &RENEW,
            Renew::Anyway => &RENEW_ANY,
            Renew::Rewrite => &REWRITE,
        };
        script.command(std::slice::from_ref(&self.key), &[self.owner.clone(), self.ttl_ms()])
    }

    /// The request that gives a hold back.
    fn giving_back(&self, hold: &Blob) -> Command {
        let arguments = [self.owner.clone(), self.ttl_ms(), hold.clone()];
        let keys = self.keys(hold);
        if self.config.kind.is_shared() {
            let script = if self.config.resend == Resend::Once { &RELEASE_SHARE } else { &RELEASE_ANY_SHARE };
            return script.command(&[&keys[..], &self.shared_keys(hold)].concat(), &arguments);
        }
        let script = match (self.config.resend, self.config.kind) {
            (Resend::EachTime, _) => &RELEASE_EACH_TIME,
            (Resend::Once, Kind::Fair(_)) => &RELEASE_TO_HEAD,
            (Resend::Once, _) => &RELEASE,
        };
        script.command(&keys, &arguments)
    }

    async fn acquire_once(&self, hold: &Blob, place: Option<&Blob>) -> Outcome<Answer> {
        let acquire = self.acquisition(hold, place);
        let (reply, replicated) = redis::write(&self.server, self.config.replicas.as_ref(), acquire).await;
        reply.map(|value| match value.as_int() {
            // In whole milliseconds, and the key is gone only when the last of them is over.
            Some(left_ms) => Answer::Held(Duration::from_millis(u64::try_from(left_ms).unwrap_or_default() + 1)),
            None => {
                let fence = if let Value::Array(parts) = &value { parts.first().and_then(Value::as_int) } else { None };
                Answer::Granted { fence: fence.and_then(|fence| u64::try_from(fence).ok()), replicated }
            }
        })
    }

    /// One attempt, for a place in the queue if there is one. What it may have taken is given back unless it is kept.
    async fn take(&self, place: Option<&Blob>) -> Result<Lease, Refused> {
        let asked_at = self.host.monotonic();
        let told = self.config.after_loss == AfterLoss::TellHolder;
        let valid_until = told.then(|| asked_at + self.first_ttl().saturating_sub(self.config.drift));
        let hold = self.host.unique_id();
        let token = self.owner.clone();
        let lease = Lease { token, fence: None, valid_until, session: None, hold: Some(hold.clone()) };
        let mut undo = Undo::new(self, lease.clone());
        let mut answer = self.acquire_once(&hold, place).await;
        if self.config.after_lost_reply == AfterLostReply::SendAgain {
            for _ in 0..RESENDS_MAX {
                if let Outcome::Indeterminate(_) = answer {
                    answer = self.acquire_once(&hold, place).await;
                }
            }
        }
        match answer {
            Outcome::Ok(Answer::Granted { fence, replicated }) => {
                let expired = valid_until.is_some_and(|until| self.host.monotonic() >= until);
                if let Err(why) = replicated.and(if expired { Err(NotAcquired::Expired) } else { Ok(()) }) {
                    queue::lose_turn(&self.host, &self.key, place);
                    drop(undo.give_back().await);
                    return Err(why.into());
                }
                undo.disarm();
                Ok(Lease { fence, ..lease })
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
                queue::lose_turn(&self.host, &self.key, place);
                drop(undo.give_back().await);
                Err(NotAcquired::Unavailable.into())
            }
        }
    }

    /// One attempt in a round of its own. The hold that it takes is watched.
    async fn try_once(&self, place: Option<&Blob>) -> Result<Lease, Refused> {
        if self.config.on_interrupt == OnInterrupt::GoOn {
            return self.take_in_background(place.cloned()).await;
        }
        let lease = self.host.round(self.take(place)).await?;
        self.watch(&lease);
        Ok(lease)
    }

    /// A place for one client that waits, if this lock has a queue.
    fn place(&self) -> Option<Place<P>> {
        let queue = self.config.kind.queue()?;
        let key = self.beside(b":place:", &self.host.unique_id());
        // If the attempt was granted and its answer is lost, the turn is over when the lock's TTL is.
        let good_for = queue.place_ttl.min(self.first_ttl());
        let keys = [self.key.clone(), self.beside(queue::QUEUE, &Blob::EMPTY), key];
        Some(Place::new(&self.host, self.server.clone(), keys, good_for.saturating_sub(drift_of(good_for))))
    }

    /// One attempt of a waiter, which keeps its place in the queue if it is refused.
    async fn look(&self, place: &mut Option<Place<P>>) -> Result<Lease, Refused> {
        let Some(place) = place else { return self.try_once(None).await };
        let asked_at = self.host.monotonic();
        let tried = self.try_once(Some(place.enter())).await;
        match &tried {
            Ok(_) => place.used(),
            Err(refused) if refused.why == NotAcquired::Held => place.kept(asked_at),
            Err(_) => {}
        }
        tried
    }

    /// One attempt, which goes on if nothing waits for it any more.
    async fn take_in_background(&self, place: Option<Blob>) -> Result<Lease, Refused> {
        let (ended, result) = (Arc::new(Hold::new()), Arc::new(Mutex::new(None)));
        let (attempt, end, told) = (self.clone(), Arc::clone(&ended), Arc::clone(&result));
        self.host.spawn(async move {
            let taken = attempt.take(place.as_ref()).await;
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
        let until = lease.valid_until.unwrap_or_else(|| self.host.monotonic() + self.good_for());
        let life = Arc::new(Lifetime::new(until, self.good_for()));
        self.kept.put(hold_of(lease), &life);
        if self.config.keep_alive == KeepAlive::Nothing {
            return;
        }
        let (watchdog, hold) = (self.clone(), hold_of(lease).clone());
        self.host.spawn_background(async move { watchdog.keep_alive(&life, &hold).await });
    }

    async fn keep_alive(&self, life: &Lifetime, hold: &Blob) {
        let renew = || async {
            let renewal = self.renew(hold).await;
            if let Renewal::Renewed(until) = renewal {
                // An answer that comes too late renews nothing.
                let renewed = life.hold().is_held() && self.host.monotonic() < until;
                if renewed && self.config.after_loss == AfterLoss::TellHolder {
                    let (lock, token) = (self.key.clone(), self.owner.clone());
                    self.host.record(Event::Extended { lock, token, valid_until: Some(until) });
                }
            }
            renewal
        };
        life.keep(&self.host, self.config.request_timeout, renew).await;
    }

    async fn renew(&self, hold: &Blob) -> Renewal {
        let asked_at = self.host.monotonic();
        let replicas = self.config.replicas.as_ref().filter(|_| self.config.renewed_on == RenewedOn::Replicas);
        let (reply, replicated) = redis::write(&self.server, replicas, self.renewal(hold)).await;
        match reply {
            Outcome::Ok(value) if value.as_int() == Some(1) => match replicated {
                Ok(()) => Renewal::Renewed(asked_at + self.good_for()),
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
        let release = self.giving_back(hold_of(lease));
        let mut outcome = self.release_once(release.clone()).await;
        for _ in 0..RESENDS_MAX {
            match outcome {
                Outcome::Indeterminate(_) => outcome = self.release_once(release.clone()).await,
                known => return known,
            }
        }
        outcome
    }

    async fn release_once(&self, release: Command) -> Outcome<bool> {
        let reply = self.server.call(release).await;
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

    fn mode(&self) -> Mode {
        self.config.kind.mode()
    }

    async fn attempt(&self) -> Result<Lease, NotAcquired> {
        let lease = self.take(None).await.map_err(|refused| refused.why)?;
        self.watch(&lease);
        Ok(lease)
    }

    async fn attempt_within(&self, wait: Duration) -> Result<Lease, NotAcquired> {
        let deadline = self.host.monotonic() + wait;
        let mut place = self.place();
        let channel = place.as_ref().map_or(&self.channel, Place::key).clone();
        let look_after = self.config.kind.queue().map_or(Duration::MAX, |queue| queue.look_after());
        let mut heard = None;
        loop {
            let mut refused = match self.look(&mut place).await {
                Ok(lease) => return Ok(lease),
                Err(refused) => refused,
            };
            let left = deadline.left_at(self.host.monotonic());
            if heard.is_none() && !left.is_zero() {
                let listening = self.host.timeout(left, self.server.subscribe(channel.clone())).await;
                heard = listening.and_then(Outcome::ok);
                if heard.is_some() && self.config.waiting != Waiting::LookThenListen {
                    refused = match self.look(&mut place).await {
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
            self.await_message(&mut heard, longest.min(look_after).min(left)).await;
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
        match self.renew(hold_of(lease)).await {
            Renewal::Renewed(until) => {
                if let Some(life) = self.kept.get(hold_of(lease)) {
                    life.renewed(until);
                }
                let valid_until = lease.valid_until.map(|_| until);
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
