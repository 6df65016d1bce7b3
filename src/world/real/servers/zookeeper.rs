//! ZooKeeper servers: an ensemble of Java processes.

use super::{Process, Server, SpawnError, free_port};
use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

const PROGRAM: &str = "ZooKeeper";
/// The server's classes, as Debian's package installs them.
const JAR: &str = "/usr/share/java/zookeeper.jar";
/// How long a server may take to answer after its start: a Java process, and an election.
const START_WAIT: Duration = Duration::from_secs(60);
/// A connection to a server of this machine that takes longer than this tells of one that is not there yet.
const ANSWER_WAIT: Duration = Duration::from_millis(500);

/// One server of an ensemble on this machine.
pub struct ZooKeeperServer {
    process: Process,
    port: u16,
    folder: TempDir,
}

impl ZooKeeperServer {
    /// Starts an ensemble on free ports of loopback, with this tick, and waits until every server serves. Nothing is lost
    /// by a kill, as every transaction is synced.
    pub fn start_ensemble(servers: u8, tick: Duration) -> Result<Vec<Self>, SpawnError> {
        if !Path::new(&jar()).exists() {
            return Err(not_installed());
        }
        let ports = (0..3 * servers).map(|_| free_port()).collect::<io::Result<Vec<u16>>>()?;
        let (clients, peers) = ports.split_at(servers.into());
        let mut ensemble = String::new();
        if servers > 1 {
            for (at, ports) in peers.chunks(2).enumerate() {
                let _ = writeln!(ensemble, "server.{}=127.0.0.1:{}:{}", at + 1, ports[0], ports[1]);
            }
        }
        let mut all = Vec::new();
        for (at, port) in clients.iter().enumerate() {
            all.push(ZooKeeperServer::prepare(at + 1, *port, tick, &ensemble)?);
        }
        all.iter_mut().try_for_each(ZooKeeperServer::launch)?;
        all.iter_mut().try_for_each(ZooKeeperServer::wait)?;
        Ok(all)
    }

    fn prepare(number: usize, port: u16, tick: Duration, ensemble: &str) -> Result<Self, SpawnError> {
        let folder = tempfile::Builder::new().prefix("doublehold-zookeeper-").tempdir()?;
        let data = folder.path().join("data");
        std::fs::create_dir(&data)?;
        std::fs::write(data.join("myid"), number.to_string())?;
        let config = format!(
            "tickTime={}\ninitLimit=40\nsyncLimit=20\ndataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\n\
             admin.enableServer=false\n4lw.commands.whitelist=srvr\n{ensemble}",
            tick.as_millis(),
            data.display()
        );
        std::fs::write(folder.path().join("zoo.cfg"), config)?;
        Ok(ZooKeeperServer { process: Process::default(), port, folder })
    }

    /// Where clients connect.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn launch(&mut self) -> Result<(), SpawnError> {
        let mut command = Command::new("java");
        command.args(["-Xmx128m", "-cp", &jar(), "org.apache.zookeeper.server.quorum.QuorumPeerMain"]);
        command.arg(self.folder.path().join("zoo.cfg")).stderr(File::create(self.folder.path().join("log"))?);
        self.process.launch(command, self.folder.path(), not_installed())
    }

    fn wait(&mut self) -> Result<(), SpawnError> {
        let (port, log) = (self.port, self.folder.path().join("log"));
        self.process.wait_until(PROGRAM, START_WAIT, &log, || mode(port).is_some())
    }
}

impl Server for ZooKeeperServer {
    fn kill(&mut self) -> io::Result<()> {
        self.process.kill()
    }

    fn pause(&mut self, paused: bool) -> io::Result<()> {
        self.process.pause(paused)
    }

    fn restart(&mut self) -> Result<(), SpawnError> {
        self.launch()?;
        self.wait()
    }

    fn ended(&mut self) -> Option<String> {
        self.process.ended()
    }

    fn leads(&self) -> bool {
        mode(self.port).as_deref() == Some("leader")
    }
}

fn not_installed() -> SpawnError {
    SpawnError::NotInstalled { program: PROGRAM, package: "zookeeper", option: "--zookeeper HOST:PORT" }
}

/// The classes; `DOUBLEHOLD_ZOOKEEPER_JAR` names others.
fn jar() -> String {
    std::env::var("DOUBLEHOLD_ZOOKEEPER_JAR").unwrap_or_else(|_| JAR.to_owned())
}

/// What a server says it is: `leader`, `follower`, `standalone`; nothing while it serves nobody.
fn mode(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), ANSWER_WAIT).ok()?;
    stream.set_read_timeout(Some(ANSWER_WAIT)).ok()?;
    stream.write_all(b"srvr").ok()?;
    let mut said = String::new();
    stream.read_to_string(&mut said).ok()?;
    said.lines().find_map(|line| line.strip_prefix("Mode: ")).map(str::to_owned)
}
