//! The service: its connections. What it does is in the files beside.

use super::config::Config;
use super::counters::Counters;
use super::limiter::Limiter;
use crate::lock::mysql::Client;
use crate::port::Ports;

/// One instance of the service: it serves one request, or one message, at a time.
pub struct FlashSale<P: Ports, Q> {
    pub(super) ports: P,
    pub(super) config: Config,
    pub(super) database: Client<P::MySql>,
    pub(super) counters: Counters<P>,
    pub(super) limiter: Limiter<P>,
    pub(super) queue: Q,
}

impl<P: Ports, Q> FlashSale<P, Q> {
    /// A service that connects when it is asked for something.
    pub fn new(ports: &P, config: Config, queue: Q) -> Self {
        FlashSale {
            ports: ports.clone(),
            config,
            database: Client::new(ports.mysql(config.database)),
            counters: Counters::new(ports, &config),
            limiter: Limiter::new(ports, config.cache, config.stock, config.limiter),
            queue,
        }
    }
}
