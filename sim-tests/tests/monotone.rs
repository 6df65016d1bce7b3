//! Weaker assumptions never show less: what is broken stays broken with a larger Δ, π, ρ or ε and with one fault more, and what
//! holds goes on to hold with smaller ones.

use doublehold::explore::exhaustive::{Exhaustive, Reduction};
use doublehold::explore::{Cause, Limits, Verdict, check};
use doublehold::report::catalogue::scenarios;
use doublehold::scenario::{EXPLORED, Expectation, Parameters, Registry, Scenario, setup_for};
use doublehold::world::fault::{Assumptions, Fault};
use rayon::prelude::*;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A search that goes beyond this says nothing here. `DOUBLEHOLD_MONOTONE=100000` lets each go on for longer.
const STATES_MAX: u64 = 10_000;

fn states_max() -> u64 {
    std::env::var("DOUBLEHOLD_MONOTONE").ok().and_then(|number| number.parse().ok()).unwrap_or(STATES_MAX)
}

fn verdict(scenario: &dyn Scenario, parameters: &Parameters) -> Verdict {
    let setup = Arc::new(setup_for(scenario, parameters, 1, EXPLORED));
    let limits = Limits { states_max: Some(states_max()), ..Limits::default() };
    check(&setup, &mut Exhaustive::new(Reduction::ALL), &limits, &AtomicBool::new(false), &mut |_| ()).verdict
}

/// With what is assumed changed so.
fn with(parameters: &Parameters, change: impl FnOnce(&mut Assumptions)) -> Parameters {
    let mut changed = parameters.clone();
    change(&mut changed.assumptions);
    changed
}

/// The faults of which one more is tried.
const WORSE: [Fault; 6] =
    [Fault::Pause, Fault::Break, Fault::ClientCrash, Fault::NodeCrash, Fault::NodePause, Fault::NodePowerLoss];

/// The same with less taken for granted, one thing at a time.
fn weaker(scenario: &dyn Scenario) -> Vec<(String, Parameters)> {
    let parameters = scenario.defaults();
    let Assumptions { delay_us_max, pause_us_max, .. } = parameters.assumptions;
    let mut weaker = Vec::new();
    for delay in [1_000, 40_000].map(Some).into_iter().chain([None]) {
        if delay_us_max.is_some_and(|now| delay.is_none_or(|delay| delay > now)) {
            weaker.push((format!("Δ {delay:?}"), with(&parameters, |assumptions| assumptions.delay_us_max = delay)));
        }
    }
    if pause_us_max.is_some() {
        weaker.push(("π ∞".to_owned(), with(&parameters, |assumptions| assumptions.pause_us_max = None)));
    }
    let setup = scenario.setup(&parameters, 1);
    for fault in WORSE {
        if setup.can_suffer(fault) {
            let budgets = parameters.budgets.with(fault, parameters.budgets.left(fault) + 1);
            weaker.push((format!("one {fault} more"), Parameters { budgets, ..parameters.clone() }));
        }
    }
    weaker
}

/// The same with more taken for granted, one thing at a time.
fn stronger(scenario: &dyn Scenario) -> Vec<(String, Parameters)> {
    let parameters = scenario.defaults();
    let Assumptions { delay_us_max, pause_us_max, drift_ppm_max, offset_us_max, .. } = parameters.assumptions;
    let mut stronger = Vec::new();
    for delay in [0, 1_000, 20_000] {
        if delay_us_max.is_none_or(|now| delay < now) {
            stronger
                .push((format!("Δ {delay}"), with(&parameters, |assumptions| assumptions.delay_us_max = Some(delay))));
        }
    }
    for pause in [10_000, 150_000] {
        if parameters.budgets.left(Fault::Pause) > 0 && pause_us_max.is_none_or(|now| pause < now) {
            stronger
                .push((format!("π {pause}"), with(&parameters, |assumptions| assumptions.pause_us_max = Some(pause))));
        }
    }
    if drift_ppm_max > 0 {
        stronger.push(("ρ 0".to_owned(), with(&parameters, |assumptions| assumptions.drift_ppm_max = 0)));
    }
    if offset_us_max > 0 {
        stronger.push(("ε 0".to_owned(), with(&parameters, |assumptions| assumptions.offset_us_max = 0)));
    }
    for (fault, left) in parameters.budgets.iter().filter(|(_, left)| *left > 0) {
        let budgets = parameters.budgets.with(fault, left - 1);
        stronger.push((format!("one {fault} less"), Parameters { budgets, ..parameters.clone() }));
    }
    stronger
}

/// What each scenario of the catalogue that is to hold, or is broken, shows when it is changed so.
fn each(holds: bool, change: fn(&dyn Scenario) -> Vec<(String, Parameters)>) -> Vec<(String, Verdict)> {
    let registry = Registry::standard();
    let chosen = scenarios(&registry).filter(|scenario| (scenario.about().expects == Expectation::Holds) == holds);
    let changed: Vec<(&dyn Scenario, String, Parameters)> = chosen
        .flat_map(|scenario| {
            change(scenario.as_ref()).into_iter().map(|(what, parameters)| (scenario.as_ref(), what, parameters))
        })
        .collect();
    let show = |(scenario, what, parameters): &(&dyn Scenario, String, Parameters)| {
        (format!("{} with {what}", scenario.about().name), verdict(*scenario, parameters))
    };
    changed.par_iter().with_max_len(1).map(show).collect()
}

#[test]
fn what_is_broken_stays_broken_under_weaker_assumptions() {
    let (mut compared, mut beyond) = (0, 0);
    for (what, verdict) in each(false, weaker) {
        match verdict {
            Verdict::Violated(_) => compared += 1,
            Verdict::Unknown { cause: Cause::States | Cause::Steps } => beyond += 1,
            other => panic!("{what}: {other:?}"),
        }
    }
    println!("{compared} compared, {beyond} beyond {} states", states_max());
    assert!(compared > 200, "only {compared} are compared");
}

#[test]
fn what_holds_goes_on_to_hold_under_stronger_assumptions() {
    let (mut compared, mut beyond) = (0, 0);
    for (what, verdict) in each(true, stronger) {
        match verdict {
            Verdict::Holds => compared += 1,
            Verdict::Unknown { .. } => beyond += 1,
            Verdict::Violated(violation) => panic!("{what}: {violation:?}"),
        }
    }
    println!("{compared} compared, {beyond} beyond {} states, or vacuous", states_max());
    assert!(compared > 40, "only {compared} are compared");
}
