//! A lock of one's own: what a user of doublehold writes in their crate.

use doublehold::history::{Ended, Event, Mode};
use doublehold::port::{Command, Outcome, Ports, Redis};
use doublehold::property;
use doublehold::scenario::{About, Expectation, Parameters, Scenario, Workload, program};
use doublehold::world::cut::Partitions;
use doublehold::world::fault::{Assumptions, Budgets};
use doublehold::world::setup::{ArrivalTime, LockSpec, Probe, ServiceSpec, Setup};
use doublehold_models::ServiceConfig;
use doublehold_models::redis::Config;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// Looks first and takes then: between the two another client can do the same.
#[derive(Clone)]
struct LookThenTake;

impl Workload for LookThenTake {
    async fn run<P: Ports>(&self, ports: P) {
        let redis = ports.redis(0);
        let token = ports.unique_id();
        ports.record(Event::Acquiring { lock: "lock".into(), wait_us_max: 0 });
        let taken = match redis.call(Command::new("GET").arg("lock")).await {
            Outcome::Ok(owner) if owner.is_nil() => redis.call(Command::new("SET").arg("lock").arg(&token)).await.ok(),
            Outcome::Ok(_) | Outcome::Fail(_) | Outcome::Indeterminate(_) => None,
        };
        if taken.is_none() {
            return ports.record(Event::NotAcquired { lock: "lock".into(), why: "held".into() });
        }
        ports.record(Event::Acquired {
            lock: "lock".into(),
            token: token.clone(),
            fence: None,
            valid_until: None,
            mode: Mode::Exclusive,
        });
        ports.sleep(Duration::from_millis(1)).await;
        ports.record(Event::Releasing { lock: "lock".into(), token });
        let outcome = redis.call(Command::new("DEL").arg("lock")).await;
        ports.record(Event::Released { lock: "lock".into(), outcome: Ended::of(&outcome, |_| true) });
    }
}

/// The scenario around it.
pub struct LookThenTakeScenario;

impl Scenario for LookThenTakeScenario {
    fn about(&self) -> About {
        About {
            name: "look-then-take".into(),
            row: None,
            summary: "GET, and SET if nobody is there",
            source: "an example of a lock of one's own",
            fix: None,
            expects: Expectation::Violated("belief"),
        }
    }

    fn defaults(&self) -> Parameters {
        let assumptions = Assumptions { delay_us_max: Some(0), ..Assumptions::default() };
        Parameters {
            clients: 2,
            operations: 1,
            think_us_max: 0,
            budgets: Budgets::NONE,
            assumptions,
            judged: Vec::new(),
        }
    }

    fn operations(&self) -> RangeInclusive<usize> {
        1..=1
    }

    fn setup(&self, parameters: &Parameters, seed: u64) -> Setup {
        Setup {
            services: vec![ServiceSpec { name: "redis-0".into(), config: ServiceConfig::Redis(Config::default()) }],
            clients: parameters.clients,
            program: program(LookThenTake),
            symmetric: true,
            arrival: ArrivalTime::AtStart,
            partitions: Partitions::Any,
            budgets: parameters.budgets,
            assumptions: parameters.assumptions,
            locks: vec![LockSpec { name: "lock".into(), services: vec![0], quorum: 1, probe: Probe::at("lock") }],
            resources: Vec::new(),
            properties: vec![Arc::new(property::Belief), Arc::new(property::Deadlock)],
            seed,
        }
    }
}
