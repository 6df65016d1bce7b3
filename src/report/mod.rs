//! Report: from a search to a trace, a verdict's text, and the committed results in `reports/`.

pub mod catalogue;
#[cfg(feature = "sim")]
pub mod coverage;
#[cfg(feature = "sim")]
pub mod matrix;
#[cfg(feature = "cli")]
pub mod plot;

use crate::explore::follow::{Strides, follow, follow_names};
use crate::explore::{Progress, Report, Verdict};
use crate::scenario::{EXPLORED, Parameters, Registry, SIMULATED, Scenario, setup_for};
use crate::shrink::Counterexample;
use crate::trace::{Recorder, SCHEMA, Trace, TraceError, VERSION};
use crate::world::explored::Tally;
use crate::world::fault::{Assumptions, Fault};
use crate::world::memories::Violation;
use std::sync::Arc;

/// The trace of a counterexample of the explored world.
pub fn trace_of(scenario: &dyn Scenario, found: &Counterexample) -> Trace {
    let setup = Arc::new(setup_for(scenario, &found.parameters, found.seed, found.world));
    let world = follow(&setup, &found.schedule, Recorder::on());
    let violation = world.system().violation.clone();
    trace_from(&scenario.about().name, found.world, &found.parameters, found.seed, world.recorder(), violation)
}

/// The trace of what a recorder wrote down.
pub fn trace_from(
    scenario: &str,
    world: &str,
    parameters: &Parameters,
    seed: u64,
    recorder: &Recorder,
    violation: Option<Violation>,
) -> Trace {
    Trace {
        schema: SCHEMA.to_owned(),
        version: VERSION,
        scenario: scenario.to_owned(),
        world: world.to_owned(),
        parameters: parameters.clone(),
        seed,
        violation,
        schedule: recorder.decisions.clone(),
        events: recorder.events.clone(),
        history: recorder.history.clone(),
    }
}

/// Runs the schedule of a trace again and compares every line with what the trace says, its verdict too.
pub fn replay(registry: &Registry, trace: &Trace) -> Result<(), TraceError> {
    let scenario = registry.find(&trace.scenario).ok_or_else(|| TraceError::UnknownScenario(trace.scenario.clone()))?;
    let setup = Arc::new(setup_for(scenario.as_ref(), &trace.parameters, trace.seed, &trace.world));
    let mut world = follow_names(&setup, &trace.schedule, strides_in(&trace.world), Recorder::on())?;
    if trace.world == SIMULATED {
        // Only the simulated world says when it has waited long enough.
        world.give_up(scenario.simulation().not_converged(world.system()));
    }
    let violation = world.system().violation.clone();
    let again = trace_from(&trace.scenario, &trace.world, &trace.parameters, trace.seed, world.recorder(), violation);
    compare("events", &lines(&trace.events), &lines(&again.events))?;
    compare("histories", &lines(&trace.history), &lines(&again.history))?;
    compare("verdicts", &lines(std::slice::from_ref(&trace.violation)), &lines(std::slice::from_ref(&again.violation)))
}

/// How far time passes at once in a world.
fn strides_in(world: &str) -> Strides {
    if world == SIMULATED { Strides::Long } else { Strides::Short }
}

fn lines<T: serde::Serialize>(items: &[T]) -> Vec<String> {
    items.iter().map(|item| serde_json::to_string(item).expect("events are plain data")).collect()
}

fn compare(what: &'static str, expected: &[String], got: &[String]) -> Result<(), TraceError> {
    let nothing = "nothing".to_owned();
    for line in 0..expected.len().max(got.len()) {
        let (left, right) = (expected.get(line).unwrap_or(&nothing), got.get(line).unwrap_or(&nothing));
        if left != right {
            let (expected, got) = (left.clone(), right.clone());
            return Err(TraceError::Different { what, line: line + 1, expected, got });
        }
    }
    Ok(())
}

/// The counterexample that a trace holds, to shrink it further.
pub fn counterexample_of(registry: &Registry, trace: &Trace) -> Result<Option<Counterexample>, TraceError> {
    let scenario = registry.find(&trace.scenario).ok_or_else(|| TraceError::UnknownScenario(trace.scenario.clone()))?;
    let host = if trace.world == SIMULATED { SIMULATED } else { EXPLORED };
    let setup = Arc::new(setup_for(scenario.as_ref(), &trace.parameters, trace.seed, host));
    let world = follow_names(&setup, &trace.schedule, strides_in(host), Recorder::off())?;
    Ok(world.system().violation.clone().map(|violation| Counterexample {
        parameters: trace.parameters.clone(),
        world: host,
        seed: trace.seed,
        schedule: world.schedule().to_vec(),
        violation,
    }))
}

/// What a verdict covers, in one line.
pub fn coverage(parameters: &Parameters, progress: &Progress) -> String {
    let Parameters { clients, operations, budgets, assumptions, .. } = parameters;
    let states = progress.states.map(|states| format!("{}, ", count(states, "state"))).unwrap_or_default();
    format!(
        "{} × {}; faults {budgets}; {assumptions}; {states}{}, depth {}",
        count(*clients as u64, "client"),
        count(*operations as u64, "operation"),
        count(progress.executions, "execution"),
        progress.depth
    )
}

/// What happened in what a search saw, in one line.
pub fn happened(tally: &Tally) -> String {
    let seen = &tally.seen;
    let of = [
        count(seen.acquisitions, "acquisition"),
        count(seen.contended, "contended attempt"),
        count(seen.leases_ended, "lease") + " ended",
    ];
    let struck: Vec<&str> = Fault::ALL.into_iter().filter(|fault| seen.struck(*fault)).map(Fault::name).collect();
    let faults =
        if struck.is_empty() { "no fault struck".to_owned() } else { format!("struck: {}", struck.join(", ")) };
    format!("{}; {faults}", of.join(", "))
}

/// At which moments time stopped in a search, and how far clocks were off, in one line.
pub fn time_covered(assumptions: &Assumptions, report: &Report) -> String {
    let thresholds = count(report.moments as u64, "threshold");
    let escaped =
        if report.tally.escaped { "; clock readings left as bare numbers, whose thresholds are not known" } else { "" };
    let apart = (assumptions.drift_ppm_max, assumptions.offset_us_max) != (0, 0);
    let clocks = if apart { "; clocks all right, or each at an end of its range" } else { "" };
    format!("at events and {thresholds} of clients' code{clocks}{escaped}")
}

/// A number of things.
pub fn count(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// The odds that two different states had one fingerprint, so that something was not seen.
pub fn collision_odds(states: u64) -> f64 {
    (states as f64).powi(2) / 2f64.powi(129)
}

/// A verdict as a sentence.
pub fn sentence(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Holds => "holds".to_owned(),
        Verdict::Violated(violation) => format!("VIOLATED {}: {}", violation.property, violation.what),
        Verdict::Unknown { cause } => format!("unknown: {cause}"),
    }
}
