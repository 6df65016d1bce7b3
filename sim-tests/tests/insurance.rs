//! Insurance: what the exhaustive search passes, random executions do not break. They share neither fingerprints nor
//! reductions with it; time stops anywhere, and clocks are off by random amounts.
//!
//! `DOUBLEHOLD_INSURANCE=1000000` draws so many executions of each scenario.

use doublehold::explore::random::Random;
use doublehold::explore::{Cause, Limits, Verdict, check};
use doublehold::report::catalogue::scenarios;
use doublehold::scenario::{EXPLORED, Expectation, Registry, Scenario, setup_for};
use doublehold_sim_tests::clients;
use doublehold_sim_tests::programs::asserts::*;
use doublehold_sim_tests::programs::host::*;
use rayon::prelude::*;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Executions of each scenario that holds.
const SOUND: u64 = 2_000;

/// Executions of each broken scenario, at the most: the draw ends with the first violation.
const BROKEN: u64 = 10_000;

fn drawn(scenario: &dyn Scenario, executions: u64) -> Verdict {
    let setup = Arc::new(setup_for(scenario, &scenario.defaults(), 1, EXPLORED));
    let limits = Limits { executions_max: Some(executions), ..Limits::default() };
    check(&setup, &mut Random::stopping(1), &limits, &AtomicBool::new(false), &mut |_| ()).verdict
}

#[test]
fn random_executions_break_nothing_that_holds() {
    let executions = std::env::var("DOUBLEHOLD_INSURANCE").ok().and_then(|number| number.parse().ok());
    let executions = executions.unwrap_or(SOUND);
    let registry = Registry::standard();
    let sound = |scenario: &&Arc<dyn Scenario>| scenario.about().expects == Expectation::Holds;
    let sound: Vec<&Arc<dyn Scenario>> = scenarios(&registry).filter(sound).collect();
    assert!(sound.len() > 50, "only {} scenarios hold", sound.len());
    sound.par_iter().with_max_len(1).for_each(|scenario| {
        let verdict = drawn(scenario.as_ref(), executions);
        let nothing = matches!(verdict, Verdict::Unknown { cause: Cause::Executions | Cause::Steps | Cause::Sampled });
        assert!(nothing, "{}: {verdict:?}", scenario.about().name);
    });
}

/// The draw is no formality: it breaks most of what is broken.
#[test]
fn random_executions_break_most_of_what_is_broken() {
    let registry = Registry::standard();
    let broken = |scenario: &&Arc<dyn Scenario>| matches!(scenario.about().expects, Expectation::Violated(_));
    let broken: Vec<&Arc<dyn Scenario>> = scenarios(&registry).filter(broken).collect();
    let missed: Vec<String> = broken
        .par_iter()
        .with_max_len(1)
        .filter(|scenario| !matches!(drawn(scenario.as_ref(), BROKEN), Verdict::Violated(_)))
        .map(|scenario| scenario.about().name)
        .collect();
    println!("{} of {} are found; missed: {}", broken.len() - missed.len(), broken.len(), missed.join(", "));
    assert!(missed.len() * 6 < broken.len(), "missed: {}", missed.join(", "));
}

clients! {
    /// Compares its wall clock with the server's, and sees that it is ahead by a little, but not by much.
    SeesAnOffset(ports) {
        let before = ports.wall().as_micros();
        let Outcome::Ok(Value::Array(time)) = ports.redis(0).call(Command::new("TIME")).await else { return };
        let part = |at: usize| time[at].as_blob().and_then(Blob::to_int).unwrap_or(0);
        let ahead_us = before - (part(0) * 1_000_000 + part(1));
        if (100_000..400_000).contains(&ahead_us) {
            ports.record(mark("ahead by a little"));
        }
    }
}

/// The exhaustive search tries clocks that are right and clocks at the ends of their ranges. Random executions also
/// try those in between, and what they find replays.
#[test]
fn clocks_between_the_ends_of_their_ranges_are_drawn() {
    let world = World::redis(SeesAnOffset, 1).offset_ms(500);
    assert_not_reached(&world, "ahead by a little");
    let schedule = world.reaches_freely("ahead by a little", 1, 1_000).expect("it is drawn");
    assert!(schedule[0].starts_with("client-0: clock drifts +0 ppm, offset "), "{}", schedule[0]);
}
