//! What `doublehold real` runs: a lock and a guard of the table, and where what they guard is.

use super::args::{RealOptions, RealStock};
use super::error::CliError;
use crate::lock::mysql::row::Guard;
use crate::scenario::keeper::Keeper;
use crate::scenario::locks::Pair;

/// The choice.
#[derive(Clone, Copy)]
pub(super) struct GuardedBy {
    /// The lock and the guard.
    pub pair: Pair,
    /// What they guard is the stock of the shop, in MySQL.
    pub sells: bool,
}

impl GuardedBy {
    /// What the options choose, if it makes sense.
    pub(super) fn of(options: &RealOptions) -> Result<Self, CliError> {
        let pair = Pair::named((&options.lock, &options.guard)).expect("clap knows the names");
        let Pair { lock, guard } = pair;
        // Without a lock the guard must hold by itself, as only a row of a database can.
        let in_database = lock.keeper == Keeper::MySql || guard.needs_row || guard.guard == Guard::Decrement;
        let in_database = in_database || lock.name == "none";
        let sells = options.stock.map_or(in_database, |stock| stock == RealStock::Mysql);
        let refused = |why: String| Err(CliError::Usage(why));
        if guard.guard == Guard::Fence && !lock.fences {
            return refused(format!("--lock {} gives no fencing tokens for --guard fence to check", lock.name));
        }
        if !sells && in_database {
            return refused(format!("--lock {} with --guard {} needs --stock mysql", lock.name, guard.name));
        }
        Ok(GuardedBy { pair, sells })
    }

    /// How many Redis servers it needs, if RedLock has so many.
    #[cfg(feature = "real-redis")]
    pub(super) fn redis_servers(&self, redlock: u8) -> u8 {
        match self.pair.lock.keeper {
            Keeper::Redis => 1,
            Keeper::Redises => redlock,
            _ => u8::from(!self.sells),
        }
    }

    /// What a build needs to run it.
    pub(super) fn features(&self) -> Vec<&'static str> {
        let keeper = match self.pair.lock.keeper {
            Keeper::ZooKeeper => "real-zookeeper",
            Keeper::Etcd => "real-etcd",
            Keeper::MySql => "real-mysql",
            Keeper::NoServer | Keeper::Redis | Keeper::Sentinels | Keeper::Cluster | Keeper::Redises => "real-redis",
        };
        let stock = if self.sells { "real-mysql" } else { "real-redis" };
        let mut features = vec![keeper, stock];
        features.dedup();
        features
    }
}
