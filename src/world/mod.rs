//! Worlds: explored, simulated, real. Each hosts the ports; the first two share the same simulated
//! nodes, network, clocks and faults.
//!
//! | file | what it holds |
//! |---|---|
//! | `system` | the state of an execution and its transitions; knows no executor |
//! | `enabled` | which choices a state offers |
//! | `seat` | a client's side of the ports: what its code asked for and has been told |
//! | `explored` | runs clients step by step, from any state |
//! | `simulated` | runs clients on madsim, with sampled latencies and faults |
//! | `real` | runs clients on tokio, against real servers |

pub mod clock;
pub mod fault;
pub mod link;
pub mod seat;
pub mod setup;
pub mod system;

mod enabled;
mod fingerprint;

pub mod explored;
#[cfg(feature = "sim")]
pub mod simulated;
