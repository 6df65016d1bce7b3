//! What a Redis server holds.

use super::keyspace::Keyspace;
use super::persistence::Disk;
use super::script::cache::ScriptCache;
use super::subscribers::Subscribers;
use super::transactions::Transactions;

/// What a server holds: its data set, its disk, and what it knows of scripts and connections.
#[derive(Clone, Hash)]
pub(super) struct State {
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
            db,
            disk,
            scripts: ScriptCache::default(),
            transactions: Transactions::default(),
            subscribers: Subscribers::default(),
        }
    }
}
