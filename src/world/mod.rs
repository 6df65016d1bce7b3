//! Worlds: explored, simulated, real. Each hosts the ports; the first two share the same simulated
//! nodes, network, clocks and faults.
//!
//! | file | what it holds |
//! |---|---|
//! | `choice`, `naming` | one alternative: a target and an act, and its stable name |
//! | `client`, `node`, `link`, `cut`, `clock` | the state of a client, a server, a connection, a partition, a clock |
//! | `inputs`, `message` | what a client was told; what is on its way, hashed once |
//! | `fault`, `setup` | what may go wrong; what stays the same throughout |
//! | `system` | the state of an execution; its transitions are in the next six; knows no executor |
//! | `clients` | its clients: what their code asks for and is told |
//! | `network` | its connections and what they carry |
//! | `nodes` | its servers: clocks, timers, pauses, crashes, their own steps |
//! | `partition` | processes that cannot reach the others for a while |
//! | `group` | its groups of servers, whose members go on while others are away |
//! | `oracles`, `view` | what the oracles are told of a change, and can see |
//! | `footprint`, `memories` | what a transition touched and showed; what oracles remember |
//! | `fingerprint` | the hash of everything that can still matter |
//! | `enabled`, `moments` | which choices a state offers; the moments that clients' code compares its clock with |
//! | `pushed`, `queue` | what was put on its way, for worlds that decide when it happens |
//! | `recorder`, `telling` | what somebody wants to read of an execution |
//! | `fixture` | code that runs alone, before the clients begin and after they have ended |
//! | `seat` | a client's side of the ports: what its code asked for and has been told |
//! | `explored` | runs clients step by step, from any state |
//! | `simulated`, `simulation` | runs clients on madsim, with sampled latencies and faults |
//! | `real` | runs clients on tokio, against real servers |

#[cfg(feature = "check")]
pub mod choice;
#[cfg(feature = "check")]
pub mod client;
#[cfg(feature = "check")]
mod clients;
#[cfg(feature = "check")]
pub mod clock;
#[cfg(feature = "check")]
pub mod cut;
#[cfg(feature = "check")]
mod enabled;
#[cfg(feature = "check")]
pub mod explored;
#[cfg(feature = "check")]
pub mod fault;
#[cfg(feature = "check")]
mod fingerprint;
#[cfg(feature = "check")]
mod fixture;
#[cfg(feature = "check")]
pub mod footprint;
#[cfg(feature = "check")]
mod group;
#[cfg(feature = "check")]
pub mod inputs;
#[cfg(feature = "check")]
pub mod link;
#[cfg(feature = "check")]
pub mod memories;
#[cfg(feature = "check")]
pub mod message;
#[cfg(feature = "check")]
mod moments;
#[cfg(feature = "check")]
mod naming;
#[cfg(feature = "check")]
mod network;
#[cfg(feature = "check")]
pub mod node;
#[cfg(feature = "check")]
mod nodes;
#[cfg(feature = "check")]
mod oracles;
#[cfg(feature = "check")]
mod partition;
#[cfg(feature = "check")]
pub mod pushed;
#[cfg(feature = "check")]
mod queue;
#[cfg(feature = "real-redis")]
pub mod real;
#[cfg(feature = "check")]
pub mod recorder;
#[cfg(feature = "check")]
pub mod seat;
#[cfg(feature = "check")]
pub mod setup;
#[cfg(feature = "sim")]
pub mod simulated;
#[cfg(feature = "check")]
pub mod simulation;
#[cfg(feature = "check")]
pub mod system;
#[cfg(feature = "check")]
mod telling;
#[cfg(feature = "check")]
mod view;
