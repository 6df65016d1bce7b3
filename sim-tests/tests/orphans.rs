//! Orphans: the servers of `doublehold real --spawn` end with their parent, even if it is killed, and leave nothing
//! behind.
#![cfg(target_os = "linux")]

use doublehold_sim_tests::redis_server_or_skip;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long servers may take to start, or to end.
const WAIT: Duration = Duration::from_secs(20);

/// The name, the state and the parent of a process that exists.
fn look_at(pid: u32) -> Option<(String, String, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, rest) = stat.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let mut rest = rest.split_whitespace();
    Some((name.to_owned(), rest.next()?.to_owned(), rest.next()?.parse().ok()?))
}

/// The processes that this one has started, by their names.
fn children(parent: u32) -> Vec<(u32, String)> {
    let all = std::fs::read_dir("/proc").expect("there is /proc");
    let pids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let ours = pids.filter_map(|pid| look_at(pid).filter(|(.., of)| *of == parent).map(|(name, ..)| (pid, name)));
    ours.collect()
}

/// True if a process runs: one that nobody has waited for yet does not.
fn runs(pid: u32) -> bool {
    look_at(pid).is_some_and(|(_, state, _)| state != "Z")
}

/// The temporary folders of servers in a folder.
fn left_in(folder: &TempDir) -> Vec<String> {
    let all = std::fs::read_dir(folder.path()).expect("it is a folder");
    let names = all.map(|entry| entry.expect("it can be read").file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("doublehold-redis-")).collect()
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < WAIT, "{what} takes too long");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn servers_end_with_the_process_that_started_them() {
    if !redis_server_or_skip("orphans") {
        return;
    }
    let folder = TempDir::new().expect("a temporary folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_own-lock"));
    command
        .args(["real", "--lock", "redlock", "--spawn", "--servers", "3", "--time", "60s"])
        .current_dir(folder.path())
        .env("TMPDIR", folder.path());
    let mut parent = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the command runs");
    let mut all = Vec::new();
    wait_for("the start", || {
        all = children(parent.id());
        let named = |name: &str| all.iter().filter(|(_, other)| other == name).count();
        // Two worker processes, and a watchdog for each server.
        named("redis-server") == 3 && all.len() == 8
    });
    assert_eq!(left_in(&folder).len(), 3, "a temporary folder for each server");
    // As `kill -9` does: nothing of its own code runs any more.
    parent.kill().expect("it can be killed");
    parent.wait().expect("it can be waited for");
    wait_for("the end of its processes", || !all.iter().any(|(pid, _)| runs(*pid)));
    assert_eq!(left_in(&folder), Vec::<String>::new());
}
