//! Redis Sentinel.

use super::{Process, Server, SpawnError, free_port};
use std::io;
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const PROGRAM: &str = "redis-server";
/// How long a Sentinel may take to answer after its start.
const START_WAIT: Duration = Duration::from_secs(10);

/// What a Sentinel watches, and when it acts.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    /// The port of the primary on loopback; of its replicas the primary tells.
    pub primary: u16,
    /// How many Sentinels must find the primary down.
    pub quorum: u8,
    /// For how long a server must not have answered.
    pub down_after: Duration,
    /// How long a failover may take before another one is tried.
    pub failover_timeout: Duration,
}

/// One running Sentinel. It keeps what it learns in its configuration file, over a restart too.
pub struct SentinelServer {
    process: Process,
    port: u16,
    folder: TempDir,
}

impl SentinelServer {
    /// Starts one on a free port of loopback.
    pub fn start(watch: Watch) -> Result<Self, SpawnError> {
        let folder = tempfile::Builder::new().prefix("doublehold-sentinel-").tempdir()?;
        let mut server = SentinelServer { folder, port: free_port()?, process: Process::default() };
        let Watch { primary, quorum, down_after, failover_timeout } = watch;
        let lines = [
            format!("port {}", server.port),
            "bind 127.0.0.1".to_owned(),
            format!("dir {}", server.folder.path().display()),
            format!("logfile {}", server.folder.path().join("sentinel.log").display()),
            format!("sentinel monitor mymaster 127.0.0.1 {primary} {quorum}"),
            format!("sentinel down-after-milliseconds mymaster {}", down_after.as_millis()),
            format!("sentinel failover-timeout mymaster {}", failover_timeout.as_millis()),
            String::new(),
        ];
        std::fs::write(server.folder.path().join("sentinel.conf"), lines.join("\n"))?;
        server.launch()?;
        Ok(server)
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn launch(&mut self) -> Result<(), SpawnError> {
        let log = self.folder.path().join("sentinel.log");
        let mut command = Command::new(super::redis::program());
        command.arg(self.folder.path().join("sentinel.conf")).arg("--sentinel").stderr(Stdio::null());
        let missing = SpawnError::NotInstalled { program: PROGRAM, package: PROGRAM, option: "--redis URL" };
        self.process.launch(command, self.folder.path(), missing)?;
        let port = self.port;
        self.process.wait_until(PROGRAM, START_WAIT, &log, || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())
    }
}

impl Server for SentinelServer {
    fn kill(&mut self) -> io::Result<()> {
        self.process.kill()
    }

    fn restart(&mut self) -> Result<(), SpawnError> {
        self.launch()
    }

    fn ended(&mut self) -> Option<String> {
        self.process.ended()
    }
}
