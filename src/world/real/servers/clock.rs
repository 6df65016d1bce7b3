//! Clock: a server's wall clock, which can be stepped. A small library that is loaded into the server shifts what it
//! reads.

use super::SpawnError;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The library, in C.
const SOURCE: &str = include_str!("clock.c");

/// The wall clock of one server.
pub(super) struct WallClock {
    library: PathBuf,
    /// Begins with the microseconds by which it is ahead.
    file: PathBuf,
    ahead: Duration,
}

impl WallClock {
    /// A clock that is right so far. The library is compiled into this folder.
    pub(super) fn new(folder: &Path) -> Result<Self, SpawnError> {
        let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
        std::fs::write(&source, SOURCE)?;
        let mut compile = Command::new("cc");
        compile.args(["-shared", "-fPIC", "-O2", "-o"]).arg(&library).arg(&source);
        let compiled = compile.output().map_err(|problem| match problem.kind() {
            io::ErrorKind::NotFound => {
                SpawnError::Clock { why: "cc is not installed (Debian: apt-get install gcc libc6-dev)".to_owned() }
            }
            _ => SpawnError::Io(problem),
        })?;
        if !compiled.status.success() {
            let said = String::from_utf8_lossy(&compiled.stderr);
            let why = said.lines().next().unwrap_or("cc failed and said nothing").to_owned();
            return Err(SpawnError::Clock { why });
        }
        let clock = WallClock { library, file: folder.join("clock"), ahead: Duration::ZERO };
        std::fs::write(&clock.file, [0; size_of::<i64>()])?;
        Ok(clock)
    }

    /// Loads it into the server that the command starts.
    pub(super) fn load(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library).env("DOUBLEHOLD_CLOCK", &self.file);
    }

    /// Steps it forward, by whole microseconds.
    pub(super) fn step(&mut self, by: Duration) -> io::Result<()> {
        self.ahead += by;
        let ahead_us = i64::try_from(self.ahead.as_micros()).map_err(|_| io::ErrorKind::InvalidInput)?;
        std::fs::OpenOptions::new().write(true).open(&self.file)?.write_all_at(&ahead_us.to_ne_bytes(), 0)
    }
}
