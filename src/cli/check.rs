//! `doublehold check`.

use super::args::{CheckOptions, StrategyName};
use super::error::CliError;
use super::output::{Meter, parameters, save, select, trace_path};
use crate::explore::exhaustive::{Exhaustive, Reduction};
use crate::explore::pct::Pct;
use crate::explore::random::Random;
use crate::explore::{Cause, Limits, Progress, Report, Strategy, Verdict, check, check_all};
use crate::property::NONDETERMINISM;
use crate::report::catalogue::Finding;
use crate::report::{collision_odds, count, coverage, happened, sentence, time_covered};
use crate::scenario::{EXPLORED, Registry, Scenario, setup_for};
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
    if options.insurance.is_some() && options.strategy != StrategyName::Exhaustive {
        return Err(CliError::Usage("--insurance goes with --strategy exhaustive: it comes after *holds*".into()));
    }
    let scenarios = select(registry, &options.scenarios)?;
    let several = scenarios.len() > 1;
    let mut verdicts = Vec::new();
    let mut missed = Vec::new();
    for scenario in &scenarios {
        let started = Instant::now();
        let mut examined = examine(scenario.as_ref(), options, stop)?;
        examined.seconds = started.elapsed().as_secs_f64();
        print(&examined, several, options);
        let finding = examined.finding;
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
    let is_loose = |verdict: &Verdict| matches!(verdict, Verdict::Violated(found) if found.property == NONDETERMINISM);
    if verdicts.iter().any(is_loose) {
        return Ok(super::error::NONDETERMINISM);
    }
    // A violation is one, whatever else is not known.
    let violated = verdicts.iter().any(|verdict| matches!(verdict, Verdict::Violated(_)));
    let worst = verdicts.iter().map(Verdict::exit_code).max().unwrap_or_default();
    Ok(if violated { 1 } else { worst })
}

/// What a check has found.
struct Examined {
    finding: Finding,
    /// How many random executions were drawn after *holds*.
    insured: u64,
    /// One of them breaks what the search has passed.
    missed: bool,
    seconds: f64,
}

fn examine(scenario: &dyn Scenario, options: &CheckOptions, stop: &AtomicBool) -> Result<Examined, CliError> {
    let parameters = parameters(scenario, &options.scenario)?;
    let setup = Arc::new(setup_for(scenario, &parameters, options.seed, EXPLORED));
    let sampled = options.strategy != StrategyName::Exhaustive;
    let unlimited = options.executions.is_none() && options.time.is_none();
    let limits = Limits {
        steps_max: options.steps as usize,
        executions_max: options.executions.or((sampled && unlimited).then_some(SAMPLES_DEFAULT)),
        states_max: options.states,
        memory_bytes_max: Some(options.memory.unwrap_or(MEMORY_DEFAULT)),
        time_max: options.time,
        violations_max: if options.first || options.expected { 1 } else { usize::MAX },
    };
    let reduction = if options.no_reduction { Reduction::NONE } else { Reduction::ALL };
    let strategy = || -> Box<dyn Strategy> {
        match options.strategy {
            StrategyName::Exhaustive => Box::new(Exhaustive::new(reduction)),
            StrategyName::Random => Box::new(Random::new(options.seed)),
            StrategyName::Pct => Box::new(Pct::new(options.seed, options.depth.map_or(DEPTH_DEFAULT, usize::from))),
        }
    };
    let mut meter = Meter::new(None, options.json);
    let name = scenario.about().name;
    let mut watch = |progress: &Progress| {
        meter.show(progress.executions, || {
            let states = progress.states.map(|states| format!("{states} states, ")).unwrap_or_default();
            format!("{name}: {states}{} executions, {} steps", progress.executions, progress.steps)
        });
    };
    let mut report: Report = check_all(&setup, &strategy, &limits, stop, &mut watch);
    let (mut insured, mut missed) = (0, false);
    if let (Some(executions), Verdict::Holds) = (options.insurance, &report.verdict) {
        let limits = Limits { executions_max: Some(executions), states_max: None, violations_max: 1, ..limits };
        let drawn = check(&setup, &mut Random::stopping(options.seed), &limits, stop, &mut watch);
        insured = drawn.progress.executions;
        missed = matches!(drawn.verdict, Verdict::Violated(_));
        if missed {
            (report.verdict, report.counterexample) = (drawn.verdict, drawn.counterexample);
        }
    }
    meter.clear();
    let finding = Finding::new(scenario, &setup, parameters, options.seed, report);
    Ok(Examined { finding, insured, missed, seconds: 0.0 })
}

fn print(examined: &Examined, several: bool, options: &CheckOptions) {
    let Examined { finding, insured, missed, seconds } = examined;
    let Finding { about, parameters, properties, report, trace } = finding;
    if options.json {
        let line = serde_json::json!({
            "scenario": about.name, "row": about.row, "expects": about.expects, "as_expected": finding.as_expected(),
            "result": report.verdict, "parameters": parameters, "progress": report.progress, "seconds": seconds,
            "happened": report.tally, "thresholds": report.moments, "not_looked_at": report.not_looked_at,
            "never_happened": report.never_happened,
            "others": report.others.iter().map(|(violation, _)| violation).collect::<Vec<_>>(), "insured": insured,
            "schedule": trace.as_ref().map(|trace| &trace.schedule),
        });
        say!("{line}");
        return;
    }
    say!("{}: {}", about.name, sentence(&report.verdict));
    for (violation, schedule) in &report.others {
        say!("  also broken: {}: {}", violation.property, violation.what);
        say!("    {}; `--property {}` shows it", count(schedule.len() as u64, "step"), violation.property);
    }
    let goes_on = !options.first && !options.expected && properties.len() > 1;
    if matches!(report.verdict, Verdict::Violated(_)) && goes_on && !report.others_exhausted {
        say!("  the search for other broken properties was cut");
    }
    say!("  judged: {}", properties.join(", "));
    if !report.not_looked_at.is_empty() {
        say!("  never came to be judged: {}", report.not_looked_at.join(", "));
    }
    for (name, demands) in &report.never_happened {
        say!("  never happened: {name}: {demands}");
    }
    say!("  covered: {} ({seconds:.2} s)", coverage(parameters, &report.progress));
    say!("  happened: {}", happened(&report.tally));
    if report.progress.states.is_some() {
        say!("  time: {}", time_covered(&parameters.assumptions, report));
    }
    if *missed {
        say!(
            "  A random execution breaks what the search has passed: this is a mistake of doublehold. Please report it."
        );
    } else if *insured > 0 {
        say!("  insurance: {insured} random executions, in which time stops anywhere, find nothing");
    }
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
