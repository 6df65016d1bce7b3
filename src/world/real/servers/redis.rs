//! redis-server.

use super::clock::WallClock;
use super::{Process, Server, SpawnError, free_port};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const PROGRAM: &str = "redis-server";
/// How long a server may take to answer after its start.
const START_WAIT: Duration = Duration::from_secs(10);
/// How long an answer may take before it is asked for again.
const ANSWER_WAIT: Duration = Duration::from_secs(1);
/// How often to try another port, should somebody take the one that was free.
pub(super) const PORT_TRIES: usize = 5;

/// When what is appended is synced to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendFsync {
    /// Before each reply.
    Always,
    /// Once a second: a power loss takes the last one.
    Everysec,
}

/// What a second's sync leaves at risk.
const AT_RISK: Duration = Duration::from_secs(1);

/// One running redis-server.
pub struct RedisServer {
    process: Process,
    port: u16,
    folder: TempDir,
    fsync: AppendFsync,
    /// Further options of its command line.
    options: Vec<String>,
    /// Its wall clock, if that is not the machine's.
    clock: Option<WallClock>,
}

impl AppendFsync {
    fn name(self) -> &'static str {
        match self {
            AppendFsync::Always => "always",
            AppendFsync::Everysec => "everysec",
        }
    }
}

impl RedisServer {
    /// Starts a server on a free port of loopback, with `appendfsync always`: a kill loses nothing.
    pub fn start() -> Result<Self, SpawnError> {
        RedisServer::start_with(AppendFsync::Always)
    }

    /// The same with another `appendfsync`.
    pub fn start_with(fsync: AppendFsync) -> Result<Self, SpawnError> {
        RedisServer { fsync, ..RedisServer::new(Vec::new())? }.launched()
    }

    /// Starts a server whose wall clock can be stepped. Needs a C compiler.
    pub fn start_with_clock() -> Result<Self, SpawnError> {
        let mut server = RedisServer::new(Vec::new())?;
        server.clock = Some(WallClock::new(server.folder.path())?);
        server.launched()
    }

    /// Starts a replica of the server on this port of loopback.
    pub fn start_replica(primary: u16) -> Result<Self, SpawnError> {
        RedisServer::new(vec!["--replicaof".to_owned(), "127.0.0.1".to_owned(), primary.to_string()])?.launched()
    }

    /// Starts a server of a Cluster on this port, which knows the others from this `nodes.conf`.
    pub(super) fn start_in_cluster(port: u16, options: Vec<String>, nodes: &str) -> Result<Self, SpawnError> {
        let mut server = RedisServer { port, ..RedisServer::new(options)? };
        std::fs::write(server.folder.path().join("nodes.conf"), nodes)?;
        server.launch()?;
        Ok(server)
    }

    /// A server that is yet to be launched, with these further options.
    fn new(options: Vec<String>) -> Result<Self, SpawnError> {
        let folder = tempfile::Builder::new().prefix("doublehold-redis-").tempdir()?;
        let (process, fsync) = (Process::default(), AppendFsync::Always);
        Ok(RedisServer { process, port: 0, folder, fsync, options, clock: None })
    }

    /// The same, launched on a free port.
    fn launched(mut self) -> Result<Self, SpawnError> {
        on_a_free_port(|port| {
            self.port = port;
            self.launch()
        })?;
        Ok(self)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// The append-only file that is written to, and its length.
    fn appended(&self) -> Option<(PathBuf, u64)> {
        let folder = std::fs::read_dir(self.folder.path().join("appendonlydir")).ok()?;
        let files = folder.filter_map(Result::ok).filter(|file| file.file_name().to_string_lossy().contains(".incr."));
        let last = files.max_by_key(|file| file.file_name())?;
        Some((last.path(), last.metadata().ok()?.len()))
    }

    /// Ends it as a power loss would: with `everysec`, what it appends within a second from now is lost. Returns the
    /// lost bytes.
    pub fn lose_power(&mut self) -> io::Result<Vec<u8>> {
        let synced = self.appended().filter(|_| self.fsync == AppendFsync::Everysec);
        if synced.is_some() {
            std::thread::sleep(AT_RISK);
        }
        self.process.kill()?;
        let Some((path, length)) = synced else { return Ok(Vec::new()) };
        let written = std::fs::read(&path)?;
        std::fs::OpenOptions::new().write(true).open(&path)?.set_len(length)?;
        Ok(written.get(usize::try_from(length).unwrap_or(usize::MAX)..).unwrap_or_default().to_vec())
    }

    fn launch(&mut self) -> Result<(), SpawnError> {
        let log = self.folder.path().join("redis.log");
        let mut command = Command::new(program());
        command.arg("--port").arg(self.port.to_string()).args(["--bind", "127.0.0.1", "--daemonize", "no"]);
        command.args(["--save", "", "--appendonly", "yes", "--appendfsync", self.fsync.name()]);
        command.args(["--repl-diskless-sync-delay", "0"]).args(&self.options);
        command.arg("--dir").arg(self.folder.path()).arg("--logfile").arg(&log).stderr(Stdio::null());
        if let Some(clock) = &self.clock {
            clock.load(&mut command);
        }
        launch(&mut self.process, command, self.folder.path(), (&log, self.port))
    }
}

/// Starts a server or Sentinel on a free port, and on another one if the port is taken meanwhile.
pub(super) fn on_a_free_port(mut start: impl FnMut(u16) -> Result<(), SpawnError>) -> Result<(), SpawnError> {
    let mut last = String::new();
    for _ in 0..PORT_TRIES {
        match start(free_port()?) {
            Err(SpawnError::DoesNotStart { why, .. }) => last = why,
            other => return other,
        }
    }
    Err(SpawnError::DoesNotStart { program: PROGRAM, why: last })
}

/// Starts redis-server, as a server or as a Sentinel, and waits until it answers. It accepts connections before it has
/// all its ports.
pub(super) fn launch(
    process: &mut Process,
    command: Command,
    folder: &Path,
    (log, port): (&Path, u16),
) -> Result<(), SpawnError> {
    let missing = SpawnError::NotInstalled { program: PROGRAM, package: PROGRAM, option: "--redis URL" };
    process.launch(command, folder, missing)?;
    process.wait_until(PROGRAM, START_WAIT, log, || answers(port).is_ok())
}

/// Asks for any answer: while it loads its data, it says so.
fn answers(port: u16) -> io::Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(ANSWER_WAIT))?;
    stream.write_all(b"PING\r\n")?;
    stream.read_exact(&mut [0])
}

impl Server for RedisServer {
    fn kill(&mut self) -> io::Result<()> {
        self.process.kill()
    }

    fn pause(&mut self, paused: bool) -> io::Result<()> {
        self.process.pause(paused)
    }

    fn restart(&mut self) -> Result<(), SpawnError> {
        self.launch()
    }

    fn step_clock(&mut self, by: Duration) -> io::Result<()> {
        self.clock.as_mut().ok_or(io::ErrorKind::Unsupported)?.step(by)
    }

    fn ended(&mut self) -> Option<String> {
        self.process.ended()
    }
}

/// The program; `DOUBLEHOLD_REDIS_SERVER` names another one.
pub(super) fn program() -> std::ffi::OsString {
    std::env::var_os("DOUBLEHOLD_REDIS_SERVER").unwrap_or_else(|| PROGRAM.into())
}
