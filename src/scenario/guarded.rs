//! The guarded counter: acquire, read, write back one less, release. The shop of the articles in its smallest form.

use super::mutation::{Mutant, Mutation};
use super::{About, Parameters, Scenario, Simulation, Workload, program};
use crate::history::{Ended, Event};
use crate::lock::etcd::counter::EtcdCounter;
use crate::lock::etcd::{self, EtcdLock};
use crate::lock::in_process::InProcessLock;
use crate::lock::redis::RedisLock;
use crate::lock::redlock::RedLock;
use crate::lock::reentrant::{Record, Reentrant, Reentry};
use crate::lock::resource::{Access, Counter, Resource};
use crate::lock::zookeeper::{Client, Kind, ZkLock};
use crate::lock::{Guard, Lock, NotAcquired, redis, redlock, zookeeper};
use crate::port::{Blob, Ports};
use crate::property::Property;
use crate::world::setup::{ArrivalTime, LockSpec, Probe, ResourceSpec, ServiceSpec, Setup};
use doublehold_models::ServiceConfig;
use doublehold_models::etcd::Config as Cluster;
use doublehold_models::redis::{Config as RedisServer, Persistence};
use doublehold_models::zookeeper::Config as Ensemble;
use std::sync::Arc;
use std::time::Duration;

/// The lock's name and key.
pub const LOCK: &str = "lock";
/// The lock's path.
pub const ZK_PATH: &str = "/lock";
/// What the lock's keys begin with.
pub const ETCD_PREFIX: &str = "lock/";
/// The guarded resource's name and key.
pub const STOCK: &str = "stock";

/// Which lock guards the counter.
#[derive(Clone, Debug)]
pub enum LockKind {
    /// A flag in the memory of each process.
    InProcess,
    /// One Redis server.
    Redis(redis::Config),
    /// Several Redis servers.
    RedLock(redlock::Config),
    /// A ZooKeeper ensemble.
    ZooKeeper(zookeeper::Config),
    /// A read/write lock on one: every third client writes, the others read.
    ZooKeeperReadWrite(zookeeper::Config),
    /// The same as the first, re-entrant.
    ZooKeeperReentrant(zookeeper::Config, Reentry),
    /// An etcd cluster.
    Etcd(etcd::Config),
}

/// Where the counter is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Store {
    /// On a Redis server of its own, behind the lock's servers.
    #[default]
    Redis,
    /// On the lock's etcd cluster.
    LockEtcd,
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
    /// Reads the counter and writes it back, one less.
    Plain,
    /// The same, with the fencing token.
    Fenced,
    /// The same, but the lease is first extended.
    ExtendThenPlain,
}

impl Work {
    fn needs_store(self) -> bool {
        !matches!(self, Work::Hold(_) | Work::HoldUntilLost(_) | Work::HoldThenReenter(_))
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
    /// How often.
    pub operations: usize,
    /// How long to think at the most before each operation.
    pub think: Duration,
    /// How long to wait for the lock; zero: try once.
    pub wait: Duration,
    /// Whoever waits longer than this is interrupted: what waits is dropped.
    pub interrupt: Option<Duration>,
    /// How often to try, where it does not wait.
    pub tries: usize,
    /// A deliberate mistake.
    pub mutation: Option<Mutation>,
}

impl Workload for Guarded {
    async fn run<P: Ports>(&self, ports: P, client: usize) {
        match self.mutation {
            None => self.run_with(&ports, client).await,
            Some(mutation) => self.run_with(&Mutant::new(ports, mutation), client).await,
        }
    }
}

impl Guarded {
    async fn run_with<P: Ports>(&self, ports: &P, client: usize) {
        match &self.lock {
            LockKind::InProcess => {
                let lock = InProcessLock::new(ports, LOCK, Duration::from_millis(10));
                self.repeat(ports, &lock).await;
            }
            LockKind::Redis(config) => {
                let lock = RedisLock::new(ports, ports.redis(0), LOCK, config.clone());
                self.repeat(ports, &lock).await;
            }
            LockKind::RedLock(config) => {
                let servers = (0..self.servers).map(|server| ports.redis(server)).collect();
                let lock = RedLock::new(ports, servers, LOCK, config.clone());
                self.repeat(ports, &lock).await;
            }
            LockKind::ZooKeeper(config) => {
                let client = Client::new(ports, ports.zookeeper(0..self.servers), config.client);
                self.repeat(ports, &ZkLock::new(&client, ZK_PATH, *config)).await;
            }
            LockKind::ZooKeeperReadWrite(config) => {
                let kind = if client.is_multiple_of(3) { Kind::Writer } else { Kind::Reader };
                let client = Client::new(ports, ports.zookeeper(0..self.servers), config.client);
                self.repeat(ports, &ZkLock::new(&client, ZK_PATH, zookeeper::Config { kind, ..*config })).await;
            }
            LockKind::ZooKeeperReentrant(config, reentry) => {
                let client = Client::new(ports, ports.zookeeper(0..self.servers), config.client);
                let lock = ZkLock::new(&client, ZK_PATH, *config);
                self.repeat(ports, &Reentrant::new(&lock, &Arc::new(Record::default()), 0, *reentry)).await;
            }
            LockKind::Etcd(config) => {
                let client = etcd::Client::new(ports, ports.etcd(0..self.servers), config.client);
                self.repeat(ports, &EtcdLock::new(&client, ETCD_PREFIX, *config)).await;
            }
        }
    }

    async fn repeat<P: Ports, L: Lock>(&self, ports: &P, lock: &L) {
        for _ in 0..self.operations {
            if !self.think.is_zero() {
                ports.sleep(ports.random_between(Duration::ZERO, self.think)).await;
            }
            if let Some(guard) = self.acquire(ports, lock).await {
                let guard = self.work(ports, guard).await;
                release(ports, guard).await;
            }
        }
    }

    /// Acquires and tells the history.
    async fn acquire<P: Ports, L: Lock>(&self, ports: &P, lock: &L) -> Option<Guard<L>> {
        let wait_us_max = u64::try_from(self.wait.as_micros()).unwrap_or(u64::MAX);
        ports.record(Event::Acquiring { lock: LOCK.into(), wait_us_max });
        let mut result = match (self.wait, self.interrupt) {
            (Duration::ZERO, _) => lock.try_acquire().await,
            (wait, None) => lock.acquire(wait).await,
            (wait, Some(limit)) => {
                let acquired = ports.timeout(limit, lock.acquire(wait)).await;
                acquired.unwrap_or(Err(NotAcquired::Held))
            }
        };
        for _ in 1..self.tries {
            if result.is_err() {
                result = lock.try_acquire().await;
            }
        }
        match result {
            Ok(guard) => {
                let lease = guard.lease();
                ports.record(Event::Acquired {
                    lock: LOCK.into(),
                    token: lease.token.clone(),
                    fence: lease.fence,
                    valid_until: lease.valid_until,
                    mode: lock.mode(),
                });
                Some(guard)
            }
            Err(why) => {
                ports.record(Event::NotAcquired { lock: LOCK.into(), why: why.to_string() });
                None
            }
        }
    }

    async fn work<P: Ports, L: Lock>(&self, ports: &P, mut guard: Guard<L>) -> Guard<L> {
        match self.work {
            Work::Hold(time) => ports.sleep(time).await,
            Work::HoldUntilLost(time) => {
                let _lost = hold_until_lost(ports, &guard, time).await;
            }
            Work::HoldThenReenter(time) => {
                if hold_until_lost(ports, &guard, time).await {
                    ports.sleep(time).await;
                }
                if let Some(again) = self.acquire(ports, guard.lock()).await {
                    let _lost = hold_until_lost(ports, &again, time).await;
                    release(ports, again).await;
                }
            }
            Work::Plain => self.decrement(ports, &guard, None).await,
            Work::Fenced => self.decrement(ports, &guard, guard.fence()).await,
            Work::ExtendThenPlain => match guard.extend().await {
                Ok(()) => {
                    let valid_until = guard.lease().valid_until;
                    ports.record(Event::Extended { lock: LOCK.into(), valid_until });
                    self.decrement(ports, &guard, None).await;
                }
                Err(_) => ports.record(Event::Lost { lock: LOCK.into() }),
            },
        }
        guard
    }

    /// Reads the stock and writes it back, one less, as long as the lease is valid by the client's own clock.
    async fn decrement<P: Ports, L: Lock>(&self, ports: &P, guard: &Guard<L>, fence: Option<u64>) {
        match self.store {
            Store::Redis => decrement(ports, guard, &Counter::new(ports.redis(self.servers), STOCK), fence).await,
            Store::LockEtcd => {
                let owner = etcd::key_of_lease(&ETCD_PREFIX.into(), guard.lease().session.unwrap_or_default());
                let counter = EtcdCounter::new(ports.etcd(0..self.servers), STOCK, owner);
                decrement(ports, guard, &counter, fence).await;
            }
        }
    }
}

async fn decrement<P: Ports, L: Lock>(ports: &P, guard: &Guard<L>, counter: &impl Resource, fence: Option<u64>) {
    if !guard.is_valid() {
        return ports.record(Event::Lost { lock: LOCK.into() });
    }
    let Some(Access::Accepted(stock)) = counter.read(fence).await.ok() else { return };
    ports.record(Event::Read { resource: STOCK.into(), value: stock });
    if !guard.is_valid() {
        return ports.record(Event::Lost { lock: LOCK.into() });
    }
    let outcome = counter.write(fence, stock - 1).await;
    let outcome = Ended::of(&outcome, |access| *access == Access::Accepted(()));
    ports.record(Event::Wrote { resource: STOCK.into(), base: stock, value: stock - 1, outcome });
}

/// Holds for a while, and stops when the lock tells that the hold is lost: then true.
async fn hold_until_lost<P: Ports, L: Lock>(ports: &P, guard: &Guard<L>, time: Duration) -> bool {
    let lost = ports.timeout(time, guard.lost()).await.is_some();
    if lost {
        ports.record(Event::Lost { lock: LOCK.into() });
    }
    lost
}

/// Releases and tells the history.
async fn release<P: Ports, L: Lock>(ports: &P, guard: Guard<L>) {
    ports.record(Event::Releasing { lock: LOCK.into() });
    let outcome = guard.release().await;
    ports.record(Event::Released { lock: LOCK.into(), outcome: Ended::of(&outcome, |ours| *ours) });
}

/// A scenario with this workload.
#[derive(Clone)]
pub struct GuardedScenario {
    /// What it is about.
    pub about: About,
    /// What each client does.
    pub workload: Guarded,
    /// What survives a crash of the lock's Redis servers.
    pub persistence: Persistence,
    /// The lock's ZooKeeper ensemble.
    pub ensemble: Ensemble,
    /// The lock's etcd cluster.
    pub cluster: Cluster,
    /// How it is set up if the user says nothing.
    pub parameters: Parameters,
    /// How it runs in the simulated world.
    pub simulation: Simulation,
    /// What must hold.
    pub properties: Vec<Arc<dyn Property>>,
    /// When clients begin.
    pub arrival: ArrivalTime,
}

impl GuardedScenario {
    fn services(&self) -> Vec<ServiceSpec> {
        let redis = |name: String, persistence: Persistence| ServiceSpec {
            name,
            config: ServiceConfig::Redis(RedisServer { persistence }),
        };
        let locks: Vec<ServiceSpec> = match &self.workload.lock {
            LockKind::ZooKeeper(_) | LockKind::ZooKeeperReadWrite(_) | LockKind::ZooKeeperReentrant(..) => {
                let config = ServiceConfig::ZooKeeper(self.ensemble.clone());
                vec![ServiceSpec { name: "zk".to_owned(), config }]
            }
            LockKind::Etcd(_) => {
                let config = ServiceConfig::Etcd(self.cluster.clone());
                vec![ServiceSpec { name: "etcd".to_owned(), config }]
            }
            LockKind::InProcess | LockKind::Redis(_) | LockKind::RedLock(_) => (0..self.workload.servers)
                .map(|server| redis(format!("redis-{server}"), self.persistence.clone()))
                .collect(),
        };
        let own_store = self.workload.work.needs_store() && self.workload.store == Store::Redis;
        let store = own_store.then(|| redis("store".to_owned(), Persistence::Durable));
        locks.into_iter().chain(store).collect()
    }

    fn lock_spec(&self) -> Option<LockSpec> {
        let servers = self.workload.servers;
        let (services, quorum, probe) = match &self.workload.lock {
            LockKind::InProcess => return None,
            LockKind::Redis(_) => (1, 1, Probe::RedisKey(LOCK.into())),
            LockKind::RedLock(config) => {
                (servers, config.quorum.unwrap_or(servers / 2 + 1), Probe::RedisKey(LOCK.into()))
            }
            LockKind::ZooKeeper(_) | LockKind::ZooKeeperReadWrite(_) | LockKind::ZooKeeperReentrant(..) => {
                (1, 1, Probe::ZooKeeperPath(ZK_PATH.into()))
            }
            LockKind::Etcd(_) => (1, 1, Probe::EtcdPrefix(ETCD_PREFIX.into())),
        };
        Some(LockSpec { name: LOCK.into(), services: (0..services).collect(), quorum, probe })
    }
}

impl Scenario for GuardedScenario {
    fn about(&self) -> About {
        self.about.clone()
    }

    fn defaults(&self) -> Parameters {
        self.parameters.clone()
    }

    fn setup(&self, parameters: &Parameters, seed: u64) -> Setup {
        let think = Duration::from_micros(parameters.think_us_max);
        let workload = Guarded { operations: parameters.operations, think, ..self.workload.clone() };
        let services = self.services();
        // The store comes last; where it is the lock's own, that comes last.
        let store = services.len().checked_sub(1).filter(|_| self.workload.work.needs_store());
        let resources = store.map(|service| ResourceSpec { name: Blob::from(STOCK), service }).into_iter().collect();
        Setup {
            services,
            clients: parameters.clients,
            program: program(workload),
            // Sessions and leases have numbers, which tell clients apart.
            symmetric: matches!(self.workload.lock, LockKind::InProcess | LockKind::Redis(_) | LockKind::RedLock(_)),
            arrival: self.arrival,
            budgets: parameters.budgets,
            assumptions: parameters.assumptions,
            locks: self.lock_spec().into_iter().collect(),
            resources,
            properties: self.properties.clone(),
            seed,
        }
    }

    fn simulation(&self) -> Simulation {
        self.simulation
    }
}
