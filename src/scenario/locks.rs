//! The table of locks and guards, by name, for the matrix, `check`, `sim`, `real` and the catalogue.

use super::guarded::{LockKind, On};
use super::keeper::Keeper;
use crate::lock::mysql::row::Guard;
use crate::lock::mysql::table;
use crate::lock::{etcd, redis, redisson, redlock, zookeeper};
use std::time::Duration;

/// How the locks of the table are timed.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long leases last.
    pub ttl: Duration,
    /// How long sessions and leases last that are kept alive.
    pub session: Duration,
    /// The delay between two attempts on Redis servers: from the first to below the second.
    pub retry_delay: (Duration, Duration),
    /// How long an attempt waits for each server of several, and for one that has replicas.
    pub node_timeout: Duration,
    /// The delay between two attempts on a lock table.
    pub table_retry_delay: Duration,
}

impl Timing {
    /// For virtual time: retries at fixed times, and a time-out that healthy servers never reach.
    pub const VIRTUAL: Timing = Timing {
        ttl: Duration::from_millis(100),
        session: Duration::from_secs(3),
        retry_delay: (Duration::from_millis(60), Duration::from_millis(60)),
        node_timeout: Duration::from_millis(30),
        table_retry_delay: Duration::from_millis(50),
    };

    /// For real servers: leases and sessions of this length.
    pub fn real(ttl: Duration) -> Timing {
        Timing {
            ttl,
            session: ttl,
            retry_delay: (Duration::from_millis(1), Duration::from_millis(10)),
            node_timeout: (ttl / 20).max(Duration::from_millis(10)),
            table_retry_delay: Duration::from_millis(10),
        }
    }

    /// The document's single-instance lock.
    pub fn redis(&self) -> redis::Config {
        redis::Config { retry_delay: self.retry_delay, ..redis::Config::new(self.ttl) }
    }

    /// The watchdog lock.
    pub fn redisson(&self) -> redisson::Config {
        redisson::Config::new(self.ttl)
    }

    /// The document's RedLock.
    pub fn redlock(&self) -> redlock::Config {
        let Timing { retry_delay, node_timeout, .. } = *self;
        redlock::Config { retry_delay, node_timeout, ..redlock::Config::new(self.ttl) }
    }

    fn table(&self) -> table::Config {
        table::Config { retry_delay: self.table_retry_delay, ..table::Config::new(self.ttl) }
    }
}

/// A lock of the table.
#[derive(Debug)]
pub struct NamedLock {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub summary: &'static str,
    /// What keeps it.
    pub keeper: Keeper,
    /// Whether it gives fencing tokens.
    pub fences: bool,
    kind: fn(&Timing) -> LockKind,
}

/// The locks.
pub static LOCKS: [NamedLock; 14] = [
    named("none", "nothing", Keeper::NoServer, false, |_| LockKind::None),
    named("in-process", "a mutex in the memory of each client", Keeper::NoServer, false, |_| LockKind::InProcess),
    named("redis", "SET NX PX on one Redis server", Keeper::Redis, true, |timing| {
        LockKind::Redis(timing.redis(), On::Server)
    }),
    named("redisson", "Redisson's watchdog lock on one Redis server", Keeper::Redis, true, |timing| {
        LockKind::Redisson(timing.redisson(), On::Server)
    }),
    named("redisson-fair", "Redisson's fair lock on one Redis server", Keeper::Redis, false, |timing| {
        let kind = redisson::Kind::Fair(redisson::Queue::new(timing.ttl));
        LockKind::Redisson(redisson::Config { kind, ..timing.redisson() }, On::Server)
    }),
    named("redis-sentinel", "SET NX PX on a primary that Sentinels watch", Keeper::Sentinels, true, |timing| {
        LockKind::Redis(timing.redis(), On::Primary(timing.node_timeout))
    }),
    named("redis-cluster", "SET NX PX on a Redis Cluster", Keeper::Cluster, true, |timing| {
        LockKind::Redis(timing.redis(), On::Cluster(timing.node_timeout))
    }),
    named(
        "redisson-sentinel",
        "the watchdog lock on a primary that Sentinels watch",
        Keeper::Sentinels,
        true,
        |timing| LockKind::Redisson(timing.redisson(), On::Primary(timing.node_timeout)),
    ),
    named("redisson-cluster", "the watchdog lock on a Redis Cluster", Keeper::Cluster, true, |timing| {
        LockKind::Redisson(timing.redisson(), On::Cluster(timing.node_timeout))
    }),
    named("redlock", "RedLock on independent Redis servers", Keeper::Redises, false, |timing| {
        LockKind::RedLock(timing.redlock())
    }),
    named("zookeeper", "the sequential lock on a ZooKeeper ensemble", Keeper::ZooKeeper, true, |timing| {
        LockKind::ZooKeeper(zookeeper::Config::new(timing.session))
    }),
    named("etcd", "the mutex on an etcd cluster", Keeper::Etcd, true, |timing| {
        LockKind::Etcd(etcd::Config::new(timing.session))
    }),
    named("lock-table", "a row in a table of the database", Keeper::MySql, true, |timing| {
        LockKind::LockTable(timing.table())
    }),
    named("user-lock", "GET_LOCK of the database", Keeper::MySql, false, |_| LockKind::UserLock),
];

impl NamedLock {
    /// The lock, so timed.
    pub fn kind(&self, timing: &Timing) -> LockKind {
        (self.kind)(timing)
    }
}

const fn named(
    name: &'static str,
    summary: &'static str,
    keeper: Keeper,
    fences: bool,
    kind: fn(&Timing) -> LockKind,
) -> NamedLock {
    NamedLock { name, summary, keeper, fences, kind }
}

/// A guard of the table: what checks at the write.
#[derive(Debug)]
pub struct NamedGuard {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub summary: &'static str,
    /// The guard.
    pub guard: Guard,
    /// Whether only a row of a database can have it.
    pub needs_row: bool,
}

/// The guards.
pub static GUARDS: [NamedGuard; 5] = [
    guarding("nothing", "what was computed is written", Guard::Nothing, false),
    guarding("fence", "a smaller fencing token than one seen before is refused", Guard::Fence, false),
    guarding("version", "the version that was read must still be there", Guard::Version, true),
    guarding("decrement", "the server computes, if there is enough", Guard::Decrement, false),
    guarding("for-update", "the row is locked when it is read", Guard::ForUpdate, true),
];

const fn guarding(name: &'static str, summary: &'static str, guard: Guard, needs_row: bool) -> NamedGuard {
    NamedGuard { name, summary, guard, needs_row }
}

/// The lock with this name.
pub fn lock(name: &str) -> Option<&'static NamedLock> {
    LOCKS.iter().find(|lock| lock.name == name)
}

/// The guard with this name.
pub fn guard(name: &str) -> Option<&'static NamedGuard> {
    GUARDS.iter().find(|guard| guard.name == name)
}

/// A lock, and what checks at the write behind it.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    /// The lock.
    pub lock: &'static NamedLock,
    /// The guard.
    pub guard: &'static NamedGuard,
}

impl Pair {
    /// Those with these names; `None` if there is no such lock or guard.
    pub fn named(names: (&str, &str)) -> Option<Pair> {
        Some(Pair { lock: lock(names.0)?, guard: guard(names.1)? })
    }

    /// All pairs that make sense: nothing can check tokens that a lock does not give.
    pub fn all() -> impl Iterator<Item = Pair> {
        let pairs = LOCKS.iter().flat_map(|lock| GUARDS.iter().map(move |guard| Pair { lock, guard }));
        pairs.filter(|pair| pair.lock.fences || pair.guard.guard != Guard::Fence)
    }

    /// Its name: `redis+fence`; of a lock alone, or a guard alone, that one's.
    pub fn name(&self) -> String {
        match (self.lock.name, self.guard.name) {
            ("none", guard) => guard.to_owned(),
            (lock, "nothing") => lock.to_owned(),
            (lock, guard) => format!("{lock}+{guard}"),
        }
    }

    /// The lock, so timed; it gives fencing tokens if they are checked.
    pub fn kind(&self, timing: &Timing) -> LockKind {
        let fencing = (self.guard.guard == Guard::Fence).then_some(redis::Tokens::WithTheLock);
        match self.lock.kind(timing) {
            LockKind::Redis(config, on) => LockKind::Redis(redis::Config { fencing, ..config }, on),
            LockKind::Redisson(config, on) if fencing.is_some() => {
                LockKind::Redisson(redisson::Config { kind: redisson::Kind::Fenced, ..config }, on)
            }
            kind => kind,
        }
    }
}
