//! Exhaustive depth-first search over states.
//!
//! A state seen before is cut. A state with several choices is kept on the stack, to come back to.
//!
//! The search begins again where it learns what it must not have done: without symmetry if something tells identical clients
//! apart, and with further moments of time if clients' code has compared its clocks with them.
//!
//! **Reduction.** A delivery can go first alone, without its alternatives, where nobody can tell the difference:
//! the client hears of nothing but what comes on this one connection, no fault can still hit it, the delivery shows no oracle anything,
//! and no clock is involved (or time cannot pass while a message is in flight). Whatever else could happen before it can
//! then as well happen after it, with the same result. The state graph has no cycles, since every step
//! uses up a message, a budget or time, so nothing is put off for ever.

use super::strategy::{Begin, Coverage, Strategy};
use crate::world::choice::{Act, Choice, Target};
use crate::world::explored::{Explored, Remember, Snapshot};
use crate::world::fault::Fault;
use crate::world::system::System;
use rustc_hash::FxBuildHasher;
use smallvec::SmallVec;
use std::collections::HashSet;
use std::rc::Rc;

/// How to reduce; all of it by default. A test compares verdicts and final states with and without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reduction {
    /// Let a delivery that nobody can tell apart go first alone.
    pub partial_order: bool,
    /// Take states that differ only in who is who for one.
    pub symmetry: bool,
}

impl Reduction {
    /// All of it.
    pub const ALL: Reduction = Reduction { partial_order: true, symmetry: true };
    /// None of it.
    pub const NONE: Reduction = Reduction { partial_order: false, symmetry: false };
}

struct Frame {
    snapshot: Rc<Snapshot>,
    choices: SmallVec<[Choice; 8]>,
    /// The last choice taken may turn out to make the others unnecessary.
    first_may_suffice: bool,
}

/// The strategy.
pub struct Exhaustive {
    reduction: Reduction,
    visited: HashSet<u128, FxBuildHasher>,
    stack: Vec<Frame>,
    stack_bytes: usize,
    started: bool,
    /// The last step was a delivery that may suffice.
    candidate: bool,
    /// Called with the fingerprint of each final state.
    finals: Option<HashSet<u128, FxBuildHasher>>,
}

impl Exhaustive {
    /// A search of everything.
    pub fn new(reduction: Reduction) -> Self {
        Exhaustive {
            reduction,
            visited: HashSet::default(),
            stack: Vec::new(),
            stack_bytes: 0,
            started: false,
            candidate: false,
            finals: None,
        }
    }

    /// Also collects the fingerprints of the states in which executions end.
    pub fn collect_finals(&mut self) {
        self.finals = Some(HashSet::default());
    }

    /// The fingerprints of the final states, in order, without symmetry.
    pub fn finals(&self) -> Vec<u128> {
        let mut finals: Vec<u128> = self.finals.iter().flatten().copied().collect();
        finals.sort_unstable();
        finals
    }

    /// After a step that might have sufficed: if it did, its alternatives are dropped.
    fn settle_candidate(&mut self, system: &System) {
        if !std::mem::take(&mut self.candidate) {
            return;
        }
        let hidden = !system.footprint.visible && !system.footprint.service;
        let unseen = hidden && (!system.footprint.timed || time_waits(system));
        if let Some(frame) = self.stack.last_mut().filter(|frame| frame.first_may_suffice && unseen) {
            frame.choices.clear();
        }
        if let Some(frame) = self.stack.last_mut() {
            frame.first_may_suffice = false;
        }
    }

    /// The place of a delivery that may go first alone.
    fn candidate(&self, system: &System, enabled: &[Choice]) -> Option<usize> {
        // A step of a node's clock is the one fault that a delivery to a client cannot race with.
        let endangered = Fault::ALL.iter().any(|fault| *fault != Fault::ClockStep && system.budgets.left(*fault) > 0);
        // A restart, or the end of a partition, is no fault with a budget, but it decides what becomes of requests.
        let restarts = system.nodes.iter().any(|node| node.down_since.is_some()) || system.cut.is_some();
        // A change of roles ends connections with what is in flight on them.
        if !self.reduction.partial_order || endangered || restarts || system.may_change_roles() {
            return None;
        }
        if !time_waits(system) && system.setup().assumptions.delay_us_max.is_some() {
            return None;
        }
        let alone = |choice: &Choice| matches!(*choice, Choice { at: Target::Link(link), act: Act::Deliver } if system.hears_only(link));
        enabled.iter().position(alone)
    }
}

/// True if time cannot pass while a message is in flight.
fn time_waits(system: &System) -> bool {
    system.setup().assumptions.delay_us_max == Some(0)
}

impl Strategy for Exhaustive {
    fn begin(&mut self, world: &Explored, _executions_left: u64) -> Option<Begin> {
        if !self.started {
            self.started = true;
            self.reduction.symmetry &= world.system().is_symmetric();
            return Some(Begin::Start);
        }
        if self.reduction.symmetry && world.tally().told_apart {
            self.reduction.symmetry = false;
            self.forget();
            self.started = true;
            return Some(Begin::Start);
        }
        // The execution that ended took its last step from the frame on top.
        self.settle_candidate(world.system());
        if let Some(finals) = self.finals.as_mut()
            && world.system().is_quiescent()
        {
            finals.insert(world.system().fingerprint(false));
        }
        while let Some(mut frame) = self.stack.pop() {
            let choice = frame.choices.pop();
            if frame.choices.is_empty() {
                self.stack_bytes -= frame.snapshot.bytes();
            }
            match choice {
                Some(choice) if frame.choices.is_empty() => return Some(Begin::GoOn { from: frame.snapshot, choice }),
                Some(choice) => {
                    let from = Rc::clone(&frame.snapshot);
                    frame.first_may_suffice = false;
                    self.stack.push(frame);
                    return Some(Begin::GoOn { from, choice });
                }
                None => {}
            }
        }
        None
    }

    fn forget(&mut self) -> bool {
        self.visited.clear();
        self.stack.clear();
        (self.stack_bytes, self.candidate) = (0, false);
        self.finals.iter_mut().for_each(HashSet::clear);
        self.started = false;
        true
    }

    fn choose(&mut self, world: &Explored, enabled: &mut Vec<Choice>) -> Option<usize> {
        if self.reduction.symmetry && world.tally().told_apart {
            return None;
        }
        self.settle_candidate(world.system());
        if !self.visited.insert(world.system().fingerprint(self.reduction.symmetry)) {
            return None;
        }
        if enabled.len() == 1 {
            return Some(0);
        }
        let candidate = self.candidate(world.system(), enabled);
        let first = candidate.unwrap_or(0);
        self.candidate = candidate.is_some();
        let others = enabled.iter().enumerate().rev().filter(|(at, _)| *at != first);
        let choices = others.map(|(_, choice)| *choice).collect();
        let snapshot = world.snapshot();
        self.stack_bytes += snapshot.bytes();
        self.stack.push(Frame { snapshot, choices, first_may_suffice: self.candidate });
        Some(first)
    }

    fn remembers(&self) -> Remember {
        Remember::InputsAndDigests
    }

    fn coverage(&self) -> Coverage {
        // A hash table keeps one slot in eight free, and while it grows there are two: the old and one of twice the size.
        let table = self.visited.capacity() * 8 / 7 * (size_of::<u128>() + 1);
        let about_to_grow = self.visited.len() * 8 >= self.visited.capacity() * 7;
        let table = if about_to_grow { 3 * table } else { table };
        let memory = table + self.stack_bytes;
        Coverage { states: Some(self.visited.len() as u64), memory_bytes: memory as u64, exhaustive: true }
    }
}
