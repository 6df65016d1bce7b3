//! Replication and failover of the simulated Redis: with Sentinels, and as a Cluster.

mod cluster;
mod group;
mod sentinels;
