//! Client: where one is in its life, what it was told, what running its code gave.

use super::clock::Clock;
use super::inputs::Inputs;
use super::seat::WaitId;
use smallvec::SmallVec;

/// Where a client is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Status {
    /// Its code has not begun.
    #[default]
    NotStarted,
    /// Its code runs, or waits.
    Running,
    /// Its process stands still since this moment of true time.
    Paused(u64),
    /// Its code has come to its end.
    Finished,
    /// Its process has ended before that.
    Crashed,
}

impl Status {
    /// True if the client has not come to its end.
    pub fn is_live(self) -> bool {
        !matches!(self, Status::Finished | Status::Crashed)
    }
}

/// A client.
#[derive(Clone, Default, Hash)]
pub struct ClientState {
    /// Where it is in its life.
    pub status: Status,
    /// Its clocks.
    pub clock: Clock,
    /// Everything that it was told.
    pub inputs: Inputs,
    /// Its timers: what for, and when by its own monotonic clock.
    pub timers: SmallVec<[(WaitId, u64); 2]>,
    /// The digest of what its code has seen.
    pub seen: u128,
    /// A partition sets it apart.
    pub apart: bool,
    /// A partition has once been between it and a server.
    pub was_cut_off: bool,
    /// Later moments, true time, that its code has as bare numbers.
    pub leaked: SmallVec<[u64; 2]>,
}
