//! The worker processes of `doublehold real order`: customers, and the jobs.

use super::super::args::WorkerOptions;
use super::super::error::CliError;
use super::super::worker;
use crate::scenario::Workload;
use crate::scenario::locks::{Timing, lock};
use crate::scenario::order::{Amount, Orders};
use crate::world::real::{Journal, MySqlOptions, RealMySql, RealPorts, RedisOptions};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How many orders a customer places with one connection to each server.
const ORDERS: usize = 10;
/// How long a customer thinks at the most before an order.
const THINK: Duration = Duration::from_millis(60);
/// How long locks' leases and sessions last.
const TTL: Duration = Duration::from_secs(2);

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Work {
    /// The scheduled jobs.
    Jobs,
    /// Customers order and pay.
    Customers,
}

/// A worker's job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub work: Work,
    pub lock: String,
    pub redis: String,
    pub mysql: String,
    pub zookeeper: Vec<String>,
    pub skus: i64,
    /// Of each SKU.
    pub pieces: i64,
    pub first_client: usize,
    pub processes: usize,
    /// In each process.
    pub customers: usize,
    pub time_ms: u64,
}

impl Job {
    /// The order flow.
    pub(super) fn orders(&self) -> Orders {
        let lock = lock(&self.lock).expect("the parent has looked the name up");
        let mut orders = Orders::in_production(lock.kind(&Timing::real(TTL)));
        (orders.skus, orders.stock) = (Amount::Fixed(self.skus), Amount::Fixed(self.pieces));
        (orders.orders, orders.think) = (ORDERS, THINK);
        orders
    }

    /// The ports of a client, which connect when they are used.
    pub(super) fn ports(&self, client: usize, journal: Journal) -> Result<RealPorts, CliError> {
        let usage = |problem: String| CliError::Usage(problem);
        let ports = RealPorts::new(client, std::slice::from_ref(&self.redis), RedisOptions::default(), journal);
        let ports = ports.map_err(|problem| usage(problem.to_string()))?;
        let mysql = RealMySql::new(&self.mysql, MySqlOptions::default());
        Ok(ports.with_zookeeper(&self.zookeeper).with_mysql(&mysql.map_err(|problem| usage(problem.to_string()))?))
    }

    /// Its clients: the jobs are the first of all.
    fn clients(&self) -> std::ops::Range<usize> {
        match self.work {
            Work::Jobs => 0..1,
            Work::Customers => self.first_client..self.first_client + self.customers,
        }
    }
}

/// Runs a worker's clients until their time is over, or its parent wants them to end.
pub(in crate::cli) fn work(options: &WorkerOptions) -> Result<u8, CliError> {
    let job: Job = serde_json::from_str(&options.job).map_err(|problem| CliError::Usage(problem.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|problem| CliError::Environment(format!("cannot start tokio: {problem}")))?;
    let (journal, told_to_end) = (worker::journal(), worker::end_with_stdin());
    runtime.block_on(async {
        let end = tokio::time::Instant::now() + Duration::from_millis(job.time_ms);
        let mut clients = tokio::task::JoinSet::new();
        for client in job.clients() {
            let (orders, ports) = (job.orders(), job.ports(client, journal.clone())?);
            let told_to_end = Arc::clone(&told_to_end);
            clients.spawn(async move {
                while tokio::time::Instant::now() < end && !told_to_end.load(Ordering::Relaxed) {
                    orders.run(ports.clone()).await;
                }
            });
        }
        while clients.join_next().await.is_some() {}
        Ok(0)
    })
}
