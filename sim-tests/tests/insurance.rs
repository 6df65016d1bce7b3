//! Insurance: what the exhaustive search passes, random executions do not break. They share neither fingerprints nor
//! reductions with it, and time stops anywhere in them.
//!
//! `DOUBLEHOLD_INSURANCE=1000000` draws so many executions of each scenario.

use doublehold::explore::random::Random;
use doublehold::explore::{Cause, Limits, Verdict, check};
use doublehold::report::catalogue::scenarios;
use doublehold::scenario::{EXPLORED, Expectation, Registry, Scenario, setup_for};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const EXECUTIONS: u64 = 10_000;

fn drawn(scenario: &dyn Scenario, executions: u64) -> Verdict {
    let setup = Arc::new(setup_for(scenario, &scenario.defaults(), 1, EXPLORED));
    let limits = Limits { executions_max: Some(executions), ..Limits::default() };
    check(&setup, &mut Random::stopping(1), &limits, &AtomicBool::new(false), &mut |_| ()).verdict
}

#[test]
fn random_executions_break_nothing_that_holds() {
    let executions = std::env::var("DOUBLEHOLD_INSURANCE").ok().and_then(|number| number.parse().ok());
    let executions = executions.unwrap_or(EXECUTIONS);
    let registry = Registry::standard();
    let sound = |scenario: &&Arc<dyn Scenario>| scenario.about().expects == Expectation::Holds;
    let sound: Vec<&Arc<dyn Scenario>> = scenarios(&registry).filter(sound).collect();
    assert!(sound.len() > 50, "only {} scenarios hold", sound.len());
    let (one, other) = sound.split_at(sound.len() / 2);
    let draw = |some: &[&Arc<dyn Scenario>]| {
        for scenario in some {
            let verdict = drawn(scenario.as_ref(), executions);
            let nothing =
                matches!(verdict, Verdict::Unknown { cause: Cause::Executions | Cause::Steps | Cause::Sampled });
            assert!(nothing, "{}: {verdict:?}", scenario.about().name);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| draw(one));
        draw(other);
    });
}

/// The draw is no formality: it breaks most of what is broken.
#[test]
fn random_executions_break_most_of_what_is_broken() {
    let registry = Registry::standard();
    let broken = |scenario: &&Arc<dyn Scenario>| matches!(scenario.about().expects, Expectation::Violated(_));
    let broken: Vec<&Arc<dyn Scenario>> = scenarios(&registry).filter(broken).collect();
    let missed: Vec<String> = broken
        .iter()
        .filter(|scenario| !matches!(drawn(scenario.as_ref(), EXECUTIONS), Verdict::Violated(_)))
        .map(|scenario| scenario.about().name)
        .collect();
    println!("{} of {} are found; missed: {}", broken.len() - missed.len(), broken.len(), missed.join(", "));
    assert!(missed.len() * 6 < broken.len(), "missed: {}", missed.join(", "));
}
