//! Strategy: the policy that picks choices.

use crate::world::choice::Choice;
use crate::world::explored::{Explored, Remember, Snapshot};
use std::rc::Rc;

/// Where an execution begins.
pub enum Begin {
    /// At the initial state.
    Start,
    /// In a state that an earlier execution was in, with this choice.
    GoOn {
        /// The state.
        from: Rc<Snapshot>,
        /// The choice.
        choice: Choice,
    },
}

/// What drives executions: says where to begin and what to choose. It reads the world; the search makes the steps.
pub trait Strategy {
    /// Where the next execution begins; `None` if nothing is left to explore. `world` stands at the end of the last
    /// execution. The search ends after `executions_left` more.
    fn begin(&mut self, world: &Explored, executions_left: u64) -> Option<Begin>;

    /// Picks one of the enabled choices by its place in the list, of which there is at least one; `None`
    /// ends the execution here, because nothing new can follow. It may add choices that the state
    /// [allows](crate::world::system::System::allows).
    fn choose(&mut self, world: &Explored, enabled: &mut Vec<Choice>) -> Option<usize>;

    /// Called after an exhausted search has learnt new moments at which time must stop: drops what was seen, to begin
    /// again. False for strategies that do not explore exhaustively.
    fn forget(&mut self) -> bool {
        false
    }

    /// How many executions the one that has just ended stands for.
    fn executions(&self) -> u64 {
        1
    }

    /// What the world has to keep, so that the strategy can do with it what it does.
    fn remembers(&self) -> Remember {
        Remember::Nothing
    }

    /// What has been seen so far.
    fn coverage(&self) -> Coverage;
}

/// What a strategy has seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Coverage {
    /// Distinct states, if it tells them apart.
    pub states: Option<u64>,
    /// The memory that it uses, roughly, in bytes.
    pub memory_bytes: u64,
    /// True if a search that was not cut short has seen everything there is.
    pub exhaustive: bool,
}
