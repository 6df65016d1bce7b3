//! `doublehold numbers`: what the articles claim, measured in virtual time.

use super::args::NumbersOptions;
use super::error::CliError;
use super::output::write_file;
use crate::scenario::{Parameters, Registry, SIMULATED, Simulation, setup_for};
use crate::trace::Recorder;
use crate::world::simulated::run as run_seed;
use std::fmt::Write;
use std::sync::Arc;

/// The numbers of clients that contend.
const CLIENTS: [usize; 6] = [2, 4, 8, 16, 32, 64];
const SEED: u64 = 1;
/// The longest bar of a plot, in characters.
const BAR_MAX: f64 = 64.0;

pub(super) fn run(options: &NumbersOptions, registry: &Registry) -> Result<u8, CliError> {
    let text = tables(registry)?;
    say!("{text}");
    if let Some(path) = &options.output {
        write_file(path, &text)?;
    }
    Ok(0)
}

/// All tables. They are the same on every machine.
pub(super) fn tables(registry: &Registry) -> Result<String, CliError> {
    let mut text = String::from("# Numbers\n\nMeasured by `doublehold numbers`, in the simulated world, seed 1.\n\n");
    herd(registry, &mut text)?;
    Ok(text)
}

/// Z10: how many watch events a release causes.
fn herd(registry: &Registry, text: &mut String) -> Result<(), CliError> {
    text.push_str("## The herd (Z10)\n\nWatch events delivered per release, all clients contending at once for one ZooKeeper lock:\n\n");
    text.push_str("| clients | everybody watches all waiters | each watches its predecessor |\n|---|---|---|\n");
    let mut rows = Vec::new();
    for clients in CLIENTS {
        let row = (clients, wake_ups(registry, "zk-herd", clients)?, wake_ups(registry, "zk-sequential", clients)?);
        let _ = writeln!(text, "| {} | {:.2} | {:.2} |", row.0, row.1, row.2);
        rows.push(row);
    }
    let most = rows.iter().map(|row| row.1).fold(1.0, f64::max);
    text.push_str("\n```text\n");
    for (clients, herd, predecessor) in rows {
        let bar = |value: f64| "█".repeat((value / most * BAR_MAX).ceil() as usize);
        let _ = writeln!(text, "{clients:>3} herd        {} {herd:.1}", bar(herd));
        let _ = writeln!(text, "    predecessor {} {predecessor:.1}", bar(predecessor));
    }
    text.push_str(
        "```\n\nThe herd's wake-ups grow with the number of those who wait; the predecessor watch wakes one.\n",
    );
    Ok(())
}

/// Watch events per release.
fn wake_ups(registry: &Registry, name: &str, clients: usize) -> Result<f64, CliError> {
    let scenario = registry.find(name).expect("the scenario is built in");
    let simulation = Simulation { clients, operations: 1, think_us_max: 0, ..scenario.simulation() };
    let parameters: Parameters = simulation.parameters(&scenario.defaults());
    let mut setup = setup_for(scenario.as_ref(), &parameters, SEED, SIMULATED);
    setup.properties.clear();
    let run = run_seed(&Arc::new(setup), &simulation, &[], Recorder::off());
    let run = run.map_err(|problem| CliError::Environment(problem.to_string()))?;
    Ok(run.wake_ups as f64 / clients as f64)
}
