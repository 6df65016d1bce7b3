//! `doublehold numbers`: what the articles claim, measured in virtual time, and on real servers if there are some.

mod counted;
mod failover;
mod flash_sale;
mod herd;
mod patience;
#[cfg(feature = "real-zookeeper")]
mod real;
#[cfg(all(feature = "real-zookeeper", feature = "real-mysql"))]
mod real_flash_sale;
mod segments;

use super::args::NumbersOptions;
use super::error::CliError;
use super::output::write_file;
use crate::scenario::{Registry, Simulation, Workload, program};
use crate::trace::Recorder;
use crate::world::cut::Partitions;
use crate::world::fault::{Assumptions, Budgets};
use crate::world::setup::{ArrivalTime, ServiceSpec, Setup};
use crate::world::simulated::{Planned, Run, run as run_seed};
use doublehold_models::{ServiceConfig, zookeeper};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SEED: u64 = 1;
/// The longest bar of a plot, in characters.
const BAR_MAX: f64 = 64.0;

/// Tables as text, and plots.
#[derive(Default)]
pub(super) struct Figures {
    text: String,
    /// The plots by name, as SVG.
    plots: Vec<(String, String)>,
}

impl Figures {
    fn new(head: &str) -> Self {
        Figures { text: head.to_owned(), plots: Vec::new() }
    }

    /// Takes in a plot, and shows it at this place of the text.
    fn plot(&mut self, name: &str, svg: String) {
        let _ = writeln!(self.text, "![{}](plots/{name}.svg)\n", name.replace('-', " "));
        self.plots.push((name.to_owned(), svg));
    }

    /// The files in a folder: the text under this name, and the plots.
    pub(super) fn files(self, folder: &Path, name: &str) -> Vec<(PathBuf, String)> {
        let plots = self.plots.into_iter().map(|(name, svg)| (folder.join("plots").join(format!("{name}.svg")), svg));
        std::iter::once((folder.join(name), self.text)).chain(plots).collect()
    }
}

pub(super) fn run(options: &NumbersOptions, registry: &Registry) -> Result<u8, CliError> {
    let (figures, name) =
        if options.spawn { (on_real_servers()?, "numbers-real.md") } else { (tables(registry)?, "numbers.md") };
    say!("{}", figures.text);
    if let Some(folder) = &options.output {
        for (path, text) in figures.files(folder, name) {
            write_file(&path, &text)?;
        }
    }
    Ok(0)
}

/// All tables and plots. They are the same on every machine.
pub(super) fn tables(registry: &Registry) -> Result<Figures, CliError> {
    let mut figures =
        Figures::new("# Numbers\n\nMeasured by `doublehold numbers`, in the simulated world, seed 1.\n\n");
    herd::tables(registry, &mut figures.text)?;
    segments::tables(&mut figures.text)?;
    patience::tables(&mut figures.text)?;
    figures.text.push('\n');
    flash_sale::tables(&mut figures)?;
    failover::tables(&mut figures)?;
    Ok(figures)
}

#[cfg(feature = "real-zookeeper")]
fn on_real_servers() -> Result<Figures, CliError> {
    real::tables()
}

#[cfg(not(feature = "real-zookeeper"))]
fn on_real_servers() -> Result<Figures, CliError> {
    Err(CliError::NotBuilt("numbers --spawn".to_owned(), "real-zookeeper"))
}

/// A bar of a plot.
fn bar(value: f64, most: f64) -> String {
    "█".repeat((value / most * BAR_MAX).ceil() as usize)
}

/// Runs a workload on a simulated ensemble of three servers, without faults.
fn simulate(workload: impl Workload, clients: usize) -> Result<Run, CliError> {
    let config = ServiceConfig::ZooKeeper(zookeeper::Config::default());
    let services = vec![ServiceSpec { name: "zk".to_owned(), config }];
    simulate_with(workload, services, clients, Simulation::default(), &[])
}

/// Runs a workload on simulated servers, with no faults but the planned ones.
fn simulate_with(
    workload: impl Workload,
    services: Vec<ServiceSpec>,
    clients: usize,
    simulation: Simulation,
    planned: &[Planned],
) -> Result<Run, CliError> {
    let kinds = planned.iter().fold(Budgets::NONE, |budgets, planned| budgets.with(planned.fault, u8::MAX));
    let setup = Setup {
        services,
        clients,
        program: program(workload),
        symmetric: false,
        arrival: ArrivalTime::AnyTime,
        partitions: Partitions::Any,
        budgets: kinds,
        assumptions: Assumptions { delay_us_max: None, ..Assumptions::default() },
        locks: Vec::new(),
        resources: Vec::new(),
        properties: Vec::new(),
        seed: SEED,
    };
    // Faults of the planned kinds come as planned only.
    let simulation = Simulation { clients, fault_every_us: u64::MAX / 100, ..simulation };
    let run = run_seed(&Arc::new(setup), &simulation, planned, Recorder::on());
    let run = run.map_err(|problem| CliError::Environment(problem.to_string()))?;
    match &run.violation {
        Some(violation) => panic!("a measurement did not come to its end: {}", violation.what),
        None => Ok(run),
    }
}
