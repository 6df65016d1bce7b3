//! The servers of `doublehold real`: those that it starts, kills and restarts, or those that it was given.

use super::args::{RealLock, RealOptions};
use super::error::CliError;
#[cfg(feature = "real-zookeeper")]
use crate::port::{Outcome, ZooKeeper};
#[cfg(feature = "real-zookeeper")]
use crate::world::real::RealZooKeeper;
#[cfg(feature = "real-zookeeper")]
use crate::world::real::servers::ZooKeeperServer;
use crate::world::real::servers::{RedisServer, Server, SpawnError};

/// All servers of a run.
pub(super) struct Fleet {
    /// The URLs of the Redis servers.
    pub urls: Vec<String>,
    /// The addresses of the ZooKeeper servers.
    pub zookeeper: Vec<String>,
    started: Vec<(String, Box<dyn Server>)>,
    /// Which of the started ones `--kill` is for.
    victim: Option<usize>,
    #[cfg(feature = "real-zookeeper")]
    ensemble: Vec<ZooKeeperServer>,
}

impl From<SpawnError> for CliError {
    fn from(problem: SpawnError) -> Self {
        CliError::Environment(problem.to_string())
    }
}

impl Fleet {
    pub(super) fn start(options: &RealOptions) -> Result<Self, CliError> {
        let on_zookeeper = matches!(options.lock, RealLock::ZkSequential | RealLock::ZkFenced);
        if on_zookeeper && !cfg!(feature = "real-zookeeper") {
            return Err(CliError::NotBuilt("real zk-sequential", "real-zookeeper"));
        }
        if on_zookeeper && !options.spawn && options.zookeeper.is_empty() {
            return Err(CliError::Usage("name the ensemble with --zookeeper HOST:PORT…, or use --spawn".into()));
        }
        let mut fleet = Fleet {
            urls: options.redis.clone(),
            zookeeper: options.zookeeper.clone(),
            started: Vec::new(),
            victim: None,
            #[cfg(feature = "real-zookeeper")]
            ensemble: Vec::new(),
        };
        if options.spawn {
            let count = if options.lock == RealLock::Redlock { options.servers } else { 1 };
            for number in 0..count {
                let server = RedisServer::start()?;
                fleet.urls.push(server.url());
                fleet.started.push((format!("redis-{number}"), Box::new(server)));
            }
            fleet.victim = fleet.started.len().checked_sub(1);
            #[cfg(feature = "real-zookeeper")]
            if on_zookeeper {
                fleet.ensemble = ZooKeeperServer::start_ensemble(ENSEMBLE, options.ttl / 2)?;
                fleet.zookeeper = fleet.ensemble.iter().map(ZooKeeperServer::address).collect();
            }
        }
        Ok(fleet)
    }

    /// Makes sure that the ensemble answers, if there is one.
    #[cfg(feature = "real-zookeeper")]
    pub(super) async fn find_ensemble(&self) -> Result<(), CliError> {
        if self.zookeeper.is_empty() {
            return Ok(());
        }
        let ensemble = RealZooKeeper::new(&self.zookeeper);
        let answer = tokio::time::timeout(ANSWER_WAIT, ensemble.connect(ANSWER_WAIT)).await;
        let answers = matches!(answer, Ok(Outcome::Ok(_)));
        let missing = || format!("no ZooKeeper server answers at {}", self.zookeeper.join(", "));
        answers.then_some(()).ok_or_else(|| CliError::Environment(missing()))
    }

    #[cfg(not(feature = "real-zookeeper"))]
    pub(super) async fn find_ensemble(&self) -> Result<(), CliError> {
        Ok(())
    }

    /// What ended by itself, and how.
    pub(super) fn ended(&mut self) -> Vec<String> {
        let mut ended = Vec::new();
        let mut look = |name: &str, server: &mut dyn Server| {
            ended.extend(server.ended().map(|status| format!("{name} ended by itself: {status}")));
        };
        self.started.iter_mut().for_each(|(name, server)| look(name, server.as_mut()));
        #[cfg(feature = "real-zookeeper")]
        self.ensemble.iter_mut().enumerate().for_each(|(at, server)| look(&format!("zk-{at}"), server));
        ended
    }

    /// The server that `--kill` is for: of an ensemble the leader.
    fn victim(&mut self) -> Option<(String, &mut dyn Server)> {
        let at = self.victim?;
        #[cfg(feature = "real-zookeeper")]
        if !self.ensemble.is_empty() {
            return self.ensemble.get_mut(at).map(|server| (format!("zk-{at}"), server as &mut dyn Server));
        }
        self.started.get_mut(at).map(|(name, server)| (name.clone(), server.as_mut() as &mut dyn Server))
    }

    /// Kills a server, and tells which.
    pub(super) fn kill_one(&mut self) -> Result<String, CliError> {
        #[cfg(feature = "real-zookeeper")]
        if !self.ensemble.is_empty() {
            self.victim = self.ensemble.iter().position(ZooKeeperServer::leads).or(Some(0));
        }
        let (name, server) = self.victim().ok_or_else(|| CliError::Usage("there is no server to kill".into()))?;
        server.kill().map_err(|problem| CliError::Environment(format!("cannot kill {name}: {problem}")))?;
        Ok(name)
    }

    /// Starts the killed server again, and tells which it is.
    pub(super) fn restart_it(&mut self) -> Result<String, CliError> {
        let (name, server) = self.victim().ok_or_else(|| CliError::Usage("there is no server to restart".into()))?;
        server.restart()?;
        Ok(name)
    }
}

/// How long an ensemble may take to answer before anything is run on it.
#[cfg(feature = "real-zookeeper")]
const ANSWER_WAIT: std::time::Duration = std::time::Duration::from_secs(10);
/// The servers of an ensemble.
#[cfg(feature = "real-zookeeper")]
const ENSEMBLE: u8 = 3;
