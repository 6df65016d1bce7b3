//! Watchdog: a server does not outlive the process that started it, however that ends.
//!
//! A signal on the parent's death (`PR_SET_PDEATHSIG`) would come when the *thread* ends that started the server. So a process of
//! its own reads from a pipe that only the parent holds, and kills the server when the pipe ends.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// Reads the number of a process group, waits until the parent is gone, and kills the group.
const SCRIPT: &str = r#"read -r group || exit 0
while read -r line; do :; done
kill -s KILL -- "-$group""#;

/// Watches over one server while it exists.
pub(super) struct Watchdog(Child);

impl Watchdog {
    /// Starts one, before its server: so no server is without one for longer than it takes to write a line.
    pub(super) fn start() -> io::Result<Self> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // An interrupt at the terminal is not for it: it ends with its parent, or by its hand.
        command.process_group(0).spawn().map(Watchdog)
    }

    /// Names the process group that it watches over.
    pub(super) fn watch(&mut self, group: u32) -> io::Result<()> {
        let pipe = self.0.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        pipe.write_all(format!("{group}\n").as_bytes())
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // Killed before the pipe ends, it kills nothing.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
