//! What a lock on etcd needs of its client: a lease that is kept alive, and replaced when it has ended (the session of
//! `clientv3/concurrency`).

use crate::lock::NotAcquired;
use crate::lock::hold::Phase;
use crate::lock::lifetime::{Lifetime, Renewal};
use crate::port::etcd::{Answered, Error, Etcd, Keys, Kv, LeaseId, Range, Request, Revision};
use crate::port::{Blob, Instant, Outcome, Ports, Refusal, Unknown};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How patient a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// How long leases last that are not kept alive, in whole seconds; the server may make it longer.
    pub ttl: Duration,
    /// How long to wait for an answer.
    pub request_timeout: Duration,
    /// What is taken off a lease's time for clock drift between client and server.
    pub drift: Duration,
}

/// How many times in the life of a lease a request is sent again that the servers could not do.
const RESTS_PER_LEASE: u32 = 30;
/// How often a request without an answer is sent again.
const RETRIES_MAX: usize = 4;

/// A lease that is kept alive. Its clones are one.
#[derive(Clone, Debug)]
pub struct Session {
    lease: LeaseId,
    life: Arc<Lifetime>,
}

impl Session {
    /// The lease's number.
    pub fn lease(&self) -> LeaseId {
        self.lease
    }

    /// True until the client was told that the lease has ended, or has not heard for the lease's time.
    pub fn is_alive(&self) -> bool {
        self.life.hold().is_held()
    }

    /// Until when the lease certainly lasts, by the client's own monotonic clock.
    pub fn until(&self) -> Instant {
        self.life.until()
    }

    /// Ends when the lease has, as far as the client knows.
    pub async fn ended(&self) -> Phase {
        self.life.ended().await
    }
}

/// A client. Its clones share the session, which is no longer kept alive when the last of them is gone.
#[derive(Clone)]
pub struct Client<P: Ports> {
    ports: P,
    cluster: P::Etcd,
    config: ClientConfig,
    current: Arc<Current>,
}

#[derive(Default)]
struct Current(Mutex<Option<Session>>);

impl Current {
    fn get(&self) -> Option<Session> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone().filter(Session::is_alive)
    }

    fn set(&self, session: Option<Session>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = session;
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        if let Some(session) = self.get() {
            session.life.hold().release();
        }
    }
}

impl<P: Ports> Client<P> {
    /// A client of this cluster. It asks for nothing until it is first used.
    pub fn new(ports: &P, cluster: P::Etcd, config: ClientConfig) -> Self {
        Client { ports: ports.clone(), cluster, config, current: Arc::default() }
    }

    /// Its machine.
    pub fn ports(&self) -> &P {
        &self.ports
    }

    /// The session with this lease, if it is alive.
    pub fn session_of(&self, lease: LeaseId) -> Option<Session> {
        self.current.get().filter(|session| session.lease == lease)
    }

    /// The session; a new one if there is none or it has ended.
    pub async fn session(&self) -> Result<Session, NotAcquired> {
        if let Some(session) = self.current.get() {
            return Ok(session);
        }
        let asked_at = self.ports.monotonic();
        let ttl_s = i64::try_from(self.config.ttl.as_secs()).unwrap_or(i64::MAX);
        let granted = self.ports.timeout(self.config.request_timeout, self.cluster.grant(ttl_s)).await;
        // A lease that was granted without our knowledge has no keys.
        let Some(Outcome::Ok((lease, ttl_s))) = granted else { return Err(NotAcquired::Unavailable) };
        let ttl = Duration::from_secs(u64::try_from(ttl_s).unwrap_or_default());
        let good_for = ttl.saturating_sub(self.config.drift);
        let life = Lifetime::new(asked_at + good_for, good_for);
        let session = Session { lease, life: Arc::new(life) };
        self.current.set(Some(session.clone()));
        let (ports, cluster, limit) = (self.ports.clone(), self.cluster.clone(), self.config.request_timeout);
        let life = Arc::clone(&session.life);
        self.ports.spawn(async move {
            let renew = || async {
                let asked_at = ports.monotonic();
                match cluster.keep_alive(lease).await {
                    Outcome::Ok(0) => Renewal::Gone,
                    Outcome::Ok(_) => Renewal::Renewed(asked_at + good_for),
                    Outcome::Fail(_) | Outcome::Indeterminate(_) => Renewal::Unanswered,
                }
            };
            life.keep(&ports, limit, renew).await;
        });
        Ok(session)
    }

    /// Gives a session up: nobody uses it any more, and in the background its lease is ended, with all its keys.
    pub fn abandon(&self, session: &Session) {
        session.life.hold().release();
        let (client, lease) = (self.clone(), session.lease);
        // A lease that cannot be ended ends by itself.
        self.ports.spawn(async move { drop(client.ask_until_done(Request::Revoke(lease)).await) });
    }

    /// Sends a request; without an answer in time it may have happened.
    pub async fn ask(&self, request: Request) -> Outcome<Answered> {
        let answer = self.ports.timeout(self.config.request_timeout, self.cluster.ask(request)).await;
        answer.unwrap_or(Outcome::Indeterminate(Unknown::TimedOut))
    }

    /// Sends a request that does no harm if it is done twice, again if there is no answer.
    pub async fn ask_until_answered(&self, request: Request) -> Outcome<Answered> {
        let mut outcome = self.ask(request.clone()).await;
        for _ in 0..RETRIES_MAX {
            match outcome {
                Outcome::Indeterminate(_) => outcome = self.ask(request.clone()).await,
                known => return known,
            }
        }
        outcome
    }

    /// The same for as long as a lease lasts that nobody keeps alive, also if the servers cannot do it just now.
    pub async fn ask_until_done(&self, request: Request) -> Outcome<Answered> {
        let give_up_at = self.ports.monotonic() + self.config.ttl;
        loop {
            let outcome = self.ask(request.clone()).await;
            let gone = Outcome::Fail(Refusal::Etcd(Error::LeaseNotFound));
            if matches!(outcome, Outcome::Ok(_)) || outcome == gone || self.ports.monotonic() >= give_up_at {
                return outcome;
            }
            self.ports.sleep(self.config.ttl / RESTS_PER_LEASE).await;
        }
    }

    /// Reads keys.
    pub async fn range(&self, range: Range) -> Outcome<(Vec<Kv>, Revision)> {
        let answer = self.ports.timeout(self.config.request_timeout, self.cluster.range(range)).await;
        answer.unwrap_or(Outcome::Indeterminate(Unknown::TimedOut))
    }

    /// Watches one key from a revision on.
    pub async fn watch(&self, key: &Blob, from: Revision) -> Option<<P::Etcd as Etcd>::Watch> {
        self.ports.timeout(self.config.request_timeout, self.cluster.watch(Keys::one(key), from)).await?.ok()
    }
}
