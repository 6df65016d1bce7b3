//! A real MariaDB and a real Redis, and rounds of a flow on them.

use crate::{mariadb_or_skip, redis_server_or_skip};
use doublehold::history::{Entry, Fact};
use doublehold::judge::judge;
use doublehold::port::mysql::{MySql, Session};
use doublehold::port::{Command, Redis};
use doublehold::property::Property;
use doublehold::scenario::Workload;
use doublehold::world::memories::Violation;
#[cfg(feature = "kafka")]
use doublehold::world::real::RealKafka;
use doublehold::world::real::servers::{MariaDbServer, RedisServer};
use doublehold::world::real::{Journal, MySqlOptions, RealMySql, RealPorts, RealRedis, RedisOptions};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Runtime;

/// Clients that have not ended by then hang.
const ROUND_MAX: Duration = Duration::from_secs(60);

/// The two servers.
pub struct Servers {
    mysql: RealMySql,
    redis: RedisServer,
    runtime: Runtime,
    #[cfg(feature = "kafka")]
    kafka: Option<RealKafka>,
    _database: MariaDbServer,
}

/// What a round gave: what is wrong, and what the auditor found.
pub struct Round {
    /// By the oracles.
    pub violations: Vec<Violation>,
    /// The auditor's.
    pub audit: Fact,
}

impl Servers {
    /// Starts both, or says loudly what is skipped.
    ///
    /// # Panics
    /// If one does not start, or is missing and must not be.
    pub fn start(what: &str) -> Option<Self> {
        if !(mariadb_or_skip(what) && redis_server_or_skip(what)) {
            return None;
        }
        let database = MariaDbServer::start().expect("mariadbd starts");
        let redis = RedisServer::start().expect("redis-server starts");
        let mysql = RealMySql::new(&database.url(), MySqlOptions::default()).expect("the URL is one");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        Some(Servers {
            mysql,
            redis,
            runtime: runtime.expect("tokio starts"),
            #[cfg(feature = "kafka")]
            kafka: None,
            _database: database,
        })
    }

    /// The same with a Kafka cluster.
    #[cfg(feature = "kafka")]
    #[must_use]
    pub fn with_kafka(self, cluster: RealKafka) -> Self {
        Servers { kafka: Some(cluster), ..self }
    }

    fn ports(&self, client: usize, journal: Journal) -> RealPorts {
        let ports = RealPorts::new(client, &[self.redis.url()], RedisOptions::default(), journal);
        let ports = ports.expect("no URL is wrong").with_mysql(&self.mysql);
        #[cfg(feature = "kafka")]
        let ports = if let Some(cluster) = &self.kafka { ports.with_kafka(cluster) } else { ports };
        ports
    }

    /// Empties Redis, and drops the tables of the round before.
    async fn clear(&self, drop_tables: &'static str) {
        let dropped = self.mysql.session().run(drop_tables, Vec::new()).await;
        assert!(dropped.ok().is_some(), "the tables are dropped");
        let redis = RealRedis::new(&self.redis.url(), RedisOptions::default()).expect("the URL is one");
        assert!(redis.call(Command::new("FLUSHALL")).await.ok().is_some(), "Redis is empty");
    }

    /// Runs so many clients of a workload on emptied servers, audits them, and judges.
    ///
    /// # Panics
    /// If a server does not answer, or a client hangs.
    pub fn round<W: Workload>(
        &self,
        workload: &W,
        clients: usize,
        drop_tables: &'static str,
        oracles: &[Arc<dyn Property>],
    ) -> Round {
        let entries = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&entries);
        let journal: Journal = Some(Arc::new(move |entry: Entry| kept.lock().expect("no client panics").push(entry)));
        let audit = self.runtime.block_on(async {
            self.clear(drop_tables).await;
            workload.prepare(self.ports(0, None)).await.unwrap_or_else(|problem| panic!("{problem}"));
            let running = (0..clients).map(|client| {
                let (workload, ports) = (workload.clone(), self.ports(client, journal.clone()));
                tokio::spawn(async move { workload.run(ports).await })
            });
            for client in running.collect::<Vec<_>>() {
                tokio::time::timeout(ROUND_MAX, client).await.expect("clients end").expect("no client panics");
            }
            workload.audit(self.ports(0, None)).await.unwrap_or_else(|problem| panic!("{problem}"))
        });
        let mut entries = entries.lock().expect("no client panics").clone();
        entries.sort_by_key(|entry| entry.at_us);
        let violations = judge(&entries, &"flow".into(), Vec::new(), audit.as_ref(), oracles);
        let violations = violations.into_iter().map(|(_, violation)| violation).collect();
        Round { violations, audit: audit.expect("there is something to audit") }
    }
}
