//! etcd servers: a cluster of processes.

use super::{Process, Server, SpawnError, free_port};
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

const PROGRAM: &str = "etcd";
/// How long a server may take to answer after its start: it waits for an election.
const START_WAIT: Duration = Duration::from_secs(30);
/// A connection to a server of this machine that takes longer than this tells of one that is not there yet.
const ANSWER_WAIT: Duration = Duration::from_millis(500);

/// One server of a cluster on this machine.
pub struct EtcdServer {
    process: Process,
    name: String,
    port: u16,
    peer_port: u16,
    cluster: String,
    folder: TempDir,
}

impl EtcdServer {
    /// Starts a cluster on free ports of loopback, and waits until every server serves. Nothing is lost by a kill, as
    /// every change is synced.
    pub fn start_cluster(servers: u8) -> Result<Vec<Self>, SpawnError> {
        let mut all = Vec::new();
        for number in 0..servers {
            let folder = tempfile::Builder::new().prefix("doublehold-etcd-").tempdir()?;
            let (port, peer_port) = (free_port()?, free_port()?);
            let name = format!("etcd-{number}");
            all.push(EtcdServer { process: Process::default(), name, port, peer_port, cluster: String::new(), folder });
        }
        let peers: Vec<String> =
            all.iter().map(|server| format!("{}=http://127.0.0.1:{}", server.name, server.peer_port)).collect();
        all.iter_mut().for_each(|server| server.cluster = peers.join(","));
        all.iter_mut().try_for_each(EtcdServer::launch)?;
        all.iter_mut().try_for_each(EtcdServer::wait)?;
        Ok(all)
    }

    /// Where clients connect.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn launch(&mut self) -> Result<(), SpawnError> {
        let (clients, peers) = (format!("http://{}", self.address()), format!("http://127.0.0.1:{}", self.peer_port));
        let mut command = Command::new(program());
        command.args(["--name", &self.name, "--initial-cluster", &self.cluster, "--initial-cluster-state", "new"]);
        command.arg("--data-dir").arg(self.folder.path().join("data"));
        command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
        command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
        // Without it Debian's package refuses some machines that it runs well on.
        command.env("ETCD_UNSUPPORTED_ARCH", std::env::consts::ARCH.replace("aarch64", "arm64"));
        command.stderr(File::create(self.folder.path().join("log"))?);
        self.process.launch(command, self.folder.path(), not_installed())
    }

    fn wait(&mut self) -> Result<(), SpawnError> {
        let (port, log) = (self.port, self.folder.path().join("log"));
        let healthy = || ask(port, "GET /health", "").is_some_and(|said| said.contains("\"true\""));
        self.process.wait_until(PROGRAM, START_WAIT, &log, healthy)
    }
}

impl Server for EtcdServer {
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
        let status = ask(self.port, "POST /v3/maintenance/status", "{}").unwrap_or_default();
        let number = |name: &str| -> Option<u64> {
            let (_, rest) = status.split_once(&format!("\"{name}\":\""))?;
            rest.split('"').next()?.parse().ok()
        };
        number("leader").is_some_and(|leader| Some(leader) == number("member_id"))
    }
}

fn not_installed() -> SpawnError {
    SpawnError::NotInstalled { program: PROGRAM, package: "etcd-server", option: "--etcd HOST:PORT" }
}

/// The program; `DOUBLEHOLD_ETCD` names another one.
fn program() -> std::ffi::OsString {
    std::env::var_os("DOUBLEHOLD_ETCD").unwrap_or_else(|| PROGRAM.into())
}

/// Asks a server over HTTP, and gives what it said.
fn ask(port: u16, request: &str, body: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), ANSWER_WAIT).ok()?;
    stream.set_read_timeout(Some(ANSWER_WAIT)).ok()?;
    let head = format!("{request} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {}", body.len());
    write!(stream, "{head}\r\n\r\n{body}").ok()?;
    let mut said = String::new();
    stream.read_to_string(&mut said).ok()?;
    Some(said)
}
