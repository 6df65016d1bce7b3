//! A simulated MySQL server that takes SQL text, compared with MariaDB 10.11.
//!
//! | file | what it holds |
//! |---|---|
//! | `wire` | statements, values and replies |
//! | `parse`, `ast` | what a text says, as far as the model knows it |
//! | `server` | sessions and their statements, who goes on, time, crashes |
//! | `transactions` | what a transaction sees, locks and leaves; deadlocks |
//! | `user_locks` | `GET_LOCK` |
//! | `execute`, `access` | what statements read and change, and what they lock for it |
//! | `entries` | a row's way into the indexes, and out of them |
//! | `foreign_keys` | parents and children |
//! | `eval` | what expressions are worth |
//! | `table` | rows with their versions, indexes |
//! | `locks` | locks on records and gaps, deadlocks |
//! | `replica`, `replication` | what of the commits another machine has, which takes over |
//! | `service` | what the generic core asks of it |
//! | `inspect` | what oracles ask |
//! | `fingerprint` | the server's hash |
//! | `failure` | the errors |
//!
//! What is not modelled is said so by name ([`Sent::NotModelled`](crate::Sent::NotModelled)); so is every text that the parser
//! cannot read, since the real server may read it. Besides:
//!
//! - Texts compare byte by byte but for spaces behind them, as under `utf8mb4_bin`.
//! - A deleted record is dropped as soon as no snapshot needs it; the real server does so in its own time, and until then the record
//!   parts a gap in two.
//! - What waited and was granted goes on when it is told to ([`Step::Grant`](crate::Step::Grant)), in whatever order:
//!   real threads race.
//! - A statement that waits is done again from its beginning when it goes on: under READ COMMITTED it may find rows that have come
//!   in before the place where it waited.
//! - The plan is the index that the condition determines, primary key first; the real optimizer may scan a small table instead.
//! - The victim of a deadlock is who has the fewest changes and locks, and among equals who closed the circle, as in InnoDB.
//! - Sessions that wait for each other's user locks wait until their time is over; the real server finds the deadlock.
//! - A commit that another statement implies (`BEGIN`, a definition) does not wait for the replica.
//! - The replica cannot be asked. It takes over when the primary goes down, which is what a restart then is; the old primary comes back as its
//!   replica, without what only it had. Takeover takes no time beyond the restart's. A session that ends while its commit waits for
//!   the replica commits at once.
//! - A foreign key refers to a primary or unique key of another table, and restricts: `CASCADE` and `SET NULL` are
//!   not modelled.
//! - A failed insert leaves no lock on records that it had put into other indexes, unless another session waits for
//!   one.
//!
//! Where MySQL 8 differs from MariaDB 10.11 the [`Dialect`] decides. `FOR SHARE` and `LOCK IN SHARE MODE` are understood in both.
//!
//! | | MariaDB 10.11 | MySQL 8 |
//! |---|---|---|
//! | `NOWAIT` fails with | 1205 | 3572 |
//! | a moment with more digits than its column | is cut | is rounded |
//! | the SQLSTATE of a text that is no number | 22007 | HY000 |
//!
//! Only MariaDB was compared with the real server; what is said of MySQL is from its manual.

#[cfg(feature = "nodes")]
mod access;
#[cfg(feature = "nodes")]
mod ast;
#[cfg(feature = "nodes")]
mod collation;
#[cfg(feature = "nodes")]
mod entries;
#[cfg(feature = "nodes")]
mod eval;
#[cfg(feature = "nodes")]
mod execute;
#[cfg(feature = "nodes")]
mod failure;
#[cfg(feature = "nodes")]
mod fingerprint;
#[cfg(feature = "nodes")]
mod foreign_keys;
#[cfg(feature = "nodes")]
mod inspect;
#[cfg(feature = "nodes")]
mod locks;
#[cfg(feature = "nodes")]
mod parse;
#[cfg(feature = "nodes")]
mod replica;
#[cfg(feature = "nodes")]
mod replication;
#[cfg(feature = "nodes")]
mod server;
#[cfg(feature = "nodes")]
mod service;
#[cfg(feature = "nodes")]
mod table;
#[cfg(feature = "nodes")]
mod transactions;
#[cfg(feature = "nodes")]
mod user_locks;
#[cfg(feature = "nodes")]
mod view;
pub mod wire;

use serde::{Deserialize, Serialize};
#[cfg(feature = "nodes")]
pub use server::Server;
#[cfg(feature = "nodes")]
pub(crate) use service::start;

/// How a server is set up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which server it is like.
    #[serde(default)]
    pub dialect: Dialect,
    /// How long a statement waits for a row, in seconds (`innodb_lock_wait_timeout`).
    pub lock_wait_timeout_s: u32,
    /// What becomes of commits when the server goes down (`innodb_flush_log_at_trx_commit`).
    pub flush: Flush,
    /// Whether another machine takes over, and what it has then; without one the machine itself starts again.
    #[serde(default)]
    pub replication: Option<Replication>,
}

/// When a commit is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replication {
    /// When the primary has it.
    Asynchronous,
    /// When a replica has received it (`AFTER_SYNC`).
    SemiSynchronous {
        /// The primary goes on without the replica after so many milliseconds (`rpl_semi_sync_master_timeout`, by default 10,000), until that has
        /// caught up; it waits for ever if there is no such time.
        timeout_ms: Option<u32>,
    },
}

/// Which server it is like, where they differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dialect {
    /// MariaDB 10.11.
    #[default]
    #[serde(rename = "mariadb-10.11")]
    MariaDb,
    /// MySQL 8.
    #[serde(rename = "mysql-8")]
    MySql8,
}

/// When commits reach the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flush {
    /// With every commit (1).
    #[default]
    EachCommit,
    /// Written with every commit, and flushed once a second (2): the operating system keeps it when the process alone ends.
    Written,
    /// Written and flushed once a second (0).
    EachSecond,
}

impl Default for Config {
    fn default() -> Self {
        Config { dialect: Dialect::default(), lock_wait_timeout_s: 50, flush: Flush::EachCommit, replication: None }
    }
}
