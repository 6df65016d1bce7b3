//! Setup: what stays the same throughout an execution.

use super::fault::{Assumptions, Budgets, Fault};
use super::seat::{Seat, SeatPorts, Task};
use crate::history::Fact;
use crate::property::{Ends, Holder, Property};

use doublehold_models::{Blob, NodeClock, Service, ServiceConfig};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// Everything about an execution that does not change while it runs. Shared by all executions of a search.
#[derive(Clone)]
pub struct Setup {
    /// The services. Their nodes, one after the other, are the topology.
    pub services: Vec<ServiceSpec>,
    /// The number of clients.
    pub clients: usize,
    /// The code that each client runs.
    pub program: Arc<dyn Program>,
    /// Whether all clients draw the same random numbers. Then identical clients may change places in the search, as long as
    /// nothing tells them apart.
    pub symmetric: bool,
    /// When clients begin.
    pub arrival: ArrivalTime,
    /// How many faults of each kind there may be.
    pub budgets: Budgets,
    /// What is taken for granted about time.
    pub assumptions: Assumptions,
    /// The locks, for the oracles.
    pub locks: Vec<LockSpec>,
    /// The guarded resources, for the oracles.
    pub resources: Vec<ResourceSpec>,
    /// What must hold.
    pub properties: Vec<Arc<dyn Property>>,
    /// The seed of the clients' random streams.
    pub seed: u64,
}

/// A service: its name and how it is set up.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ServiceSpec {
    /// Its name in traces, such as `redis-0`. Where it has several nodes, theirs are `zk-0`, `zk-1` and so on.
    pub name: String,
    /// How it is set up.
    pub config: ServiceConfig,
}

impl ServiceSpec {
    /// The name of one of its nodes.
    pub fn node_name(&self, member: u8) -> String {
        if self.config.members() == 1 { self.name.clone() } else { format!("{}-{member}", self.name) }
    }
}

/// When clients begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArrivalTime {
    /// All at the start; their first requests may still be delayed.
    AtStart,
    /// Each at any time.
    AnyTime,
}

/// The code of a client, for a world whose clients have seats.
pub trait Program: Send + Sync {
    /// A new run of a client.
    fn start(&self, ports: SeatPorts) -> Task;

    /// What is done on the servers before any client begins; nothing by default.
    fn prepare(&self, _ports: SeatPorts) -> Fixture<()> {
        Box::pin(std::future::ready(()))
    }

    /// What an auditor looks at after all clients have ended; nothing by default.
    fn audit(&self, _ports: SeatPorts) -> Fixture<Option<Fact>> {
        Box::pin(std::future::ready(None))
    }
}

/// Code that runs alone on the servers.
pub type Fixture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<F: Fn(SeatPorts) -> Task + Send + Sync> Program for F {
    fn start(&self, ports: SeatPorts) -> Task {
        self(ports)
    }
}

/// Where a lock's state is found on the servers.
#[derive(Clone)]
pub struct LockSpec {
    /// Its name in the history.
    pub name: Blob,
    /// The services that keep it.
    pub services: Vec<usize>,
    /// On how many of them a token must be for its owner to hold the lock.
    pub quorum: usize,
    /// Reads who holds it on one service.
    pub probe: Probe,
}

/// Reads a lock's holder off one service.
#[derive(Clone, Debug)]
pub enum Probe {
    /// A Redis string key that holds the owner's token.
    RedisKey(Blob),
    /// A ZooKeeper path whose oldest child is the owner's.
    ZooKeeperPath(Blob),
    /// The name of a lock in a MySQL server's lock table.
    MySqlLockTable(Blob),
    /// The name of a user lock of a MySQL server; its session's client stands for the token.
    MySqlUserLock(Blob),
    /// An etcd prefix whose oldest key is the owner's, and has the token as its value.
    EtcdPrefix(Blob),
    /// Anything else: see [`Probe::reading`].
    Reading(Reading),
}

/// Reads a lock's holder off a service.
type Read = dyn Fn(&Service, &[NodeClock]) -> Option<Holder> + Send + Sync;

/// A probe of one's own.
#[derive(Clone)]
pub struct Reading(Arc<Read>);

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reading(…)")
    }
}

impl Probe {
    /// A probe that reads the holder off a service, by its nodes' own clocks, as this function says.
    pub fn reading(holder: impl Fn(&Service, &[NodeClock]) -> Option<Holder> + Send + Sync + 'static) -> Probe {
        Probe::Reading(Reading(Arc::new(holder)))
    }

    /// True if tokens can wait behind the holder's.
    pub fn has_queue(&self) -> bool {
        matches!(self, Probe::ZooKeeperPath(_) | Probe::EtcdPrefix(_))
    }

    /// The tokens that the service has: the holder's, and those that wait behind it where there is a queue.
    pub fn tokens(&self, service: &Service, clocks: &[NodeClock]) -> Vec<Blob> {
        match self {
            Probe::ZooKeeperPath(below) | Probe::EtcdPrefix(below) => service.queue(below),
            _ => self.holder(service, clocks).into_iter().map(|holder| holder.token).collect(),
        }
    }

    /// The token that the service holds now, by its nodes' own clocks.
    pub fn holder(&self, service: &Service, clocks: &[NodeClock]) -> Option<Holder> {
        match self {
            Probe::RedisKey(key) => {
                let (token, deadline) = service.redis_string(clocks, key)?;
                Some(Holder { token, ends: Ends::by_time(deadline.is_some()) })
            }
            Probe::ZooKeeperPath(path) => {
                let (token, expires) = service.zookeeper_first(path)?;
                Some(Holder { token, ends: Ends::by_time(expires) })
            }
            Probe::MySqlLockTable(name) => {
                let (token, expires) = service.mysql_lock_row(clocks, name)?;
                Some(Holder { token, ends: Ends::by_time(expires) })
            }
            Probe::MySqlUserLock(name) => {
                let owner = service.mysql_user_lock(name)?;
                let token = Blob::from(format!("client-{}", owner.client));
                Some(Holder { token, ends: Ends::WithConnection(owner) })
            }
            Probe::EtcdPrefix(prefix) => {
                let (token, expires) = service.etcd_first(prefix)?;
                Some(Holder { token, ends: Ends::by_time(expires) })
            }
            Probe::Reading(Reading(read)) => read(service, clocks),
        }
    }
}

/// Where a guarded resource is found on the servers.
#[derive(Clone, Debug)]
pub struct ResourceSpec {
    /// Its name in the history, and its key.
    pub name: Blob,
    /// The service that keeps it.
    pub service: usize,
    /// The name of the lock that guards it.
    pub lock: Blob,
}

impl Setup {
    /// The names of the nodes, by their place in the topology.
    pub fn node_names(&self) -> Vec<String> {
        let names = |spec: &ServiceSpec| (0..spec.config.members()).map(|member| spec.node_name(member)).collect();
        self.services.iter().flat_map::<Vec<String>, _>(names).collect()
    }

    /// True if a fault of this kind can hit something here: a verdict about faults that cannot happen would say nothing.
    pub fn can_suffer(&self, fault: Fault) -> bool {
        let configs = || self.services.iter().map(|service| &service.config);
        match fault {
            Fault::Lag => configs().any(|config| match config {
                ServiceConfig::ZooKeeper(_) | ServiceConfig::Etcd(_) => config.members() > 1,
                ServiceConfig::MySql(config) => config.replication.is_some(),
                ServiceConfig::Redis(_) => false,
            }),
            Fault::SlowSync => configs().any(|config| Service::new(config).can_sync_slowly()),
            Fault::NodePause => configs().any(|config| config.members() == 1),
            Fault::SessionExpiry => configs().any(|config| matches!(config, ServiceConfig::ZooKeeper(_))),
            Fault::NodeCrash
            | Fault::Partition
            | Fault::NodePowerLoss
            | Fault::ClockStep
            | Fault::Break
            | Fault::Stall
            | Fault::Delay => configs().next().is_some(),
            Fault::Pause | Fault::ClientCrash | Fault::ClientPowerLoss | Fault::ClientClockStep => true,
        }
    }

    /// The seed of one client's random stream.
    pub fn client_seed(&self, client: usize) -> [u8; 32] {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seed.to_le_bytes());
        // Clients that stand for each other must draw the same numbers.
        let stream = if self.symmetric { 0 } else { client as u64 };
        seed[8..16].copy_from_slice(&stream.to_le_bytes());
        seed[16..24].copy_from_slice(b"client  ");
        seed
    }

    /// A new seat for a client. `keep_digest`: somebody will ask for the digest of what it has seen.
    pub fn seat(&self, client: usize, keep_digest: bool) -> Arc<Seat> {
        let number = u16::try_from(client).expect("fewer clients than 65536");
        Seat::new(number, self.client_seed(client), keep_digest)
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("services", &self.services)
            .field("clients", &self.clients)
            .finish_non_exhaustive()
    }
}
