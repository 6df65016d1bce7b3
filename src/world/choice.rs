//! Choice: one alternative at a choice point: a target and an act.
//!
//! The act says what happens, the target what it happens to. The kind of fault, the name in schedules, the
//! renaming under shrinking and what a nemesis may hit all follow from the two.

use super::cut::Cut;
use super::fault::Fault;
use super::seat::WaitId;
use crate::base::millis;
use doublehold_models::Step;
use std::fmt;

/// A connection, by its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkName {
    /// The client.
    pub client: u8,
    /// The node's place in the topology.
    pub node: u8,
    /// Tells apart the connections that a client has, or had, to one node; the servers see it.
    pub lane: u8,
}

/// What a choice happens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// True time.
    Time,
    /// A client.
    Client(u8),
    /// A node, by its place in the topology.
    Node(u8),
    /// A connection.
    Link(LinkName),
    /// The network as a whole.
    Network,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Act {
    /// A process's clocks are off by this much from the start.
    SetClock {
        /// How much too fast, in parts per million.
        drift_ppm: i32,
        /// How far the wall clock is ahead, in microseconds.
        offset_us: i64,
    },
    /// A client begins.
    Start,
    /// A node serves the first request of a connection.
    Serve,
    /// A client is told the first thing that waits for it on a connection.
    Deliver,
    /// A client is told so many things that wait for it on a connection, and with them that it has ended, before its
    /// code goes on. What else was in flight is lost.
    DeliverEnd(u8),
    /// A node learns that the other end of a connection is gone; requests that it has not served are lost.
    HangUp,
    /// A client's timer fires.
    Fire(WaitId),
    /// Time passes to this moment, in microseconds.
    Advance(u64),
    /// A connection breaks.
    Break,
    /// A connection goes silent.
    Stall,
    /// A connection becomes slow.
    Delay,
    /// A process stops for a while.
    Pause,
    /// A paused process goes on.
    Resume,
    /// A process ends; its machine lives on.
    Crash,
    /// A process's machine is gone.
    PowerLoss,
    /// A node that is down starts again.
    Restart,
    /// A service takes a step by itself, at a node or a connection.
    Take(Step),
    /// A process's wall clock jumps by this much, in microseconds.
    Step(i64),
    /// Some processes cannot reach the others.
    Cut(Cut),
    /// All processes reach each other again.
    Heal,
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Choice {
    /// What it happens to.
    pub at: Target,
    /// What happens.
    pub act: Act,
}

impl Target {
    /// The client that it concerns, if it is one client's.
    pub fn client(self) -> Option<u8> {
        match self {
            Target::Client(client) => Some(client),
            Target::Link(link) => Some(link.client),
            Target::Time | Target::Node(_) | Target::Network => None,
        }
    }

    /// The node that it concerns, if it is one node's.
    pub fn node(self) -> Option<u8> {
        match self {
            Target::Node(node) => Some(node),
            Target::Link(link) => Some(link.node),
            Target::Time | Target::Client(_) | Target::Network => None,
        }
    }

    /// The same target where clients have these numbers; `None` if its client is not there.
    fn renamed(self, number: &impl Fn(u8) -> Option<u8>) -> Option<Target> {
        Some(match self {
            Target::Client(client) => Target::Client(number(client)?),
            Target::Link(link) => Target::Link(LinkName { client: number(link.client)?, ..link }),
            Target::Time | Target::Node(_) | Target::Network => self,
        })
    }
}

impl Choice {
    /// Something happens to a client.
    pub fn client(client: usize, act: Act) -> Choice {
        Choice { at: Target::Client(client as u8), act }
    }

    /// Something happens to a node.
    pub fn node(node: usize, act: Act) -> Choice {
        Choice { at: Target::Node(node as u8), act }
    }

    /// Something happens to a connection.
    pub fn link(link: LinkName, act: Act) -> Choice {
        Choice { at: Target::Link(link), act }
    }

    /// Time passes to this moment.
    pub fn advance(to_us: u64) -> Choice {
        Choice { at: Target::Time, act: Act::Advance(to_us) }
    }

    /// The fault that it injects, and whose budget it spends.
    pub fn fault(&self) -> Option<Fault> {
        Some(match (self.at, self.act) {
            (_, Act::Break) => Fault::Break,
            (_, Act::Stall) => Fault::Stall,
            (_, Act::Delay) => Fault::Delay,
            (Target::Client(_), Act::Pause) => Fault::Pause,
            (Target::Client(_), Act::Crash) => Fault::ClientCrash,
            (Target::Client(_), Act::PowerLoss) => Fault::ClientPowerLoss,
            (Target::Client(_), Act::Step(_)) => Fault::ClientClockStep,
            (Target::Node(_), Act::Pause) => Fault::NodePause,
            (Target::Node(_), Act::Crash) => Fault::NodeCrash,
            (Target::Node(_), Act::PowerLoss) => Fault::NodePowerLoss,
            (Target::Node(_), Act::Step(_)) => Fault::ClockStep,
            (_, Act::Cut(_)) => Fault::Partition,
            (_, Act::Take(Step::Lag)) => Fault::Lag,
            (_, Act::Take(Step::SlowSync)) => Fault::SlowSync,
            (_, Act::Take(Step::Expire(_))) => Fault::SessionExpiry,
            _ => return None,
        })
    }

    /// The client that it ends from without.
    pub fn kills(&self) -> Option<usize> {
        match (self.at, self.act) {
            (Target::Client(client), Act::Crash | Act::PowerLoss) => Some(usize::from(client)),
            _ => None,
        }
    }

    /// True if it spends a fault budget.
    pub fn is_fault(&self) -> bool {
        self.fault().is_some()
    }

    /// The same choice where clients have these numbers; `None` if a client that it concerns is not there.
    pub fn renamed(self, number: impl Fn(u8) -> Option<u8>) -> Option<Choice> {
        let act = match self.act {
            Act::Take(step) => Act::Take(step.renamed(&number)?),
            Act::Cut(cut) => Act::Cut(Cut { apart: cut.apart.renamed(&number)?, ..cut }),
            act => act,
        };
        Some(Choice { at: self.at.renamed(&number)?, act })
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signed = |us: i64| format!("{}{}", if us < 0 { '-' } else { '+' }, millis(us.unsigned_abs()));
        match *self {
            Act::SetClock { drift_ppm, offset_us } => {
                write!(f, "clock drifts {drift_ppm:+} ppm, offset {}", signed(offset_us))
            }
            Act::Start => f.write_str("start"),
            Act::Serve => f.write_str("serve"),
            Act::Deliver => f.write_str("deliver"),
            Act::DeliverEnd(0) => f.write_str("deliver the end"),
            Act::DeliverEnd(told) => write!(f, "deliver {told} and the end"),
            Act::HangUp => f.write_str("hang up"),
            Act::Fire(id) => write!(f, "timer #{id} fires"),
            Act::Advance(to_us) => write!(f, "passes to {}", millis(to_us)),
            Act::Break => f.write_str("break"),
            Act::Stall => f.write_str("stall"),
            Act::Delay => f.write_str("delay"),
            Act::Pause => f.write_str("pause"),
            Act::Resume => f.write_str("resume"),
            Act::Crash => f.write_str("crash"),
            Act::PowerLoss => f.write_str("loses power"),
            Act::Restart => f.write_str("restart"),
            Act::Take(step) => step.fmt(f),
            Act::Step(us) => write!(f, "clock steps {}", signed(us)),
            Act::Cut(_) => f.write_str("some processes cannot reach the others"),
            Act::Heal => f.write_str("heals"),
        }
    }
}
