//! Z10: how many watch events a release causes.

use super::{SEED, bar};
use crate::cli::error::CliError;
use crate::scenario::{Parameters, Registry, SIMULATED, Simulation, setup_for};
use crate::trace::Recorder;
use crate::world::simulated::run as run_seed;
use std::fmt::Write;
use std::sync::Arc;

/// The numbers of clients that contend.
const CLIENTS: [usize; 6] = [2, 4, 8, 16, 32, 64];

pub(super) fn tables(registry: &Registry, text: &mut String) -> Result<(), CliError> {
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
        let _ = writeln!(text, "{clients:>3} herd        {} {herd:.1}", bar(herd, most));
        let _ = writeln!(text, "    predecessor {} {predecessor:.1}", bar(predecessor, most));
    }
    text.push_str(
        "```\n\nThe herd's wake-ups grow with the number of those who wait; the predecessor watch wakes one.\n\n",
    );
    Ok(())
}

/// Watch events per release.
fn wake_ups(registry: &Registry, name: &str, clients: usize) -> Result<f64, CliError> {
    let scenario = registry.find(name).expect("the scenario is built in");
    let simulation = Simulation { clients, operations: 1, think_us_max: 0, ..scenario.simulation() };
    let parameters: Parameters = scenario.defaults().simulated(&simulation);
    let mut setup = setup_for(scenario.as_ref(), &parameters, SEED, SIMULATED);
    setup.properties.clear();
    let run = run_seed(&Arc::new(setup), &simulation, &[], Recorder::off());
    let run = run.map_err(|problem| CliError::Environment(problem.to_string()))?;
    Ok(run.wake_ups as f64 / clients as f64)
}
