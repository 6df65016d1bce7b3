//! Watchdog: a server does not outlive the process that started it, however that ends.
//!
//! A signal on the parent's death (`PR_SET_PDEATHSIG`) would come when the *thread* ends that started the server. So
//! a process of its own reads from a pipe that only the parent holds. When the pipe closes, it kills the server and
//! removes its folder.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Reads a process group and its temporary folder, waits until the parent is gone, kills the group and removes the
/// folder.
const SCRIPT: &str = r#"read -r group || exit 0
IFS= read -r folder || exit 0
while read -r line; do :; done
kill -s KILL -- "-$group"
[ -n "$folder" ] || exit 0
for try in 1 2 3 4 5; do rm -rf -- "$folder" && exit 0; sleep 1; done"#;

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

    /// Names the process group that it watches over, and the temporary folder that the group works in.
    pub(super) fn watch(&mut self, group: u32, folder: &Path) -> io::Result<()> {
        let pipe = self.0.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        let folder = folder.as_os_str().as_bytes();
        // The name is read as one line: a folder that has another name stays.
        let folder = if folder.contains(&b'\n') { &[] } else { folder };
        pipe.write_all(&[format!("{group}\n").as_bytes(), folder, b"\n"].concat())
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // Killed before the pipe ends, it kills nothing.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
