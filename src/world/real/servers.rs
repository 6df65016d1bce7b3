//! Servers: real redis-server processes on loopback, each in a directory of its own, ended by their process ids.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a server may take to answer after its start.
const START_WAIT: Duration = Duration::from_secs(10);
/// How often to try another port, should somebody take the one that was free.
const PORT_TRIES: usize = 5;

/// Why servers could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The program is not there.
    #[error(
        "redis-server is not installed: install it (Debian: apt-get install redis-server) or name running servers with --redis URL"
    )]
    NotInstalled,
    /// It did not start.
    #[error("redis-server does not start: {0}")]
    DoesNotStart(String),
    /// The system said no.
    #[error("cannot start redis-server: {0}")]
    Io(#[from] io::Error),
}

/// One running redis-server.
pub struct RedisServer {
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

impl RedisServer {
    /// Starts a server on a free port of loopback, with `appendfsync always`: a kill loses nothing.
    pub fn start() -> Result<Self, SpawnError> {
        let folder = tempfile::Builder::new().prefix("doublehold-redis-").tempdir()?;
        let mut server = RedisServer { folder, port: 0, child: None };
        let mut last = String::new();
        for _ in 0..PORT_TRIES {
            server.port = free_port()?;
            match server.launch() {
                Err(SpawnError::DoesNotStart(why)) => last = why,
                other => return other.map(|()| server),
            }
        }
        Err(SpawnError::DoesNotStart(last))
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Kills it, as `kill -9` does.
    pub fn kill(&mut self) -> io::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Starts it again on the same port, with what its disk kept.
    pub fn restart(&mut self) -> Result<(), SpawnError> {
        self.launch()
    }

    /// How it ended, if it ended by itself.
    pub fn ended(&mut self) -> Option<String> {
        let status = self.child.as_mut()?.try_wait().ok()??;
        self.child = None;
        Some(status.to_string())
    }

    fn launch(&mut self) -> Result<(), SpawnError> {
        let log = self.folder.path().join("redis.log");
        let mut command = Command::new(program());
        command.arg("--port").arg(self.port.to_string()).args(["--bind", "127.0.0.1", "--daemonize", "no"]);
        command.args(["--save", "", "--appendonly", "yes", "--appendfsync", "always"]);
        command.arg("--dir").arg(self.folder.path()).arg("--logfile").arg(&log);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // An interrupt at the terminal is for us; we end the servers after we have judged.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.spawn().map_err(|problem| match problem.kind() {
            io::ErrorKind::NotFound => SpawnError::NotInstalled,
            _ => SpawnError::Io(problem),
        })?;
        self.child = Some(child);
        self.wait_until_it_answers(&log)
    }

    fn wait_until_it_answers(&mut self, log: &PathBuf) -> Result<(), SpawnError> {
        let started = Instant::now();
        while started.elapsed() < START_WAIT {
            if let Some(status) = self.ended() {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                let last = said.lines().last().unwrap_or("it said nothing").to_owned();
                return Err(SpawnError::DoesNotStart(format!("{status}, {last}")));
            }
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.kill()?;
        Err(SpawnError::DoesNotStart(format!("no answer within {} s", START_WAIT.as_secs())))
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // Nothing more can be done about a process that cannot be killed.
        let _ = self.kill();
    }
}

/// The program; `DOUBLEHOLD_REDIS_SERVER` names another one.
fn program() -> std::ffi::OsString {
    std::env::var_os("DOUBLEHOLD_REDIS_SERVER").unwrap_or_else(|| "redis-server".into())
}

fn free_port() -> io::Result<u16> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr().map(|address| address.port())
}
