//! The command line: exit codes, and one clear sentence for each kind of bad input.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_own-lock"));
    command.args(arguments).current_dir(folder).output().expect("the command runs")
}

/// Runs the command and checks its exit code and what it says on standard error.
fn check(arguments: &[&str], code: i32, says: &str) {
    let folder = TempDir::new().expect("a temporary folder");
    let output = run(folder.path(), arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    assert!(stderr.contains(says), "{arguments:?} says: {stderr}");
    assert!(!stderr.contains("panicked"), "{arguments:?}: {stderr}");
}

#[test]
fn bad_input_is_named() {
    check(&["check", "redlok"], 2, "did you mean 'redlock'?");
    check(&["check", "redlock", "--states", "5", "--strategy", "random"], 2, "--states goes with");
    check(&["check", "redlock", "--executions", "0"], 2, "it must be more than 0");
    check(&["check", "redlock", "--memory", "0"], 2, "it must be more than 0");
    check(&["check", "redlock", "--time", "0s"], 2, "it must be more than 0");
    check(&["check", "redlock", "--depth", "3"], 2, "--depth goes with --strategy pct");
    check(&["check", "redlock", "--faults", "pause=1,pause=2"], 2, "pause is given twice");
    check(&["check", "redlock", "--faults", "fire=1"], 2, "there is no fault 'fire'");
    check(&["check", "redlock", "--faults", "lag=1"], 2, "no server of redlock can have the fault lag");
    check(&["check", "etcd-mutex", "--faults", "session-expiry=1"], 2, "can have the fault session-expiry");
    check(&["check", "redlock", "--time", "5 parsecs"], 2, "is not a time");
    check(&["sim", "redlock", "--seeds", "9..3"], 2, "the range of seeds 9..3 is empty");
    check(&["sim", "redlock", "--seeds", "a..b"], 2, "is not a range of seeds");
    check(&["sim", "redlock", "--fault-at", "1s redis-9 node-crash"], 2, "there is no 'redis-9'");
    check(&["check", "redlock", "--memory", "1GiB", "--strategy", "random"], 2, "--memory goes with");
    check(&["replay", "nowhere.json"], 5, "cannot read the trace nowhere.json");
    check(&["real", "--lock", "redlock"], 2, "--spawn");
    check(
        &["real", "--lock", "redlock", "--redis", "redis://127.0.0.1:1"],
        5,
        "no Redis server answers at redis://127.0.0.1:1",
    );
    check(&["real", "--lock", "redlock", "--redis", "nonsense"], 2, "is not a Redis URL");
    check(&["real", "--lock", "zookeeper", "--redis", "redis://127.0.0.1:1"], 2, "--zookeeper");
    check(&["real", "--lock", "redis-sentinel", "--redis", "redis://127.0.0.1:1"], 2, "--sentinel");
    check(&["real", "--lock", "redis-cluster", "--redis", "redis://127.0.0.1:1"], 2, "--cluster");
    check(&["real", "--lock", "redlock", "--spawn", "--kill", "--lag"], 2, "--lock redlock has none");
    check(&["real", "order", "--lock", "redis-cluster", "--spawn"], 2, "servers that the order flow does not have");
    check(&["real", "--lock", "redis-sentinel", "--spawn", "--lag"], 2, "--kill");
}

#[test]
fn a_planned_fault_must_be_able_to_hit_its_target() {
    let refuse = |scenario: &str, fault: &str, says: &str| check(&["sim", scenario, "--fault-at", fault], 2, says);
    refuse("redis-lock", "2s redis-0 pause", "pause is no fault of redis-0, but of client-0 to client-");
    refuse("redis-lock", "2s client-0 clock-step", "clock-step is no fault of client-0, but of redis-0");
    refuse("redis-lock", "2s client-0 session-expiry", "no server of redis-lock can have the fault session-expiry");
    refuse("zk-sequential", "2s zk-0 session-expiry", "session-expiry is no fault of zk-0, but of client-0 to client-");
    refuse("zk-sequential", "2s store lag", "lag is no fault of store, but of zk-0, zk-1, zk-2");
    check(&["sim", "redis-lock", "--seeds", "0..5", "--fault-at", "10ms client-0 pause"], 0, "");
}

/// A verdict is what the replay has seen, whatever the file claims.
#[test]
fn a_forged_claim_is_not_repeated() {
    let folder = TempDir::new().expect("a temporary folder");
    assert_eq!(run(folder.path(), &["check", "redlock-clock-step", "--trace", "trace.json"]).status.code(), Some(1));
    let file = folder.path().join("trace.json");
    let text = std::fs::read_to_string(&file).expect("it was written");
    let mut trace: serde_json::Value = serde_json::from_str(&text).expect("a trace is JSON");
    for list in ["schedule", "events", "history"] {
        trace[list] = serde_json::json!([]);
    }
    for world in ["explored", "simulated"] {
        trace["world"] = world.into();
        for property in ["convergence", "grant"] {
            let what = "client-0 had not ended at 600000 ms";
            trace["violation"] = serde_json::json!({ "property": property, "what": what });
            std::fs::write(&file, trace.to_string()).expect("it can be written");
            let output = run(folder.path(), &["replay", "trace.json"]);
            assert_eq!(output.status.code(), Some(4), "{world} {property}");
            assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_endless_trace_is_refused() {
    check(&["replay", "/dev/zero"], 2, "more than any trace");
}

#[test]
fn the_last_seeds_have_an_end() {
    let last = format!("{}..{}", u64::MAX - 5, u64::MAX);
    check(&["sim", "redis-lock", "--seeds", &last, "--jobs", "2"], 0, "");
}

/// Starts the command, and interrupts it as Ctrl-C does.
fn interrupt(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_own-lock"));
    command.args(arguments).current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child: Child = command.spawn().expect("the command runs");
    std::thread::sleep(Duration::from_millis(700));
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(sent.success(), "{arguments:?} had ended before it was interrupted");
    child.wait_with_output().expect("the command ends")
}

#[test]
fn an_interrupted_run_has_decided_nothing() {
    let folder = TempDir::new().expect("a temporary folder");
    let all = format!("0..{}", u64::MAX);
    for arguments in [
        &["sim", "redis-lock", "--seeds", &all][..],
        &["sim", "redis-lock", "--seeds", &all, "--expected"],
        &["sim", "redis-lock", "redlock", "--seeds", &all],
        &["check", "redlock", "--strategy", "random", "--executions", "1000000000000"],
        &["report", "--output", "reports"],
    ] {
        let output = interrupt(folder.path(), arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {stderr}");
    }
    assert!(!folder.path().join("reports").exists(), "half a report was written");
}

/// The reader of `check … | head -1` has gone before the verdict is there.
#[test]
fn a_closed_pipe_leaves_the_verdict_its_exit_code() {
    let folder = TempDir::new().expect("a temporary folder");
    for (scenario, code) in [("redis-lock", 0), ("redlock-clock-step", 1)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_own-lock"));
        command.args(["check", scenario]).current_dir(folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command runs");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("the command ends");
        assert_eq!(output.status.code(), Some(code), "{scenario}");
        assert!(output.stderr.is_empty(), "{scenario}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn full_outputs_are_no_panic() {
    let folder = TempDir::new().expect("a temporary folder");
    let full = || File::options().write(true).open("/dev/full").expect("there is /dev/full");
    for arguments in [&["list"][..], &["check", "redlock-clock-step"], &["--help"], &["replay", "nowhere.json"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_own-lock"));
        command.args(arguments).current_dir(folder.path()).stdout(full()).stderr(full());
        assert_eq!(command.status().expect("the command runs").code(), Some(5), "{arguments:?}");
    }
    check(&["check", "ambiguous-set", "--trace", "/dev/full"], 5, "cannot write the trace /dev/full");
}

#[test]
fn a_foreign_trace_is_refused() {
    let folder = TempDir::new().expect("a temporary folder");
    let refuse = |text: &str, code: i32, says: &str| {
        std::fs::write(folder.path().join("trace.json"), text).expect("it can be written");
        let output = run(folder.path(), &["replay", "trace.json"]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(stderr.contains(says), "{stderr}");
    };
    refuse("not json", 2, "is not a doublehold trace");
    refuse("{\"schema\":\"other\"}", 2, "is not a doublehold trace");
    refuse("{\"schema\":\"doublehold-trace\",\"version\":99}", 2, "version 99");
}

#[test]
fn an_output_that_cannot_be_written_is_named() {
    check(&["check", "ambiguous-set", "--trace", "/proc/nobody/trace.json"], 5, "cannot write the trace");
}

#[test]
fn a_missing_redis_server_is_one_sentence() {
    let folder = TempDir::new().expect("a temporary folder");
    let output = Command::new(env!("CARGO_BIN_EXE_own-lock"))
        .args(["real", "--lock", "redlock", "--spawn"])
        .env("DOUBLEHOLD_REDIS_SERVER", "/nowhere/redis-server")
        .current_dir(folder.path())
        .output()
        .expect("the command runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{stderr}");
    assert!(stderr.contains("redis-server is not installed"), "{stderr}");
}

#[test]
fn verdicts_have_their_exit_codes() {
    check(&["check", "redis-lock"], 0, "");
    check(&["check", "redlock-clock-step"], 1, "");
    check(&["check", "redlock", "--states", "1000"], 3, "");
    check(&["sim", "redis-lock", "--seeds", "0..5", "--twice"], 0, "");
    check(&["sim", "delete-without-owner-check", "--seeds", "0..5"], 1, "");
    // A planned fault that hits nothing has shown nothing.
    check(&["sim", "redis-lock", "--seeds", "0..5", "--fault-at", "900s redis-0 clock-step"], 3, "");
    check(&["check", "mutant-no-nx", "redis-lock", "--expected"], 0, "");
}

/// What is left behind at the end of a long run comes from its last operations.
#[test]
fn a_long_leak_shrinks_to_a_few_steps() {
    let folder = TempDir::new().expect("a temporary folder");
    let code = |arguments: &[&str]| run(folder.path(), arguments).status.code();
    assert_eq!(code(&["sim", "late-quorum-leaks", "--seeds", "0..100", "--trace", "long.json"]), Some(1));
    assert_eq!(code(&["shrink", "long.json", "--output", "short.json"]), Some(1));
    let steps = |name: &str| {
        let text = std::fs::read_to_string(folder.path().join(name)).expect("it was written");
        let trace: serde_json::Value = serde_json::from_str(&text).expect("a trace is JSON");
        trace["schedule"].as_array().expect("a schedule").len()
    };
    assert!(steps("long.json") > 1000);
    assert!(steps("short.json") < 20, "{}", steps("short.json"));
}

#[test]
fn a_simulated_failure_replays_and_shrinks() {
    let folder = TempDir::new().expect("a temporary folder");
    let code = |arguments: &[&str]| run(folder.path(), arguments).status.code();
    assert_eq!(code(&["sim", "pause-past-expiry", "--seeds", "0..100", "--trace", "long.json"]), Some(1));
    assert_eq!(code(&["replay", "long.json"]), Some(1));
    assert_eq!(code(&["shrink", "long.json", "--output", "short.json"]), Some(1));
    assert_eq!(code(&["replay", "short.json"]), Some(1));
    let length = |name: &str| std::fs::metadata(folder.path().join(name)).expect("it was written").len();
    assert!(length("short.json") * 2 < length("long.json"), "{} {}", length("short.json"), length("long.json"));
}
