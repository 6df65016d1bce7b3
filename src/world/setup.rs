//! Setup: what stays the same throughout an execution.

use super::cut::Partitions;
use super::fault::{Assumptions, Budgets, Fault};
use super::seat::{Seat, SeatPorts, Task};
use crate::history::Fact;
use crate::property::{Holder, Property};
use doublehold_models::{Blob, NodeClock, Service, ServiceConfig, ServiceKind, Step, Steps};
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
    /// Which partitions there may be.
    pub partitions: Partitions,
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
        match self.config.members() {
            1 => self.name.clone(),
            _ => format!("{}-{}", self.name, self.config.member_name(member)),
        }
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
    /// Who holds what is kept at this place, as the service's kind has it ([`ServiceKind::holder`]): a key of a Redis,
    /// a path of a ZooKeeper, a prefix of an etcd, the name of a MySQL's user lock or of a row in its lock table.
    At(Blob),
    /// Anything else: see [`Probe::reading`].
    Reading(Reading),
}

/// Reads a lock's holder off a service.
type Read = dyn Fn(&dyn ServiceKind, &[NodeClock]) -> Option<Holder> + Send + Sync;

/// A probe of one's own.
#[derive(Clone)]
pub struct Reading(Arc<Read>);

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reading(…)")
    }
}

impl Probe {
    /// A probe of the lock at this place.
    pub fn at(place: impl Into<Blob>) -> Probe {
        Probe::At(place.into())
    }

    /// A probe that reads the holder off a service, by its nodes' own clocks, as this function says.
    pub fn reading(holder: impl Fn(&dyn ServiceKind, &[NodeClock]) -> Option<Holder> + Send + Sync + 'static) -> Probe {
        Probe::Reading(Reading(Arc::new(holder)))
    }

    /// True if tokens can wait on a service behind the holder's.
    pub fn has_queue(&self, service: &Service) -> bool {
        matches!(self, Probe::At(_)) && service.has_queue()
    }

    /// The tokens that the service has: the holder's, and those that wait behind it where there is a queue.
    pub fn tokens(&self, service: &Service, clocks: &[NodeClock]) -> Vec<Blob> {
        match self {
            Probe::At(place) => service.tokens(clocks, place),
            Probe::Reading(_) => self.holder(service, clocks).into_iter().map(|holder| holder.token).collect(),
        }
    }

    /// The token that the service holds now, by its nodes' own clocks.
    pub fn holder(&self, service: &Service, clocks: &[NodeClock]) -> Option<Holder> {
        match self {
            Probe::At(place) => service.holder(clocks, place),
            Probe::Reading(Reading(read)) => read(&**service, clocks),
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
        let services = || self.services.iter().map(|spec| Service::new(&spec.config));
        let offers = |step: Step| {
            services().any(|service| {
                let mut steps = Steps::new();
                service.steps(&mut steps);
                steps.iter().any(|(_, offered)| *offered == step)
            })
        };
        match fault {
            Fault::Lag => offers(Step::Lag),
            Fault::SlowSync => offers(Step::SlowSync),
            Fault::NodePause => {
                let group = services().any(|service| service.is_group());
                group || self.services.iter().any(|spec| spec.config.members() == 1)
            }
            Fault::SessionExpiry => services().any(|service| service.has_sessions()),
            Fault::NodeCrash
            | Fault::Partition
            | Fault::NodePowerLoss
            | Fault::ClockStep
            | Fault::Break
            | Fault::Stall
            | Fault::Delay => !self.services.is_empty(),
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
