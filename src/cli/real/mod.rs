//! `doublehold real`: servers, worker processes, their history, the verdict.

mod faults;
pub(super) mod job;
mod look;
mod report;
mod servers;

use super::args::RealOptions;
use super::error::CliError;
use super::guarded_by::GuardedBy;
use super::output::write_file;
use super::worker;
use crate::history::Entry;
use crate::scenario::keeper::Keeper;
use faults::Faults;
use job::Job;
use look::{look, prepare};
use report::{HUNG, NO_FAULT, RealReport, print, summarize};
use servers::Fleet;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a client may take to end after its time is over.
const GRACE: Duration = Duration::from_secs(15);

pub(super) fn run(options: &RealOptions, stop: &AtomicBool) -> Result<u8, CliError> {
    let chosen = GuardedBy::of(options)?;
    if options.kill && !options.spawn {
        return Err(CliError::Usage("--kill is for servers that were started with --spawn".into()));
    }
    let has_replicas = matches!(chosen.pair.lock.keeper, Keeper::Sentinels | Keeper::Cluster);
    if options.lag && !has_replicas {
        return Err(CliError::Usage(format!(
            "--lag is for a lock with replicas, and --lock {} has none",
            options.lock
        )));
    }
    if options.clock_step && !matches!(chosen.pair.lock.keeper, Keeper::Redis | Keeper::Redises) {
        let why = format!("--clock-step is for locks on Redis servers without replicas, not for {}", options.lock);
        return Err(CliError::Usage(why));
    }
    let on_etcd = chosen.pair.lock.keeper == Keeper::Etcd;
    if on_etcd && options.ttl.subsec_nanos() != 0 {
        return Err(CliError::Usage("an etcd lease lasts whole seconds: give --ttl 2s, 3s …".into()));
    }
    if options.ttl < Duration::from_millis(100) {
        return Err(CliError::Usage("a TTL below 100ms leaves no time for real servers".into()));
    }
    let (mut worst, mut violated, mut tried) = (0, 0, 0);
    while tried < options.trials && !stop.load(Ordering::SeqCst) {
        let report = try_once(options, &chosen, stop)?;
        let code = report.exit_code();
        if violated == 0 {
            write_file(&options.history, &serde_json::to_string_pretty(&report.entries).expect("plain data"))?;
        }
        (tried, violated) = (tried + 1, violated + u16::from(code == VIOLATED));
        // A violation outweighs whatever went wrong in another trial.
        worst = if code == VIOLATED || (worst != VIOLATED && code > worst) { code } else { worst };
        if options.trials > 1 && !options.json {
            say!("trial {tried} of {}", options.trials);
        }
        print(&report, &chosen, options);
    }
    if options.trials > 1 && !options.json {
        say!("{violated} of {tried} trials violate a property");
    }
    Ok(worst)
}

/// The exit code of a run that violates a property.
const VIOLATED: u8 = 1;

/// One run: new servers, clients that contend, the verdict.
fn try_once(options: &RealOptions, chosen: &GuardedBy, stop: &AtomicBool) -> Result<RealReport, CliError> {
    let mut fleet = Fleet::start(chosen, options)?;
    let control = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let control = control.map_err(|problem| CliError::Environment(format!("cannot start tokio: {problem}")))?;
    control.block_on(prepare(&fleet.urls))?;
    control.block_on(fleet.find_cluster())?;
    let first = job_of(options, chosen, &fleet, 0);
    control.block_on(first.prepare())?;
    let mut incidents = Vec::new();
    let started = Instant::now();
    let mut entries = contend(options, chosen, &mut fleet, stop, &mut incidents)?;
    let seconds = started.elapsed().as_secs_f64();
    entries.sort_by_key(|entry| entry.at_us);
    let left = control.block_on(look(&fleet.urls));
    let audit = control.block_on(first.audit())?;
    let mut report = summarize(options, chosen, entries, left, audit, seconds, incidents);
    report.cut_short |= stop.load(Ordering::SeqCst);
    Ok(report)
}

/// Runs the worker processes, and the faults that were asked for, and collects the history.
fn contend(
    options: &RealOptions,
    chosen: &GuardedBy,
    fleet: &mut Fleet,
    stop: &AtomicBool,
    incidents: &mut Vec<String>,
) -> Result<Vec<Entry>, CliError> {
    let mut workers = start_workers(options, chosen, fleet)?;
    let readers: Vec<_> = workers.iter_mut().map(worker::read_history).collect();
    let started = Instant::now();
    let deadline = options.time + options.wait() + options.hold.unwrap_or_default() + GRACE;
    let mut faults = Faults::new(options);
    let mut ending = false;
    while workers.iter_mut().any(|worker| matches!(worker.try_wait(), Ok(None))) {
        std::thread::sleep(Duration::from_millis(20));
        if stop.load(Ordering::SeqCst) && !ending {
            ending = true;
            incidents.push("interrupted: the clients end after the operation that they are in".to_owned());
            // A client ends when its process's standard input does.
            workers.iter_mut().for_each(|worker| drop(worker.stdin.take()));
        }
        if started.elapsed() > deadline {
            incidents.push(HUNG.to_owned());
            break;
        }
        incidents.extend(fleet.ended());
        incidents.extend(faults.go_on(fleet)?);
    }
    for worker in &mut workers {
        // After a hang the history is judged up to here.
        let _ = worker.kill();
        let _ = worker.wait();
    }
    if faults.missed() {
        incidents.push(NO_FAULT.to_owned());
    }
    let histories = readers.into_iter().map(|reader| reader.join().unwrap_or_default());
    Ok(histories.flatten().collect())
}

fn start_workers(options: &RealOptions, chosen: &GuardedBy, fleet: &Fleet) -> Result<Vec<Child>, CliError> {
    let clients = usize::from(options.clients);
    let mut workers = Vec::new();
    for process in 0..usize::from(options.processes) {
        let job = job_of(options, chosen, fleet, process * clients);
        workers.push(worker::start("real-worker", &job)?);
    }
    Ok(workers)
}

/// What a worker process does whose first client has this number.
fn job_of(options: &RealOptions, chosen: &GuardedBy, fleet: &Fleet, first_client: usize) -> Job {
    Job {
        pair: (options.lock.clone(), options.guard.clone()),
        sells: chosen.sells,
        urls: fleet.urls.clone(),
        zookeeper: fleet.zookeeper.clone(),
        etcd: fleet.etcd.clone(),
        sentinels: fleet.sentinels.clone(),
        cluster: fleet.cluster.clone(),
        hold_ms: options.hold.map(millis),
        mysql: fleet.mysql.clone(),
        first_client,
        clients: options.clients.into(),
        time_ms: millis(options.time),
        ttl_ms: millis(options.ttl),
        wait_ms: millis(options.wait()),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
