//! Worlds: explored, simulated, real. Each hosts the ports; the first two share the same simulated
//! nodes, network, clocks and faults.
//!
//! | file | what it holds |
//! |---|---|
//! | `system` | the state of an execution and its transitions; knows no executor |
//! | `network`, `link` | its connections and what they carry |
//! | `nodes` | its servers: clocks, timers, crashes, falling behind |
//! | `clock`, `fault`, `setup` | what clocks show; what may go wrong; what stays the same throughout |
//! | `fingerprint` | the hash of everything that can still matter |
//! | `view` | what the oracles can see of it |
//! | `enabled` | which choices a state offers |
//! | `errand` | what is done alone, before the clients begin and after they have ended |
//! | `seat` | a client's side of the ports: what its code asked for and has been told |
//! | `explored` | runs clients step by step, from any state |
//! | `simulated` | runs clients on madsim, with sampled latencies and faults |
//! | `real` | runs clients on tokio, against real servers |

#[cfg(feature = "check")]
pub mod clock;
#[cfg(feature = "check")]
mod enabled;
#[cfg(feature = "check")]
mod errand;
#[cfg(feature = "check")]
pub mod explored;
#[cfg(feature = "check")]
pub mod fault;
#[cfg(feature = "check")]
mod fingerprint;
#[cfg(feature = "check")]
pub mod link;
#[cfg(feature = "check")]
mod network;
#[cfg(feature = "check")]
mod nodes;
#[cfg(feature = "real-redis")]
pub mod real;
#[cfg(feature = "check")]
pub mod seat;
#[cfg(feature = "check")]
pub mod setup;
#[cfg(feature = "sim")]
pub mod simulated;
#[cfg(feature = "check")]
pub mod system;
#[cfg(feature = "check")]
mod view;
