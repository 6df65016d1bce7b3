//! Choice: one alternative at a choice point, and its stable name in schedules.

use crate::world::fault::{Fault, millis};
use crate::world::seat::WaitId;
use crate::world::system::System;

/// A connection, by its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkName {
    /// The client.
    pub client: u8,
    /// The node's place in the topology.
    pub node: u8,
    /// 0 for commands, further ones for subscriptions.
    pub lane: u8,
}

/// A process with clocks of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Process {
    /// A client.
    Client(u8),
    /// A node.
    Node(u8),
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Choice {
    /// A process's clocks are off by this much from the start.
    SetClock {
        /// The process.
        process: Process,
        /// How much too fast, in parts per million.
        drift_ppm: i32,
        /// How far the wall clock is ahead, in microseconds.
        offset_us: i64,
    },
    /// A client begins.
    Start {
        /// The client.
        client: u8,
    },
    /// A node serves the first request of a connection.
    Serve(LinkName),
    /// A node goes on with a request of a connection that had to wait.
    GoOn(LinkName),
    /// A client is told the first thing that waits for it on a connection.
    Deliver(LinkName),
    /// A client's timer fires.
    Fire {
        /// The client.
        client: u8,
        /// The timer.
        id: WaitId,
    },
    /// Time passes.
    Advance {
        /// To this moment of true time, in microseconds.
        to_us: u64,
    },
    /// A connection breaks.
    Break(LinkName),
    /// A connection goes silent.
    Stall(LinkName),
    /// A connection becomes slow.
    Delay(LinkName),
    /// A client stops for a while.
    Pause {
        /// The client.
        client: u8,
    },
    /// A paused client goes on.
    Resume {
        /// The client.
        client: u8,
    },
    /// A client's process ends.
    CrashClient {
        /// The client.
        client: u8,
    },
    /// A node loses power.
    CrashNode {
        /// The node.
        node: u8,
    },
    /// A crashed node starts again.
    RestartNode {
        /// The node.
        node: u8,
    },
    /// A node falls behind the others of its service.
    Lag {
        /// The node.
        node: u8,
    },
    /// A session expires whose client is cut off.
    Expire {
        /// A node of the service.
        node: u8,
        /// The client.
        client: u8,
    },
    /// A node that is behind takes in one thing more.
    CatchUp {
        /// The node.
        node: u8,
    },
    /// A node's wall clock jumps.
    StepNode {
        /// The node.
        node: u8,
        /// By this much, in microseconds.
        us: i64,
    },
    /// A client's wall clock jumps.
    StepClient {
        /// The client.
        client: u8,
        /// By this much, in microseconds.
        us: i64,
    },
}

impl Choice {
    /// The fault that it injects, and whose budget it spends.
    pub fn fault(&self) -> Option<Fault> {
        Some(match self {
            Choice::Break(_) => Fault::Break,
            Choice::Stall(_) => Fault::Stall,
            Choice::Delay(_) => Fault::Delay,
            Choice::Pause { .. } => Fault::Pause,
            Choice::CrashClient { .. } => Fault::ClientCrash,
            Choice::CrashNode { .. } => Fault::NodeCrash,
            Choice::Lag { .. } => Fault::Lag,
            Choice::Expire { .. } => Fault::SessionExpiry,
            Choice::StepNode { .. } => Fault::ClockStep,
            Choice::StepClient { .. } => Fault::ClientClockStep,
            _ => return None,
        })
    }

    /// True if it spends a fault budget.
    pub fn is_fault(&self) -> bool {
        self.fault().is_some()
    }

    /// The client that it concerns, if it is one client's.
    pub fn client(&self) -> Option<u8> {
        match *self {
            Choice::Start { client }
            | Choice::Fire { client, .. }
            | Choice::Pause { client }
            | Choice::Resume { client }
            | Choice::CrashClient { client }
            | Choice::StepClient { client, .. }
            | Choice::SetClock { process: Process::Client(client), .. } => Some(client),
            Choice::Serve(at)
            | Choice::GoOn(at)
            | Choice::Deliver(at)
            | Choice::Break(at)
            | Choice::Stall(at)
            | Choice::Delay(at) => Some(at.client),
            _ => None,
        }
    }

    /// Its name in schedules: the same in every build and every run, and it says what happens.
    pub fn name(&self, system: &System) -> String {
        let node = |node: u8| system.node_name(usize::from(node));
        let link = |at: LinkName, arrow: &str| {
            let lane = if at.lane > 0 { format!("/{}", at.lane) } else { String::new() };
            format!("client-{} {arrow} {}{lane}", at.client, node(at.node))
        };
        let signed = |us: i64| format!("{}{}", if us < 0 { '-' } else { '+' }, millis(us.unsigned_abs()));
        match *self {
            Choice::SetClock { process, drift_ppm, offset_us } => {
                let who = match process {
                    Process::Client(client) => format!("client-{client}"),
                    Process::Node(number) => node(number),
                };
                format!("{who}: clock drifts {drift_ppm:+} ppm, offset {}", signed(offset_us))
            }
            Choice::Start { client } => format!("client-{client}: start"),
            Choice::Serve(at) => match system.request_at(at) {
                Some((id, command)) => format!("{} {command} #{id}: serve", link(at, "→")),
                None => format!("{}: serve", link(at, "→")),
            },
            Choice::Deliver(at) => format!("{} {}: deliver", link(at, "←"), system.arrival_at(at)),
            Choice::GoOn(at) => format!("{}: goes on", link(at, "→")),
            Choice::Fire { client, id } => format!("client-{client}: timer #{id} fires"),
            Choice::Advance { to_us } => format!("time: passes to {}", millis(to_us)),
            Choice::Break(at) => format!("{}: break", link(at, "–")),
            Choice::Stall(at) => format!("{}: stall", link(at, "–")),
            Choice::Delay(at) => format!("{}: delay", link(at, "–")),
            Choice::Pause { client } => format!("client-{client}: pause"),
            Choice::Resume { client } => format!("client-{client}: resume"),
            Choice::CrashClient { client } => format!("client-{client}: crash"),
            Choice::CrashNode { node: number } => format!("{}: crash", node(number)),
            Choice::RestartNode { node: number } => format!("{}: restart", node(number)),
            Choice::Lag { node: number } => format!("{}: falls behind", node(number)),
            Choice::Expire { node: number, client } => {
                format!("{}: the session of client-{client} expires", node(number))
            }
            Choice::CatchUp { node: number } => format!("{}: catches up", node(number)),
            Choice::StepNode { node: number, us } => format!("{}: clock steps {}", node(number), signed(us)),
            Choice::StepClient { client, us } => format!("client-{client}: clock steps {}", signed(us)),
        }
    }
}
