//! Simulation: how an execution goes in the simulated world, in which chance decides.

use super::fault::Budgets;
use super::memories::Violation;
use super::system::System;
use crate::base::millis;
use crate::property::CONVERGENCE;
use doublehold_models::ServiceConfig;
use serde::{Deserialize, Serialize};

/// How a scenario runs in the simulated world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Simulation {
    /// The number of clients.
    pub clients: usize,
    /// How often each client acquires the lock.
    pub operations: usize,
    /// The least time that a message takes, in microseconds.
    pub latency_us_min: u64,
    /// The usual time on top, exponentially distributed, in microseconds; at the most ten times as long.
    pub latency_us_mean: u64,
    /// A message on a slow connection takes up to this much longer, in microseconds.
    pub slow_us_max: u64,
    /// How long a client thinks at the most before each operation, in microseconds.
    pub think_us_max: u64,
    /// A pause, or a partition, lasts up to this long, in microseconds.
    pub pause_us_max: u64,
    /// A node that is behind takes in one thing more within this time, in microseconds.
    pub lag_us_max: u64,
    /// A crashed server stays down for up to this long beyond the least, in microseconds.
    pub down_us_max: u64,
    /// The mean time between two faults of one kind, in microseconds.
    pub fault_every_us: u64,
    /// Kinds of fault beside the scenario's own.
    pub faults: Budgets,
    /// How long a MySQL server works on a statement, in microseconds; others wait meanwhile.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub mysql_us: u64,
    /// How long a Redis server works on a command, likewise.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub redis_us: u64,
    /// Faults stop at this moment, and a healthy phase begins, in microseconds.
    pub healthy_after_us: u64,
    /// Everything must have ended by this moment, in microseconds.
    pub horizon_us: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Default for Simulation {
    fn default() -> Self {
        Simulation {
            clients: 3,
            operations: 20,
            latency_us_min: 200,
            latency_us_mean: 800,
            slow_us_max: 400_000,
            think_us_max: 20_000,
            pause_us_max: 300_000,
            lag_us_max: 300_000,
            down_us_max: 200_000,
            fault_every_us: 500_000,
            faults: Budgets::NONE,
            mysql_us: 0,
            redis_us: 0,
            healthy_after_us: 60_000_000,
            horizon_us: 600_000_000,
        }
    }
}

impl Simulation {
    /// How long a server of this kind works on a request, in microseconds.
    pub fn serving_us(&self, server: &ServiceConfig) -> u64 {
        match server {
            ServiceConfig::MySql(_) => self.mysql_us,
            ServiceConfig::Redis(_) => self.redis_us,
            ServiceConfig::ZooKeeper(_) | ServiceConfig::Etcd(_) | ServiceConfig::Kafka(_) => 0,
        }
    }

    /// What is broken if some client has not ended by the horizon.
    pub fn not_converged(&self, system: &System) -> Option<Violation> {
        let waiting: Vec<String> = system.waiting_clients().map(|client| format!("client-{client}")).collect();
        if waiting.is_empty() || system.now_us < self.horizon_us {
            return None;
        }
        let what = format!("{} had not ended at {}", waiting.join(", "), millis(system.now_us));
        Some(Violation { property: CONVERGENCE.to_owned(), what })
    }
}
