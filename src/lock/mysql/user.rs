//! User locks: `GET_LOCK` and `RELEASE_LOCK`.
//!
//! **Algorithm**: the server keeps a table of names in its memory; `GET_LOCK` waits there, first come, first served. The lock belongs to the session,
//! not to a transaction, and ends with it.
//!
//! **Claims** mutual exclusion among the sessions of one server.
//!
//! **Assumes** that the holder stops as soon as its session ends. It is not told: it finds out with its next statement.
//!
//! **Broken by** a connection that breaks while the holder works (scenario `mysql-user-lock-break`), by a failover, for no other server knows the lock, by a
//! connection pool that releases on another session than it acquired, by a restart of the server, which forgets it (cell `matrix-mysql-user-lock-node-crash`), and by a release before `COMMIT`. It
//! gives no fencing token: let the write be guarded by the row.
//!
//! Source: MySQL's and MariaDB's documentation of `GET_LOCK`.

use super::sessions::Sessions;
use crate::lock::{Lease, Lock, NotAcquired};
use crate::port::mysql::{MySql, Session, Value};
use crate::port::{Blob, Host, Outcome};
use std::time::Duration;

const GET: &str = "SELECT GET_LOCK(?, ?)";
const RELEASE: &str = "SELECT RELEASE_LOCK(?)";
const IS_FREE: &str = "SELECT IS_FREE_LOCK(?)";

/// A user lock.
#[derive(Clone)]
pub struct UserLock<H: Host, M: MySql> {
    host: H,
    sessions: Sessions<M>,
    name: Blob,
}

impl<H: Host, M: MySql> UserLock<H, M> {
    /// The lock of this name on this server; at most 64 bytes.
    pub fn new(host: &H, server: M, name: impl Into<Blob>) -> Self {
        UserLock { host: host.clone(), sessions: Sessions::new(server), name: name.into() }
    }

    /// Waits on the server for so many seconds at most. A session that is dropped meanwhile gives back what it may have got.
    async fn get(&self, wait_s: u64) -> Result<Lease, NotAcquired> {
        let mut session = self.sessions.take();
        let wait_s = i64::try_from(wait_s).unwrap_or(i64::MAX);
        match number(session.query(GET, vec![(&self.name).into(), wait_s.into()]).await) {
            Outcome::Ok(Some(1)) => {
                let token = self.host.unique_id();
                self.sessions.keep(&token, session);
                Ok(Lease { token, fence: None, valid_until: None, session: None, hold: None })
            }
            Outcome::Ok(_) => {
                self.sessions.give_back(session);
                Err(NotAcquired::Held)
            }
            Outcome::Fail(_) | Outcome::Indeterminate(_) => Err(NotAcquired::Unavailable),
        }
    }
}

fn number(rows: Outcome<Vec<Vec<Value>>>) -> Outcome<Option<i64>> {
    rows.map(|rows| rows.first()?.first()?.as_int())
}

impl<H: Host, M: MySql> Lock for UserLock<H, M> {
    type Host = H;

    fn host(&self) -> &H {
        &self.host
    }

    fn name(&self) -> &Blob {
        &self.name
    }

    async fn attempt(&self) -> Result<Lease, NotAcquired> {
        self.get(0).await
    }

    /// Waits on the server, in whole seconds.
    async fn attempt_within(&self, wait: Duration) -> Result<Lease, NotAcquired> {
        let wait_s = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.host.round(self.get(wait_s)).await
    }

    async fn unlock(&self, lease: Lease) -> Outcome<bool> {
        let Some(mut session) = self.sessions.take_kept(&lease.token) else { return Outcome::Ok(false) };
        match number(session.query(RELEASE, vec![(&self.name).into()]).await) {
            Outcome::Ok(released) => {
                self.sessions.give_back(session);
                Outcome::Ok(released == Some(1))
            }
            // The session is over, and with it the lock.
            Outcome::Fail(_) | Outcome::Indeterminate(_) => Outcome::Ok(false),
        }
    }

    /// Makes sure that the session, and with it the lock, is still there.
    /// Dropping the future ends the session: the hold is lost, and [`Lock::holds`] says so.
    async fn prolong(&self, lease: &Lease) -> Result<Lease, NotAcquired> {
        let mut session = self.sessions.take_kept(&lease.token).ok_or(NotAcquired::Lost)?;
        match number(session.query(IS_FREE, vec![(&self.name).into()]).await) {
            Outcome::Ok(Some(0)) => {
                self.sessions.keep(&lease.token, session);
                Ok(lease.clone())
            }
            _ => Err(NotAcquired::Lost),
        }
    }

    /// False once the client knows that the session is over.
    fn holds(&self, lease: &Lease) -> bool {
        self.sessions.is_kept(&lease.token)
    }

    fn retry_delay(&self) -> Duration {
        Duration::from_millis(100)
    }
}
