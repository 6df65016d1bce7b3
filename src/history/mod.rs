//! History: what the clients did and learnt, in the order of true time.

mod holds;
pub mod serial;

use serde::{Deserialize, Serialize};

pub use crate::base::{Ended, Event, Fact, Mode, Tells};
pub use holds::{Hold, HoldOrder, Holds, Told};

/// An event with its place in true time: a history is a sequence of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// True time, in microseconds since the execution's start.
    pub at_us: u64,
    /// The client's number.
    pub client: usize,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}
