//! Faults and assumptions: what may go wrong, how often, and what is taken for granted.

use crate::base::millis;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The kinds of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// A connection breaks, and the client learns it. What it had sent may still be served, or not.
    Break,
    /// A connection goes silent; what is in flight is lost, and nobody is told.
    Stall,
    /// A connection becomes slow: what is in flight on it, and the answer to it, may take longer than Δ.
    Delay,
    /// A client stops for a while, and the world goes on.
    Pause,
    /// A client's process ends; its machine closes the connections.
    ClientCrash,
    /// A server's process ends; its machine closes the connections, and what it was given to write reaches the disk. The
    /// server may come back.
    NodeCrash,
    /// A server's wall clock jumps.
    ClockStep,
    /// A client's wall clock jumps.
    ClientClockStep,
    /// A node falls behind the others of its service, for a while.
    Lag,
    /// A session whose client is cut off, and knows it, expires before the client comes back.
    SessionExpiry,
    /// A server stops for a while: what is sent to it waits, and its timers fire late.
    NodePause,
    /// A client's machine is gone: servers are not told, and keep its connections.
    ClientPowerLoss,
    /// A server's machine is gone, and clients are not told. It may come back with what was synced to its disk.
    NodePowerLoss,
    /// Some processes cannot reach the others for a while, in both directions or in one.
    Partition,
    /// A sync to a server's disk takes long, up to two seconds. A Redis postpones its appends behind it, a MySQL its next flush.
    SlowSync,
}

impl Fault {
    /// All kinds, in the order of their budgets.
    pub const ALL: [Fault; 15] = [
        Fault::Break,
        Fault::Stall,
        Fault::Delay,
        Fault::Pause,
        Fault::ClientCrash,
        Fault::NodeCrash,
        Fault::ClockStep,
        Fault::ClientClockStep,
        Fault::Lag,
        Fault::SessionExpiry,
        Fault::NodePause,
        Fault::ClientPowerLoss,
        Fault::NodePowerLoss,
        Fault::Partition,
        Fault::SlowSync,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Break => "break",
            Fault::Stall => "stall",
            Fault::Delay => "delay",
            Fault::Pause => "pause",
            Fault::ClientCrash => "client-crash",
            Fault::NodeCrash => "node-crash",
            Fault::ClockStep => "clock-step",
            Fault::ClientClockStep => "client-clock-step",
            Fault::Lag => "lag",
            Fault::SessionExpiry => "session-expiry",
            Fault::NodePause => "node-pause",
            Fault::ClientPowerLoss => "client-power-loss",
            Fault::NodePowerLoss => "node-power-loss",
            Fault::Partition => "partition",
            Fault::SlowSync => "slow-sync",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How many faults of each kind an execution may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budgets([u8; Fault::ALL.len()]);

impl Budgets {
    /// No faults.
    pub const NONE: Budgets = Budgets([0; Fault::ALL.len()]);

    /// The same with `count` faults of this kind.
    #[must_use]
    pub fn with(mut self, fault: Fault, count: u8) -> Self {
        self.0[fault as usize] = count;
        self
    }

    /// The faults of this kind that are left.
    pub fn left(&self, fault: Fault) -> u8 {
        self.0[fault as usize]
    }

    /// Takes one.
    pub(crate) fn spend(&mut self, fault: Fault) {
        let left = &mut self.0[fault as usize];
        *left = left.checked_sub(1).expect("a fault was injected beyond its budget");
    }

    /// The kinds that are left, with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (Fault, u8)> {
        Fault::ALL.into_iter().map(|fault| (fault, self.left(fault))).filter(|(_, left)| *left > 0)
    }
}

impl fmt::Display for Budgets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Budgets::NONE {
            return f.write_str("none");
        }
        for (at, (fault, left)) in self.iter().enumerate() {
            write!(f, "{}{fault}={left}", if at > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

impl Serialize for Budgets {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(fault, left)| (fault.name(), left)))
    }
}

impl<'de> Deserialize<'de> for Budgets {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let counts = std::collections::BTreeMap::<Fault, u8>::deserialize(deserializer)?;
        Ok(counts.into_iter().fold(Budgets::NONE, |budgets, (fault, count)| budgets.with(fault, count)))
    }
}

/// What is taken for granted about time. Executions outside of it are not explored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assumptions {
    /// Δ: the longest that a message takes, in microseconds; `None`: for ever.
    pub delay_us_max: Option<u64>,
    /// π: the longest pause of a process, and the longest partition, in microseconds; `None`: for ever.
    pub pause_us_max: Option<u64>,
    /// ρ: how far a clock's rate may be off, in parts per million. Each clock runs too slow, right or
    /// too fast by this much.
    pub drift_ppm_max: u32,
    /// ε: how far a wall clock may be off at the start, in microseconds.
    pub offset_us_max: u64,
    /// A crashed server stays away for at least this long, in microseconds.
    pub restart_us_min: u64,
    /// The sizes by which a wall clock may step, in microseconds.
    pub clock_steps_us: ClockSteps,
    /// How often time may pass the end of a lease, if that is limited: a bound for toy models.
    pub expiries_max: Option<u8>,
}

/// Up to two sizes of clock steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClockSteps(pub [i64; 2]);

impl ClockSteps {
    /// The sizes that are not zero.
    pub fn iter(&self) -> impl Iterator<Item = i64> {
        self.0.into_iter().filter(|step| *step != 0)
    }
}

impl fmt::Display for Assumptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |limit: Option<u64>| limit.map_or("∞".to_owned(), millis);
        write!(f, "Δ ≤ {}, π ≤ {}", time(self.delay_us_max), time(self.pause_us_max))?;
        write!(f, ", ρ ≤ {} ppm, ε ≤ {}", self.drift_ppm_max, millis(self.offset_us_max))?;
        if self.restart_us_min > 0 {
            write!(f, ", restart after ≥ {}", millis(self.restart_us_min))?;
        }
        if let Some(limit) = self.expiries_max {
            write!(f, ", expiries ≤ {limit}")?;
        }
        Ok(())
    }
}
