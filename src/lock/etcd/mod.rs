//! The etcd mutex (etcd's `clientv3/concurrency`).
//!
//! **Algorithm** ([`mutex.go`](https://github.com/etcd-io/etcd/blob/v3.4.23/clientv3/concurrency/mutex.go)): each contender has a lease
//! that it keeps alive. One transaction creates the key `prefix/lease` with that lease if it is not there. Whoever's key
//! has the smallest creation revision holds the lock; the others wait until every key that was created before theirs
//! is gone, and then look whether their own is still there, as its lease may have ended meanwhile. Release deletes the key.
//!
//! **Claims** that at most one client holds the lock, in the order in which they asked, and that a crashed holder's
//! place comes free when its lease has ended.
//!
//! **Assumes** that a holder stops when the lease's time is over by its own clock, counted from before it last asked for it.
//!
//! **Broken by** a pause longer than the lease (scenario `etcd-pause-past-lease`): guard every write with the creation revision
//! ([`Lease::fence`]), in etcd itself within one transaction ([`counter`]).
//!
//! Two things `clientv3` does not do. The key's value names the attempt: without it, a client whose release got no answer
//! could take the key that is about to be deleted for its next hold. And the holder stops a little before the lease's time is over,
//! for the drift of its clock against the server's.

mod client;
pub mod counter;

use super::{Lease, Lock, NotAcquired, Undo};
use crate::port::etcd::{
    Answer, Answered, Compare, Event, Keys, LeaseId, Op, Range, Request, Revision, SortBy, Txn, Watch,
};
use crate::port::{Blob, Instant, Outcome, Ports};
pub use client::{Client, ClientConfig, Session};
use std::time::Duration;

/// Which of the older keys a waiter waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitFor {
    /// The youngest of them, and then for the next that is left.
    EveryOlder,
    /// The oldest alone, the holder's.
    Holder,
}

/// What a waiter does when there is nobody left to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterWait {
    /// Looks whether its own key is still there.
    LookAtOwnKey,
    /// Takes the lock for its own.
    Assume,
}

/// When a holder stops to believe in its hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Believe {
    /// When its lease may have ended by its own clock.
    UntilDeadline,
    /// Never: it asks nobody.
    Always,
}

/// The options of the lock; the default is `clientv3`'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// How leases are kept.
    pub client: ClientConfig,
    /// Which of the older keys a waiter waits for.
    pub wait_for: WaitFor,
    /// What a waiter does when there is nobody left to wait for.
    pub after_wait: AfterWait,
    /// Whether reads ask the leader; a server that is behind would answer with what was.
    pub linearizable: bool,
    /// When a holder stops to believe in its hold.
    pub believe: Believe,
}

impl Config {
    /// The mutex with leases of this time, in whole seconds.
    pub fn new(ttl: Duration) -> Self {
        Config {
            client: ClientConfig { ttl, request_timeout: ttl / 2, drift: ttl / 100 + Duration::from_millis(2) },
            wait_for: WaitFor::EveryOlder,
            after_wait: AfterWait::LookAtOwnKey,
            linearizable: true,
            believe: Believe::UntilDeadline,
        }
    }
}

/// How often an attempt begins anew with another lease.
const ATTEMPTS_MAX: usize = 4;

/// A mutex on an etcd cluster.
#[derive(Clone)]
pub struct EtcdLock<P: Ports> {
    client: Client<P>,
    prefix: Blob,
    config: Config,
}

/// A key of ours.
struct Own {
    session: Session,
    key: Blob,
    attempt: Blob,
    created: Revision,
}

/// The key of a hold with this lease, below the prefix.
pub fn key_of_lease(prefix: &Blob, lease: LeaseId) -> Blob {
    Blob::from(format!("{prefix}{lease:x}"))
}

impl<P: Ports> EtcdLock<P> {
    /// The mutex whose keys have this prefix, such as `lock/`, over this client.
    pub fn new(client: &Client<P>, prefix: impl Into<Blob>, config: Config) -> Self {
        EtcdLock { client: client.clone(), prefix: prefix.into(), config }
    }

    fn lease(&self, own: &Own) -> Lease {
        Lease {
            token: own.attempt.clone(),
            fence: u64::try_from(own.created).ok(),
            valid_until: None,
            session: Some(own.session.lease()),
            hold: None,
        }
    }

    /// Tries with this session until the deadline; without one, once.
    async fn take(&self, session: Session, deadline: Option<Instant>) -> Result<Lease, NotAcquired> {
        let own = self.enroll(&session).await?;
        let lease = self.lease(&own);
        let mut undo = Undo::new(self, lease.clone());
        match self.wait_for_turn(&own, deadline).await {
            Ok(()) => {
                undo.disarm();
                Ok(lease)
            }
            Err(why) => {
                drop(undo.give_back().await);
                Err(why)
            }
        }
    }

    /// Creates our key. An attempt that is dropped half-way, or gets no answer, costs the session: nobody knows what
    /// becomes of its key.
    async fn enroll(&self, session: &Session) -> Result<Own, NotAcquired> {
        let key = key_of_lease(&self.prefix, session.lease());
        let attempt = self.host().unique_id();
        let mut half_way = HalfWay { client: &self.client, session, armed: true };
        let answer = self.client.ask_until_answered(Request::Txn(enrolment(&key, &attempt, session))).await;
        let Outcome::Ok(Answered { revision, answer: Answer::Txn { succeeded, answers } }) = answer else {
            return Err(if session.is_alive() { NotAcquired::Unavailable } else { NotAcquired::Lost });
        };
        let created = match &answers[..] {
            _ if succeeded => revision,
            // It is there: our own earlier request, whose answer was lost; or a hold of ours that is still to be released.
            [Answer::Range { kvs, .. }] if kvs.iter().all(|kv| kv.value == attempt) => kvs[0].created,
            _ => return Err(NotAcquired::Lost),
        };
        half_way.armed = false;
        Ok(Own { session: session.clone(), key, attempt, created })
    }

    /// Ends when it is our turn.
    async fn wait_for_turn(&self, own: &Own, deadline: Option<Instant>) -> Result<(), NotAcquired> {
        let mut waited = false;
        loop {
            if !own.session.is_alive() && self.config.after_wait == AfterWait::LookAtOwnKey {
                return Err(NotAcquired::Lost);
            }
            let older = match self.client.range(self.older_than(own)).await {
                Outcome::Ok((kvs, _)) if kvs.is_empty() => break,
                Outcome::Ok((kvs, revision)) => (kvs[0].key.clone(), revision),
                Outcome::Fail(_) => return Err(NotAcquired::Unavailable),
                Outcome::Indeterminate(_) => continue,
            };
            let Some(deadline) = deadline else { return Err(NotAcquired::Held) };
            waited = true;
            let deleted = self.wait_until_deleted(older, deadline).await?;
            if deleted && self.config.wait_for == WaitFor::Holder {
                break;
            }
        }
        let looks = waited && self.config.after_wait == AfterWait::LookAtOwnKey;
        if looks { self.look_at_own_key(own).await } else { Ok(()) }
    }

    /// Asks for the one key to wait for.
    fn older_than(&self, own: &Own) -> Range {
        let youngest_first = self.config.wait_for == WaitFor::EveryOlder;
        Range {
            created_max: own.created - 1,
            sort: Some((SortBy::Created, youngest_first)),
            limit: 1,
            serializable: !self.config.linearizable,
            ..Range::of(Keys::prefix(&self.prefix))
        }
    }

    /// True once the key is deleted; false if the watch has broken, or to look again after some time: a silent connection tells nobody.
    async fn wait_until_deleted(
        &self,
        (key, revision): (Blob, Revision),
        deadline: Instant,
    ) -> Result<bool, NotAcquired> {
        let host = self.client.ports();
        let Some(mut watch) = self.client.watch(&key, revision + 1).await else { return Ok(false) };
        let left = deadline.left_at(host.monotonic());
        let deleted = async {
            while let Some(events) = watch.next().await {
                if events.iter().any(|event| matches!(event, Event::Deleted { .. })) {
                    return true;
                }
            }
            false
        };
        match host.timeout(left.min(self.config.client.ttl), deleted).await {
            Some(deleted) => Ok(deleted),
            None if deadline > host.monotonic() => Ok(false),
            None => Err(NotAcquired::Held),
        }
    }

    async fn look_at_own_key(&self, own: &Own) -> Result<(), NotAcquired> {
        loop {
            let range = Range { serializable: !self.config.linearizable, ..Range::of(Keys::one(&own.key)) };
            match self.client.range(range).await {
                Outcome::Ok((kvs, _)) if kvs.iter().any(|kv| kv.created == own.created) => return Ok(()),
                Outcome::Ok(_) => return Err(NotAcquired::Lost),
                Outcome::Fail(_) => return Err(NotAcquired::Unavailable),
                Outcome::Indeterminate(_) if own.session.is_alive() => {}
                Outcome::Indeterminate(_) => return Err(NotAcquired::Lost),
            }
        }
    }
}

/// Creates a key if it is not there; otherwise tells what it is.
fn enrolment(key: &Blob, attempt: &Blob, session: &Session) -> Txn {
    let put = Op::Put { key: key.clone(), value: attempt.clone(), lease: session.lease(), prev: false };
    let look = Op::Range(Range::of(Keys::one(key)));
    Txn { when: vec![Compare::created(key, 0)], then: vec![put], otherwise: vec![look] }
}

/// Gives up the session of an attempt that has not come to know its key.
struct HalfWay<'a, P: Ports> {
    client: &'a Client<P>,
    session: &'a Session,
    armed: bool,
}

impl<P: Ports> Drop for HalfWay<'_, P> {
    fn drop(&mut self) {
        if self.armed {
            self.client.abandon(self.session);
        }
    }
}

impl<P: Ports> Lock for EtcdLock<P> {
    type Host = P;

    fn host(&self) -> &P {
        self.client.ports()
    }

    fn name(&self) -> &Blob {
        &self.prefix
    }

    fn holds(&self, lease: &Lease) -> bool {
        if self.config.believe == Believe::Always {
            return true;
        }
        let session = lease.session.and_then(|id| self.client.session_of(id));
        session.is_some_and(|session| self.host().monotonic() < session.until())
    }

    async fn lost(&self, lease: &Lease) {
        if self.config.believe == Believe::Always {
            return std::future::pending().await;
        }
        if let Some(session) = lease.session.and_then(|id| self.client.session_of(id)) {
            session.ended().await;
        }
    }

    async fn attempt(&self) -> Result<Lease, NotAcquired> {
        let session = self.client.session().await?;
        self.take(session, None).await
    }

    async fn attempt_within(&self, wait: Duration) -> Result<Lease, NotAcquired> {
        let deadline = self.host().monotonic() + wait;
        for _ in 0..ATTEMPTS_MAX {
            // The session outlives the round that it is first needed in.
            let session = self.client.session().await?;
            match self.host().round(self.take(session, Some(deadline))).await {
                // The lease has ended while we waited, or is given up: another place at the end of the queue.
                Err(NotAcquired::Lost) if self.host().monotonic() < deadline => {}
                ended => return ended,
            }
        }
        Err(NotAcquired::Lost)
    }

    /// Deletes the key of this very hold. Without an answer the session is given up, and the key goes with its lease.
    async fn unlock(&self, lease: Lease) -> Outcome<bool> {
        let Some(owner) = lease.session else { return Outcome::Ok(false) };
        let key = key_of_lease(&self.prefix, owner);
        let created = lease.fence.and_then(|fence| i64::try_from(fence).ok()).unwrap_or_default();
        let delete = Op::Delete { keys: Keys::one(&key), prev: false };
        let txn = Txn { when: vec![Compare::created(&key, created)], then: vec![delete], otherwise: Vec::new() };
        let outcome = self.client.ask_until_done(Request::Txn(txn)).await;
        if !matches!(outcome, Outcome::Ok(_))
            && let Some(session) = self.client.session_of(owner)
        {
            self.client.abandon(&session);
        }
        outcome.map(|Answered { answer, .. }| matches!(answer, Answer::Txn { succeeded: true, .. }))
    }

    /// The client keeps the lease alive by itself: there is only to look whether it does.
    async fn prolong(&self, lease: &Lease) -> Result<Lease, NotAcquired> {
        if self.holds(lease) { Ok(lease.clone()) } else { Err(NotAcquired::Lost) }
    }

    fn retry_delay(&self) -> Duration {
        self.config.client.ttl / 10
    }
}
