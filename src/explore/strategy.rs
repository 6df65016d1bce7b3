//! Strategy: the policy that picks choices.

use super::choice::Choice;
use crate::world::explored::Explored;

/// What drives executions. Three methods are the whole surface.
pub trait Strategy {
    /// Puts the world where the next execution begins: at the initial state, or at a state to go on from.
    /// False when there is none.
    fn begin(&mut self, world: &mut Explored) -> bool;

    /// Picks one of the enabled choices by its place in the list, of which there is at least one; `None`
    /// ends the execution here, because nothing new can follow.
    fn choose(&mut self, world: &mut Explored, enabled: &[Choice]) -> Option<usize>;

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
