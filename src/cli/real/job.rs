//! The worker processes of `doublehold real`: what each does, and doing it.

use super::super::args::WorkerOptions;
use super::super::error::CliError;
use super::super::worker;
use super::look::STOCK_AT_START;
use crate::history::Fact;
use crate::lock::mysql::Retry;
use crate::lock::mysql::row::Guard;
use crate::port::mysql::{MySql, Session, Value};
use crate::port::{Ports, Unanswered, answered};
use crate::scenario::Workload;
use crate::scenario::guarded::{Guarded, Sell, Store, Work};
use crate::scenario::keeper::Keeper;
use crate::scenario::locks::{Pair, Timing};
#[cfg(feature = "real-etcd")]
use crate::world::real::{EtcdOptions, RealEtcd};
use crate::world::real::{Journal, RealPorts, RedisOptions};
#[cfg(feature = "real-mysql")]
use crate::world::real::{MySqlOptions, RealMySql};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often a client acquires the lock in one ZooKeeper session or with one etcd lease.
const SESSION_OPERATIONS: usize = 20;
/// What a worker process does.
#[derive(Serialize, Deserialize)]
pub(super) struct Job {
    /// The names of the lock and the guard.
    pub pair: (String, String),
    /// What they guard is the stock of the shop.
    pub sells: bool,
    pub urls: Vec<String>,
    pub zookeeper: Vec<String>,
    pub etcd: Vec<String>,
    /// The URLs of the Sentinels.
    pub sentinels: Vec<String>,
    /// The URLs of servers of the Redis Cluster.
    pub cluster: Vec<String>,
    /// For how long a holder holds; `None`: it writes the counter.
    pub hold_ms: Option<u64>,
    pub mysql: Option<String>,
    pub first_client: usize,
    pub clients: usize,
    pub time_ms: u64,
    pub ttl_ms: u64,
    /// How long a client waits for the lock.
    pub wait_ms: u64,
}

impl Job {
    fn keeps_sessions(&self) -> bool {
        !self.zookeeper.is_empty() || !self.etcd.is_empty() || self.mysql.is_some()
    }

    /// The ports of one of its clients, which connect when they are used.
    async fn ports(&self, client: usize, journal: Journal) -> Result<RealPorts, CliError> {
        let ports = RealPorts::new(client, &self.urls, RedisOptions::default(), journal);
        let ports = ports.and_then(|ports| match &self.sentinels[..] {
            [] => Ok(ports),
            urls => ports.with_sentinels(urls, RedisOptions::default()),
        });
        let ports = ports.and_then(|ports| match &self.cluster[..] {
            [] => Ok(ports),
            urls => ports.with_cluster(urls, RedisOptions::default()),
        });
        let ports = ports.map_err(|problem| CliError::Usage(problem.to_string()))?;
        #[cfg(feature = "real-zookeeper")]
        let ports = ports.with_zookeeper(&self.zookeeper);
        #[cfg(feature = "real-etcd")]
        let ports = with_etcd(ports, &self.etcd, client).await?;
        #[cfg(feature = "real-mysql")]
        let ports = match &self.mysql {
            Some(url) => ports.with_mysql(&mysql_at(url)?),
            None => ports,
        };
        Ok(ports)
    }

    /// Puts on the servers what must be there before any client begins.
    pub(super) async fn prepare(&self) -> Result<(), CliError> {
        if !self.sells {
            return Ok(());
        }
        let ports = self.ports(0, None).await?;
        let url = self.mysql.as_deref().unwrap_or_default();
        let unprepared =
            |problem: Unanswered| CliError::Environment(format!("the database at {url} cannot be prepared: {problem}"));
        let tables = answered(TABLES, ports.mysql(0).session().query(TABLES, Vec::new()).await).map_err(unprepared)?;
        if tables.first().and_then(|row| row.first()).and_then(Value::as_int) != Some(0) {
            let why = "it has tables already (an earlier run leaves `stock` and `task_record`); name an empty one";
            return Err(CliError::Environment(format!("the database at {url} cannot be used: {why}")));
        }
        self.guarded().prepare(ports).await.map_err(unprepared)
    }

    /// What an auditor finds on the servers after all clients have ended.
    pub(super) async fn audit(&self) -> Result<Option<Fact>, CliError> {
        if !self.sells {
            return Ok(None);
        }
        let audit = self.guarded().audit(self.ports(0, None).await?).await;
        audit.map_err(|problem| CliError::Environment(format!("the database cannot be audited: {problem}")))
    }

    fn guarded(&self) -> Guarded {
        let ttl = Duration::from_millis(self.ttl_ms);
        let pair = Pair::named((&self.pair.0, &self.pair.1)).expect("the parent has looked the names up");
        let hold = self.hold_ms.map(Duration::from_millis);
        let work = match pair.guard.guard {
            _ if let Some(hold) = hold => Work::HoldUntilLost(hold),
            guard if self.sells => sell(guard),
            Guard::Fence => Work::Fenced,
            _ => Work::Plain,
        };
        Guarded {
            lock: pair.kind(&Timing::real(ttl)),
            servers: if pair.lock.keeper == Keeper::Redises { self.urls.len() } else { 0 },
            work,
            store: Store::Redis,
            // A session is for more than one operation.
            operations: if self.keeps_sessions() { SESSION_OPERATIONS } else { 1 },
            think: Duration::ZERO,
            wait: Duration::from_millis(self.wait_ms),
            threads: 1,
            interrupt: None,
            tries: 1,
            mutation: None,
        }
    }
}

/// How many tables the database has.
const TABLES: &str = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()";

/// Sells from the stock in MySQL.
fn sell(guard: Guard) -> Work {
    let retry = Retry { tries: 100, delay: Duration::from_millis(1), unknown: true };
    Work::Sell(Sell {
        from_redis: false,
        stock_at_start: STOCK_AT_START,
        guard,
        retry,
        unique_orders: true,
        takes: Duration::ZERO,
    })
}

#[cfg(feature = "real-mysql")]
pub(super) fn mysql_at(url: &str) -> Result<RealMySql, CliError> {
    RealMySql::new(url, MySqlOptions::default()).map_err(|problem| CliError::Usage(problem.to_string()))
}

/// The worker process: runs its clients and prints their history, a JSON line an entry.
pub(in crate::cli) fn work(options: &WorkerOptions) -> Result<u8, CliError> {
    let job: Job = serde_json::from_str(&options.job).map_err(|problem| CliError::Usage(problem.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|problem| CliError::Environment(format!("cannot start tokio: {problem}")))?;
    let journal = worker::journal();
    let told_to_end = worker::end_with_stdin();
    runtime.block_on(async {
        let end = tokio::time::Instant::now() + Duration::from_millis(job.time_ms);
        let mut clients = tokio::task::JoinSet::new();
        for client in job.first_client..job.first_client + job.clients {
            let ports = job.ports(client, journal.clone()).await?;
            let guarded = job.guarded();
            let told_to_end = Arc::clone(&told_to_end);
            clients.spawn(async move {
                while tokio::time::Instant::now() < end && !told_to_end.load(Ordering::Relaxed) {
                    guarded.run(ports.clone()).await;
                }
            });
        }
        while clients.join_next().await.is_some() {}
        Ok(0)
    })
}

/// The same ports with a cluster, if there is one. Clients begin with different servers.
#[cfg(feature = "real-etcd")]
async fn with_etcd(ports: RealPorts, addresses: &[String], client: usize) -> Result<RealPorts, CliError> {
    if addresses.is_empty() {
        return Ok(ports);
    }
    let cluster = RealEtcd::new(addresses, client, EtcdOptions::default()).await;
    let cluster = cluster.map_err(|problem| CliError::Usage(problem.to_string()))?;
    Ok(ports.with_etcd(&cluster))
}
