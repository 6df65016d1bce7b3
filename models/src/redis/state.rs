//! What a Redis server holds.

use super::keyspace::Keyspace;
use super::persistence::Disk;
use super::script::cache::ScriptCache;
use super::subscribers::Subscribers;
use super::table::Table;
use super::transactions::Transactions;

/// What a server is among the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Role {
    /// There are no others.
    #[default]
    Alone,
    /// It takes writes.
    Primary,
    /// It would take writes, but too few replicas have acknowledged anything lately (`min-replicas-to-write`).
    TooFewReplicas,
    /// It refuses writes, and leaves it to its primary to delete what has expired.
    Replica,
}

/// What a server holds: what it is among others, its data set, its disk, and what it knows of scripts and connections.
#[derive(Clone, Hash)]
pub(super) struct State {
    pub role: Role,
    /// What it knows of the slots, in a Cluster.
    pub table: Option<Box<Table>>,
    pub db: Keyspace,
    pub disk: Disk,
    pub scripts: ScriptCache,
    pub transactions: Transactions,
    pub subscribers: Subscribers,
}

impl State {
    /// What a server holds that has nothing but this.
    pub(super) fn new(db: Keyspace, disk: Disk) -> Self {
        State {
            role: Role::default(),
            table: None,
            db,
            disk,
            scripts: ScriptCache::default(),
            transactions: Transactions::default(),
            subscribers: Subscribers::default(),
        }
    }
}
