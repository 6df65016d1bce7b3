//! Simulated servers, as sans-IO state machines.
//!
//! A [`Service`] is handed requests and its own clocks and answers with replies; it never asks for
//! time, randomness, a socket or a file. It knows nothing of worlds, locks or executors, so the
//! same service serves the explored and the simulated world and can be compared, request by request,
//! with the real server.
//!
//! Without the `nodes` feature only the wire vocabulary is built: [`Blob`], [`resp::Command`], [`resp::Value`],
//! [`keys`], [`slots`], [`zookeeper::wire`], [`etcd::wire`] and [`kafka::wire`], which the ports of the `doublehold`
//! crate speak in every world.

#[cfg(feature = "nodes")]
#[macro_use]
mod kinds;

#[cfg(feature = "nodes")]
mod any;
mod blob;
pub mod mysql;
mod rank;
pub mod resp;

#[cfg(feature = "nodes")]
mod digest;
#[cfg(feature = "nodes")]
mod escape;
pub mod etcd;
pub mod kafka;
pub mod keys;
#[cfg(feature = "nodes")]
mod names;
#[cfg(feature = "nodes")]
pub mod redis;
#[cfg(feature = "nodes")]
mod service;
pub mod slots;
#[cfg(feature = "nodes")]
mod wire;
pub mod zookeeper;

#[cfg(feature = "nodes")]
pub use any::{Service, ServiceConfig};
pub use blob::Blob;
#[cfg(feature = "nodes")]
pub use digest::{ClientId, Digest};
#[cfg(feature = "nodes")]
pub use names::take_names_compared;
pub use rank::ranked;
#[cfg(feature = "nodes")]
pub use service::{At, ConnId, Due, Ends, Holder, Lost, NodeClock, Output, Sent, ServiceKind, Step, Steps};
#[cfg(feature = "nodes")]
pub use wire::{Ask, Request, Response};
