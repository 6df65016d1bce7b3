//! `doublehold bench`: the speeds that the explorer is judged by, in one run.

#[cfg(madsim)]
mod bare_madsim;
mod mysql;

use super::args::BenchOptions;
use super::error::CliError;
use super::output::write_file;
use crate::explore::exhaustive::{Exhaustive, Reduction};
use crate::explore::pct::Pct;
use crate::explore::random::Random;
use crate::explore::strategy::Strategy;
use crate::explore::{Limits, Verdict, check};
use crate::scenario::{Registry, Scenario};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// Executions of a sampling strategy.
const SAMPLES: u64 = 300_000;
/// The depth of the bugs that PCT looks for.
const PCT_DEPTH: usize = 3;
/// Sound locks and guards, with the faults that they are to be exhausted with.
const EXHAUSTED: [&str; 6] = [
    "zk-sequential-leader-crash",
    "zk-sequential-partition",
    "etcd-mutex-leader-crash",
    "etcd-mutex-silence",
    "mysql-version",
    "mysql-lock-table-failover-semi-sync",
];

pub(super) fn run(options: &BenchOptions, registry: &Registry, stop: &AtomicBool) -> Result<u8, CliError> {
    let scenario = registry.find("ttl-lock").expect("the benchmark's scenario is built in").as_ref();
    let mut table = String::from("# Benchmarks\n\nMeasured by `doublehold bench`, on one core.\n\n");
    exhaustive(scenario, options, stop, &mut table);
    sampled(scenario, stop, &mut table);
    ensembles(registry, stop, &mut table);
    mysql::statements(&mut table);
    mysql::busy_shop(&mut table)?;
    #[cfg(madsim)]
    simulated(scenario, &mut table)?;
    say!("{table}");
    if let Some(path) = &options.output {
        write_file(path, &table)?;
    }
    Ok(0)
}

fn exhaustive(scenario: &dyn Scenario, options: &BenchOptions, stop: &AtomicBool, table: &mut String) {
    table.push_str(
        "| ttl-lock (clients, expiries) | reduction | states | executions | seconds |\n|---|---|---|---|---|\n",
    );
    let mut sizes = vec![(3, 0), (4, 0), (3, 1), (4, 1)];
    if options.long {
        sizes.extend([(5, 0), (5, 1)]);
    }
    for (clients, expiries) in sizes {
        exhaust(scenario, clients, expiries, Reduction::ALL, stop, table);
        if clients < 4 {
            exhaust(scenario, clients, expiries, Reduction::NONE, stop, table);
        }
    }
}

fn exhaust(
    scenario: &dyn Scenario,
    clients: usize,
    expiries: u8,
    reduction: Reduction,
    stop: &AtomicBool,
    table: &mut String,
) {
    let mut parameters = scenario.defaults();
    parameters.clients = clients;
    parameters.assumptions.expiries_max = Some(expiries);
    let setup = Arc::new(scenario.setup(&parameters, 1));
    let started = Instant::now();
    let report = check(&setup, &mut Exhaustive::new(reduction), &Limits::default(), stop, &mut |_| ());
    let seconds = started.elapsed().as_secs_f64();
    let name = if reduction == Reduction::ALL { "all" } else { "none" };
    let states = report.progress.states.unwrap_or_default();
    let note = if report.verdict == Verdict::Holds { "" } else { " (not exhausted)" };
    let executions = report.progress.executions;
    let _ = writeln!(table, "| {clients},{expiries} | {name} | {states}{note} | {executions} | {seconds:.3} |");
}

fn sampled(scenario: &dyn Scenario, stop: &AtomicBool, table: &mut String) {
    table.push_str("\n| strategy, clients | executions/s |\n|---|---|\n");
    for clients in [2, 3] {
        sample("random", &mut Random::new(1), scenario, clients, stop, table);
        sample("random, each execution alone", &mut Random::alone(1), scenario, clients, stop, table);
        sample("pct", &mut Pct::new(1, PCT_DEPTH), scenario, clients, stop, table);
    }
}

/// Locks on ensembles: what the issues of this project demand a speed of.
fn ensembles(registry: &Registry, stop: &AtomicBool, table: &mut String) {
    table.push_str("\nTwo clients, as in the catalogue, with the faults that are named there:\n\n| scenario | states | exhausted in seconds |\n|---|---|---|\n");
    for name in EXHAUSTED {
        let scenario = registry.find(name).expect("the scenario is built in");
        let setup = Arc::new(scenario.setup(&scenario.defaults(), 1));
        let started = Instant::now();
        let report = check(&setup, &mut Exhaustive::new(Reduction::ALL), &Limits::default(), stop, &mut |_| ());
        let (seconds, states) = (started.elapsed().as_secs_f64(), report.progress.states.unwrap_or_default());
        let note = if report.verdict == Verdict::Holds { "" } else { " (not exhausted)" };
        let _ = writeln!(table, "| {name} | {states}{note} | {seconds:.2} |");
    }
    table.push_str("\n| strategy, scenario | executions/s |\n|---|---|\n");
    for name in ["zk-sequential", "etcd-mutex"] {
        let scenario = registry.find(name).expect("the scenario is built in");
        sample(&format!("random, {name}"), &mut Random::new(1), scenario.as_ref(), 2, stop, table);
    }
}

fn sample(
    name: &str,
    strategy: &mut dyn Strategy,
    scenario: &dyn Scenario,
    clients: usize,
    stop: &AtomicBool,
    table: &mut String,
) {
    let mut parameters = scenario.defaults();
    parameters.clients = clients;
    let setup = Arc::new(scenario.setup(&parameters, 1));
    let limits = Limits { executions_max: Some(SAMPLES), ..Limits::default() };
    let started = Instant::now();
    let report = check(&setup, strategy, &limits, stop, &mut |_| ());
    let rate = report.progress.executions as f64 / started.elapsed().as_secs_f64();
    let _ = writeln!(table, "| {name}, {clients} | {rate:.0} |");
}

/// The simulated world beside bare madsim, turn by turn in one run, so that what else the machine does hits both.
#[cfg(madsim)]
fn simulated(scenario: &dyn Scenario, table: &mut String) -> Result<(), CliError> {
    use crate::scenario::{Parameters, SIMULATED, setup_for};
    use crate::trace::Recorder;
    use crate::world::simulated::run;
    const CLIENTS: usize = 3;
    const TURNS: u64 = 10;
    const SEEDS: u64 = 2_000;
    let parameters = Parameters { clients: CLIENTS, operations: 1, ..scenario.defaults() };
    let simulation = scenario.simulation();
    let seed = |seed| {
        let setup = Arc::new(setup_for(scenario, &parameters, seed, SIMULATED));
        run(&setup, &simulation, &[], Recorder::off()).map_err(|missing| CliError::Environment(missing.to_string()))
    };
    // A step is the start of a client, a request served or a reply delivered.
    let mut steps = 0;
    for number in 0..SEEDS {
        steps += seed(number)?.steps;
    }
    let messages = steps / SEEDS - CLIENTS as u64;
    let requests = (messages as usize).div_ceil(2 * CLIENTS);
    let (mut ours, mut bare) = (0.0, 0.0);
    for turn in 0..TURNS {
        let seeds = turn * SEEDS..(turn + 1) * SEEDS;
        let started = Instant::now();
        for number in seeds.clone() {
            seed(number)?;
        }
        ours += started.elapsed().as_secs_f64();
        let started = Instant::now();
        seeds.for_each(|number| bare_madsim::run(number, CLIENTS, requests));
        bare += started.elapsed().as_secs_f64();
    }
    let rate = |seconds: f64| (TURNS * SEEDS) as f64 / seconds;
    let exchanged = 2 * requests * CLIENTS;
    let _ = writeln!(table, "\n| simulated world, {CLIENTS} clients | messages a seed | seeds/s |\n|---|---|---|");
    let _ = writeln!(table, "| ttl-lock, real lock code and real Redis model | {messages} | {:.0} |", rate(ours));
    let _ = writeln!(table, "| bare madsim, messages only | {exchanged} | {:.0} |", rate(bare));
    let _ = writeln!(table, "\nThe simulated world runs at {:.2} of bare madsim's seeds per second.", bare / ours);
    Ok(())
}
