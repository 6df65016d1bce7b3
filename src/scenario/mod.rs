//! Scenarios: topology + workload + faults + properties, by name.
//!
//! A [`Scenario`] says everything that a run needs. Those of doublehold are in [`catalogue`]; bring your
//! own by implementing the trait and handing it to [`crate::cli::main_with`], or to [`crate::explore::check`]
//! from a test.

pub mod catalogue;
pub mod guarded;
pub mod mutation;
pub mod registry;

use crate::port::Ports;
use crate::world::fault::{Assumptions, Budgets};
use crate::world::seat::{SeatPorts, Task};
use crate::world::setup::{Program, Setup};
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::sync::Arc;

pub use registry::Registry;

/// The code that clients run: written once, for every world.
pub trait Workload: Clone + Send + Sync + 'static {
    /// Runs client number `client` to its end.
    fn run<P: Ports>(&self, ports: P, client: usize) -> impl Future<Output = ()> + Send;
}

/// A workload as the explored and the simulated world start it.
pub fn program(workload: impl Workload) -> Arc<dyn Program> {
    Arc::new(move |client: usize, ports: SeatPorts| -> Task {
        let workload = workload.clone();
        Box::pin(async move { workload.run(ports, client).await })
    })
}

/// What a user can change about a scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// The number of clients.
    pub clients: usize,
    /// How often each client acquires the lock.
    pub operations: usize,
    /// How many faults of each kind there may be.
    pub budgets: Budgets,
    /// What is taken for granted about time.
    pub assumptions: Assumptions,
}

/// What a scenario is there to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expectation {
    /// The named property breaks.
    Violated(&'static str),
    /// Everything holds.
    Holds,
}

/// What a scenario is about.
#[derive(Clone, Debug, Serialize)]
pub struct About {
    /// Its name.
    pub name: String,
    /// The row of the catalogue of failures, such as `R2`.
    pub row: Option<&'static str>,
    /// One line.
    pub summary: &'static str,
    /// Where the failure was published.
    pub source: &'static str,
    /// For a fixed variant: what the fix is, and where it is made (the lock, the resource, the deployment).
    pub fix: Option<&'static str>,
    /// What it is there to show.
    pub expects: Expectation,
}

/// Everything that a run needs.
pub trait Scenario: Send + Sync {
    /// What it is about.
    fn about(&self) -> About;

    /// How it is set up if the user says nothing: small, for the explored world.
    fn defaults(&self) -> Parameters;

    /// The servers, the clients' code, the oracles.
    fn setup(&self, parameters: &Parameters, seed: u64) -> Setup;

    /// How it runs in the simulated world: more clients, more time.
    fn simulation(&self) -> Simulation {
        let defaults = self.defaults();
        Simulation { clients: defaults.clients.max(3), operations: 20, ..Simulation::default() }
    }
}

/// How a scenario runs in the simulated world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Simulation {
    /// The number of clients.
    pub clients: usize,
    /// How often each client acquires the lock.
    pub operations: usize,
    /// The least time that a message takes, in microseconds.
    pub latency_us_min: u64,
    /// The usual time on top, exponentially distributed, in microseconds. Never beyond Δ.
    pub latency_us_mean: u64,
    /// One message in this many takes anything up to Δ; 0: none.
    pub straggler_one_in: u64,
    /// The mean time between two faults of one kind, in microseconds.
    pub fault_every_us: u64,
    /// Faults stop at this moment, and a healthy phase begins, in microseconds.
    pub healthy_after_us: u64,
    /// Everything must have ended by this moment, in microseconds.
    pub horizon_us: u64,
}

impl Default for Simulation {
    fn default() -> Self {
        Simulation {
            clients: 3,
            operations: 20,
            latency_us_min: 200,
            latency_us_mean: 800,
            straggler_one_in: 0,
            fault_every_us: 500_000,
            healthy_after_us: 60_000_000,
            horizon_us: 600_000_000,
        }
    }
}
