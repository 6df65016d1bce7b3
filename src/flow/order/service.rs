//! The service: its connections, and what it knows of the servers. What it does is in the files beside.

use super::breaker::Breaker;
use super::config::Config;
use super::hot::HotStock;
use super::limiter::Limiter;
use crate::lock::Lock;
use crate::lock::mysql::Client;
use crate::lock::segmented::Segmented;
use crate::port::Ports;

/// One instance of the service: it has one connection of each kind, and serves one request at a time.
pub struct OrderService<P: Ports, L: Lock> {
    pub(super) ports: P,
    pub(super) config: Config,
    pub(super) database: Client<P::MySql>,
    pub(super) hot: HotStock<P>,
    /// The SKUs' locks on the cold path, if there are any.
    pub(super) locks: Option<Segmented<L>>,
    pub(super) breaker: Breaker,
    pub(super) limiter: Limiter,
}

impl<P: Ports, L: Lock> OrderService<P, L> {
    /// A service that connects when it is asked for something.
    pub fn new(ports: &P, config: Config, locks: Option<Segmented<L>>) -> Self {
        OrderService {
            ports: ports.clone(),
            config,
            database: Client::new(ports.mysql(config.database)),
            hot: HotStock::new(ports, &config),
            locks,
            breaker: Breaker::new(config.breaker),
            limiter: Limiter::new(config.limiter),
        }
    }
}
