//! The servers of `doublehold real`: those that it starts, kills and restarts, or those that it was given.

use super::super::args::RealOptions;
use super::super::error::CliError;
use super::super::guarded_by::GuardedBy;
use crate::scenario::keeper::Keeper;
use crate::world::real::servers::{RedisServer, Server, SpawnError};

/// All servers of a run.
pub(super) struct Fleet {
    /// The URLs of the Redis servers.
    pub urls: Vec<String>,
    /// The addresses of the ZooKeeper servers.
    pub zookeeper: Vec<String>,
    /// The addresses of the etcd servers.
    pub etcd: Vec<String>,
    /// The URL of the MySQL server.
    pub mysql: Option<String>,
    started: Vec<(String, Box<dyn Server>)>,
    /// Which of the started ones `--kill` may be for.
    lock_servers: usize,
    victim: Option<usize>,
}

impl From<SpawnError> for CliError {
    fn from(problem: SpawnError) -> Self {
        CliError::Environment(problem.to_string())
    }
}

/// Says what is missing: a part of the build, or the addresses.
fn check(chosen: &GuardedBy, options: &RealOptions) -> Result<(), CliError> {
    for feature in chosen.features() {
        let built = match feature {
            "real-zookeeper" => cfg!(feature = "real-zookeeper"),
            "real-etcd" => cfg!(feature = "real-etcd"),
            "real-mysql" => cfg!(feature = "real-mysql"),
            _ => true,
        };
        if !built {
            return Err(CliError::NotBuilt(format!("real --lock {}", options.lock), feature));
        }
    }
    let keeper = chosen.pair.lock.keeper;
    let needed = [
        (chosen.redis_servers(1) > 0, options.redis.is_empty(), "the Redis servers", "--redis URL…"),
        (keeper == Keeper::ZooKeeper, options.zookeeper.is_empty(), "the ensemble", "--zookeeper HOST:PORT…"),
        (keeper == Keeper::Etcd, options.etcd.is_empty(), "the cluster", "--etcd HOST:PORT…"),
        (chosen.sells, options.mysql.is_none(), "the database", "--mysql URL"),
    ];
    match needed.into_iter().find(|(needed, missing, ..)| *needed && *missing && !options.spawn) {
        Some((.., what, option)) => {
            Err(CliError::Usage(format!("name {what} with {option}, or let the servers be started with --spawn")))
        }
        None => Ok(()),
    }
}

impl Fleet {
    pub(super) fn start(chosen: &GuardedBy, options: &RealOptions) -> Result<Self, CliError> {
        check(chosen, options)?;
        let mut fleet = Fleet {
            urls: options.redis.clone(),
            zookeeper: options.zookeeper.clone(),
            etcd: options.etcd.clone(),
            mysql: options.mysql.clone(),
            started: Vec::new(),
            lock_servers: 1,
            victim: None,
        };
        if options.spawn {
            fleet.spawn(chosen, options)?;
        }
        Ok(fleet)
    }

    /// Starts what is needed, what keeps the lock last.
    #[allow(unused_variables, reason = "builds without a kind of server do not start it")]
    fn spawn(&mut self, chosen: &GuardedBy, options: &RealOptions) -> Result<(), CliError> {
        let keeper = chosen.pair.lock.keeper;
        #[cfg(feature = "real-mysql")]
        if chosen.sells {
            let server = crate::world::real::servers::MariaDbServer::start()?;
            self.mysql = Some(server.url());
            self.take_in("mysql", vec![server]);
        }
        for number in 0..chosen.redis_servers(options.servers) {
            let server = RedisServer::start()?;
            self.urls.push(server.url());
            self.lock_servers = 1;
            self.started.push((format!("redis-{number}"), Box::new(server)));
        }
        #[cfg(feature = "real-zookeeper")]
        if keeper == Keeper::ZooKeeper {
            let servers = crate::world::real::servers::ZooKeeperServer::start_ensemble(CLUSTER, options.ttl / 2)?;
            self.zookeeper = servers.iter().map(|server| server.address()).collect();
            self.take_in("zk", servers);
        }
        #[cfg(feature = "real-etcd")]
        if keeper == Keeper::Etcd {
            let servers = crate::world::real::servers::EtcdServer::start_cluster(CLUSTER)?;
            self.etcd = servers.iter().map(|server| server.address()).collect();
            self.take_in("etcd", servers);
        }
        Ok(())
    }

    #[cfg(any(feature = "real-zookeeper", feature = "real-etcd", feature = "real-mysql"))]
    fn take_in(&mut self, name: &str, servers: Vec<impl Server + 'static>) {
        let count = servers.len();
        self.lock_servers = count;
        let named = servers.into_iter().enumerate();
        self.started.extend(named.map(|(at, server)| {
            (if count == 1 { name.to_owned() } else { format!("{name}-{at}") }, Box::new(server) as Box<dyn Server>)
        }));
    }

    /// Makes sure that the cluster answers, if there is one.
    pub(super) async fn find_cluster(&self) -> Result<(), CliError> {
        #[cfg(feature = "real-zookeeper")]
        if !self.zookeeper.is_empty() {
            use crate::port::{Outcome, ZooKeeper};
            let ensemble = crate::world::real::RealZooKeeper::new(&self.zookeeper);
            let answer = tokio::time::timeout(ANSWER_WAIT, ensemble.connect(ANSWER_WAIT)).await;
            if !matches!(answer, Ok(Outcome::Ok(_))) {
                let missing = format!("no ZooKeeper server answers at {}", self.zookeeper.join(", "));
                return Err(CliError::Environment(missing));
            }
        }
        #[cfg(feature = "real-etcd")]
        if !self.etcd.is_empty() {
            use crate::port::Etcd;
            use crate::port::etcd::{Keys, Range};
            use crate::world::real::{EtcdOptions, RealEtcd};
            let cluster = RealEtcd::new(&self.etcd, 0, EtcdOptions::default()).await;
            let cluster = cluster.map_err(|problem| CliError::Usage(problem.to_string()))?;
            let answer = cluster.range(Range::of(Keys::one(&"doublehold".into())));
            let answer = tokio::time::timeout(ANSWER_WAIT, answer).await;
            if answer.ok().and_then(crate::port::Outcome::ok).is_none() {
                let missing = format!("no etcd server answers at {}", self.etcd.join(", "));
                return Err(CliError::Environment(missing));
            }
        }
        #[cfg(feature = "real-mysql")]
        if let Some(url) = &self.mysql {
            use crate::port::mysql::{MySql, Session};
            use crate::port::{Outcome, Refusal};
            let mut session = super::job::mysql_at(url)?.session();
            let why = match session.query("SELECT 1", Vec::new()).await {
                Outcome::Ok(_) => return Ok(()),
                Outcome::Fail(Refusal::MySql(failure)) => failure.message.to_text().into_owned(),
                Outcome::Fail(why) => why.to_string(),
                Outcome::Indeterminate(why) => why.to_string(),
            };
            return Err(CliError::Environment(format!("no MySQL server answers at {url}: {why}")));
        }
        Ok(())
    }

    /// What ended by itself, and how.
    pub(super) fn ended(&mut self) -> Vec<String> {
        let tell = |(name, server): &mut (String, Box<dyn Server>)| {
            server.ended().map(|status| format!("{name} ended by itself: {status}"))
        };
        self.started.iter_mut().filter_map(tell).collect()
    }

    /// Kills a server that keeps the lock, of a cluster the leader, and tells which.
    pub(super) fn kill_one(&mut self) -> Result<String, CliError> {
        let first = self.started.len().saturating_sub(self.lock_servers);
        let leader = self.started[first..].iter().position(|(_, server)| server.leads());
        let at = first + leader.unwrap_or(0);
        let (name, server) =
            self.started.get_mut(at).ok_or_else(|| CliError::Usage("there is no server to kill".into()))?;
        server.kill().map_err(|problem| CliError::Environment(format!("cannot kill {name}: {problem}")))?;
        self.victim = Some(at);
        Ok(name.clone())
    }

    /// Starts the killed server again, and tells which it is.
    pub(super) fn restart_it(&mut self) -> Result<String, CliError> {
        let victim = self.victim.and_then(|at| self.started.get_mut(at));
        let (name, server) = victim.ok_or_else(|| CliError::Usage("there is no server to restart".into()))?;
        server.restart()?;
        Ok(name.clone())
    }
}

/// How long a cluster may take to answer before anything is run on it.
#[cfg(any(feature = "real-zookeeper", feature = "real-etcd"))]
const ANSWER_WAIT: std::time::Duration = std::time::Duration::from_secs(10);
/// The servers of a cluster.
#[cfg(any(feature = "real-zookeeper", feature = "real-etcd"))]
const CLUSTER: u8 = 3;
