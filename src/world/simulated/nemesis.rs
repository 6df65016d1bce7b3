//! Nemesis: which fault comes when, by rate and by the user's plan.

use super::events::{Due, EventQueue};
use super::streams::Stream;
use crate::world::choice::{Act, Choice, Target as At};
use crate::world::cut::Apart;
use crate::world::fault::Fault;
use crate::world::simulation::Simulation;
use crate::world::system::System;
use doublehold_models::Step;

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
    match target {
        _ if choice.at == At::Network => match (choice.act, target) {
            (Act::Cut(cut), Target::Client(client)) => cut.apart == Apart::Client(client as u8),
            (Act::Cut(cut), Target::Node(node)) => cut.apart == Apart::Node(node as u8),
            _ => false,
        },
        Target::Node(node) => choice.at.node().map(usize::from) == Some(node),
        Target::Client(client) if matches!(choice.act, Act::Take(Step::Expire(hit)) if usize::from(hit) == client) => {
            true
        }
        Target::Client(client) => choice.at.client().map(usize::from) == Some(client),
    }
}

/// Puts the first fault of each kind that the scenario knows into the queue of events, and the planned ones.
pub(super) fn plan(
    events: &mut EventQueue,
    system: &System,
    simulation: &Simulation,
    planned: &[Planned],
    faults: &mut Stream,
) {
    for (kind, fault) in Fault::ALL.into_iter().enumerate() {
        if system.budgets.left(fault) > 0 {
            events.put(faults.exponential(simulation.fault_every_us), Due::Fault(kind));
        }
    }
    for (number, plan) in planned.iter().enumerate() {
        events.put(plan.at_us, Due::Planned(number));
    }
    events.put(simulation.healthy_after_us, Due::Healthy);
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
    if matches!(fault, Fault::ClientCrash | Fault::ClientPowerLoss) && system.waiting_clients().count() < 2 {
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
    match (choice.at, choice.act) {
        (_, Act::Cut(_)) => {
            let heal = Choice { act: Act::Heal, ..choice };
            Some((system.now_us + faults.below(simulation.pause_us_max + 1), heal))
        }
        (_, Act::Take(Step::SlowSync)) => {
            let heal = Choice { act: Act::Take(Step::Synced), ..choice };
            Some((system.now_us + faults.below(1 + simulation.lag_us_max), heal))
        }
        (_, Act::Pause) => {
            let heal = Choice { act: Act::Resume, ..choice };
            Some((system.now_us + faults.below(simulation.pause_us_max + 1), heal))
        }
        (At::Node(_), Act::Crash | Act::PowerLoss) => {
            let down = system.setup().assumptions.restart_us_min + faults.below(simulation.down_us_max + 1);
            Some((system.now_us + down, Choice { act: Act::Restart, ..choice }))
        }
        // It takes in one thing at a time until it is no longer behind.
        (_, Act::Take(Step::Lag | Step::CatchUp)) => {
            let heal = Choice { act: Act::Take(Step::CatchUp), ..choice };
            Some((system.now_us + 1 + faults.below(simulation.lag_us_max), heal))
        }
        _ => None,
    }
}
