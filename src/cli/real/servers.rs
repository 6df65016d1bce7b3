//! The servers of `doublehold real`: those that it starts, kills and restarts, or those that it was given.

use super::super::args::RealOptions;
use super::super::error::CliError;
use super::super::guarded_by::GuardedBy;
use crate::port::{Blob, Command, Outcome, Redis};
use crate::scenario::guarded::LOCK;
use crate::scenario::keeper::Keeper;
use crate::world::real::servers::{ClusterServers, RedisServer, SentinelServer, Server, SpawnError, Watch};
use crate::world::real::{RealRedis, RedisOptions};
use doublehold_models::slots::{last_slots, slot_of};
use std::ops::Range;
use std::time::{Duration, Instant};

/// All servers of a run.
pub(super) struct Fleet {
    /// The URLs of the Redis servers.
    pub urls: Vec<String>,
    /// The addresses of the ZooKeeper servers.
    pub zookeeper: Vec<String>,
    /// The addresses of the etcd servers.
    pub etcd: Vec<String>,
    /// The URLs of the Sentinels.
    pub sentinels: Vec<String>,
    /// The URLs of servers of the Redis Cluster.
    pub cluster: Vec<String>,
    /// The URL of the MySQL server.
    pub mysql: Option<String>,
    /// The URL of the primary that was started with a replica, which is the last of `started`.
    primary: Option<String>,
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
        (keeper == Keeper::Sentinels, options.sentinel.is_empty(), "the Sentinels", "--sentinel URL…"),
        (keeper == Keeper::Cluster, options.cluster.is_empty(), "the Redis Cluster", "--cluster URL…"),
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
            sentinels: options.sentinel.clone(),
            cluster: options.cluster.clone(),
            mysql: options.mysql.clone(),
            primary: None,
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
            let server = if options.clock_step { RedisServer::start_with_clock()? } else { RedisServer::start()? };
            self.urls.push(server.url());
            self.lock_servers = 1;
            self.started.push((format!("redis-{number}"), Box::new(server)));
        }
        match keeper {
            Keeper::Sentinels => self.spawn_watched()?,
            Keeper::Cluster => self.spawn_redis_cluster()?,
            _ => {}
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

    /// A primary and its replica, and the Sentinels that watch them.
    fn spawn_watched(&mut self) -> Result<(), CliError> {
        let primary = RedisServer::start()?;
        let replica = RedisServer::start_replica(primary.port())?;
        let failover_timeout = 2 * DOWN_AFTER;
        let watch = Watch { primary: primary.port(), quorum: 2, down_after: DOWN_AFTER, failover_timeout };
        for number in 0..SENTINELS {
            let sentinel = SentinelServer::start(watch)?;
            self.sentinels.push(sentinel.url());
            self.started.push((format!("sentinel-{number}"), Box::new(sentinel)));
        }
        self.take_in_pair("redis-lock", [primary, replica]);
        Ok(())
    }

    /// A Cluster, in which each primary has a replica.
    fn spawn_redis_cluster(&mut self) -> Result<(), CliError> {
        let servers = ClusterServers::start(&[1; PRIMARIES], DOWN_AFTER)?;
        self.cluster = servers.urls();
        let slot = slot_of(LOCK.as_bytes());
        let owner = last_slots(PRIMARIES).iter().position(|last| slot <= *last).expect("each slot has a primary");
        let mut servers = servers.into_servers();
        let replica = servers.remove(PRIMARIES + owner);
        let primary = servers.remove(owner);
        let others = servers.into_iter().enumerate();
        self.started.extend(others.map(|(at, server)| (format!("cluster-{at}"), Box::new(server) as Box<dyn Server>)));
        self.take_in_pair("cluster-lock", [primary, replica]);
        Ok(())
    }

    /// The primary that keeps the lock, and its replica.
    fn take_in_pair(&mut self, name: &str, [primary, replica]: [RedisServer; 2]) {
        self.lock_servers = 2;
        self.primary = Some(primary.url());
        self.started.push((format!("{name}-primary"), Box::new(primary)));
        self.started.push((format!("{name}-replica"), Box::new(replica)));
    }

    fn connect(&self) -> Result<::redis::Connection, ::redis::RedisError> {
        ::redis::Client::open(self.primary.as_deref().unwrap_or_default())?.get_connection()
    }

    /// True if the lock's key has been set a moment ago, and within this time: on the primary that keeps it, or on each
    /// server of the majority that is never killed. An attempt in vain sets it on some of them at the most.
    pub(super) fn was_just_taken(&self, ttl: Duration, within: Duration) -> bool {
        let minority = self.minority_of_urls();
        let majority = self.urls.iter().enumerate().filter(|(at, _)| !minority.contains(at)).map(|(_, url)| url);
        let keepers: Vec<&String> = self.primary.as_ref().map_or_else(|| majority.collect(), |primary| vec![primary]);
        let age = |url: &String| -> Option<Duration> {
            let mut connection = ::redis::Client::open(url.as_str()).ok()?.get_connection().ok()?;
            let left_ms = ::redis::cmd("PTTL").arg(LOCK).query::<i64>(&mut connection).ok()?;
            Some(ttl.saturating_sub(Duration::from_millis(u64::try_from(left_ms).ok()?)))
        };
        keepers.into_iter().all(|url| age(url).is_some_and(|age| age < within.min(JUST_NOW)))
    }

    /// Stops the replica, and lets the primary write more than the sockets between them hold.
    pub(super) fn fall_behind(&mut self) -> Result<String, CliError> {
        let failed = |why: String| CliError::Environment(format!("the replica cannot be made to lag: {why}"));
        let Some((name, replica)) = self.started.last_mut() else { return Err(failed("there is none".into())) };
        replica.pause(true).map_err(|problem| failed(problem.to_string()))?;
        let name = name.clone();
        let mut connection = self.connect().map_err(|problem| failed(problem.to_string()))?;
        let piece = vec![b'x'; PIECE_BYTES];
        for _ in 0..PIECES {
            // In a Cluster the key must be in the lock's slot.
            let key = doublehold_models::slots::beside(LOCK.as_bytes(), b":filler");
            let set = ::redis::cmd("SET").arg(key.as_bytes()).arg(&piece).arg("EX").arg(60).exec(&mut connection);
            set.map_err(|problem| failed(problem.to_string()))?;
        }
        Ok(format!("{name} stopped, and lags"))
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
        for url in &self.sentinels {
            self.wait_for(url, &["SENTINEL", "CKQUORUM", "mymaster"], "usable").await?;
            self.wait_for(url, &["SENTINEL", "REPLICAS", "mymaster"], "master-link-status").await?;
        }
        for url in &self.cluster {
            self.wait_for(url, &["CLUSTER", "INFO"], "cluster_state:ok").await?;
        }
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

    /// Waits until a server answers so.
    async fn wait_for(&self, url: &str, words: &[&'static str], answer: &str) -> Result<(), CliError> {
        let server = RealRedis::new(url, RedisOptions::default());
        let server = server.map_err(|problem| CliError::Usage(problem.to_string()))?;
        let command = Command::from_words(words.iter().map(|word| Blob::from(*word)));
        let started = Instant::now();
        loop {
            let outcome = server.call(command.clone()).await;
            if matches!(&outcome, Outcome::Ok(value) if format!("{value:?}").contains(answer)) {
                return Ok(());
            }
            if started.elapsed() > ANSWER_WAIT {
                let why = match outcome {
                    Outcome::Ok(value) => format!("{value:?}"),
                    Outcome::Fail(why) => why.to_string(),
                    Outcome::Indeterminate(why) => why.to_string(),
                };
                let words = words.join(" ");
                return Err(CliError::Environment(format!("{url} does not answer {words} with {answer}: {why}")));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
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
        let name = name.clone();
        if let Some((_, replica)) = self.started.last_mut().filter(|_| self.primary.is_some()) {
            replica
                .pause(false)
                .map_err(|problem| CliError::Environment(format!("a replica stays stopped: {problem}")))?;
        }
        Ok(name)
    }

    /// Kills so many of the Redis servers that a majority is left, and tells which.
    pub(super) fn kill_minority(&mut self) -> Result<Vec<String>, CliError> {
        let minority = self.minority();
        let killed = self.started[minority].iter_mut().map(|(name, server)| {
            let failed = |problem| CliError::Environment(format!("cannot kill {name}: {problem}"));
            server.kill().map_err(failed).map(|()| name.clone())
        });
        killed.collect()
    }

    /// Starts them again, and tells which they are.
    pub(super) fn restart_minority(&mut self) -> Result<Vec<String>, CliError> {
        let minority = self.minority();
        let back = self.started[minority].iter_mut().map(|(name, server)| {
            server.restart()?;
            Ok(name.clone())
        });
        back.collect()
    }

    /// The servers without which a majority is left. What the lock guards is on the first one, which stays.
    fn minority_of_urls(&self) -> Range<usize> {
        1..self.urls.len().div_ceil(2).max(1)
    }

    /// Where these are among the servers that were started.
    fn minority(&self) -> Range<usize> {
        let Range { start, end } = self.minority_of_urls();
        let first = self.started.len() - self.urls.len();
        first + start..first + end
    }

    /// Steps the wall clock of the last Redis server, and tells which it is.
    pub(super) fn step_clock(&mut self, by: Duration) -> Result<String, CliError> {
        let (name, server) =
            self.started.last_mut().ok_or_else(|| CliError::Usage("there is no server to step".into()))?;
        let failed = |problem| CliError::Environment(format!("cannot step the clock of {name}: {problem}"));
        server.step_clock(by).map_err(failed)?;
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
const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// The servers of a cluster.
#[cfg(any(feature = "real-zookeeper", feature = "real-etcd"))]
const CLUSTER: u8 = 3;
/// The Sentinels of a primary.
const SENTINELS: u8 = 3;
/// The primaries of a Redis Cluster.
const PRIMARIES: usize = 3;
/// After which Sentinels, and the servers of a Cluster, find a server down.
const DOWN_AFTER: Duration = Duration::from_millis(500);
/// A lock that was taken within this time was just taken.
const JUST_NOW: Duration = Duration::from_millis(300);
/// What is written before a kill so that the replica lags: more than the sockets hold.
const PIECES: usize = 64;
const PIECE_BYTES: usize = 1 << 20;
