//! `doublehold real`: servers, worker processes, their history, the verdict.

use super::args::{RealLock, RealOptions, WorkerOptions};
use super::error::CliError;
use super::output::write_file;
use super::real_servers::Fleet;
use crate::history::judge::judge;
use crate::history::{Ended, Entry, Event};
use crate::lock::{etcd, redis, redlock, zookeeper};
use crate::port::{Blob, Command as RedisCommand, Outcome, Redis, Value};
use crate::property::{self, Property};
use crate::scenario::Workload;
use crate::scenario::guarded::{Guarded, LOCK, LockKind, STOCK, Store, Work};
#[cfg(feature = "real-etcd")]
use crate::world::real::{EtcdOptions, RealEtcd};
use crate::world::real::{RealPorts, RealRedis, RedisOptions, monotonic_us};
use crate::world::setup::Holder;
use crate::world::system::Violation;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The counter's first value.
const STOCK_AT_START: i64 = 1_000_000;
/// How often a client acquires the lock in one ZooKeeper session or with one etcd lease.
const SESSION_OPERATIONS: usize = 20;
/// How long a client may take to end after its time is over.
const GRACE: Duration = Duration::from_secs(15);

/// What a worker process does.
#[derive(Serialize, Deserialize)]
struct Job {
    lock: String,
    urls: Vec<String>,
    zookeeper: Vec<String>,
    etcd: Vec<String>,
    first_client: usize,
    clients: usize,
    time_ms: u64,
    ttl_ms: u64,
}

impl Job {
    fn guarded(&self) -> Guarded {
        let ttl = Duration::from_millis(self.ttl_ms);
        let retry_delay = (Duration::from_millis(1), Duration::from_millis(10));
        let redis = redis::Config { retry_delay, ..redis::Config::new(ttl) };
        let (lock, servers, work) = match self.lock.as_str() {
            "redlock" => {
                let node_timeout = (ttl / 20).max(Duration::from_millis(10));
                let config = redlock::Config { retry_delay, node_timeout, ..redlock::Config::new(ttl) };
                (LockKind::RedLock(config), self.urls.len(), Work::Plain)
            }
            "zk-sequential" => (LockKind::ZooKeeper(zookeeper::Config::new(ttl)), 0, Work::Plain),
            "zk-fenced" => (LockKind::ZooKeeper(zookeeper::Config::new(ttl)), 0, Work::Fenced),
            "etcd" => (LockKind::Etcd(etcd::Config::new(ttl)), 0, Work::Plain),
            "etcd-fenced" => (LockKind::Etcd(etcd::Config::new(ttl)), 0, Work::Fenced),
            "redis-fenced" => (LockKind::Redis(redis::Config { fencing: true, ..redis }), 0, Work::Fenced),
            _ => (LockKind::Redis(redis), 0, Work::Plain),
        };
        Guarded {
            lock,
            servers,
            work,
            store: Store::Redis,
            // A session is for more than one operation.
            operations: if self.zookeeper.is_empty() && self.etcd.is_empty() { 1 } else { SESSION_OPERATIONS },
            think: Duration::ZERO,
            wait: 2 * ttl,
            interrupt: None,
            tries: 1,
            mutation: None,
        }
    }
}

/// The worker process: runs its clients and prints their history, a JSON line an entry.
pub(super) fn work(options: &WorkerOptions) -> Result<u8, CliError> {
    let job: Job = serde_json::from_str(&options.job).map_err(|problem| CliError::Usage(problem.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|problem| CliError::Environment(format!("cannot start tokio: {problem}")))?;
    let stdout = Arc::new(Mutex::new(std::io::stdout()));
    let journal = move |entry: Entry| {
        let mut line = serde_json::to_vec(&entry).expect("an entry is plain data");
        line.push(b'\n');
        // Should the parent be gone, there is nobody left to tell.
        let _ = stdout.lock().unwrap_or_else(std::sync::PoisonError::into_inner).write_all(&line);
    };
    let journal: Arc<dyn Fn(Entry) + Send + Sync> = Arc::new(journal);
    let told_to_end = end_with_stdin();
    runtime.block_on(async {
        let end = tokio::time::Instant::now() + Duration::from_millis(job.time_ms);
        let mut clients = tokio::task::JoinSet::new();
        for client in job.first_client..job.first_client + job.clients {
            let ports = RealPorts::new(client, &job.urls, RedisOptions::default(), Some(Arc::clone(&journal)));
            let ports = ports.map_err(|problem| CliError::Usage(problem.to_string()))?;
            #[cfg(feature = "real-zookeeper")]
            let ports = ports.with_zookeeper(&job.zookeeper);
            #[cfg(feature = "real-etcd")]
            let ports = with_etcd(ports, &job.etcd, client).await?;
            let guarded = job.guarded();
            let told_to_end = Arc::clone(&told_to_end);
            clients.spawn(async move {
                while tokio::time::Instant::now() < end && !told_to_end.load(Ordering::Relaxed) {
                    guarded.run(ports.clone(), client).await;
                }
            });
        }
        while clients.join_next().await.is_some() {}
        Ok(0)
    })
}

/// The same ports with a cluster, if there is one. Clients begin with different servers.
#[cfg(feature = "real-etcd")]
async fn with_etcd(ports: RealPorts, addresses: &[String], client: usize) -> Result<RealPorts, CliError> {
    if addresses.is_empty() {
        return Ok(ports);
    }
    let cluster = RealEtcd::new(addresses, client, EtcdOptions::default()).await;
    let cluster = cluster.map_err(|problem| CliError::Usage(problem.to_string()))?;
    Ok(ports.with_etcd(&cluster))
}

/// A worker ends, after the operation that it is in, when its standard input does: its parent wants it to, or has died.
fn end_with_stdin() -> Arc<AtomicBool> {
    let told = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&told);
    std::thread::spawn(move || {
        // Whatever ends the input, it has ended.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        flag.store(true, Ordering::Relaxed);
    });
    told
}

pub(super) fn run(options: &RealOptions, stop: &AtomicBool) -> Result<u8, CliError> {
    if options.redis.is_empty() && !options.spawn {
        return Err(CliError::Usage("name the servers with --redis URL…, or let them be started with --spawn".into()));
    }
    let on_etcd = matches!(options.lock, RealLock::Etcd | RealLock::EtcdFenced);
    if on_etcd && options.ttl.subsec_nanos() != 0 {
        return Err(CliError::Usage("an etcd lease lasts whole seconds: give --ttl 2s, 3s …".into()));
    }
    if options.ttl < Duration::from_millis(100) {
        return Err(CliError::Usage("a TTL below 100ms leaves no time for real servers".into()));
    }
    let mut fleet = Fleet::start(options)?;
    let control = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let control = control.map_err(|problem| CliError::Environment(format!("cannot start tokio: {problem}")))?;
    control.block_on(prepare(&fleet.urls))?;
    control.block_on(fleet.find_cluster())?;
    let mut incidents = Vec::new();
    let started = Instant::now();
    let mut entries = contend(options, &mut fleet, stop, &mut incidents)?;
    let seconds = started.elapsed().as_secs_f64();
    entries.sort_by_key(|entry| entry.at_us);
    let left = control.block_on(look(&fleet.urls));
    let report = summarize(options, entries, left, seconds, incidents);
    write_file(&options.history, &serde_json::to_string_pretty(&report.entries).expect("plain data"))?;
    print(&report, options);
    Ok(report.exit_code())
}

/// Makes sure that every server answers, and sets the counter.
async fn prepare(urls: &[String]) -> Result<(), CliError> {
    for (number, url) in urls.iter().enumerate() {
        let server =
            RealRedis::new(url, RedisOptions::default()).map_err(|problem| CliError::Usage(problem.to_string()))?;
        let refused = |why: String| CliError::Environment(format!("no Redis server answers at {url}: {why}"));
        match server.call(RedisCommand::new("PING")).await {
            Outcome::Ok(_) => {}
            Outcome::Fail(why) => return Err(refused(why.to_string())),
            Outcome::Indeterminate(why) => return Err(refused(why.to_string())),
        }
        let keys = [LOCK, "lock:fence", "stock:seen"];
        let clear = keys.iter().fold(RedisCommand::new("DEL"), |command, key| command.arg(*key));
        drop(server.call(clear).await);
        if number == 0 {
            drop(server.call(RedisCommand::new("SET").arg(STOCK).arg(STOCK_AT_START)).await);
        }
    }
    Ok(())
}

/// Runs the worker processes, and the faults that were asked for, and collects the history.
fn contend(
    options: &RealOptions,
    fleet: &mut Fleet,
    stop: &AtomicBool,
    incidents: &mut Vec<String>,
) -> Result<Vec<Entry>, CliError> {
    let mut workers = start_workers(options, fleet)?;
    let readers: Vec<_> = workers.iter_mut().map(read_history).collect();
    let started = Instant::now();
    let deadline = options.time + GRACE;
    let mut killed_at = None;
    let mut restarted = false;
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
            incidents.push("some clients did not end in time and were killed".to_owned());
            break;
        }
        incidents.extend(fleet.ended());
        if options.kill && killed_at.is_none() && started.elapsed() > options.time / 3 {
            let victim = fleet.kill_one()?;
            incidents.push(format!("killed {victim} after {:.1} s", started.elapsed().as_secs_f64()));
            killed_at = Some(Instant::now());
        }
        let away = options.ttl.min(options.time / 3);
        if killed_at.is_some_and(|at| at.elapsed() > away) && !restarted {
            let victim = fleet.restart_it()?;
            incidents.push(format!("restarted {victim} after {:.1} s", started.elapsed().as_secs_f64()));
            restarted = true;
        }
    }
    for worker in &mut workers {
        // After a hang the history is judged up to here.
        let _ = worker.kill();
        let _ = worker.wait();
    }
    let histories = readers.into_iter().map(|reader| reader.join().unwrap_or_default());
    Ok(histories.flatten().collect())
}

fn start_workers(options: &RealOptions, fleet: &Fleet) -> Result<Vec<Child>, CliError> {
    let failed = |problem: std::io::Error| CliError::Environment(format!("cannot start a worker process: {problem}"));
    let program = std::env::current_exe().map_err(failed)?;
    let clients = usize::from(options.clients);
    let mut workers = Vec::new();
    for process in 0..usize::from(options.processes) {
        let job = Job {
            lock: lock_name(options.lock).to_owned(),
            urls: fleet.urls.clone(),
            zookeeper: fleet.zookeeper.clone(),
            etcd: fleet.etcd.clone(),
            first_client: process * clients,
            clients,
            time_ms: u64::try_from(options.time.as_millis()).unwrap_or(u64::MAX),
            ttl_ms: u64::try_from(options.ttl.as_millis()).unwrap_or(u64::MAX),
        };
        let job = serde_json::to_string(&job).expect("a job is plain data");
        let mut command = Command::new(&program);
        command.arg("real-worker").arg(job).stdin(Stdio::piped()).stdout(Stdio::piped());
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        workers.push(command.spawn().map_err(failed)?);
    }
    Ok(workers)
}

fn lock_name(lock: RealLock) -> &'static str {
    match lock {
        RealLock::Redlock => "redlock",
        RealLock::Redis => "redis",
        RealLock::RedisFenced => "redis-fenced",
        RealLock::ZkSequential => "zk-sequential",
        RealLock::ZkFenced => "zk-fenced",
        RealLock::Etcd => "etcd",
        RealLock::EtcdFenced => "etcd-fenced",
    }
}

/// Reads a worker's lines until it ends; a line that was cut off in the middle is left out.
fn read_history(worker: &mut Child) -> std::thread::JoinHandle<Vec<Entry>> {
    let stdout = worker.stdout.take().expect("the worker's output is piped");
    std::thread::spawn(move || {
        let lines = BufReader::new(stdout).lines().map_while(Result::ok);
        lines.filter_map(|line| serde_json::from_str(&line).ok()).collect()
    })
}

/// What the servers hold after all clients have ended.
struct Left {
    holders: Vec<Option<Holder>>,
    stock: Option<i64>,
}

async fn look(urls: &[String]) -> Left {
    let mut left = Left { holders: Vec::new(), stock: None };
    for (number, url) in urls.iter().enumerate() {
        let Ok(server) = RealRedis::new(url, RedisOptions::default()) else { continue };
        let token = server.call(RedisCommand::new("GET").arg(LOCK)).await.ok();
        let ttl = server.call(RedisCommand::new("PTTL").arg(LOCK)).await.ok().and_then(|value| value.as_int());
        left.holders.push(match token {
            Some(Value::Bulk(token)) => Some(Holder { token, expires: ttl.is_some_and(|ttl| ttl >= 0) }),
            _ => None,
        });
        if number == 0 {
            let stock = server.call(RedisCommand::new("GET").arg(STOCK)).await.ok();
            left.stock = stock.as_ref().and_then(Value::as_blob).and_then(Blob::to_int);
        }
    }
    left
}

/// What the run gave.
struct RealReport {
    entries: Vec<Entry>,
    violations: Vec<(u64, Violation)>,
    acquired: u64,
    refused: u64,
    accepted: i64,
    unknown: i64,
    stock: Option<i64>,
    latency: Histogram<u64>,
    hold: Histogram<u64>,
    seconds: f64,
    incidents: Vec<String>,
    died: bool,
}

impl RealReport {
    fn exit_code(&self) -> u8 {
        match (self.violations.is_empty(), self.died, self.acquired) {
            (false, ..) => 1,
            (true, true, _) => super::error::ENVIRONMENT,
            // Nothing was tried: that is no pass.
            (true, false, 0) => 3,
            (true, false, _) => 0,
        }
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("fixed bounds are valid")
}

fn summarize(
    options: &RealOptions,
    entries: Vec<Entry>,
    left: Left,
    seconds: f64,
    incidents: Vec<String>,
) -> RealReport {
    let slack = options.ttl + Duration::from_secs(2) * 5;
    let properties: Vec<Arc<dyn Property>> = vec![
        Arc::new(property::Belief),
        Arc::new(property::Effect),
        Arc::new(property::FencingOrder),
        Arc::new(property::Leak),
        Arc::new(property::BoundedWait { slack_us: u64::try_from(slack.as_micros()).unwrap_or(u64::MAX) }),
    ];
    let died = incidents.iter().any(|incident| incident.contains("ended by itself"));
    // A server that was away may have missed its releases: a key that stays until its TTL is what the algorithm allows.
    let holders = if incidents.is_empty() { left.holders } else { Vec::new() };
    let mut violations = judge(&entries, &LOCK.into(), holders, &properties);
    let (mut accepted, mut unknown) = (0, 0);
    let (mut acquired, mut refused) = (0, 0);
    let (mut latency, mut hold) = (histogram(), histogram());
    let mut since: BTreeMap<usize, u64> = BTreeMap::new();
    for Entry { at_us, client, event } in &entries {
        let mut note = |histogram: &mut Histogram<u64>| {
            let started = since.insert(*client, *at_us).unwrap_or(*at_us);
            histogram.saturating_record((at_us - started).max(1));
        };
        match event {
            Event::Acquiring { .. } => drop(since.insert(*client, *at_us)),
            Event::Acquired { .. } => {
                acquired += 1;
                note(&mut latency);
            }
            Event::NotAcquired { .. } => refused += 1,
            Event::Releasing { .. } => note(&mut hold),
            Event::Wrote { outcome: Ended::Ok, .. } => accepted += 1,
            Event::Wrote { outcome: Ended::Indeterminate, .. } => unknown += 1,
            _ => {}
        }
    }
    if let Some(stock) = left.stock {
        let sold = STOCK_AT_START - stock;
        if !(accepted..=accepted + unknown).contains(&sold) {
            let what = format!("{accepted} writes were accepted ({unknown} unknown), but the counter fell by {sold}");
            violations.push((monotonic_us(), Violation { property: "effect".to_owned(), what }));
        }
    }
    let stock = left.stock;
    RealReport {
        entries,
        violations,
        acquired,
        refused,
        accepted,
        unknown,
        stock,
        latency,
        hold,
        seconds,
        incidents,
        died,
    }
}

fn print(report: &RealReport, options: &RealOptions) {
    let quantiles = |histogram: &Histogram<u64>| {
        [0.5, 0.9, 0.99, 1.0].map(|quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0)
    };
    let (latency, hold) = (quantiles(&report.latency), quantiles(&report.hold));
    let clients = usize::from(options.processes) * usize::from(options.clients);
    let rate = report.acquired as f64 / report.seconds;
    let verdict = match report.exit_code() {
        0 => "holds in this history",
        1 => "VIOLATED",
        _ => "unknown",
    };
    if options.json {
        let line = serde_json::json!({
            "lock": lock_name(options.lock), "verdict": verdict, "violations": report.violations, "clients": clients,
            "processes": options.processes, "acquired": report.acquired, "not_acquired": report.refused, "per_second": rate,
            "acquire_ms": latency, "hold_ms": hold, "incidents": report.incidents, "entries": report.entries.len(),
            "writes": { "accepted": report.accepted, "unknown": report.unknown }, "counter": report.stock,
        });
        say!("{line}");
        return;
    }
    say!("{}: {verdict}", lock_name(options.lock));
    for incident in &report.incidents {
        say!("  {incident}");
    }
    for (_, Violation { property, what }) in report.violations.iter().take(10) {
        say!("  VIOLATED {property}: {what}");
    }
    let processes = options.processes;
    say!(
        "  {clients} clients in {processes} processes, {:.1} s: {} acquired ({rate:.0}/s), {} not",
        report.seconds,
        report.acquired,
        report.refused
    );
    let line = |name: &str, [p50, p90, p99, max]: [f64; 4]| {
        say!("  {name} ms: p50 {p50:.2}, p90 {p90:.2}, p99 {p99:.2}, max {max:.2}");
    };
    line("acquire", latency);
    line("hold   ", hold);
    let stock = report.stock.map_or("unreachable".to_owned(), |stock| (STOCK_AT_START - stock).to_string());
    say!("  counter: fell by {stock}, {} writes accepted, {} unknown", report.accepted, report.unknown);
    say!("  history: {} entries in {}", report.entries.len(), options.history.display());
}
