//! The call ranking of article crm: a merchant's consultants by the calls that they had today.
//!
//! A call is first a record in MySQL, then one more in the merchant's sorted set in Redis, which expires with the
//! day. A client that finds the set missing rebuilds it from MySQL under the merchant's lock, and looks again inside
//! the lock first.
//!
//! | kept as | how a call comes in | how it is rebuilt | wrong because |
//! |---|---|---|---|
//! | [`Kept::Applied`] | a script counts each call once | the same script, with all calls | |
//! | [`Kept::Added`] | `ZSCORE`, then `ZADD 1` or `ZINCRBY` | `ZADD` of all counts | two first calls are one; counts overwrite increments (S12) |
//! | [`Kept::Pushed`] | not at all until it is rebuilt | `RPUSH` of all consultants | without the lock both push (S11) |
//!
//! **Claims** for [`Kept::Applied`]: once every call was applied, the set has what MySQL has. Calls are applied in
//! any order, twice or beside a rebuild. What a crash leaves out between the two, [`Ranking::apply_all`] brings in.

pub mod audit;
#[cfg(feature = "check")]
pub mod oracle;

use super::schema::Migration;
use crate::lock::mysql::transaction::{ending, within};
use crate::lock::mysql::{Client, Retry, Stop};
use crate::lock::segmented::Segmented;
use crate::lock::{Acquire, Lock};
use crate::port::mysql::{Session, Value as Sql};
use crate::port::{Blob, Command, Outcome, Ports, Redis, Script, Value};
use std::time::Duration;

/// The tables.
pub const MIGRATIONS: [Migration; 1] = [("0001_calls.sql", include_str!("0001_calls.sql"))];

static APPLY: Script = Script { body: include_str!("apply.lua") };

const INSERT: &str = "INSERT INTO call_record (id, merchant_id, consultant_id) VALUES (?, ?, ?)";
const CALLS: &str = "SELECT id, consultant_id FROM call_record WHERE merchant_id = ? ORDER BY id";
const COUNTS: &str = "SELECT consultant_id, COUNT(*) FROM call_record WHERE merchant_id = ? \
     GROUP BY consultant_id ORDER BY consultant_id";

/// How long a day is, in milliseconds.
const DAY_MS: i64 = 86_400_000;

/// How the ranking is kept in Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// As a sorted set into which a script counts each call once.
    Applied,
    /// As a sorted set that is looked at and then changed.
    Added,
    /// As a list, which is only rebuilt.
    Pushed,
}

/// How rankings are kept.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The place of the MySQL server in the topology.
    pub database: usize,
    /// The place of the Redis server.
    pub cache: usize,
    /// How the ranking is kept in Redis.
    pub kept: Kept,
    /// How often to try a statement.
    pub retry: Retry,
    /// How long to wait for a merchant's lock.
    pub lock_wait: Duration,
}

/// A call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// Its number.
    pub id: Blob,
    /// The merchant.
    pub merchant: i64,
    /// Who had it.
    pub consultant: i64,
}

/// The rankings, as one process sees them.
pub struct Ranking<P: Ports, L: Lock> {
    ports: P,
    config: Config,
    database: Client<P::MySql>,
    cache: P::Redis,
    /// The merchants' locks, if there are any.
    locks: Option<Segmented<L>>,
}

fn keys(merchant: i64) -> [Blob; 2] {
    ["ranking", "calls"].map(|name| Blob::from(format!("{{merchant-{merchant}}}:{name}")))
}

impl<P: Ports, L: Lock> Ranking<P, L> {
    /// Rankings that connect when they are asked for something.
    pub fn new(ports: &P, config: Config, locks: Option<Segmented<L>>) -> Self {
        let database = Client::new(ports.mysql(config.database));
        Ranking { ports: ports.clone(), config, database, cache: ports.redis(config.cache), locks }
    }

    /// Records a call; true if it is in MySQL.
    pub async fn record(&mut self, call: &Call) -> bool {
        if !self.insert(call).await {
            return false;
        }
        match self.config.kept {
            Kept::Applied => drop(self.apply(call.merchant, std::slice::from_ref(call), false).await),
            Kept::Added => self.add(call).await,
            Kept::Pushed => {}
        }
        true
    }

    async fn insert(&mut self, call: &Call) -> bool {
        for _ in 0..self.config.retry.tries {
            let params = vec![(&call.id).into(), call.merchant.into(), call.consultant.into()];
            let session = self.database.session();
            let insert = async { ending(session.run(INSERT, params).await).map(drop) };
            match self.ports.round(insert).await {
                Ok(()) => return true,
                Err(stop) if stop.is_duplicate() => return true,
                Err(Stop::Failed(_) | Stop::GivenUp) => return false,
                Err(Stop::Conflict | Stop::Unavailable | Stop::Unknown) => {}
            }
        }
        false
    }

    /// The consultants of a merchant, with the most calls first; rebuilt if Redis does not have them.
    pub async fn top(&mut self, merchant: i64) -> Option<Vec<Blob>> {
        if let Some(cached) = self.cached(merchant).await {
            return Some(cached);
        }
        let lock = self.locks.as_ref().map(|locks| locks.lock_of(&Blob::from(format!("merchant-{merchant}"))));
        let Some(lock) = lock else {
            self.rebuild(merchant).await;
            return self.cached(merchant).await;
        };
        let guard = lock.acquire(self.config.lock_wait).await.ok()?;
        if self.cached(merchant).await.is_none() {
            self.rebuild(merchant).await;
        }
        drop(guard.release().await);
        self.cached(merchant).await
    }

    /// What Redis has; nothing if that is not all, or it does not answer.
    async fn cached(&mut self, merchant: i64) -> Option<Vec<Blob>> {
        let [ranking, calls] = keys(merchant);
        if self.config.kept == Kept::Applied {
            let complete = self.call(Command::new("HEXISTS").arg(calls).arg("complete")).await?;
            if complete != Value::Int(1) {
                return None;
            }
        }
        let command = if self.config.kept == Kept::Pushed { "LRANGE" } else { "ZREVRANGE" };
        let Value::Array(members) = self.call(Command::new(command).arg(ranking).arg("0").arg("-1")).await? else {
            return None;
        };
        let members: Vec<Blob> = members.iter().filter_map(Value::as_blob).cloned().collect();
        (!members.is_empty() || self.config.kept == Kept::Applied).then_some(members)
    }

    async fn rebuild(&mut self, merchant: i64) {
        match self.config.kept {
            Kept::Applied => drop(self.apply_all(merchant).await),
            Kept::Added => self.set_counts(merchant).await,
            Kept::Pushed => self.push_consultants(merchant).await,
        }
    }

    /// Applies all calls of a merchant; false without an answer.
    pub async fn apply_all(&mut self, merchant: i64) -> bool {
        let Some(rows) = self.query(CALLS, merchant).await else { return false };
        let call = |row: &Vec<Sql>| match &row[..] {
            [Sql::Text(id), consultant] => Some(Call { id: id.clone(), merchant, consultant: consultant.as_int()? }),
            _ => None,
        };
        let calls: Vec<Call> = rows.iter().filter_map(call).collect();
        self.apply(merchant, &calls, true).await
    }

    /// Counts calls, each once; `complete`: these are all. False without an answer.
    async fn apply(&mut self, merchant: i64, calls: &[Call], complete: bool) -> bool {
        let now_ms = self.ports.wall().as_micros().div_euclid(1000);
        let midnight_ms = (now_ms.div_euclid(DAY_MS) + 1) * DAY_MS;
        let mut args = vec![Blob::from(midnight_ms), Blob::from(i64::from(complete))];
        for call in calls {
            args.extend([call.id.clone(), Blob::from(call.consultant)]);
        }
        let applied = self.ports.round(self.cache.eval(&APPLY, &keys(merchant), &args)).await;
        matches!(applied, Outcome::Ok(_))
    }

    /// One more call, as the article's code has it.
    async fn add(&mut self, call: &Call) {
        let [ranking, _] = keys(call.merchant);
        let score = self.call(Command::new("ZSCORE").arg(&ranking).arg(call.consultant)).await;
        let command = match score {
            None => return,
            Some(Value::Nil) => Command::new("ZADD"),
            Some(_) => Command::new("ZINCRBY"),
        };
        drop(self.call(command.arg(ranking).arg("1").arg(call.consultant)).await);
    }

    async fn set_counts(&mut self, merchant: i64) {
        let [ranking, _] = keys(merchant);
        let Some(rows) = self.query(COUNTS, merchant).await else { return };
        for row in rows {
            if let [Some(consultant), Some(count)] = [row[0].as_int(), row[1].as_int()] {
                drop(self.call(Command::new("ZADD").arg(&ranking).arg(count).arg(consultant)).await);
            }
        }
    }

    async fn push_consultants(&mut self, merchant: i64) {
        let [ranking, _] = keys(merchant);
        let Some(rows) = self.query(COUNTS, merchant).await else { return };
        for consultant in rows.iter().filter_map(|row| row[0].as_int()) {
            drop(self.call(Command::new("RPUSH").arg(&ranking).arg(consultant)).await);
        }
    }

    async fn query(&mut self, sql: &'static str, merchant: i64) -> Option<Vec<Vec<Sql>>> {
        let session = self.database.session();
        let ask = async { within(session.query(sql, vec![merchant.into()]).await).map_err(|_| ()) };
        self.ports.round(ask).await.ok()
    }

    async fn call(&mut self, command: Command) -> Option<Value> {
        self.ports.round(self.cache.call(command)).await.ok()
    }
}
