//! The guarded counter as a scenario: its servers, its locks and resources, its oracles.

use super::{Guarded, LockKind, STOCK, Store, Work};
use crate::flow::oracle;
use crate::port::Blob;
use crate::property::{Property, Sometimes};
use crate::scenario::{About, CLIENTS_MAX, Parameters, Scenario, Simulation, program};
use crate::world::cut::Partitions;
use crate::world::fault::Fault;
use crate::world::setup::{ArrivalTime, LockSpec, ResourceSpec, ServiceSpec, Setup};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// A scenario with this workload.
#[derive(Clone)]
pub struct GuardedScenario {
    /// What it is about.
    pub about: About,
    /// The servers.
    services: Vec<ServiceSpec>,
    /// What each client does.
    pub workload: Guarded,
    /// How it is set up if the user says nothing.
    pub parameters: Parameters,
    /// How it runs in the simulated world.
    pub simulation: Simulation,
    /// What must hold.
    pub properties: Vec<Arc<dyn Property>>,
    /// When clients begin.
    pub arrival: ArrivalTime,
    /// Which partitions there may be.
    pub partitions: Partitions,
}

/// What a workload asks of a service: its name, and how many servers it has.
fn shape(service: &ServiceSpec) -> (&str, u8) {
    (&service.name, service.config.members())
}

impl GuardedScenario {
    /// A scenario with this workload on servers as their defaults are.
    pub fn new(
        about: About,
        workload: Guarded,
        parameters: Parameters,
        simulation: Simulation,
        properties: Vec<Arc<dyn Property>>,
    ) -> Self {
        let services = workload.services();
        let (arrival, partitions) = (ArrivalTime::AtStart, Partitions::Any);
        GuardedScenario { about, services, workload, parameters, simulation, properties, arrival, partitions }
    }

    /// The same with another workload. Servers that it needs as well stay as they are.
    pub fn with(mut self, change: impl FnOnce(&mut Guarded)) -> Self {
        change(&mut self.workload);
        let known = std::mem::take(&mut self.services);
        let known = |needed: ServiceSpec| {
            known.iter().find(|service| shape(service) == shape(&needed)).cloned().unwrap_or(needed)
        };
        self.services = self.workload.services().into_iter().map(known).collect();
        self
    }

    /// The same with servers that are set up otherwise.
    pub fn serving(mut self, change: impl FnMut(&mut ServiceSpec)) -> Self {
        self.services.iter_mut().for_each(change);
        self
    }

    /// The service of the guarded number.
    fn resource(&self, services: &[ServiceSpec]) -> Option<ResourceSpec> {
        let named = |name: &str| services.iter().position(|service| service.name == name);
        let service = match (self.workload.work, self.workload.store) {
            (
                Work::Hold(_)
                | Work::HoldUntilLost(_)
                | Work::HoldThenReenter(_)
                | Work::HoldThenExtend(_)
                | Work::LeaseThenHold { .. }
                | Work::Draw(_),
                _,
            ) => None,
            (Work::Sell(sell), _) => named(if sell.from_redis { "store" } else { "mysql" }),
            (_, Store::LockEtcd) => named("etcd"),
            (_, Store::LockPrimary | Store::LockReplica) => named("redis"),
            (_, Store::Redis) => named("store"),
        };
        service.map(|service| ResourceSpec {
            name: Blob::from(STOCK),
            service,
            lock: self.workload.lock.place().into(),
        })
    }

    /// What a verdict about this workload says nothing without.
    fn sometimes(&self, parameters: &Parameters) -> Vec<Arc<dyn Property>> {
        let may = |faults: &[Fault]| faults.iter().any(|fault| parameters.budgets.left(*fault) > 0);
        let crash = may(&[Fault::ClientCrash, Fault::ClientPowerLoss]);
        let silent = crash || may(&[Fault::Pause]);
        let leased = matches!(
            self.workload.lock,
            LockKind::Redis(..)
                | LockKind::TwoLevel(..)
                | LockKind::Redisson(..)
                | LockKind::RedLock(_)
                | LockKind::RedLockExtended(..)
                | LockKind::RedissonMulti(..)
                | LockKind::Etcd(_)
        );
        let locked = !matches!(self.workload.lock, LockKind::None | LockKind::InProcess);
        let several = parameters.clients > 1 && locked;
        let patient = self.workload.outwaits_a_hold();
        let requests = parameters.clients * self.workload.threads * parameters.operations;
        let (sells, sells_out) = match self.workload.work {
            Work::Sell(sell) => (true, requests as i64 > sell.stock_at_start),
            Work::Draw(_) => (true, requests > 1),
            _ => (false, false),
        };
        let fenced = self.workload.work == Work::Fenced;
        [
            (leased && silent, Sometimes::LEASE_ENDS),
            (several && patient, Sometimes::WAITED_FOR),
            (several && !patient, Sometimes::GAVE_UP),
            (several && patient && crash, Sometimes::TAKEN_OVER),
            (several && fenced && silent, Sometimes::FENCED_OFF),
            (sells, oracle::SOLD),
            (sells_out, oracle::SOLD_OUT),
        ]
        .into_iter()
        .filter(|(must, _)| *must)
        .map(|(_, sometimes)| Arc::new(sometimes) as Arc<dyn Property>)
        .collect()
    }

    fn lock_spec(&self) -> Option<LockSpec> {
        let servers = self.workload.servers;
        let (services, quorum) = match &self.workload.lock {
            LockKind::None | LockKind::InProcess => return None,
            LockKind::RedLock(config) | LockKind::RedLockExtended(config, _) => {
                (servers, config.quorum.unwrap_or(servers / 2 + 1))
            }
            LockKind::RedissonMulti(_, config) => (servers, config.needed.unwrap_or(servers)),
            _ => (1, 1),
        };
        let (place, probe) = (self.workload.lock.place(), self.workload.lock.probe());
        Some(LockSpec { name: place.into(), services: (0..services).collect(), quorum, probe })
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
        let services = self.services.clone();
        assert!(
            services.iter().map(shape).eq(self.workload.services().iter().map(shape)),
            "the servers are not those of the workload"
        );
        let resources = self.resource(&services).into_iter().collect();
        Setup {
            services,
            clients: parameters.clients,
            program: program(workload),
            symmetric: true,
            arrival: self.arrival,
            budgets: parameters.budgets,
            assumptions: parameters.assumptions,
            partitions: self.partitions,
            locks: self.lock_spec().into_iter().collect(),
            resources,
            properties: self.properties.iter().cloned().chain(self.sometimes(parameters)).collect(),
            seed,
        }
    }

    fn clients(&self) -> RangeInclusive<usize> {
        match self.workload.lock {
            // Every third client writes.
            LockKind::ZooKeeperReadWrite(_) | LockKind::RedissonReadWrite(..) => self.parameters.clients..=CLIENTS_MAX,
            _ => 1..=CLIENTS_MAX,
        }
    }

    fn simulation(&self) -> Simulation {
        self.simulation
    }
}
