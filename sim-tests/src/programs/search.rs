//! Searches: the checker's own, a blind one that keeps no visited states, random walks, and wrong ones that must be
//! caught.

use super::generate::Draw;
use super::host::{Collect, Judged, Outcomes, Reduce, World};
use doublehold::explore::exhaustive::Exhaustive;
use doublehold::explore::random::Random;
use doublehold::explore::strategy::{Begin, Coverage, Strategy};
use doublehold::explore::{Limits, check};
use doublehold::trace::Recorder;
use doublehold::world::choice::{Act, Choice};
use doublehold::world::explored::{Explored, Remember, Snapshot};
use doublehold::world::system::System;
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// How to search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The checker's exhaustive search.
    Exhaustive(Reduce),
    /// Depth first, without visited states.
    Blind,
    /// An exhaustive search with a mistake in it.
    Wrong(Defect),
    /// The checker's random search.
    Random(u64),
    /// Uniform walks, with stops of time where the checker offers them, or at any moment that it allows.
    Walk(u64, Stops),
}

/// Where time stops in a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stops {
    /// Where the checker offers it.
    Offered,
    /// At any moment as well.
    Free,
}

/// A mistake that an exhaustive search can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Defect {
    /// The fingerprint leaves out what clients have seen.
    OmitsSeen,
    /// The fingerprint leaves out what is on its way to clients.
    OmitsArrivals,
    /// The fingerprint leaves out what is on its way to servers.
    OmitsRequests,
    /// The fingerprint leaves out timers.
    OmitsTimers,
    /// The fingerprint leaves out the servers' states.
    OmitsServices,
    /// The fingerprint leaves out which faults may still happen.
    OmitsBudgets,
    /// The fingerprint leaves out clients' clocks.
    OmitsClocks,
    /// Every delivery goes first alone.
    DeliversFirst,
    /// Every request goes first alone.
    ServesFirst,
    /// Every timer goes first alone.
    FiresFirst,
    /// No fault hits while a message is in flight.
    SparesMessages,
    /// Code goes on after each thing that it is told, never only when its connection has ended too.
    NeverLate,
    /// Clients that run different code may change places.
    SwapsUnlike,
}

impl Defect {
    /// All of them.
    pub const ALL: [Defect; 13] = [
        Defect::OmitsSeen,
        Defect::OmitsArrivals,
        Defect::OmitsRequests,
        Defect::OmitsTimers,
        Defect::OmitsServices,
        Defect::OmitsBudgets,
        Defect::OmitsClocks,
        Defect::DeliversFirst,
        Defect::ServesFirst,
        Defect::FiresFirst,
        Defect::SparesMessages,
        Defect::NeverLate,
        Defect::SwapsUnlike,
    ];

    fn fingerprint(self, system: &System) -> u128 {
        let mut system = system.clone();
        match self {
            Defect::OmitsSeen => system.clients.iter_mut().for_each(|client| client.seen = 0),
            Defect::OmitsArrivals => system.links.iter_mut().for_each(|link| link.arrivals.clear()),
            Defect::OmitsRequests => system.links.iter_mut().for_each(|link| link.requests.clear()),
            Defect::OmitsTimers => system.clients.iter_mut().for_each(|client| client.timers.clear()),
            Defect::OmitsServices => system.services = System::new(&Arc::new(system.setup().clone()), false).services,
            Defect::OmitsBudgets => system.budgets = system.setup().budgets,
            Defect::OmitsClocks => {
                system.clients.iter_mut().for_each(|client| client.clock = doublehold::world::clock::Clock::default());
            }
            _ => {}
        }
        system.fingerprint(self == Defect::SwapsUnlike)
    }

    /// The choices that the search takes, in this order: a wrong reduction leaves some out.
    fn left(self, enabled: &[Choice]) -> Vec<usize> {
        let all = || (0..enabled.len()).collect();
        let alone = |is: fn(&Choice) -> bool| enabled.iter().position(is).map_or_else(all, |at| vec![at]);
        let in_flight = enabled.iter().any(|choice| matches!(choice.act, Act::Serve | Act::Deliver));
        match self {
            Defect::DeliversFirst => alone(|choice| choice.act == Act::Deliver),
            Defect::ServesFirst => alone(|choice| choice.act == Act::Serve),
            Defect::FiresFirst => alone(|choice| matches!(choice.act, Act::Fire(_))),
            Defect::SparesMessages if in_flight => (0..enabled.len()).filter(|at| !enabled[*at].is_fault()).collect(),
            Defect::NeverLate => {
                let is_late = |choice: &Choice| matches!(choice.act, Act::DeliverEnd(told) if told > 0);
                (0..enabled.len()).filter(|at| !is_late(&enabled[*at])).collect()
            }
            // Faults first: a state that has spent its budget must come before its like to hide it.
            Defect::OmitsBudgets => (0..enabled.len()).rev().collect(),
            _ => all(),
        }
    }
}

/// How far a search may go.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// The states of an exhaustive search.
    pub states_max: u64,
    /// The steps of a blind search.
    pub steps_max: u64,
    /// The executions of a random search.
    pub executions: u64,
}

/// What a search found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The outcomes.
    pub outcomes: Outcomes,
    /// It came to its end.
    pub complete: bool,
    /// The states that it told apart, or the steps that it made.
    pub work: u64,
    /// The moments of clients' code at which time stopped.
    pub moments: usize,
    /// Clock readings escaped as bare numbers, so their thresholds are unknown. The verdict says so.
    pub escaped: bool,
}

/// The outcomes that a search finds.
pub fn outcomes(world: &World, how: How, budget: Budget) -> Found {
    let (mut world, collect) = world.collecting();
    if let How::Walk(seed, stops) = how {
        walk(&world, &collect, seed, stops, budget.executions);
        return Found { outcomes: collect.take(), complete: true, work: budget.executions, moments: 0, escaped: false };
    }
    if let How::Wrong(Defect::SwapsUnlike) = how {
        world.0.symmetric = true;
    }
    let setup = Arc::new(world.0.clone());
    let (mut strategy, limits) = strategy(how, budget);
    let report = check(&setup, strategy.as_mut(), &limits, &AtomicBool::new(false), &mut |_| ());
    let complete =
        matches!(Judged::of(report.verdict), Judged::Holds | Judged::Vacuous(_)) && strategy.coverage().exhaustive;
    let work = report.progress.states.unwrap_or(report.progress.steps);
    Found { outcomes: collect.take(), complete, work, moments: report.moments, escaped: report.tally.escaped }
}

/// What a search says about the world's own property.
pub fn verdict(world: &World, how: How, budget: Budget) -> Judged {
    let (mut strategy, limits) = strategy(how, budget);
    let judged = world.search(strategy.as_mut(), limits);
    match judged {
        Judged::Holds | Judged::Vacuous(_) if !strategy.coverage().exhaustive => {
            Judged::Unknown("beyond the budget".to_owned())
        }
        judged => judged,
    }
}

fn strategy(how: How, budget: Budget) -> (Box<dyn Strategy>, Limits) {
    let limits = Limits { steps_max: 400, ..Limits::default() };
    match how {
        How::Exhaustive(reduce) => {
            let limits = Limits { states_max: Some(budget.states_max), ..limits };
            (Box::new(Exhaustive::new(reduce.reduction())), limits)
        }
        How::Blind => (Box::new(DepthFirst::new(None, budget.steps_max)), limits),
        How::Wrong(defect) => (Box::new(DepthFirst::new(Some(defect), budget.states_max)), limits),
        How::Random(seed) => {
            let limits = Limits { executions_max: Some(budget.executions), ..limits };
            (Box::new(Random::afresh(seed)), limits)
        }
        How::Walk(..) => panic!("walks are no strategy"),
    }
}

/// A tiny depth-first search: blind, or with a mistake.
struct DepthFirst {
    defect: Option<Defect>,
    visited: HashSet<u128>,
    stack: Vec<(Rc<Snapshot>, Vec<Choice>)>,
    started: bool,
    steps: u64,
    steps_max: u64,
}

impl DepthFirst {
    fn new(defect: Option<Defect>, steps_max: u64) -> Self {
        DepthFirst { defect, visited: HashSet::new(), stack: Vec::new(), started: false, steps: 0, steps_max }
    }
}

impl Strategy for DepthFirst {
    fn begin(&mut self, _world: &Explored, _executions_left: u64) -> Option<Begin> {
        if !std::mem::replace(&mut self.started, true) {
            return Some(Begin::Start);
        }
        if self.steps > self.steps_max {
            return None;
        }
        let (from, mut choices) = self.stack.pop()?;
        let choice = choices.pop().expect("a state without choices left is dropped");
        if !choices.is_empty() {
            self.stack.push((Rc::clone(&from), choices));
        }
        Some(Begin::GoOn { from, choice })
    }

    fn choose(&mut self, world: &Explored, enabled: &mut Vec<Choice>) -> Option<usize> {
        self.steps += 1;
        let seen = |defect: Defect| !self.visited.insert(defect.fingerprint(world.system()));
        if self.steps > self.steps_max || self.defect.is_some_and(seen) {
            return None;
        }
        let mut left = self.defect.map_or_else(|| (0..enabled.len()).collect(), |defect| defect.left(enabled));
        let first = if left.is_empty() { return None } else { left.remove(0) };
        if !left.is_empty() {
            let choices = left.iter().rev().map(|at| enabled[*at]).collect();
            self.stack.push((world.snapshot(), choices));
        }
        Some(first)
    }

    fn remembers(&self) -> Remember {
        if self.defect.is_some() { Remember::InputsAndDigests } else { Remember::Inputs }
    }

    fn coverage(&self) -> Coverage {
        let memory_bytes = self.stack.iter().map(|(snapshot, _)| snapshot.bytes() as u64).sum();
        Coverage { states: None, memory_bytes, exhaustive: self.steps <= self.steps_max }
    }
}

/// How far ahead time may stop in a walk, in microseconds.
const STOP_US_MAX: usize = 8_000;
const WALK_STEPS_MAX: usize = 400;

fn walk(world: &World, _collect: &Collect, seed: u64, stops: Stops, walks: u64) {
    let draw = &mut Draw::new(seed);
    let mut world = Explored::new(Arc::new(world.0.clone()), Remember::Nothing, Recorder::off());
    let (mut enabled, mut scratch) = (Vec::new(), Vec::new());
    for _ in 0..walks {
        world.reset();
        for _ in 0..WALK_STEPS_MAX {
            world.system().enabled(&mut enabled);
            if enabled.iter().all(Choice::is_fault) {
                world.judge_end();
            }
            if enabled.is_empty() {
                break;
            }
            let mut choice = draw.of(&enabled);
            if stops == Stops::Free && draw.once_in(4) {
                let to_us = world.system().now_us + 1 + draw.below(STOP_US_MAX) as u64;
                let stop = Choice::advance(to_us);
                if world.system().allows(stop, &mut scratch) {
                    choice = stop;
                }
            }
            world.step(choice);
        }
    }
}
