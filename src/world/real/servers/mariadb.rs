//! mariadbd, as Debian has it in the place of MySQL.

use super::{Process, Server, SpawnError, free_port};
use std::fs::File;
use std::io::{self, Read};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const PROGRAM: &str = "mariadbd";
const INSTALL: &str = "mariadb-install-db";
/// How long a server may take to answer after its start.
const START_WAIT: Duration = Duration::from_secs(60);
/// A connection to a server of this machine that takes longer than this tells of one that is not there yet.
const ANSWER_WAIT: Duration = Duration::from_millis(500);

/// One running mariadbd. It knows no users: whoever connects is let in.
pub struct MariaDbServer {
    process: Process,
    port: u16,
    folder: TempDir,
}

impl MariaDbServer {
    /// Starts a server on a free port of loopback with an empty database `test`. Every commit is flushed: a kill loses
    /// nothing. Texts compare byte by byte.
    pub fn start() -> Result<Self, SpawnError> {
        let folder = tempfile::Builder::new().prefix("doublehold-mariadb-").tempdir()?;
        let data = folder.path().join("data");
        let mut install = Command::new(INSTALL);
        install.args(["--no-defaults", "--auth-root-authentication-method=normal", "--user", &user()]);
        install.arg(format!("--datadir={}", data.display())).stdin(Stdio::null());
        // Several at once get into each other's way in a temporary directory that they share.
        install.arg(format!("--tmpdir={}", folder.path().display()));
        let installed = install.output().map_err(|problem| match problem.kind() {
            io::ErrorKind::NotFound => not_installed(),
            _ => SpawnError::Io(problem),
        })?;
        if !installed.status.success() {
            let said = String::from_utf8_lossy(&installed.stderr).into_owned();
            let errors: Vec<&str> = said.lines().filter(|line| line.contains("ERROR")).collect();
            let why = if errors.is_empty() { "it said nothing".to_owned() } else { errors.join("; ") };
            return Err(SpawnError::DoesNotStart { program: INSTALL, why });
        }
        std::fs::create_dir_all(data.join("test"))?;
        let mut server = MariaDbServer { process: Process::default(), port: free_port()?, folder };
        server.launch()?;
        Ok(server)
    }

    /// Its address.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The URL of its database.
    pub fn url(&self) -> String {
        format!("mysql://root@{}/test", self.address())
    }

    fn launch(&mut self) -> Result<(), SpawnError> {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let mut command = Command::new(program());
        command.args(["--no-defaults", "--skip-grant-tables", "--skip-log-bin", "--skip-name-resolve"]);
        command.args(["--bind-address=127.0.0.1", "--character-set-server=utf8mb4", "--collation-server=utf8mb4_bin"]);
        command.args([
            "--default-time-zone=+00:00",
            "--innodb-flush-log-at-trx-commit=1",
            "--innodb-buffer-pool-size=32M",
        ]);
        command.args(["--user", &user(), "--port", &self.port.to_string(), "--datadir", &path("data")]);
        command.args(["--socket", &path("socket"), "--pid-file", &path("pid")]);
        command.arg("--tmpdir").arg(self.folder.path());
        command.stderr(File::create(self.folder.path().join("log"))?);
        self.process.launch(command, self.folder.path(), not_installed())?;
        let (port, log) = (self.port, self.folder.path().join("log"));
        self.process.wait_until(PROGRAM, START_WAIT, &log, || greets(port))
    }
}

impl Server for MariaDbServer {
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

fn not_installed() -> SpawnError {
    SpawnError::NotInstalled { program: PROGRAM, package: "mariadb-server", option: "--mysql HOST:PORT" }
}

/// The program; `DOUBLEHOLD_MARIADBD` names another one.
fn program() -> std::ffi::OsString {
    std::env::var_os("DOUBLEHOLD_MARIADBD").unwrap_or_else(|| PROGRAM.into())
}

/// The user that it runs as: ours. It refuses to be root unless it is told to.
fn user() -> String {
    std::env::var("USER").unwrap_or_else(|_| "root".to_owned())
}

/// True if a server speaks first, as MySQL's do.
fn greets(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), ANSWER_WAIT) else {
        return false;
    };
    let mut first = [0; 1];
    stream.set_read_timeout(Some(ANSWER_WAIT)).is_ok() && stream.read_exact(&mut first).is_ok()
}
