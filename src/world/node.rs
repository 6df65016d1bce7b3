//! Node: the state of one server beside what it keeps.

use super::clock::Clock;
use doublehold_models::NodeClock;
use smallvec::SmallVec;

/// The clocks of all members of a service.
pub type Clocks = SmallVec<[NodeClock; 5]>;

/// A server.
#[derive(Clone, Debug, Hash)]
pub struct NodeState {
    /// The service whose state it keeps.
    pub service: u8,
    /// Its place among the nodes of that service.
    pub member: u8,
    /// Its clocks.
    pub clock: Clock,
    /// When it went down, true time; `None` while it is up.
    pub down_since: Option<u64>,
    /// Its machine is gone: nobody answers in its place.
    pub dark: bool,
    /// Since when a sync to its disk takes long, true time.
    pub slow_since: Option<u64>,
    /// A partition sets it apart.
    pub apart: bool,
    /// It reaches too few of its ensemble to serve anybody, until the partition has healed.
    pub outvoted: bool,
    /// Since when its process stands still, true time.
    pub paused_since: Option<u64>,
    /// When what other members have sent to it must have arrived, oldest first; nothing where Δ has no bound.
    pub in_flight: SmallVec<[Arrives; 2]>,
}

/// When something must have arrived, true time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Arrives(pub u64);

impl NodeState {
    /// A server that is up.
    pub fn new(service: u8, member: u8) -> Self {
        NodeState {
            service,
            member,
            clock: Clock::default(),
            down_since: None,
            dark: false,
            slow_since: None,
            apart: false,
            outvoted: false,
            paused_since: None,
            in_flight: SmallVec::new(),
        }
    }

    /// True if it answers, if only by refusing.
    pub fn is_answering(&self) -> bool {
        !self.dark && self.paused_since.is_none()
    }

    /// True if it serves requests and its timers fire.
    pub fn is_running(&self) -> bool {
        self.down_since.is_none() && self.paused_since.is_none()
    }
}
