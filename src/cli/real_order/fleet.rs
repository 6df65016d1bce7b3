//! The servers of the order flow, and the processes of its customers and jobs.

use super::super::args::{Fsync, RealOrderOptions};
use super::super::error::CliError;
use super::super::worker as process;
use super::lost::Lost;
use super::schedule::Kind;
use super::worker::{Job, Work};
use crate::history::Entry;
use crate::scenario::keeper::Keeper;
use crate::scenario::locks::lock;
use crate::world::real::servers::{AppendFsync, MariaDbServer, RedisServer, Server, SpawnError, ZooKeeperServer};
use std::process::Child;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The servers of the ensemble.
const ENSEMBLE: u8 = 3;
/// ZooKeeper's tick: sessions last between two and twenty of them.
const TICK: Duration = Duration::from_millis(500);

/// Everything that runs.
pub(super) struct Fleet {
    mysql: MariaDbServer,
    redis: RedisServer,
    zookeeper: Vec<ZooKeeperServer>,
    /// What all jobs have in common.
    shop: Job,
    /// The process of the jobs first.
    workers: Vec<Worker>,
    histories: Vec<JoinHandle<Vec<Entry>>>,
    /// The number of the next client.
    next_client: usize,
    victim: Option<usize>,
}

struct Worker {
    child: Child,
    work: Work,
}

fn failed(what: &str) -> impl Fn(std::io::Error) -> CliError {
    move |problem| CliError::Environment(format!("cannot kill {what}: {problem}"))
}

/// A server that is missing must be installed: there is no option to name one that runs.
fn not_started(problem: SpawnError) -> CliError {
    match problem {
        SpawnError::NotInstalled { program, package, .. } => {
            CliError::Environment(format!("{program} is not installed: install it (Debian: apt-get install {package})"))
        }
        other => other.into(),
    }
}

impl Fleet {
    pub(super) fn start(options: &RealOrderOptions) -> Result<Self, CliError> {
        let fsync = match options.fsync {
            Fsync::Always => AppendFsync::Always,
            Fsync::Everysec => AppendFsync::Everysec,
        };
        let mysql = MariaDbServer::start().map_err(not_started)?;
        let redis = RedisServer::start_with(fsync).map_err(not_started)?;
        let keeper = lock(&options.lock).expect("clap knows the names").keeper;
        let zookeeper = match keeper {
            Keeper::ZooKeeper => ZooKeeperServer::start_ensemble(ENSEMBLE, TICK).map_err(not_started)?,
            _ => Vec::new(),
        };
        let shop = Job {
            work: Work::Jobs,
            lock: options.lock.clone(),
            redis: redis.url(),
            mysql: mysql.url(),
            zookeeper: zookeeper.iter().map(ZooKeeperServer::address).collect(),
            skus: options.skus.into(),
            pieces: options.pieces.into(),
            first_client: 0,
            customers: options.customers.into(),
            processes: options.processes.into(),
            time_ms: 0,
        };
        let workers = Vec::with_capacity(1 + usize::from(options.processes));
        let fleet =
            Fleet { mysql, redis, zookeeper, shop, workers, histories: Vec::new(), next_client: 1, victim: None };
        Ok(fleet)
    }

    /// What a worker does for so long.
    pub(super) fn job(&self, work: Work, time: Duration) -> Job {
        let first_client = if work == Work::Jobs { 0 } else { self.next_client };
        Job { work, first_client, time_ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX), ..self.shop.clone() }
    }

    fn start_worker(&mut self, work: Work, time: Duration) -> Result<Worker, CliError> {
        let mut child = process::start("real-order-worker", &self.job(work, time))?;
        self.histories.push(process::read_history(&mut child));
        if work == Work::Customers {
            self.next_client += self.shop.customers;
        }
        Ok(Worker { child, work })
    }

    /// Starts the jobs and all customers.
    pub(super) fn start_workers(&mut self, time: Duration) -> Result<(), CliError> {
        let jobs = self.start_worker(Work::Jobs, time)?;
        self.workers.push(jobs);
        for _ in 0..self.shop.processes {
            let customers = self.start_worker(Work::Customers, time)?;
            self.workers.push(customers);
        }
        Ok(())
    }

    /// Fails if a server has ended by itself, or a worker before its time.
    pub(super) fn check(&mut self) -> Result<(), CliError> {
        let servers = [("MariaDB", self.mysql.ended()), ("Redis", self.redis.ended())].into_iter();
        let ensemble = self.zookeeper.iter_mut().map(|server| ("a ZooKeeper server", server.ended()));
        if let Some((name, Some(how))) = servers.chain(ensemble).find(|(_, how)| how.is_some()) {
            return Err(CliError::Environment(format!("{name} ended by itself: {how}")));
        }
        for worker in &mut self.workers {
            if let Ok(Some(status)) = worker.child.try_wait().map(|status| status.filter(|status| !status.success())) {
                return Err(CliError::Environment(format!("a worker process ended by itself: {status}")));
            }
        }
        Ok(())
    }

    /// Redis loses power. Gives what is gone.
    pub(super) fn lose_power(&mut self) -> Result<Lost, CliError> {
        self.redis.lose_power().map(|bytes| Lost::read(&bytes)).map_err(failed("Redis"))
    }

    /// The place of a worker that does this.
    fn pick_worker(&self, work: Work, pick: u64) -> usize {
        let fitting = self.workers.iter().enumerate().filter(|(_, worker)| worker.work == work);
        let fitting: Vec<usize> = fitting.map(|(at, _)| at).collect();
        fitting[(pick % fitting.len() as u64) as usize]
    }

    /// Kills one, and tells which.
    pub(super) fn kill(&mut self, kind: Kind, pick: u64) -> Result<&'static str, CliError> {
        match kind {
            Kind::Redis | Kind::PowerLoss => {
                self.redis.kill().map_err(failed("Redis"))?;
                Ok("Redis")
            }
            Kind::MySql => {
                self.mysql.kill().map_err(failed("MariaDB"))?;
                Ok("MariaDB")
            }
            Kind::ZooKeeper => {
                let leader = self.zookeeper.iter().position(Server::leads).unwrap_or(0);
                self.victim = Some(leader);
                self.zookeeper[leader].kill().map_err(failed("ZooKeeper"))?;
                Ok("the leader of the ZooKeeper ensemble")
            }
            Kind::Customers | Kind::Jobs => {
                let work = if kind == Kind::Jobs { Work::Jobs } else { Work::Customers };
                let at = self.pick_worker(work, pick);
                let child = &mut self.workers[at].child;
                child.kill().and_then(|()| child.wait().map(drop)).map_err(failed("a worker process"))?;
                Ok(if kind == Kind::Jobs { "the jobs" } else { "a process of customers" })
            }
        }
    }

    /// Starts it again; a worker for so long.
    pub(super) fn restart(&mut self, kind: Kind, pick: u64, time: Duration) -> Result<(), CliError> {
        match kind {
            Kind::Redis | Kind::PowerLoss => self.redis.restart()?,
            Kind::MySql => self.mysql.restart()?,
            Kind::ZooKeeper => {
                if let Some(victim) = self.victim.take() {
                    self.zookeeper[victim].restart()?;
                }
            }
            Kind::Customers | Kind::Jobs => {
                let work = if kind == Kind::Jobs { Work::Jobs } else { Work::Customers };
                let at = self.pick_worker(work, pick);
                self.workers[at] = self.start_worker(work, time)?;
            }
        }
        Ok(())
    }

    /// Lets the workers end, and kills those that do not in time. Gives how many these were.
    pub(super) fn end_workers(&mut self, grace: Duration) -> usize {
        // A worker ends, after the order that it is at, when its standard input does.
        self.workers.iter_mut().for_each(|worker| drop(worker.child.stdin.take()));
        let started = Instant::now();
        let running = |worker: &mut Worker| matches!(worker.child.try_wait(), Ok(None));
        while self.workers.iter_mut().any(running) && started.elapsed() < grace {
            std::thread::sleep(super::LOOK_EVERY);
        }
        let mut hung = 0;
        for worker in self.workers.iter_mut().filter_map(|worker| running(worker).then_some(worker)) {
            hung += 1;
            let _ = worker.child.kill();
            let _ = worker.child.wait();
        }
        hung
    }

    /// What all workers have told, those that were killed included.
    pub(super) fn histories(&mut self) -> Vec<Entry> {
        let histories = self.histories.drain(..).map(|reader| reader.join().unwrap_or_default());
        histories.flatten().collect()
    }
}
