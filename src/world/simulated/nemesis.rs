//! Nemesis: which fault comes when, by rate and by the user's plan.

use super::agenda::{Agenda, Due};
use super::streams::Stream;
use crate::explore::choice::Choice;
use crate::scenario::Simulation;
use crate::world::fault::Fault;
use crate::world::system::System;

/// A fault at a fixed time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// When, true time in microseconds.
    pub at_us: u64,
    /// Which kind.
    pub fault: Fault,
    /// What it hits.
    pub target: Target,
}

/// What a planned fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A client, by its number.
    Client(usize),
    /// A node, by its place in the topology.
    Node(usize),
}

fn hits(choice: &Choice, target: Target) -> bool {
    match (target, choice) {
        (
            Target::Node(node),
            Choice::CrashNode { node: hit } | Choice::StepNode { node: hit, .. } | Choice::Lag { node: hit },
        ) => node == usize::from(*hit),
        (Target::Node(node), Choice::Break(at) | Choice::Stall(at) | Choice::Delay(at)) => node == usize::from(at.node),
        (Target::Client(client), Choice::Expire { client: hit, .. }) => client == usize::from(*hit),
        (Target::Client(client), choice) => choice.client().map(usize::from) == Some(client),
        _ => false,
    }
}

/// Puts the first fault of each kind that the scenario knows on the agenda, and the planned ones.
pub(super) fn plan(
    agenda: &mut Agenda,
    system: &System,
    simulation: &Simulation,
    planned: &[Planned],
    faults: &mut Stream,
) {
    for (kind, fault) in Fault::ALL.into_iter().enumerate() {
        if system.budgets.left(fault) > 0 {
            agenda.put(faults.exponential(simulation.fault_every_us), Due::Fault(kind));
        }
    }
    for (number, plan) in planned.iter().enumerate() {
        agenda.put(plan.at_us, Due::Planned(number));
    }
    agenda.put(simulation.healthy_after_us, Due::Healthy);
}

/// Picks one of the faults of a kind that are possible now.
pub(super) fn pick(
    system: &System,
    fault: Fault,
    target: Option<Target>,
    faults: &mut Stream,
    enabled: &mut Vec<Choice>,
) -> Option<Choice> {
    // The last client must not crash: nobody would be left to suffer.
    if fault == Fault::ClientCrash && system.waiting_clients().count() < 2 {
        return None;
    }
    system.enabled(enabled);
    let fits = |choice: &&Choice| choice.fault() == Some(fault) && target.is_none_or(|target| hits(choice, target));
    let count = enabled.iter().filter(fits).count() as u64;
    let nth = faults.below(count) as usize;
    enabled.iter().filter(fits).nth(nth).copied()
}

/// When the fault heals, and how.
pub(super) fn recovery(
    system: &System,
    choice: Choice,
    simulation: &Simulation,
    faults: &mut Stream,
) -> Option<(u64, Choice)> {
    match choice {
        Choice::Pause { client } => {
            Some((system.now_us + faults.below(simulation.pause_us_max + 1), Choice::Resume { client }))
        }
        Choice::CrashNode { node } => {
            let down = system.setup().assumptions.restart_us_min + faults.below(simulation.down_us_max + 1);
            Some((system.now_us + down, Choice::RestartNode { node }))
        }
        // It takes in one thing at a time until it is no longer behind.
        Choice::Lag { node } | Choice::CatchUp { node } => {
            Some((system.now_us + 1 + faults.below(simulation.lag_us_max), Choice::CatchUp { node }))
        }
        _ => None,
    }
}
