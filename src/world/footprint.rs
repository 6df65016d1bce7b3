//! Footprint: what one transition touched, and what the oracles have seen in it.

use super::fault::Fault;
use smallvec::SmallVec;

/// What the last transition touched, recorded where the state changes.
#[derive(Clone, Debug, Default)]
pub struct Footprint {
    /// An oracle may have seen it: an event was recorded.
    pub visible: bool,
    /// The client's code read a clock, or set, cancelled or was woken by a timer.
    pub timed: bool,
    /// A service has changed, or was asked.
    pub service: bool,
    /// What the oracles have seen.
    pub seen: Seen,
    /// Moments of true time at which the client's code would have done something else.
    pub thresholds: SmallVec<[Threshold; 2]>,
    /// Clock readings left the port's types as bare numbers, or a server told a client of its clock.
    pub escaped: bool,
    /// A server was asked something whose answer may depend on its wall clock.
    pub server_clock: bool,
    /// The client's code can be told apart from another's: it was told another client's name, or asked for its own
    /// number.
    pub told_apart: bool,
}

/// A moment at which a client's code would do something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// True time.
    pub at_us: u64,
    /// How many steps of the code lie between the reading with which the clock was compared and the last input.
    pub steps_back: u32,
}

/// What oracles have seen in one transition, or in many.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Seen {
    /// Locks were acquired.
    pub acquisitions: u64,
    /// A client wanted a lock that another wanted or held.
    pub contended: u64,
    /// A lock's lease ended by itself.
    pub leases_ended: u64,
    /// The kinds of fault that struck, a bit each.
    pub faults: u32,
    /// The properties that found something to judge, a bit each.
    pub looked: u64,
    /// The locks that some probe has seen held, a bit each.
    pub held: u64,
}

impl Seen {
    /// True if a fault of this kind struck.
    pub fn struck(&self, fault: Fault) -> bool {
        self.faults & (1 << fault as u32) != 0
    }

    /// Adds what was seen in another transition.
    pub fn add(&mut self, other: &Seen) {
        self.acquisitions += other.acquisitions;
        self.contended += other.contended;
        self.leases_ended += other.leases_ended;
        self.faults |= other.faults;
        self.looked |= other.looked;
        self.held |= other.held;
    }
}
