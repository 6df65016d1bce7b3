//! Servers: real server processes on loopback, each in a directory of its own, ended by their process ids. They do not outlive
//! the process that started them, even if that is killed.

mod clock;
mod cluster;
#[cfg(feature = "real-etcd")]
mod etcd;
#[cfg(feature = "real-mysql")]
mod mariadb;
mod redis;
mod sentinel;
mod watchdog;
#[cfg(feature = "real-zookeeper")]
mod zookeeper;

pub use cluster::ClusterServers;
#[cfg(feature = "real-etcd")]
pub use etcd::EtcdServer;
#[cfg(feature = "real-mysql")]
pub use mariadb::MariaDbServer;
pub use redis::{AppendFsync, RedisServer};
use rustix::process::{Pid, Signal, kill_process};
pub use sentinel::{SentinelServer, Watch};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use watchdog::Watchdog;
#[cfg(feature = "real-zookeeper")]
pub use zookeeper::ZooKeeperServer;

/// How often to look whether a server answers.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Why servers could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The program is not there.
    #[error(
        "{program} is not installed: install it (Debian: apt-get install {package}) or name running servers with {option}"
    )]
    NotInstalled {
        /// What is missing.
        program: &'static str,
        /// Where it comes from.
        package: &'static str,
        /// What to give instead.
        option: &'static str,
    },
    /// It did not start.
    #[error("{program} does not start: {why}")]
    DoesNotStart {
        /// What did not start.
        program: &'static str,
        /// What it said.
        why: String,
    },
    /// Its clock cannot be shifted.
    #[error("the library that shifts a server's wall clock cannot be built: {why}")]
    Clock {
        /// What is missing, or what the compiler said.
        why: String,
    },
    /// The system said no.
    #[error("cannot start a server: {0}")]
    Io(#[from] io::Error),
}

/// A server that runs on this machine.
pub trait Server: Send {
    /// Kills it, as `kill -9` does.
    fn kill(&mut self) -> io::Result<()>;

    /// Starts it again on the same port, with what its disk kept.
    fn restart(&mut self) -> Result<(), SpawnError>;

    /// Stops its process for a while, as `kill -STOP` does, or lets it go on.
    fn pause(&mut self, paused: bool) -> io::Result<()>;

    /// Steps its wall clock forward, if it was started with one that can be stepped.
    fn step_clock(&mut self, _by: Duration) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// How it ended, if it ended by itself.
    fn ended(&mut self) -> Option<String>;

    /// True if it leads its cluster.
    fn leads(&self) -> bool {
        false
    }
}

/// A server's process, while it runs.
#[derive(Default)]
struct Process(Option<(Child, Watchdog)>);

impl Process {
    /// Starts it in this temporary folder. An interrupt at the terminal is for us: the servers are ended after we
    /// have judged.
    fn launch(&mut self, mut command: Command, folder: &Path, missing: SpawnError) -> Result<(), SpawnError> {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut watchdog = Watchdog::start()?;
        let child = command.spawn().map_err(|problem| match problem.kind() {
            io::ErrorKind::NotFound => missing,
            _ => SpawnError::Io(problem),
        })?;
        let watched = watchdog.watch(child.id(), folder);
        self.0 = Some((child, watchdog));
        if let Err(problem) = watched {
            self.kill()?;
            return Err(problem.into());
        }
        Ok(())
    }

    /// Waits until it answers, or says why it does not.
    fn wait_until(
        &mut self,
        program: &'static str,
        limit: Duration,
        log: &Path,
        answers: impl Fn() -> bool,
    ) -> Result<(), SpawnError> {
        let started = Instant::now();
        while started.elapsed() < limit {
            if let Some(status) = self.ended() {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                let last = said.lines().last().unwrap_or("it said nothing").to_owned();
                return Err(SpawnError::DoesNotStart { program, why: format!("{status}, {last}") });
            }
            if answers() {
                return Ok(());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        self.kill()?;
        Err(SpawnError::DoesNotStart { program, why: format!("no answer within {} s", limit.as_secs()) })
    }

    fn id(&self) -> Option<u32> {
        self.0.as_ref().map(|(child, _)| child.id())
    }

    fn pause(&self, paused: bool) -> io::Result<()> {
        let signal = if paused { Signal::STOP } else { Signal::CONT };
        let process = self.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        process.map_or(Ok(()), |process| Ok(kill_process(process, signal)?))
    }

    fn kill(&mut self) -> io::Result<()> {
        if let Some((mut child, watchdog)) = self.0.take() {
            child.kill()?;
            // Once the server has been waited for, its number may be another process's.
            drop(watchdog);
            child.wait()?;
        }
        Ok(())
    }

    fn ended(&mut self) -> Option<String> {
        let status = self.0.as_mut()?.0.try_wait().ok()??;
        self.0 = None;
        Some(status.to_string())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing more can be done about a process that cannot be killed.
        let _ = self.kill();
    }
}

/// The ports that servers get: below those that the system gives to outgoing connections. The others of a cluster
/// connect to a server that is down again and again, and one of these connections could have its port when it returns.
const PORTS: std::ops::Range<u16> = 10_000..32_768;

/// A free port of loopback, each time another one. Processes begin at different ones.
fn free_port() -> io::Result<u16> {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(101);
    let mut last = None;
    for _ in PORTS {
        let number = first.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % PORTS.len() as u32;
        let port = PORTS.start + number as u16;
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => return Ok(port),
            Err(problem) => last = Some(problem),
        }
    }
    Err(last.expect("there are ports"))
}
