//! `doublehold numbers`: what the articles claim, measured in virtual time, and on real servers if there are some.

mod herd;
mod patience;
#[cfg(feature = "real-zookeeper")]
mod real;
mod segments;

use super::args::NumbersOptions;
use super::error::CliError;
use super::output::write_file;
use crate::scenario::{Registry, Simulation, Workload, program};
use crate::trace::Recorder;
use crate::world::fault::{Assumptions, Budgets};
use crate::world::setup::{ArrivalTime, ServiceSpec, Setup};
use crate::world::simulated::{Run, run as run_seed};
use doublehold_models::{ServiceConfig, zookeeper};
use std::sync::Arc;

const SEED: u64 = 1;
/// The longest bar of a plot, in characters.
const BAR_MAX: f64 = 64.0;

pub(super) fn run(options: &NumbersOptions, registry: &Registry) -> Result<u8, CliError> {
    let text = if options.spawn { on_real_servers()? } else { tables(registry)? };
    say!("{text}");
    if let Some(path) = &options.output {
        write_file(path, &text)?;
    }
    Ok(0)
}

/// All tables. They are the same on every machine.
pub(super) fn tables(registry: &Registry) -> Result<String, CliError> {
    let mut text = String::from("# Numbers\n\nMeasured by `doublehold numbers`, in the simulated world, seed 1.\n\n");
    herd::tables(registry, &mut text)?;
    segments::tables(&mut text)?;
    patience::tables(&mut text)?;
    Ok(text)
}

#[cfg(feature = "real-zookeeper")]
fn on_real_servers() -> Result<String, CliError> {
    real::tables()
}

#[cfg(not(feature = "real-zookeeper"))]
fn on_real_servers() -> Result<String, CliError> {
    Err(CliError::NotBuilt("numbers --spawn".to_owned(), "real-zookeeper"))
}

/// A bar of a plot.
fn bar(value: f64, most: f64) -> String {
    "█".repeat((value / most * BAR_MAX).ceil() as usize)
}

/// Runs a workload on a simulated ensemble of three servers, without faults.
fn simulate(workload: impl Workload, clients: usize) -> Result<Run, CliError> {
    let ensemble = ServiceConfig::ZooKeeper(zookeeper::Config::default());
    let setup = Setup {
        services: vec![ServiceSpec { name: "zk".to_owned(), config: ensemble }],
        clients,
        program: program(workload),
        symmetric: false,
        arrival: ArrivalTime::AnyTime,
        budgets: Budgets::NONE,
        assumptions: Assumptions { delay_us_max: None, ..Assumptions::default() },
        locks: Vec::new(),
        resources: Vec::new(),
        properties: Vec::new(),
        seed: SEED,
    };
    let simulation = Simulation { clients, ..Simulation::default() };
    let run = run_seed(&Arc::new(setup), &simulation, &[], Recorder::on());
    let run = run.map_err(|problem| CliError::Environment(problem.to_string()))?;
    match &run.violation {
        Some(violation) => panic!("a measurement did not come to its end: {}", violation.what),
        None => Ok(run),
    }
}
