//! The catalogue: published failures, each broken and fixed; known-bad locks; sound ones; toys.
//!
//! | file | what it holds |
//! |---|---|
//! | `redis` | sound Redis locks, rows R…, S13, the benchmarks' toy |
//! | `extended` | RedLock that is extended while it is held, and a mistake |
//! | `fair_lock` | the fair lock, row R30, and mistakes in its queue |
//! | `faults` | locks that one kind of fault breaks, and its neighbour does not |
//! | `caches` | the call ranking and cache-aside, rows S7, S11, S12 |
//! | `etcd` | sound etcd locks, Jepsen's finding, and mistakes in them |
//! | `flash_sale` | the flash sale, rows S8, S9, S10, and mistakes in it |
//! | `flash_sale_kafka` | the same with Kafka for its queue |
//! | `known_bad` | Redis locks with one deliberate mistake each |
//! | `mysql` | guards in the row, lock table, user locks, the shop, the draw; rows M…, S13, S14, and mistakes in SQL |
//! | `order` | the order flow, rows S…, and mistakes in it |
//! | `redis_cluster` | Redis locks on a Cluster |
//! | `redis_failover` | Redis locks on a primary with replicas and Sentinels, rows R5, R7, R8, R26, R32 |
//! | `redisson` | the watchdog lock, several as one, rows R6, R13–R17, R19, R20, R25, R33, R34, mistakes |
//! | `redisson_kinds` | Redisson's fenced lock, read/write lock and semaphore, and mistakes in them |
//! | `two_level` | a lock behind a mutex of each process, and a registry that forgets one |
//! | `zookeeper` | sound ZooKeeper locks, rows Z…, and mistakes in them |

mod caches;
mod etcd;
mod extended;
mod fair_lock;
mod faults;
mod flash_sale;
mod flash_sale_kafka;
mod known_bad;
pub(crate) mod mysql;
mod order;
mod redis;
mod redis_cluster;
mod redis_failover;
mod redisson;
mod redisson_kinds;
mod two_level;
mod zookeeper;

use super::flow::{Flow, FlowScenario};
use super::guarded::{Guarded, GuardedScenario, LockKind, Store, Work};
use super::locks::{self, Pair, Timing};
use super::mutation::Mutation;
use super::{About, Expectation, Parameters, Scenario, Simulation};
use crate::property::{self, Property};
use crate::world::fault::{Assumptions, Budgets, ClockSteps, Fault};
use crate::world::setup::ArrivalTime;
use doublehold_models::ServiceConfig;
use doublehold_models::mysql::Config as Database;
use doublehold_models::redis::{self as redis_server, Persistence, Replication};
use doublehold_models::zookeeper::Config as Ensemble;
use std::sync::Arc;
use std::time::Duration;

/// All scenarios.
pub fn all() -> Vec<Arc<dyn Scenario>> {
    let mut all = Vec::new();
    all.extend(redis::scenarios());
    all.extend(redis_failover::scenarios());
    all.extend(redis_cluster::scenarios());
    all.extend(redisson::scenarios());
    all.extend(fair_lock::scenarios());
    all.extend(redisson_kinds::scenarios());
    all.extend(extended::scenarios());
    all.extend(two_level::scenarios());
    all.extend(known_bad::scenarios());
    all.extend(faults::scenarios());
    all.extend(zookeeper::scenarios());
    all.extend(etcd::scenarios());
    all.extend(mysql::scenarios());
    all.push(redis::ttl_lock());
    let guarded = all.into_iter().map(|scenario| Arc::new(scenario) as Arc<dyn Scenario>);
    let orders = order::scenarios().into_iter().map(|scenario| Arc::new(scenario) as Arc<dyn Scenario>);
    let rankings = caches::rankings().into_iter().map(|scenario| Arc::new(scenario) as Arc<dyn Scenario>);
    let articles = caches::articles().into_iter().map(|scenario| Arc::new(scenario) as Arc<dyn Scenario>);
    let sales = [flash_sale::scenarios(), flash_sale_kafka::scenarios()].concat();
    let sales = sales.into_iter().map(|scenario| Arc::new(scenario) as Arc<dyn Scenario>);
    guarded.chain(orders).chain(rankings).chain(articles).chain(sales).collect()
}

/// Scenarios whose search takes minutes: found by their names, but no part of the catalogue.
pub(super) fn long() -> impl Iterator<Item = GuardedScenario> {
    redisson::long().into_iter().chain(redis_failover::long())
}

pub(super) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn about(name: &str, row: Option<&'static str>, summary: &'static str, source: &'static str) -> About {
    About { name: name.to_owned(), row, summary, source, fix: None, expects: Expectation::Holds }
}

/// A lock of the table, so timed.
fn listed(name: &str, timing: &Timing) -> LockKind {
    locks::lock(name).expect("the table has it").kind(timing)
}

/// A lock of the table, so timed, whose fencing tokens are checked.
fn fencing(name: &str, timing: &Timing) -> LockKind {
    Pair::named((name, "fence")).expect("the table has both").kind(timing)
}

/// This work behind a lock, on the default number of servers.
pub(super) fn workload(lock: LockKind, work: Work) -> Guarded {
    Guarded {
        servers: lock.keeper().servers(),
        lock,
        work,
        store: Store::default(),
        threads: 1,
        operations: 1,
        think: Duration::ZERO,
        wait: ms(200),
        interrupt: None,
        tries: 1,
        mutation: None,
    }
}

/// Two clients, one operation each, no faults, messages that take no time.
pub(super) fn base(about: About, workload: Guarded) -> GuardedScenario {
    let simulation = Simulation { clients: 4, ..Simulation::default() };
    GuardedScenario::new(about, workload, two_clients(), simulation, everything(2 * redis::TTL_US))
}

/// Two clients, one operation each, no faults, messages that take no time.
fn two_clients() -> Parameters {
    Parameters {
        clients: 2,
        operations: 1,
        think_us_max: 0,
        budgets: Budgets::NONE,
        assumptions: Assumptions { delay_us_max: Some(0), ..Assumptions::default() },
        judged: Vec::new(),
    }
}

/// By so much a server's clock steps in the day of a flow.
const DAY_CLOCK_STEP_US: i64 = 200_000;

impl<F: Flow> FlowScenario<F> {
    /// The same with every kind of fault that its servers can have, in the simulated world.
    fn with_every_fault(mut self) -> Self {
        let faults = [
            Fault::ClientCrash,
            Fault::Break,
            Fault::Stall,
            Fault::Delay,
            Fault::Pause,
            Fault::NodeCrash,
            Fault::NodePause,
            Fault::NodePowerLoss,
            Fault::Partition,
            Fault::ClockStep,
        ];
        self.simulation.faults = faults.into_iter().fold(Budgets::NONE, |budgets, fault| budgets.with(fault, 1));
        self.parameters.assumptions.clock_steps_us = ClockSteps([DAY_CLOCK_STEP_US, -DAY_CLOCK_STEP_US]);
        self
    }
}

/// The mean time between two faults of a simulated flow: a run of less than a second has some.
const FLOW_FAULT_EVERY_US: u64 = 20_000;

/// A flow with two clients, one operation each, no faults; four clients and five operations in the simulated world.
fn small_flow<F: Flow>(about: About, flow: F, mut properties: Vec<Arc<dyn Property>>) -> FlowScenario<F> {
    properties.push(Arc::new(property::Deadlock));
    FlowScenario {
        about,
        services: flow.services(),
        flow,
        parameters: two_clients(),
        simulation: Simulation {
            clients: 4,
            operations: 5,
            fault_every_us: FLOW_FAULT_EVERY_US,
            down_us_max: 5_000,
            ..Simulation::default()
        },
        properties,
        arrival: ArrivalTime::AtStart,
    }
}

/// What a lock must keep where nothing is wrong with its assumptions.
fn everything(slack_us: u64) -> Vec<Arc<dyn Property>> {
    vec![
        Arc::new(property::Grant),
        Arc::new(property::Belief),
        Arc::new(property::Effect),
        Arc::new(property::ForeignRelease),
        Arc::new(property::FencingOrder),
        Arc::new(property::Leak),
        Arc::new(property::Deadlock),
        Arc::new(property::BoundedWait { slack_us }),
    ]
}

impl GuardedScenario {
    fn violating(mut self, property: &'static str) -> Self {
        self.about.expects = Expectation::Violated(property);
        self
    }

    fn only(mut self, property: impl Property + 'static) -> Self {
        self.properties = vec![Arc::new(property)];
        self
    }

    fn faults(mut self, fault: Fault, count: u8) -> Self {
        self.parameters.budgets = self.parameters.budgets.with(fault, count);
        self
    }

    fn without(self, fault: Fault) -> Self {
        self.faults(fault, 0)
    }

    fn assume(mut self, change: impl FnOnce(&mut Assumptions)) -> Self {
        change(&mut self.parameters.assumptions);
        self
    }

    /// The lock's Redis servers keep this.
    pub(super) fn keeps(self, persistence: Persistence) -> Self {
        self.serving(|service| match &mut service.config {
            ServiceConfig::Redis(config) if service.name != "store" => config.persistence = persistence.clone(),
            _ => {}
        })
    }

    /// The lock's Redis servers are replicated otherwise.
    pub(super) fn replication(self, change: impl Fn(&mut Replication)) -> Self {
        self.serving(|service| {
            if let ServiceConfig::Redis(redis_server::Config { replication: Some(replication), .. }) =
                &mut service.config
            {
                change(replication);
            }
        })
    }

    /// The ZooKeeper ensemble is set up otherwise.
    fn ensemble(self, change: impl Fn(&mut Ensemble)) -> Self {
        self.serving(|service| {
            if let ServiceConfig::ZooKeeper(config) = &mut service.config {
                change(config);
            }
        })
    }

    /// The MySQL server is set up otherwise.
    pub(super) fn database(self, change: impl Fn(&mut Database)) -> Self {
        self.serving(|service| {
            if let ServiceConfig::MySql(config) = &mut service.config {
                change(config);
            }
        })
    }

    fn fixed(mut self, suffix: &str, fix: &'static str) -> Self {
        self.about.name = format!("{}-{suffix}", self.about.name);
        self.about.fix = Some(fix);
        self.about.expects = Expectation::Holds;
        self
    }

    /// Another lock; kept by something else, on the default number of servers.
    fn lock(self, lock: LockKind) -> Self {
        self.with(|workload| {
            if lock.keeper() != workload.lock.keeper() {
                workload.servers = lock.keeper().servers();
            }
            workload.lock = lock;
        })
    }

    fn servers(self, servers: usize) -> Self {
        self.with(|workload| workload.servers = servers)
    }

    fn work(self, work: Work) -> Self {
        self.with(|workload| workload.work = work)
    }

    fn mutated(mut self, mutation: Mutation) -> Self {
        self.workload.mutation = Some(mutation);
        self
    }
}

/// A lock with a mistake, which breaks the one property that is judged, and without.
fn broken_and_fixed(
    fixed: GuardedScenario,
    mistake: impl FnOnce(GuardedScenario) -> GuardedScenario,
    suffix: &str,
    fix: &'static str,
) -> Vec<GuardedScenario> {
    let [property] = &fixed.properties[..] else { panic!("a failure is about one property") };
    let broken = mistake(fixed.clone()).violating(property.name());
    vec![broken, fixed.fixed(suffix, fix)]
}
