//! Worker processes: started by `doublehold real`, they print their history, a JSON line an entry.

use super::error::CliError;
use crate::history::Entry;
use crate::world::real::Journal;
use serde::Serialize;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Starts a worker with a job. An interrupt at the terminal is for us.
pub(super) fn start(subcommand: &str, job: &impl Serialize) -> Result<Child, CliError> {
    let failed = |problem: std::io::Error| CliError::Environment(format!("cannot start a worker process: {problem}"));
    let job = serde_json::to_string(job).expect("a job is plain data");
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    command.arg(subcommand).arg(job).stdin(Stdio::piped()).stdout(Stdio::piped());
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().map_err(failed)
}

/// Reads a worker's lines until it ends; a line that was cut off in the middle is left out.
pub(super) fn read_history(worker: &mut Child) -> JoinHandle<Vec<Entry>> {
    let stdout = worker.stdout.take().expect("the worker's output is piped");
    std::thread::spawn(move || {
        let lines = BufReader::new(stdout).lines().map_while(Result::ok);
        lines.filter_map(|line| serde_json::from_str(&line).ok()).collect()
    })
}

/// In a worker: where its history goes.
pub(super) fn journal() -> Journal {
    let stdout = Mutex::new(std::io::stdout());
    Some(Arc::new(move |entry: Entry| {
        let mut line = serde_json::to_vec(&entry).expect("an entry is plain data");
        line.push(b'\n');
        // Fails only if the parent is gone, which ends this worker as well.
        let _ = stdout.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line);
    }))
}

/// In a worker: it ends, after the operation that it is in, when its standard input does: its parent wants it to, or
/// has died.
pub(super) fn end_with_stdin() -> Arc<AtomicBool> {
    let told = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&told);
    std::thread::spawn(move || {
        // Whatever ends the input, it has ended.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        flag.store(true, Ordering::Relaxed);
    });
    told
}
