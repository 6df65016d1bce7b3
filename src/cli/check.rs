//! `doublehold check`.

use super::args::{CheckOptions, StrategyName};
use super::error::CliError;
use super::output::{Meter, parameters, save, select, trace_path};
use crate::explore::exhaustive::{Exhaustive, Reduction};
use crate::explore::pct::Pct;
use crate::explore::random::Random;
use crate::explore::{Cause, Limits, Report, Strategy, Verdict, check};
use crate::report::catalogue::Finding;
use crate::report::{collision_odds, coverage, sentence};
use crate::scenario::{Registry, Scenario};
use crate::trace::timeline;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Sampling makes this many executions if the user names no limit.
const SAMPLES_DEFAULT: u64 = 100_000;
/// The order of bugs that PCT looks for if the user names none.
const DEPTH_DEFAULT: usize = 3;
/// The memory of a search if the user names none.
const MEMORY_DEFAULT: u64 = 4 << 30;

pub(super) fn run(options: &CheckOptions, registry: &Registry, stop: &AtomicBool) -> Result<u8, CliError> {
    if options.states.is_some() && options.strategy != StrategyName::Exhaustive {
        return Err(CliError::Usage(
            "--states goes with --strategy exhaustive: sampling does not tell states apart".into(),
        ));
    }
    if options.no_reduction && options.strategy != StrategyName::Exhaustive {
        return Err(CliError::Usage("--no-reduction goes with --strategy exhaustive".into()));
    }
    if options.depth.is_some() && options.strategy != StrategyName::Pct {
        return Err(CliError::Usage("--depth goes with --strategy pct".into()));
    }
    if options.memory.is_some() && options.strategy != StrategyName::Exhaustive {
        return Err(CliError::Usage("--memory goes with --strategy exhaustive: sampling keeps no states".into()));
    }
    let scenarios = select(registry, &options.scenarios)?;
    let several = scenarios.len() > 1;
    let mut verdicts = Vec::new();
    let mut missed = Vec::new();
    for scenario in &scenarios {
        let started = Instant::now();
        let finding = examine(scenario.as_ref(), options, stop)?;
        let seconds = started.elapsed().as_secs_f64();
        print(&finding, seconds, several, options);
        if let Some(trace) = &finding.trace {
            let path = trace_path(options.trace.as_ref(), several, &finding.about.name);
            if !several || options.trace.is_some() {
                save(trace, &path, options.json)?;
            }
        }
        let cut = finding.report.verdict == Verdict::Unknown { cause: Cause::Interrupted };
        if !finding.as_expected() && !cut {
            missed.push(finding.about.name.clone());
        }
        verdicts.push(finding.report.verdict);
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    if options.expected {
        let cut = verdicts.iter().filter(|verdict| **verdict == Verdict::Unknown { cause: Cause::Interrupted });
        let as_expected = verdicts.len() - cut.count() - missed.len();
        if !options.json {
            say!("{} of {} scenarios show what they are there to show", as_expected, scenarios.len());
        }
        if !missed.is_empty() {
            complain!("not as expected: {}", missed.join(", "));
        }
        return Ok(u8::from(!missed.is_empty()));
    }
    // A violation is one, whatever else is not known.
    let violated = verdicts.iter().any(|verdict| matches!(verdict, Verdict::Violated(_)));
    let worst = verdicts.iter().map(Verdict::exit_code).max().unwrap_or_default();
    Ok(if violated { 1 } else { worst })
}

fn examine(scenario: &dyn Scenario, options: &CheckOptions, stop: &AtomicBool) -> Result<Finding, CliError> {
    let parameters = parameters(scenario, &options.scenario)?;
    let setup = Arc::new(scenario.setup(&parameters, options.seed));
    let sampled = options.strategy != StrategyName::Exhaustive;
    let unlimited = options.executions.is_none() && options.time.is_none();
    let limits = Limits {
        steps_max: options.steps as usize,
        executions_max: options.executions.or((sampled && unlimited).then_some(SAMPLES_DEFAULT)),
        states_max: options.states,
        memory_bytes_max: Some(options.memory.unwrap_or(MEMORY_DEFAULT)),
        time_max: options.time,
    };
    let reduction = if options.no_reduction { Reduction::NONE } else { Reduction::ALL };
    let mut strategy: Box<dyn Strategy> = match options.strategy {
        StrategyName::Exhaustive => Box::new(Exhaustive::new(reduction)),
        StrategyName::Random => Box::new(Random::new(options.seed)),
        StrategyName::Pct => Box::new(Pct::new(options.seed, options.depth.map_or(DEPTH_DEFAULT, usize::from))),
    };
    let mut meter = Meter::new(None, options.json);
    let name = scenario.about().name;
    let report: Report = check(&setup, strategy.as_mut(), &limits, stop, &mut |progress| {
        meter.show(progress.executions, || {
            let states = progress.states.map(|states| format!("{states} states, ")).unwrap_or_default();
            format!("{name}: {states}{} executions, {} steps", progress.executions, progress.steps)
        });
    });
    meter.clear();
    Ok(Finding::new(scenario, &setup, parameters, options.seed, report))
}

fn print(finding: &Finding, seconds: f64, several: bool, options: &CheckOptions) {
    let Finding { about, parameters, properties, report, trace } = finding;
    if options.json {
        let line = serde_json::json!({
            "scenario": about.name, "row": about.row, "expects": about.expects, "as_expected": finding.as_expected(),
            "result": report.verdict, "parameters": parameters, "progress": report.progress, "seconds": seconds,
            "schedule": trace.as_ref().map(|trace| &trace.schedule),
        });
        say!("{line}");
        return;
    }
    say!("{}: {}", about.name, sentence(&report.verdict));
    say!("  judged: {}", properties.join(", "));
    say!("  covered: {} ({seconds:.2} s)", coverage(parameters, &report.progress));
    if let (Verdict::Holds, Some(fix)) = (&report.verdict, about.fix) {
        say!("  fix: {fix}");
    }
    if let (Verdict::Holds, Some(states)) = (&report.verdict, report.progress.states) {
        say!("  odds that a state was missed through a fingerprint collision: {:.1e}", collision_odds(states));
    }
    if let Some(trace) = trace.as_ref().filter(|_| !several) {
        say!("  minimal counterexample, {} steps:\n\n{}", trace.schedule.len(), timeline(trace));
    }
}
