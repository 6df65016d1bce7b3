//! Rate limiter: a bucket of tokens, one for each request that may go on.

use crate::port::{Instant, Ports};
use std::time::Duration;

/// How many requests may go on.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// So many at once.
    pub burst: u32,
    /// One more each time that this has passed.
    pub every: Duration,
}

/// A rate limiter. It looks at the clock only while its bucket is empty: what could have come in before is not counted.
#[derive(Debug)]
pub struct Limiter {
    config: Config,
    tokens: u32,
    empty_since: Option<Instant>,
}

impl Limiter {
    /// One whose bucket is full.
    pub fn new(config: Config) -> Self {
        Limiter { config, tokens: config.burst, empty_since: None }
    }

    /// Takes a token; false if there is none.
    pub fn take<P: Ports>(&mut self, ports: &P) -> bool {
        if self.tokens == 0 {
            self.fill(ports.monotonic());
        }
        let taken = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        taken
    }

    fn fill(&mut self, now: Instant) {
        let since = *self.empty_since.get_or_insert(now);
        let mut next = since + self.config.every;
        while next <= now && self.tokens < self.config.burst {
            self.tokens += 1;
            (self.empty_since, next) = (Some(next), next + self.config.every);
        }
        if self.tokens == self.config.burst {
            self.empty_since = None;
        }
    }
}
