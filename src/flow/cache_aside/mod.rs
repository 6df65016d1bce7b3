//! Cache-aside: what is not in Redis is read from MySQL and put there; a client that changes it in MySQL deletes it
//! in Redis.
//!
//! **Fails** with a plain `SET` (S7): a reader misses and reads version 1; a writer makes version 2 and deletes the
//! key; the reader sets version 1, and it stays. The versioned set refuses what is older than the version that Redis
//! knows (scenario `cache-aside-stale-set-versioned`).
//!
//! **Claims** with the versioned set: once all are quiet, Redis has what MySQL has or nothing, as long as no writer
//! ends between its commit and the deletion (scenario `cache-aside-writer-crash`). With the invalidation before the
//! commit, under the row's lock, also then: from there on Redis takes nothing older than what is about to be written.
//! If it is not written after all, Redis takes nothing until the next write.

#[cfg(feature = "check")]
pub mod oracle;

use super::schema::Migration;
use crate::base::Tells;
use crate::lock::mysql::transaction::{ending, within};
use crate::lock::mysql::{Client, Stop};
use crate::port::mysql::{Session, Value as Sql};
use crate::port::{Blob, Command, Outcome, Ports, Redis, Script, Unanswered, Value, answered};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The tables.
pub const MIGRATIONS: [Migration; 1] = [("0001_article.sql", include_str!("0001_article.sql"))];

static PUT: Script = Script { body: include_str!("put.lua") };
static INVALIDATE: Script = Script { body: include_str!("invalidate.lua") };

const INSERT: &str = "INSERT INTO article (id) VALUES (?)";
const READ: &str = "SELECT version FROM article WHERE id = ?";
const READ_LOCKED: &str = "SELECT version FROM article WHERE id = ? FOR UPDATE";
const WRITE: &str = "UPDATE article SET version = version + 1 WHERE id = ?";

/// How an article is cached.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The place of the MySQL server in the topology.
    pub database: usize,
    /// The place of the Redis server.
    pub cache: usize,
    /// How a written article goes from Redis.
    pub invalidation: Invalidation,
}

/// How a written article goes from Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalidation {
    /// It is deleted after the commit; what is read is set as it is (S7).
    Plain,
    /// After the commit; Redis refuses what is older than the version that it knows.
    AfterCommit,
    /// The same, before the commit.
    BeforeCommit,
}

/// An article: of its text only the version is kept.
pub struct Article<P: Ports> {
    ports: P,
    config: Config,
    database: Client<P::MySql>,
    cache: P::Redis,
    id: i64,
}

/// What there is of an article in the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copies {
    /// The version in MySQL.
    pub database: i64,
    /// The version in Redis, if there is one.
    pub cache: Option<i64>,
}

impl Tells for Copies {
    const KIND: &'static str = "copies";
}

impl fmt::Display for Copies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MySQL has version {}, Redis has ", self.database)?;
        match self.cache {
            Some(version) => write!(f, "version {version}"),
            None => f.write_str("none"),
        }
    }
}

impl<P: Ports> Article<P> {
    /// The article with this number.
    pub fn new(ports: &P, config: Config, id: i64) -> Self {
        let (database, cache) = (Client::new(ports.mysql(config.database)), ports.redis(config.cache));
        Article { ports: ports.clone(), config, database, cache, id }
    }

    /// Inserts it into MySQL. The answer must come.
    pub async fn create(&mut self) -> Result<(), Unanswered> {
        answered(INSERT, self.database.session().run(INSERT, vec![self.id.into()]).await).map(drop)
    }

    fn keys(&self) -> [Blob; 2] {
        ["value", "version"].map(|name| Blob::from(format!("{{article-{}}}:{name}", self.id)))
    }

    /// Its version: from Redis, or from MySQL and then put into Redis.
    pub async fn read(&mut self) -> Option<i64> {
        let [value, _] = self.keys();
        if let Some(Value::Bulk(version)) = self.cache.call(Command::new("GET").arg(value)).await.ok() {
            return version.to_int();
        }
        let version = self.version().await?;
        self.put(version).await;
        Some(version)
    }

    async fn version(&mut self) -> Option<i64> {
        number(self.database.session().query(READ, vec![self.id.into()]).await).ok()
    }

    async fn put(&mut self, version: i64) {
        let keys = self.keys();
        if self.config.invalidation != Invalidation::Plain {
            let args = [Blob::from(version)];
            let put = self.cache.eval(&PUT, &keys, &args);
            drop(self.ports.round(put).await);
        } else {
            let set = self.cache.call(Command::new("SET").arg(&keys[0]).arg(version));
            drop(self.ports.round(set).await);
        }
    }

    /// Writes a new version to MySQL, and takes the old one out of Redis.
    pub async fn write(&mut self) {
        if self.config.invalidation == Invalidation::BeforeCommit {
            if self.write_announced().await.is_err() {
                // Also where a statement was answered with an error and the session lives.
                drop(self.database.session().run("ROLLBACK", Vec::new()).await);
            }
            return;
        }
        if ending(self.database.session().run(WRITE, vec![self.id.into()]).await).is_err() {
            return;
        }
        if self.config.invalidation == Invalidation::Plain {
            let delete = self.cache.call(Command::new("DEL").arg(&self.keys()[0]));
            drop(self.ports.round(delete).await);
        } else if let Some(version) = self.version().await {
            drop(self.invalidate(version).await);
        }
    }

    /// Redis takes nothing older than this version any more.
    async fn invalidate(&mut self, version: i64) -> Outcome<Value> {
        let (keys, args) = (self.keys(), [Blob::from(version)]);
        self.ports.round(self.cache.eval(&INVALIDATE, &keys, &args)).await
    }

    /// The same in a transaction, which is not committed unless Redis has said that it knows of it.
    async fn write_announced(&mut self) -> Result<(), Stop> {
        let (keys, id) = (self.keys(), self.id);
        // One session from BEGIN to COMMIT: on another one a statement would be a transaction by itself.
        let session = self.database.session();
        within(session.run("BEGIN", Vec::new()).await)?;
        let args = [Blob::from(number(session.query(READ_LOCKED, vec![id.into()]).await)? + 1)];
        if self.ports.round(self.cache.eval(&INVALIDATE, &keys, &args)).await.ok().is_none() {
            return Err(Stop::Unavailable);
        }
        within(session.run(WRITE, vec![id.into()]).await)?;
        ending(session.run("COMMIT", Vec::new()).await).map(drop)
    }

    /// What there is of it. The answers must come.
    pub async fn audit(&mut self) -> Result<Copies, Unanswered> {
        let [value, _] = self.keys();
        let rows = answered(READ, self.database.session().query(READ, vec![self.id.into()]).await)?;
        let database = rows.first().and_then(|row| row.first()).and_then(Sql::as_int);
        let database = database.ok_or(Unanswered { what: READ, why: "no number".to_owned() })?;
        let cached = answered("GET", self.cache.call(Command::new("GET").arg(value)).await)?;
        Ok(Copies { database, cache: cached.as_blob().and_then(Blob::to_int) })
    }
}

/// The number that a row holds.
fn number(rows: Outcome<Vec<Vec<Sql>>>) -> Result<i64, Stop> {
    let rows = within(rows)?;
    rows.first().and_then(|row| row.first()).and_then(Sql::as_int).ok_or(Stop::GivenUp)
}
