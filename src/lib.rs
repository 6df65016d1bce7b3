//! doublehold: a deterministic simulator and model checker for distributed lock protocols.
//!
//! Write a lock or a flow once, as `async` Rust generic over the ports in [`port`]. Then
//!
//! - explore every history of it within stated limits ([`explore`], on simulated nodes),
//! - sample long runs of it with many clients (`world::simulated`, on madsim),
//! - and run it in production (`world::real`, on tokio and real servers).
//!
//! | module | what it holds |
//! |---|---|
//! | [`port`] | what protocol code may ask for: clocks, tasks, randomness, Redis, ZooKeeper, etcd, Kafka, MySQL |
//! | [`lock`] | the algorithms, a file each |
//! | [`flow`] | what they guard: the shop, the draw, and what an auditor asks |
//! | [`history`] | what clients did |
//! | [`judge`] | the oracles over a history from real servers |
//! | [`property`] | the oracles, a file each |
//! | [`world`] | explored, simulated, real |
//! | [`explore`] | choices, strategies, the search |
//! | [`scenario`] | what to run: the catalogue, and the trait to bring your own |
//! | [`trace`], [`shrink`], [`report`] | counterexamples: on disk, made minimal, read by people |
//!
//! Features: `cli` (default) builds the command; `check` the explorer and the simulated nodes without
//! it; `sim` the simulated world; `real-redis` the adapters for real Redis servers. Without any of them only the
//! ports and the locks are built.

mod base;
pub mod flow;
pub mod history;
pub mod lock;
pub mod port;

#[cfg(feature = "check")]
pub mod explore;
#[cfg(feature = "check")]
pub mod judge;
#[cfg(feature = "check")]
pub mod property;
#[cfg(feature = "check")]
pub mod report;
#[cfg(feature = "check")]
pub mod scenario;
#[cfg(feature = "check")]
pub mod shrink;
#[cfg(feature = "check")]
pub mod trace;
#[cfg(any(feature = "check", feature = "real-redis"))]
pub mod world;

#[cfg(feature = "cli")]
pub mod cli;
