//! A lock table: a row under a unique key is the lock.
//!
//! **Algorithm**: `INSERT` acquires, for nobody else can insert the same name; `DELETE … WHERE owner = ?` releases. The row says when it
//! ends, in the database's time; whoever finds a row that has ended deletes it and inserts its own. The row's `AUTO_INCREMENT` number is the
//! fencing token.
//!
//! **Claims** mutual exclusion as long as a holder stops believing in time.
//!
//! **Assumes** that no holder pauses for longer than the TTL (or that what it guards checks the fencing token), and that the
//! database keeps what it has acknowledged.
//!
//! **Broken by** an expiry that clients compute by their own clocks (scenario `mysql-lock-table-client-time`), a delete without the owner
//! (`mutant-mysql-release-unowned`), a failover to a replica that has not got the row yet (`mysql-lock-table-failover`). Without an expiry a crashed
//! holder's row stays for ever (`mysql-lock-table-orphan`).
//!
//! Source: article quality; ShedLock's README (a skewed clock steals the lock).

use super::left_over::LeftOver;
use super::sessions::Sessions;
use super::transaction::{Stop, within};
use crate::lock::{Lease, Lock, NotAcquired, Undo};
use crate::port::mysql::{Changed, MySql, Rows, Session, Value};
use crate::port::{Blob, Host, Outcome, Refusal};
use std::time::Duration;

/// The table. Its moments are in the time zone of the session.
pub const TABLE: &str = "CREATE TABLE IF NOT EXISTS locks (fence BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, \
     name VARCHAR(64) NOT NULL UNIQUE KEY, owner VARCHAR(64) NOT NULL, expires_at DATETIME(6))";

const INSERT: &str = "INSERT INTO locks (name, owner, expires_at) VALUES (?, ?, NOW(6) + INTERVAL ? MICROSECOND)";
const INSERT_AT: &str = "INSERT INTO locks (name, owner, expires_at) VALUES (?, ?, ?)";
const DELETE_ENDED: &str = "DELETE FROM locks WHERE name = ? AND expires_at <= NOW(6)";
const DELETE_ENDED_AT: &str = "DELETE FROM locks WHERE name = ? AND expires_at <= ?";
const EXTEND: &str = "UPDATE locks SET expires_at = NOW(6) + INTERVAL ? MICROSECOND WHERE name = ? AND owner = ? AND expires_at > NOW(6)";
const EXTEND_AT: &str = "UPDATE locks SET expires_at = ? WHERE name = ? AND owner = ? AND expires_at > ?";
const READ: &str = "SELECT fence FROM locks WHERE name = ? AND owner = ?";
const RELEASE: &str = "DELETE FROM locks WHERE name = ? AND owner = ?";

/// Whose clock says when a lock ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The database's: one clock for all.
    Database,
    /// Each client's own: a client that is ahead takes what others still have.
    Client,
}

/// How the lock is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// How long it lasts; without one it ends with its release alone.
    pub ttl: Option<Duration>,
    /// How long to wait between two tries.
    pub retry_delay: Duration,
    /// Whose clock says when it ends.
    pub clock: Clock,
}

impl Config {
    /// A lock that lasts so long by the database's clock.
    pub fn new(ttl: Duration) -> Self {
        Config { ttl: Some(ttl), retry_delay: Duration::from_millis(50), clock: Clock::Database }
    }
}

/// How often a statement is sent again after its answer was lost.
const RESENDS_MAX: usize = 3;

/// A lock in a table. Its statements are transactions by themselves; which session they go through does not matter.
pub struct LockTable<H: Host, M: MySql> {
    host: H,
    sessions: Sessions<M>,
    name: Blob,
    config: Config,
    left_over: LeftOver<M::Session>,
}

impl<H: Host, M: MySql> Clone for LockTable<H, M> {
    fn clone(&self) -> Self {
        LockTable {
            host: self.host.clone(),
            sessions: self.sessions.clone(),
            name: self.name.clone(),
            config: self.config,
            left_over: self.left_over.clone(),
        }
    }
}

impl<H: Host, M: MySql> LockTable<H, M> {
    /// The lock of this name on this server, which has the [`TABLE`].
    pub fn new(host: &H, server: M, name: impl Into<Blob>, config: Config) -> Self {
        let (host, name, left_over) = (host.clone(), name.into(), LeftOver::default());
        LockTable { host, sessions: Sessions::new(server), name, config, left_over }
    }

    async fn run(&self, sql: &'static str, params: Vec<Value>) -> Outcome<Changed> {
        let mut session = self.sessions.take();
        let sent = Box::pin(async move {
            let outcome = session.run(sql, params).await;
            (session, outcome)
        });
        let (session, outcome) = self.left_over.answer(sent).await;
        self.sessions.give_back(session);
        outcome
    }

    /// This moment of the client's own wall clock, and a time on top.
    fn wall(&self, plus: Duration) -> Value {
        Value::DateTime((self.host.wall() + plus).as_micros())
    }

    fn ttl_us(&self) -> Value {
        let ttl_us = |ttl: Duration| Value::Int(i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX));
        // A moment and nothing is nothing: the row never ends.
        self.config.ttl.map_or(Value::Null, ttl_us)
    }

    async fn insert(&self, owner: &Blob) -> Outcome<Changed> {
        let (name, owner) = (Value::from(&self.name), Value::from(owner));
        match (self.config.clock, self.config.ttl) {
            (Clock::Client, Some(ttl)) => self.run(INSERT_AT, vec![name, owner, self.wall(ttl)]).await,
            _ => self.run(INSERT, vec![name, owner, self.ttl_us()]).await,
        }
    }

    /// Deletes a row that has ended: true if there was one.
    async fn delete_ended(&self) -> Outcome<bool> {
        let name = Value::from(&self.name);
        let changed = match self.config.clock {
            Clock::Database => self.run(DELETE_ENDED, vec![name]).await,
            Clock::Client => self.run(DELETE_ENDED_AT, vec![name, self.wall(Duration::ZERO)]).await,
        };
        changed.map(|changed| changed.affected > 0)
    }

    /// The fencing token of the row that this owner has, if it has it.
    async fn fence_of(&self, owner: &Blob) -> Outcome<Option<u64>> {
        let mut session = self.sessions.take();
        let rows = session.query(READ, vec![(&self.name).into(), owner.into()]).await;
        self.sessions.give_back(session);
        let fence = |rows: Rows| Some(u64::try_from(rows.first()?.first()?.as_int()?).unwrap_or_default());
        rows.map(fence)
    }

    /// Inserts the row, again if the answer is lost: its fencing token.
    async fn enter(&self, owner: &Blob) -> Result<u64, NotAcquired> {
        let (mut answer_lost, mut cleared) = (false, false);
        for _ in 0..=RESENDS_MAX {
            match self.insert(owner).await {
                Outcome::Ok(changed) => return Ok(changed.last_insert_id),
                Outcome::Indeterminate(_) => answer_lost = true,
                // Ours, perhaps: the row may have come in before the answer was lost.
                Outcome::Fail(refusal) if is_taken(&refusal) && answer_lost => {
                    return match self.fence_of(owner).await {
                        Outcome::Ok(Some(fence)) => Ok(fence),
                        Outcome::Ok(None) => Err(NotAcquired::Held),
                        _ => Err(NotAcquired::Unavailable),
                    };
                }
                Outcome::Fail(refusal) if is_taken(&refusal) && !cleared => match self.delete_ended().await {
                    Outcome::Ok(true) => cleared = true,
                    Outcome::Ok(false) => return Err(NotAcquired::Held),
                    _ => return Err(NotAcquired::Unavailable),
                },
                Outcome::Fail(refusal) if is_taken(&refusal) => return Err(NotAcquired::Held),
                Outcome::Fail(_) => return Err(NotAcquired::Unavailable),
            }
        }
        Err(NotAcquired::Unavailable)
    }
}

/// True if somebody has the row, or is about to.
fn is_taken(refusal: &Refusal) -> bool {
    matches!(within::<()>(Outcome::Fail(refusal.clone())), Err(stop) if stop.is_duplicate() || stop == Stop::Conflict)
}

impl<H: Host, M: MySql> Lock for LockTable<H, M> {
    type Host = H;

    fn host(&self) -> &H {
        &self.host
    }

    fn name(&self) -> &Blob {
        &self.name
    }

    async fn attempt(&self) -> Result<Lease, NotAcquired> {
        let token = self.host.unique_id();
        let start = self.host.monotonic();
        let valid_until = self.config.ttl.map(|ttl| start + ttl);
        let lease = Lease { token: token.clone(), fence: None, valid_until, session: None, hold: None };
        let mut undo = Undo::new(self, lease.clone());
        match self.enter(&token).await {
            Ok(_) if valid_until.is_some_and(|until| self.host.monotonic() >= until) => {
                drop(undo.give_back().await);
                Err(NotAcquired::Expired)
            }
            Ok(fence) => {
                undo.disarm();
                Ok(Lease { fence: Some(fence), ..lease })
            }
            Err(NotAcquired::Held) => {
                undo.disarm();
                Err(NotAcquired::Held)
            }
            Err(why) => {
                // The row may be ours all the same: what is not known must not be left behind.
                drop(undo.give_back().await);
                Err(why)
            }
        }
    }

    async fn unlock(&self, lease: Lease) -> Outcome<bool> {
        let params = || vec![Value::from(&self.name), Value::from(&lease.token)];
        // In another session it could overtake the statement that it is to undo.
        while let Some(sent) = self.left_over.take() {
            let (session, _) = self.left_over.answer(sent).await;
            self.sessions.give_back(session);
        }
        let mut outcome = self.run(RELEASE, params()).await;
        for _ in 0..RESENDS_MAX {
            match outcome {
                Outcome::Ok(_) => break,
                // A row that stays is in everybody's way.
                Outcome::Fail(_) | Outcome::Indeterminate(_) => outcome = self.run(RELEASE, params()).await,
            }
        }
        outcome.map(|changed| changed.affected > 0)
    }

    async fn prolong(&self, lease: &Lease) -> Result<Lease, NotAcquired> {
        let start = self.host.monotonic();
        let Some(ttl) = self.config.ttl else { return Ok(lease.clone()) };
        let (name, owner) = (Value::from(&self.name), Value::from(&lease.token));
        let changed = match self.config.clock {
            Clock::Database => self.run(EXTEND, vec![self.ttl_us(), name, owner]).await,
            Clock::Client => {
                let params = vec![self.wall(ttl), name, owner, self.wall(Duration::ZERO)];
                self.run(EXTEND_AT, params).await
            }
        };
        match changed {
            Outcome::Ok(changed) if changed.affected > 0 => {
                Ok(Lease { valid_until: Some(start + ttl), ..lease.clone() })
            }
            Outcome::Ok(_) => Err(NotAcquired::Lost),
            Outcome::Fail(_) | Outcome::Indeterminate(_) => Err(NotAcquired::Unavailable),
        }
    }

    fn retry_delay(&self) -> Duration {
        self.config.retry_delay
    }
}
