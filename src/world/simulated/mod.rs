//! The simulated world: clients run on madsim, with sampled latencies and faults.
//!
//! madsim gives tasks, virtual time and the killing of processes. Network, disks, clocks and servers
//! are the project's own, the same [`System`](super::system::System) that the explorer drives: what is
//! sampled here is only *when* each of its choices is made. So the schedule of a simulated run can be followed, and
//! shrunk, in the explored world.
//!
//! | file | what it holds |
//! |---|---|
//! | `streams` | named random streams, one a concern |
//! | `events` | what will happen when |
//! | `nemesis` | which fault comes when |
//! | `host` | runs it all on madsim |

mod events;
#[cfg(madsim)]
mod host;
mod nemesis;
mod streams;

use super::fault::Fault;
use super::memories::Violation;
use super::setup::Setup;
use crate::world::recorder::Recorder;
use crate::world::simulation::Simulation;
pub use nemesis::{Planned, Target};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What one seed gave.
pub struct Run {
    /// What broke.
    pub violation: Option<Violation>,
    /// The transitions made.
    pub steps: u64,
    /// Virtual time at the end, in microseconds.
    pub virtual_us: u64,
    /// What was written down.
    pub recorder: Recorder,
    /// Which of the planned faults hit something.
    pub struck: Vec<bool>,
    /// How often a client was woken by something that a server sent of its own accord.
    pub wake_ups: u64,
    /// The properties that found something to judge, a bit each.
    pub looked: u64,
    /// How often each kind of fault hit something.
    pub strikes: BTreeMap<Fault, u64>,
}

/// The simulated world is not in this build.
#[derive(Debug, thiserror::Error)]
#[error(
    "the simulated world needs `--cfg madsim`, which .cargo/config.toml sets and a RUSTFLAGS variable in the \
     environment overrides: unset RUSTFLAGS, or add `--cfg madsim` to it, and build again"
)]
pub struct NotSimulated;

/// Runs one seed.
#[cfg(madsim)]
pub fn run(
    setup: &Arc<Setup>,
    simulation: &Simulation,
    planned: &[Planned],
    recorder: Recorder,
) -> Result<Run, NotSimulated> {
    Ok(host::run(setup, simulation, planned, recorder))
}

/// Runs one seed.
#[cfg(not(madsim))]
pub fn run(_: &Arc<Setup>, _: &Simulation, _: &[Planned], _: Recorder) -> Result<Run, NotSimulated> {
    Err(NotSimulated)
}
