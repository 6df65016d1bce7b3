//! Redis Sentinel.

use super::{Process, Server, SpawnError, redis};
use std::io;
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

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
        let mut server = SentinelServer { folder, port: 0, process: Process::default() };
        redis::on_a_free_port(|port| {
            server.port = port;
            server.configure(watch)?;
            server.launch()
        })?;
        Ok(server)
    }

    fn configure(&self, watch: Watch) -> io::Result<()> {
        let Watch { primary, quorum, down_after, failover_timeout } = watch;
        let folder = self.folder.path();
        let lines = [
            format!("port {}", self.port),
            "bind 127.0.0.1".to_owned(),
            format!("dir {}", folder.display()),
            format!("logfile {}", folder.join("sentinel.log").display()),
            format!("sentinel monitor mymaster 127.0.0.1 {primary} {quorum}"),
            format!("sentinel down-after-milliseconds mymaster {}", down_after.as_millis()),
            format!("sentinel failover-timeout mymaster {}", failover_timeout.as_millis()),
            String::new(),
        ];
        std::fs::write(folder.join("sentinel.conf"), lines.join("\n"))
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn launch(&mut self) -> Result<(), SpawnError> {
        let log = self.folder.path().join("sentinel.log");
        let mut command = Command::new(redis::program());
        command.arg(self.folder.path().join("sentinel.conf")).arg("--sentinel").stderr(Stdio::null());
        redis::launch(&mut self.process, command, self.folder.path(), (&log, self.port))
    }
}

impl Server for SentinelServer {
    fn kill(&mut self) -> io::Result<()> {
        self.process.kill()
    }

    fn pause(&mut self, paused: bool) -> io::Result<()> {
        self.process.pause(paused)
    }

    fn restart(&mut self) -> Result<(), SpawnError> {
        self.launch()
    }

    fn ended(&mut self) -> Option<String> {
        self.process.ended()
    }
}
