//! Cluster: servers that divide the keys among them, with replicas that are elected in the place of primaries.
//!
//! A key is in one of 16384 slots ([`slots`](crate::slots)), and each slot is served by one primary. A server refuses a
//! command whose keys it does not serve: another primary does (MOVED), they are in different slots (CROSSSLOT), or the
//! Cluster is not usable (CLUSTERDOWN) (`table`). Replication is that of `replicated`. Servers find
//! each other down over a bus (`bus`), and a replica is elected by the primaries (`failover`).
//!
//! Transitions that clients can observe are steps:
//!
//! - A replica is elected ([`Step::FailOver`](crate::Step)).
//! - A server learns of new owners ([`Step::Learn`](crate::Step)): its clients are sent elsewhere.
//! - A replica applies an effect or copies the data set ([`Step::CatchUp`](crate::Step)).
//!
//! That a majority of the primaries agrees on a failure is none: what clients observe of it are the CLUSTERDOWN errors
//! and the election that follow, and the election has no bound in time.
//!
//! Simplifications: slots do not migrate (no ASK, no TRYAGAIN), and replicas do not move to other shards
//! (`cluster-migration-barrier`); a replica with an old link failure can be elected, unless it was never linked since
//! its start; a primary votes without the delay between two votes for the same primary; the servers' own messages are
//! exchanged at once; `cluster-allow-reads-when-down` and sharded publishing are missing.

mod bus;
pub(super) mod commands;
mod failover;
mod member;
pub(super) mod redirect;
mod servers;
mod service;

pub use servers::Cluster;
