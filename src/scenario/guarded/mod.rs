//! The guarded counter: acquire, read, write back one less, release. The shop of the articles in its smallest form.

mod client;
pub mod kinds;
mod scenario;

use super::Workload;
use super::keeper::{self, Keeper};
use super::mutation::{Mutant, Mutation};
use crate::flow::draw::Draw;
use crate::flow::reconcile::StockAt;
use crate::flow::shop::Shop;
use crate::history::Fact;
use crate::lock::local::Forget;
use crate::lock::mysql::row;
use crate::lock::mysql::{self, Retry};
use crate::lock::reentrant::Reentry;
use crate::lock::{auto_extended, etcd, multi, redis, redisson, redlock, timestamp, zookeeper};
use crate::port::mysql::{MySql, Session};
use crate::port::{Ports, Unanswered, answered};
use crate::world::setup::{Probe, ServiceSpec};
use std::time::Duration;

pub use scenario::GuardedScenario;

/// The lock's name and key.
pub const LOCK: &str = "lock";
/// The lock's path.
pub const ZK_PATH: &str = "/lock";
/// What the lock's keys begin with.
pub const ETCD_PREFIX: &str = "lock/";
/// The guarded resource's name and key.
pub const STOCK: &str = "stock";
/// The one user who draws.
const USER: &str = "user";

/// Which lock guards the counter.
#[derive(Clone, Debug)]
pub enum LockKind {
    /// Nothing.
    None,
    /// A flag in the memory of each process.
    InProcess,
    /// The single-instance lock on a Redis.
    Redis(redis::Config, On),
    /// The same on one Redis server, behind mutexes in the memory of each process.
    TwoLevel(redis::Config, Owner, Forget),
    /// The watchdog lock on a Redis.
    Redisson(redisson::Config, On),
    /// A read/write lock of that kind on one Redis server: every third client writes, as a lock of the second kind, the
    /// others read.
    RedissonReadWrite(redisson::Config, redisson::Kind),
    /// The timestamp lock on one Redis server.
    Timestamp(timestamp::Config),
    /// A lock of the watchdog lock's kind on each of several Redis servers, as one.
    RedissonMulti(redisson::Config, multi::Config),
    /// Several Redis servers.
    RedLock(redlock::Config),
    /// The same, extended while it is held.
    RedLockExtended(redlock::Config, auto_extended::Config),
    /// A ZooKeeper ensemble.
    ZooKeeper(zookeeper::Config),
    /// A read/write lock on one: every third client writes, the others read.
    ZooKeeperReadWrite(zookeeper::Config),
    /// The same as the first, re-entrant.
    ZooKeeperReentrant(zookeeper::Config, Reentry),
    /// An etcd cluster.
    Etcd(etcd::Config),
    /// A table on a MySQL server.
    LockTable(mysql::table::Config),
    /// `GET_LOCK` on a MySQL server.
    UserLock,
}

/// Whose a lock is on the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// One acquisition's.
    Acquisition,
    /// The process's, whichever of its threads has it.
    Process,
}

/// Which Redis keeps a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// One server.
    Server,
    /// The primary of several that Sentinels watch, of which a client waits so long for an answer.
    Primary(Duration),
    /// The primary of the key's slot in a Cluster, likewise.
    Cluster(Duration),
}

impl On {
    fn keeper(self) -> Keeper {
        match self {
            On::Server => Keeper::Redis,
            On::Primary(_) => Keeper::Sentinels,
            On::Cluster(_) => Keeper::Cluster,
        }
    }
}

impl LockKind {
    /// What keeps it.
    pub fn keeper(&self) -> Keeper {
        match self {
            LockKind::None | LockKind::InProcess => Keeper::NoServer,
            LockKind::Timestamp(_) | LockKind::TwoLevel(..) | LockKind::RedissonReadWrite(..) => Keeper::Redis,
            LockKind::Redis(_, on) | LockKind::Redisson(_, on) => on.keeper(),
            LockKind::RedLock(_) | LockKind::RedLockExtended(..) | LockKind::RedissonMulti(..) => Keeper::Redises,
            LockKind::ZooKeeper(_) | LockKind::ZooKeeperReadWrite(_) | LockKind::ZooKeeperReentrant(..) => {
                Keeper::ZooKeeper
            }
            LockKind::Etcd(_) => Keeper::Etcd,
            LockKind::LockTable(_) | LockKind::UserLock => Keeper::MySql,
        }
    }

    /// The lock's name, and its place on what keeps it.
    pub fn place(&self) -> &'static str {
        match self.keeper() {
            Keeper::ZooKeeper => ZK_PATH,
            Keeper::Etcd => ETCD_PREFIX,
            _ => LOCK,
        }
    }

    /// Where it shows who holds it.
    pub fn probe(&self) -> Probe {
        match self {
            LockKind::Redisson(config, _) => Probe::at(config.kind.shown_at(&self.place().into())),
            _ => Probe::at(self.place()),
        }
    }
}

/// Where the counter is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Store {
    /// On a Redis server of its own, behind the lock's servers.
    #[default]
    Redis,
    /// On the lock's etcd cluster.
    LockEtcd,
    /// On the primary that keeps the lock.
    LockPrimary,
    /// The same, but read from its replica.
    LockReplica,
}

/// What the holder does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Nothing but time passes.
    Hold(Duration),
    /// Nothing but time passes, and the holder stops when the lock tells it that its hold is lost.
    HoldUntilLost(Duration),
    /// The same, and then the holder takes the lock once more within its hold, for as long; as long after a loss.
    HoldThenReenter(Duration),
    /// Nothing but time passes; the holder extends its lease, and then holds for as long again.
    HoldThenExtend(Duration),
    /// Nothing but time passes; before that the client has held the lock once with a lease of its own.
    LeaseThenHold {
        /// How long the lease lasts.
        lease: Duration,
        /// How long the client holds then.
        hold: Duration,
    },
    /// Reads the counter and writes it back, one less.
    Plain,
    /// The same, with the fencing token.
    Fenced,
    /// The same, but the lease is first extended.
    ExtendThenPlain,
    /// Sells one piece, in the shop.
    Sell(Sell),
    /// Draws, for the one user that there is.
    Draw(Once),
}

/// How the shop sells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sell {
    /// The stock is on a Redis server of its own; otherwise in the database of the orders.
    pub from_redis: bool,
    /// How much there is at the start.
    pub stock_at_start: i64,
    /// What guards the stock at the write.
    pub guard: row::Guard,
    /// How often to try.
    pub retry: Retry,
    /// Whether a request's order can be there only once.
    pub unique_orders: bool,
    /// How long the shop works between its check of the stock and its write.
    pub takes: Duration,
}

/// How the draw makes sure that each user draws once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Once {
    /// Whether there is a unique key.
    pub unique: bool,
    /// How often to try.
    pub retry: Retry,
}

impl Work {
    fn needs_store(self) -> bool {
        matches!(self, Work::Plain | Work::Fenced | Work::ExtendThenPlain)
    }
}

/// What each client does.
#[derive(Clone, Debug)]
pub struct Guarded {
    /// The lock.
    pub lock: LockKind,
    /// The number of servers that keep the lock; the resource's server comes behind them.
    pub servers: usize,
    /// What the holder does.
    pub work: Work,
    /// Where the counter is.
    pub store: Store,
    /// How many threads each client has, which share its memory. Oracles about waiting know one acquisition of a client
    /// at a time.
    pub threads: usize,
    /// How often each of them.
    pub operations: usize,
    /// How long to think at the most before each operation.
    pub think: Duration,
    /// How long to wait for the lock; zero: try once.
    pub wait: Duration,
    /// A client that waits longer than this is interrupted: what waits is dropped.
    pub interrupt: Option<Duration>,
    /// How often to try, where it does not wait.
    pub tries: usize,
    /// A deliberate mistake.
    pub mutation: Option<Mutation>,
}

impl Workload for Guarded {
    async fn prepare<P: Ports>(&self, ports: P) -> Result<(), Unanswered> {
        if let LockKind::LockTable(_) = self.lock {
            let mut session = ports.mysql(0).session();
            answered(mysql::table::TABLE, session.run(mysql::table::TABLE, Vec::new()).await)?;
        }
        match self.work {
            Work::Sell(sell) => self.shop(sell).open(&ports).await,
            Work::Draw(once) => self.draw(once).open(&ports).await,
            _ => Ok(()),
        }
    }

    async fn audit<P: Ports>(&self, ports: P) -> Result<Option<Fact>, Unanswered> {
        let audit = match self.work {
            Work::Sell(sell) => self.shop(sell).audit(&ports).await?,
            Work::Draw(once) => self.draw(once).audit(&ports).await?,
            _ => return Ok(None),
        };
        Ok(Some(Fact::of(&audit)))
    }

    async fn run<P: Ports>(&self, ports: P) {
        self.run_with(&Mutant::new(ports, self.mutation)).await
    }
}

impl Guarded {
    /// True if the lock is on the MySQL server.
    fn locks_in_database(&self) -> bool {
        self.lock.keeper() == Keeper::MySql
    }

    /// True if a waiter's time-out is longer than a hold.
    fn outwaits_a_hold(&self) -> bool {
        let hold = match self.work {
            Work::Hold(time) | Work::HoldUntilLost(time) | Work::HoldThenReenter(time) => time,
            Work::HoldThenExtend(time) => 2 * time,
            Work::LeaseThenHold { hold, .. } => hold,
            _ => Duration::ZERO,
        };
        self.interrupt.unwrap_or(self.wait) > hold
    }

    /// True if there is a Redis server for what is guarded, behind the lock's.
    fn has_store(&self) -> bool {
        let counter = self.work.needs_store() && self.store == Store::Redis;
        counter || matches!(self.work, Work::Sell(Sell { from_redis: true, .. }))
    }

    /// True if there is a MySQL server for what is guarded, behind all others.
    fn has_database(&self) -> bool {
        matches!(self.work, Work::Sell(_) | Work::Draw(_)) && !self.locks_in_database()
    }

    /// The servers that it needs, set up as their defaults are: the lock's, and behind them those of what is guarded.
    pub fn services(&self) -> Vec<ServiceSpec> {
        let store = self.has_store().then(|| keeper::redis("store".to_owned()));
        let database = self.has_database().then(keeper::database);
        self.lock.keeper().services(self.servers).into_iter().chain(store).chain(database).collect()
    }

    /// The place of the MySQL server.
    fn database(&self) -> usize {
        if self.locks_in_database() { 0 } else { self.servers + usize::from(self.has_store()) }
    }

    fn shop(&self, sell: Sell) -> Shop {
        let Sell { from_redis, stock_at_start, guard, retry, unique_orders, takes } = sell;
        let stock = if from_redis { StockAt::Redis(self.servers) } else { StockAt::Row(1) };
        Shop { stock, stock_at_start, guard, retry, unique_orders, takes, database: self.database() }
    }

    fn draw(&self, once: Once) -> Draw {
        Draw { unique: once.unique, retry: once.retry, database: self.database() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doublehold_models::ServiceConfig;

    #[test]
    fn the_replica_of_the_cluster_is_of_the_shard_that_has_the_lock() {
        let services = Keeper::Cluster.services(Keeper::Cluster.servers());
        let ServiceConfig::Redis(config) = &services[0].config else { panic!("a Redis") };
        let sharding = config.cluster.as_ref().expect("a Cluster");
        assert_eq!(sharding.replicas[sharding.shard_of(LOCK.as_bytes())], 1);
    }
}
