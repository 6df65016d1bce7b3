//! Scenarios: topology + workload + faults + properties, by name.
//!
//! A [`Scenario`] says everything that a run needs. Those of doublehold are in [`catalogue`]; bring your
//! own by implementing the trait and handing it to [`crate::cli::main_with`], or to [`crate::explore::check()`]
//! from a test.

pub mod articles;
pub mod catalogue;
pub mod flash_sale;
pub mod flow;
pub mod guarded;
pub mod keeper;
pub mod locks;
pub mod matrix;
pub mod merchants;
pub mod mutation;
pub mod order;
pub mod ranking;
pub mod registry;

use crate::history::Fact;
use crate::port::{Ports, Unanswered};
use crate::world::fault::{Assumptions, Budgets};
use crate::world::seat::{SeatPorts, Task};
use crate::world::setup::{ArrivalTime, Fixture, Program, Setup};
pub use crate::world::simulation::Simulation;
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;

pub use registry::Registry;

/// The name of the explored world in traces.
pub const EXPLORED: &str = "explored";
/// The name of the simulated world in traces.
pub const SIMULATED: &str = "simulated";

/// The code that clients run: written once, for every world.
pub trait Workload: Clone + Send + Sync + 'static {
    /// Runs a client to its end. What tells clients apart is [`Ports::client`].
    fn run<P: Ports>(&self, ports: P) -> impl Future<Output = ()> + Send;

    /// Puts on the servers what must be there before any client begins.
    fn prepare<P: Ports>(&self, _ports: P) -> impl Future<Output = Result<(), Unanswered>> + Send {
        async { Ok(()) }
    }

    /// What an auditor finds on the servers after all clients have ended; nothing if there is nothing to audit.
    fn audit<P: Ports>(&self, _ports: P) -> impl Future<Output = Result<Option<Fact>, Unanswered>> + Send {
        async { Ok(None) }
    }
}

/// A workload as the explored and the simulated world start it.
pub fn program(workload: impl Workload) -> Arc<dyn Program> {
    Arc::new(Started(workload))
}

/// A workload in a world whose clients have seats.
struct Started<W>(W);

impl<W: Workload> Program for Started<W> {
    fn start(&self, ports: SeatPorts) -> Task {
        let workload = self.0.clone();
        Box::pin(async move { workload.run(ports).await })
    }

    fn prepare(&self, ports: SeatPorts) -> Fixture<()> {
        let workload = self.0.clone();
        Box::pin(async move {
            // It runs alone, and nothing breaks: what fails is a mistake of the scenario.
            workload.prepare(ports).await.unwrap_or_else(|problem| panic!("the servers cannot be prepared: {problem}"));
        })
    }

    fn audit(&self, ports: SeatPorts) -> Fixture<Option<Fact>> {
        let workload = self.0.clone();
        Box::pin(async move {
            workload.audit(ports).await.unwrap_or_else(|problem| panic!("the servers cannot be audited: {problem}"))
        })
    }
}

/// What a user can change about a scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// The number of clients.
    pub clients: usize,
    /// How often each client acquires the lock.
    pub operations: usize,
    /// How long a client thinks at the most before each operation, in microseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub think_us_max: u64,
    /// How many faults of each kind there may be.
    pub budgets: Budgets,
    /// What is taken for granted about time.
    pub assumptions: Assumptions,
    /// The properties that are judged, by name; all of the scenario's if there are none here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judged: Vec<String>,
}

impl Parameters {
    /// The same for a simulated run: the fault kinds are the scenario's and the simulation's, their number is not
    /// limited.
    pub fn simulated(&self, simulation: &Simulation) -> Parameters {
        let kinds = self.budgets.iter().chain(simulation.faults.iter());
        let unlimited = kinds.fold(Budgets::NONE, |budgets, (fault, _)| budgets.with(fault, u8::MAX));
        Parameters {
            clients: simulation.clients,
            operations: simulation.operations,
            think_us_max: simulation.think_us_max,
            budgets: unlimited,
            assumptions: Assumptions { delay_us_max: None, pause_us_max: None, ..self.assumptions },
            judged: self.judged.clone(),
        }
    }

    /// Says what is wrong with parameters that no command would have written.
    pub fn check(&self) -> Result<(), String> {
        if !(1..=CLIENTS_MAX).contains(&self.clients) {
            return Err(format!("it has {} clients; 1 to {CLIENTS_MAX} are possible", self.clients));
        }
        if self.operations == 0 {
            return Err("it has no operations".to_owned());
        }
        if self.assumptions.drift_ppm_max >= DRIFT_PPM_END {
            return Err(format!(
                "its clocks drift by {} ppm; less than {DRIFT_PPM_END} are possible",
                self.assumptions.drift_ppm_max
            ));
        }
        let far = |us: u64| us > MOMENT_US_MAX;
        let steps = self.assumptions.clock_steps_us.iter().any(|us| far(us.unsigned_abs()));
        let Assumptions { offset_us_max, restart_us_min, .. } = self.assumptions;
        if steps || far(offset_us_max) || far(restart_us_min) || far(self.think_us_max) {
            return Err("it names a time of more than a hundred years".to_owned());
        }
        Ok(())
    }
}

/// More clients than this are not possible.
pub const CLIENTS_MAX: usize = 128;
/// Clocks drift by less than this.
const DRIFT_PPM_END: u32 = 500_000;
/// A hundred years: further away no clock is set.
const MOMENT_US_MAX: u64 = 100 * 366 * 86_400 * 1_000_000;

fn is_zero(number: &u64) -> bool {
    *number == 0
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

    /// Which numbers of clients make sense: those with which it is about the same. Where clients have roles, none may be
    /// missing.
    fn clients(&self) -> RangeInclusive<usize> {
        1..=CLIENTS_MAX
    }

    /// Which numbers of operations make sense: `1..=1` if the workload does not ask how often.
    fn operations(&self) -> RangeInclusive<usize> {
        1..=usize::MAX
    }

    /// How it runs in the simulated world: more clients, more time, as far as that makes sense.
    fn simulation(&self) -> Simulation {
        let (clients, operations) = (self.clients(), self.operations());
        Simulation {
            clients: self.defaults().clients.max(3).min(*clients.end()),
            operations: 20.min(*operations.end()),
            ..Simulation::default()
        }
    }
}

/// A scenario's setup for a world, judged by the properties that the parameters name: simulated clients are not alike, and come at any time.
pub fn setup_for(scenario: &dyn Scenario, parameters: &Parameters, seed: u64, world: &str) -> Setup {
    let mut setup = scenario.setup(parameters, seed);
    if !parameters.judged.is_empty() {
        setup.properties.retain(|property| parameters.judged.iter().any(|judged| judged == property.name()));
    }
    if world == SIMULATED {
        setup.symmetric = false;
        setup.arrival = ArrivalTime::AnyTime;
    }
    setup
}
