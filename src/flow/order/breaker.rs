//! Circuit breaker: after some failures in a row a server is not asked for a while; then one request tries.

use crate::port::{Instant, Ports};
use std::time::Duration;

/// When it opens, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// After so many failures in a row.
    pub failures: u32,
    /// For so long.
    pub open: Duration,
}

/// A circuit breaker.
#[derive(Debug)]
pub struct Breaker {
    config: Config,
    failures: u32,
    open_until: Option<Instant>,
}

impl Breaker {
    /// One that is closed: the server is asked.
    pub fn new(config: Config) -> Self {
        Breaker { config, failures: 0, open_until: None }
    }

    /// True if the server may be asked.
    pub fn allows<P: Ports>(&self, ports: &P) -> bool {
        self.open_until.is_none_or(|until| until <= ports.monotonic())
    }

    /// Learns whether the server has answered.
    pub fn learns<P: Ports>(&mut self, ports: &P, answered: bool) {
        if answered {
            (self.failures, self.open_until) = (0, None);
            return;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures >= self.config.failures {
            self.open_until = Some(ports.monotonic() + self.config.open);
        }
    }
}
