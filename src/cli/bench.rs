//! `doublehold bench`: the speeds that the explorer is judged by, in one run.

use super::args::BenchOptions;
use super::error::CliError;
use super::output::write_file;
use crate::explore::exhaustive::{Exhaustive, Reduction};
use crate::explore::random::Random;
use crate::explore::{Limits, Verdict, check};
use crate::scenario::{Registry, Scenario};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// Executions of the random strategy.
const SAMPLES: u64 = 300_000;

pub(super) fn run(options: &BenchOptions, registry: &Registry, stop: &AtomicBool) -> Result<u8, CliError> {
    let scenario = registry.find("ttl-lock").expect("the benchmark's scenario is built in");
    let mut table = String::from(
        "| ttl-lock (clients, expiries) | reduction | states | executions | seconds |\n|---|---|---|---|---|\n",
    );
    let mut sizes = vec![(3, 0), (4, 0), (3, 1), (4, 1)];
    if options.long {
        sizes.extend([(5, 0), (5, 1)]);
    }
    for (clients, expiries) in sizes {
        exhaust(scenario.as_ref(), clients, expiries, Reduction::ALL, stop, &mut table);
        if clients < 4 {
            exhaust(scenario.as_ref(), clients, expiries, Reduction::NONE, stop, &mut table);
        }
    }
    sample(scenario.as_ref(), stop, &mut table);
    say!("{table}");
    if let Some(path) = &options.output {
        write_file(path, &table)?;
    }
    Ok(0)
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
    let _ = writeln!(
        table,
        "| {clients},{expiries} | {name} | {states}{note} | {} | {seconds:.3} |",
        report.progress.executions
    );
}

fn sample(scenario: &dyn Scenario, stop: &AtomicBool, table: &mut String) {
    let mut parameters = scenario.defaults();
    parameters.clients = 2;
    let setup = Arc::new(scenario.setup(&parameters, 1));
    let limits = Limits { executions_max: Some(SAMPLES), ..Limits::default() };
    let started = Instant::now();
    let report = check(&setup, &mut Random::new(1), &limits, stop, &mut |_| ());
    let seconds = started.elapsed().as_secs_f64();
    let rate = report.progress.executions as f64 / seconds;
    let steps = report.progress.steps as f64 / seconds / 1e6;
    let _ = writeln!(table, "\nrandom strategy, 2 clients: {rate:.0} executions/s, {steps:.1} million steps/s");
}
