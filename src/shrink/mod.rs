//! Shrink: makes a counterexample minimal.
//!
//! Drops clients, operations, faults and steps until nothing more can go: the result is 1-minimal, which
//! means that without any single one of its choices the same property does not break in fewer steps.

use crate::explore::follow::follow;
use crate::scenario::{Parameters, Scenario, setup_for};
use crate::trace::Recorder;
use crate::world::choice::{Act, Choice};
use crate::world::explored::Explored;
use crate::world::fault::Budgets;
use crate::world::memories::Violation;
use crate::world::setup::Setup;
use std::sync::Arc;

/// A counterexample: how the scenario is set up, and the schedule that breaks the property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterexample {
    /// How the scenario is set up.
    pub parameters: Parameters,
    /// The world that it was found in.
    pub world: &'static str,
    /// The seed of the clients' random streams.
    pub seed: u64,
    /// The choices.
    pub schedule: Vec<Choice>,
    /// What breaks.
    pub violation: Violation,
}

/// Makes a counterexample minimal. `watch` is called with the number of choices left; where it answers false, the
/// smallest counterexample so far is the result.
pub fn shrink(scenario: &dyn Scenario, found: Counterexample, watch: &mut dyn FnMut(usize) -> bool) -> Counterexample {
    let mut best = found;
    while watch(best.schedule.len()) {
        let before = best.clone();
        drop_head(scenario, &mut best);
        drop_operations(scenario, &mut best);
        drop_clients(scenario, &mut best);
        drop_choices(scenario, &mut best, watch);
        if best == before {
            break;
        }
    }
    spend_exactly(scenario, &mut best);
    best
}

/// Follows the schedule without the choice at `without`; the shorter counterexample, if it is one.
pub fn without(scenario: &dyn Scenario, found: &Counterexample, without: usize) -> Option<Counterexample> {
    let mut schedule = found.schedule.clone();
    schedule.remove(without);
    attempt(scenario, found, found.parameters.clone(), &schedule)
        .filter(|shorter| shorter.schedule.len() < found.schedule.len())
}

/// Runs a candidate; the counterexample that it really is, if the same property breaks.
fn attempt(
    scenario: &dyn Scenario,
    found: &Counterexample,
    parameters: Parameters,
    schedule: &[Choice],
) -> Option<Counterexample> {
    let setup: Arc<Setup> = Arc::new(setup_for(scenario, &parameters, found.seed, found.world));
    let world: Explored = follow(&setup, schedule, Recorder::off());
    let violation = world.system().violation.clone()?;
    if !is_same(&violation, &found.violation) {
        return None;
    }
    Some(Counterexample {
        parameters,
        world: found.world,
        seed: found.seed,
        schedule: world.schedule().to_vec(),
        violation,
    })
}

/// True if the same property is broken in the same way: by the same words, whoever it is and whatever the numbers are.
fn is_same(violation: &Violation, found: &Violation) -> bool {
    let words = |what: &str| -> String { what.chars().filter(|letter| !letter.is_ascii_digit()).collect() };
    violation.property == found.property && words(&violation.what) == words(&found.what)
}

fn drop_clients(scenario: &dyn Scenario, best: &mut Counterexample) {
    let mut client = 0;
    while client < best.parameters.clients && best.parameters.clients > *scenario.clients().start() {
        let parameters = Parameters { clients: best.parameters.clients - 1, ..best.parameters.clone() };
        let schedule: Vec<Choice> =
            best.schedule.iter().filter_map(|choice| without_client(*choice, client as u8)).collect();
        match attempt(scenario, best, parameters, &schedule) {
            Some(smaller) => *best = smaller,
            None => client += 1,
        }
    }
}

/// The choice in a world without this client, whose successors move up.
fn without_client(choice: Choice, gone: u8) -> Option<Choice> {
    choice.renamed(|client| (client != gone).then(|| client - u8::from(client > gone)))
}

/// A tail shorter than this is not worth looking for.
const TAIL_MIN: usize = 16;

/// Where only the last operations count, as with what is left behind at the end: the shortest tail, by doubling, that
/// breaks it as the first operations of clients that begin with it and lose no time with thinking.
fn drop_head(scenario: &dyn Scenario, best: &mut Counterexample) {
    let mut length = TAIL_MIN;
    while best.parameters.operations > 1 && length < best.schedule.len() {
        for operations in *scenario.operations().start()..best.parameters.operations.min(3) {
            let parameters = Parameters { operations, think_us_max: 0, ..best.parameters.clone() };
            if let Some(smaller) = attempt(scenario, best, parameters, &tail(&best.schedule, length)) {
                *best = smaller;
                return;
            }
        }
        length *= 2;
    }
}

/// The last choices, as if time began with them, after what an execution begins with.
fn tail(schedule: &[Choice], length: usize) -> Vec<Choice> {
    let (head, tail) = schedule.split_at(schedule.len() - length);
    let passed = |choice: &Choice| if let Act::Advance(to_us) = choice.act { Some(to_us) } else { None };
    let start_us = head.iter().rev().find_map(passed).unwrap_or(0);
    let begins = |choice: &&Choice| matches!(choice.act, Act::SetClock { .. } | Act::Start);
    let moved = |choice: &Choice| match choice.act {
        Act::Advance(to_us) => Choice::advance(to_us - start_us),
        _ => *choice,
    };
    head.iter().filter(begins).copied().chain(tail.iter().map(moved)).collect()
}

/// More operations than this are not worth fewer.
const OPERATIONS_TRIED_MAX: usize = 1 << 12;

/// The fewest operations that still break it, by doubling: few tries where few suffice.
fn drop_operations(scenario: &dyn Scenario, best: &mut Counterexample) {
    let mut operations = *scenario.operations().start();
    while operations < best.parameters.operations && operations < OPERATIONS_TRIED_MAX {
        let parameters = Parameters { operations, ..best.parameters.clone() };
        if let Some(smaller) = attempt(scenario, best, parameters, &best.schedule.clone()) {
            *best = smaller;
            return;
        }
        operations *= 2;
    }
}

/// Drops runs of choices, long ones first, down to single ones, until none can go.
fn drop_choices(scenario: &dyn Scenario, best: &mut Counterexample, watch: &mut dyn FnMut(usize) -> bool) {
    let mut length = best.schedule.len().div_ceil(2).max(1);
    loop {
        let mut at = 0;
        let mut dropped = false;
        while at < best.schedule.len() {
            if !watch(best.schedule.len()) {
                return;
            }
            let end = (at + length).min(best.schedule.len());
            let candidate = [&best.schedule[..at], &best.schedule[end..]].concat();
            let smaller = attempt(scenario, best, best.parameters.clone(), &candidate);
            match smaller.filter(|smaller| smaller.schedule.len() < best.schedule.len()) {
                Some(smaller) => {
                    *best = smaller;
                    dropped = true;
                }
                None => at += length,
            }
        }
        if length > 1 {
            length = length.div_ceil(2);
        } else if !dropped {
            return;
        }
    }
}

/// Leaves only the fault budgets that the schedule spends.
fn spend_exactly(scenario: &dyn Scenario, best: &mut Counterexample) {
    let mut budgets = Budgets::NONE;
    for fault in best.schedule.iter().filter_map(Choice::fault) {
        budgets = budgets.with(fault, budgets.left(fault) + 1);
    }
    let parameters = Parameters { budgets, ..best.parameters.clone() };
    if let Some(smaller) = attempt(scenario, best, parameters, &best.schedule.clone()) {
        *best = smaller;
    }
}
