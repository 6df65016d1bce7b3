//! Strategy: the policy that picks choices.

use crate::world::choice::Choice;
use crate::world::explored::{Explored, Remember};

/// What drives executions. Three methods are the whole surface; two more are for strategies that go back.
pub trait Strategy {
    /// Puts the world where the next execution begins: at the initial state, or at a state to go on from.
    /// False when there is none. The search ends after `executions_left` more executions.
    fn begin(&mut self, world: &mut Explored, executions_left: u64) -> bool;

    /// Picks one of the enabled choices by its place in the list, of which there is at least one; `None`
    /// ends the execution here, because nothing new can follow. It may add choices that the state
    /// [allows](crate::world::system::System::allows).
    fn choose(&mut self, world: &mut Explored, enabled: &mut Vec<Choice>) -> Option<usize>;

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
    /// True if clients' code went on to name moments when the search was given up.
    pub unsettled: bool,
}
