//! Client: where one is in its life, what it was told, what running its code gave.

use super::clock::{Clock, Reading};
use super::seat::{Outgoing, Told, WaitId};
use crate::base::time::Observed;
use smallvec::SmallVec;
use std::hash::{Hash, Hasher};
use std::rc::Rc;

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

/// What a client was told once, with the reading of its clocks: enough to run its code again.
#[derive(Clone, Debug)]
pub struct Input {
    /// Its clocks.
    pub now: Reading,
    /// What it was told.
    pub told: Told,
    /// A number that no other input of the same world has; 0 until the world gives one.
    pub stamp: u64,
    /// A digest of what its code then asked for.
    pub asked: u64,
}

/// The client's input log: empty in worlds that never go back.
#[derive(Clone, Default)]
pub struct Inputs(pub(super) Rc<Vec<Input>>);

impl Hash for Inputs {
    /// The digest of what the code has seen stands for them.
    fn hash<H: Hasher>(&self, _hasher: &mut H) {}
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

/// A client's code has something to do.
#[derive(Clone, Debug)]
pub struct Wake {
    /// The client.
    pub client: usize,
    /// What it is told.
    pub input: Input,
}

/// What running a client's code gave.
pub struct Ran<'a> {
    /// The client.
    pub client: usize,
    /// How many inputs its code has had.
    pub inputs: u32,
    /// What its code asked for.
    pub outbox: &'a mut Vec<Outgoing>,
    /// The digest of what its code has seen.
    pub seen: u128,
    /// Whether its code read a clock.
    pub read_clock: bool,
    /// Whether its code was told another client's name, or asked for its own number.
    pub told_apart: bool,
    /// What its code did with moments.
    pub observed: Observed,
    /// Whether its code has come to its end.
    pub finished: bool,
}
