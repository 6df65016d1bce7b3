//! The arguments, with the help that teaches them.

use crate::scenario::locks::{GUARDS, LOCKS};
use crate::world::fault::Fault;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Deterministic simulator and model checker for distributed lock protocols.
///
/// Start with `doublehold list`, then `doublehold check redlock-clock-step`.
///
/// Exit codes: 0 holds, 1 violated, 2 usage, 3 unknown, 4 nondeterminism, 5 environment.
#[derive(Parser)]
#[command(name = "doublehold", version, max_term_width = 110)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Show the scenarios: what each is about, where it comes from, what it is there to show.
    List(ListOptions),
    /// Explore every history of a scenario within limits, and shrink what breaks it.
    Check(CheckOptions),
    /// Sample long runs of a scenario with many clients, seed after seed, on all cores.
    Sim(SimOptions),
    /// Follow a trace step by step and print its time line.
    Replay(ReplayOptions),
    /// Make the counterexample in a trace minimal.
    Shrink(ShrinkOptions),
    /// Examine the whole catalogue and write the committed reports.
    Report(ReportOptions),
    /// Look which lock oversells under which fault, in the shop of article oversell, and print the table.
    Matrix(MatrixOptions),
    /// Measure how fast the explorer and the simulated world are.
    Bench(BenchOptions),
    /// Measure in virtual time what the articles claim: wake-ups per release.
    Numbers(NumbersOptions),
    /// Run the same lock code, or the order flow, on real servers, in several processes, and judge its history.
    Real(RealCommand),
    #[cfg(feature = "real-redis")]
    #[command(hide = true)]
    RealWorker(WorkerOptions),
    #[cfg(all(feature = "real-zookeeper", feature = "real-mysql"))]
    #[command(hide = true)]
    RealOrderWorker(WorkerOptions),
}

#[derive(Args)]
pub(super) struct ListOptions {
    /// For machines: one JSON array.
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum StrategyName {
    /// Every history, depth first, with fingerprints and reduction.
    Exhaustive,
    /// Random schedules.
    Random,
    /// Random priorities that change at a few moments.
    Pct,
}

/// What a user changes about a scenario.
#[derive(Args)]
pub(super) struct ScenarioOptions {
    /// Judge these properties only, such as `belief,leak`.
    #[arg(long, value_delimiter = ',', value_name = "NAME,…", conflicts_with = "except")]
    pub property: Vec<String>,
    /// Judge all properties of the scenario but these.
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    pub except: Vec<String>,
    /// The number of clients.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=128))]
    pub clients: Option<u8>,
    /// How often each client acquires the lock.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub operations: Option<u32>,
    /// Fault budgets, such as `pause=1,clock-step=0`: break, stall, delay, pause, client-crash,
    /// client-power-loss, node-crash, node-power-loss, node-pause, clock-step, client-clock-step, lag, session-expiry, partition, slow-sync.
    #[arg(long, value_parser = faults, value_name = "KIND=N,…")]
    pub faults: Option<FaultList>,
    /// Δ: the longest that a message takes; `inf` for ever.
    #[arg(long, value_parser = limit, value_name = "TIME")]
    pub delay: Option<TimeLimit>,
    /// π: the longest pause of a process, and the longest partition; `inf` for ever.
    #[arg(long, value_parser = limit, value_name = "TIME")]
    pub pause: Option<TimeLimit>,
    /// ρ: how far a clock's rate may be off, in parts per million.
    #[arg(long, value_name = "PPM", value_parser = clap::value_parser!(u32).range(..500_000))]
    pub drift: Option<u32>,
    /// ε: how far a wall clock may be off at the start.
    #[arg(long, value_parser = time, value_name = "TIME")]
    pub offset: Option<Duration>,
    /// How often time may pass the end of a lease.
    #[arg(long, value_name = "N")]
    pub expiries: Option<u8>,
}

#[derive(Args)]
pub(super) struct CheckOptions {
    /// Scenarios, by name or with `*`: `redlock-clock-step`, `mutant-*`.
    #[arg(required = true)]
    pub scenarios: Vec<String>,
    /// What drives the search.
    #[arg(long, value_enum, default_value = "exhaustive")]
    pub strategy: StrategyName,
    #[command(flatten)]
    pub scenario: ScenarioOptions,
    /// The seed of sampled schedules and of the clients' random numbers.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// End after this long; the verdict is then unknown.
    #[arg(long, value_parser = some_time, value_name = "TIME")]
    pub time: Option<Duration>,
    /// End after this many executions. Sampling ends after 100000 without it.
    #[arg(long, value_name = "N", value_parser = some_number)]
    pub executions: Option<u64>,
    /// End after this many distinct states. Only for the exhaustive strategy.
    #[arg(long, value_name = "N", value_parser = some_number)]
    pub states: Option<u64>,
    /// The memory of the search, such as `512MiB`; 4GiB without it. Only for the exhaustive strategy.
    #[arg(long, value_parser = size, value_name = "SIZE")]
    pub memory: Option<u64>,
    /// The steps of one execution.
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub steps: u32,
    /// The order of bugs that `pct` looks for; 3 without it. Only for that strategy.
    #[arg(long, value_name = "D", value_parser = clap::value_parser!(u8).range(1..=64))]
    pub depth: Option<u8>,
    /// Without partial-order reduction and symmetry: slower, for comparison.
    #[arg(long)]
    pub no_reduction: bool,
    /// End with the first property that is broken; without it the search goes on for the others.
    #[arg(long)]
    pub first: bool,
    /// After *holds*: draw so many random executions, in which time stops anywhere and clocks are off by anything
    /// within their ranges. They must find nothing.
    #[arg(long, value_name = "N", value_parser = some_number)]
    pub insurance: Option<u64>,
    /// Exit with 0 if each scenario shows what it is there to show, with 1 otherwise. Implies `--first`.
    #[arg(long)]
    pub expected: bool,
    /// Where the minimal trace goes. With several scenarios: a folder.
    #[arg(long, value_name = "PATH")]
    pub trace: Option<PathBuf>,
    /// For machines: one JSON object a line.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub(super) struct SimOptions {
    /// Scenarios, by name or with `*`.
    #[arg(required = true)]
    pub scenarios: Vec<String>,
    /// The seeds, such as `7` or `0..1000`.
    #[arg(long, value_parser = seeds, default_value = "0..1000")]
    pub seeds: SeedRange,
    /// The number of clients.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=128))]
    pub clients: Option<u8>,
    /// How often each client acquires the lock.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub operations: Option<u32>,
    /// The mean time between two faults of one kind.
    #[arg(long, value_parser = some_time, value_name = "TIME")]
    pub fault_every: Option<Duration>,
    /// A fault at a fixed time, such as `2s redis-0 clock-step` or `500ms client-1 pause`; may be given often.
    #[arg(long = "fault-at", value_name = "FAULT")]
    pub fault_at: Vec<String>,
    /// When faults stop and the healthy phase begins.
    #[arg(long, value_parser = time, value_name = "TIME")]
    pub healthy_after: Option<Duration>,
    /// End after this long and report what was seen.
    #[arg(long, value_parser = some_time, value_name = "TIME")]
    pub budget: Option<Duration>,
    /// Go on after a failure.
    #[arg(long)]
    pub keep_going: bool,
    /// Run each seed twice and compare every line.
    #[arg(long)]
    pub twice: bool,
    /// Worker threads; all cores without it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// Exit with 0 if each scenario shows what it is there to show, with 1 otherwise.
    #[arg(long)]
    pub expected: bool,
    /// Where the trace of the first failure goes. With several scenarios: a folder.
    #[arg(long, value_name = "PATH")]
    pub trace: Option<PathBuf>,
    /// Write a JUnit report for CI.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// For machines: one JSON object a line.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub(super) struct ReplayOptions {
    /// The trace.
    pub trace: PathBuf,
    /// Only say whether it replays.
    #[arg(long)]
    pub quiet: bool,
}

#[derive(Args)]
pub(super) struct ShrinkOptions {
    /// The trace.
    pub trace: PathBuf,
    /// Where the minimal trace goes; `NAME.min.json` beside it without this.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct ReportOptions {
    /// The folder.
    #[arg(long, default_value = "reports", value_name = "FOLDER")]
    pub output: PathBuf,
    /// Only compare with what is there.
    #[arg(long)]
    pub check: bool,
}

#[derive(Args)]
pub(super) struct MatrixOptions {
    /// Only these rows, such as `redis,redis+version`.
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    pub locks: Vec<String>,
    /// Look at so many states of a cell at the most; beyond them it is sampled.
    #[arg(long, value_name = "N", value_parser = some_number, default_value = "60000")]
    pub states: u64,
    /// Run so many seeds of the simulated world where not all states were seen.
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub seeds: u64,
    /// Write the table and the minimal traces into this folder, instead of printing the table.
    #[arg(long, value_name = "FOLDER")]
    pub output: Option<PathBuf>,
}

impl MatrixOptions {
    /// Where files go.
    pub(super) fn folder(&self) -> PathBuf {
        self.output.clone().unwrap_or_default()
    }
}

#[derive(Args)]
pub(super) struct BenchOptions {
    /// Also five clients, which takes minutes.
    #[arg(long)]
    pub long: bool,
    /// Write the table to this file.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct NumbersOptions {
    /// On real servers, which are started for it, instead of in virtual time.
    #[arg(long)]
    pub spawn: bool,
    /// Write numbers.md, or numbers-real.md with --spawn, and the plots to this folder.
    #[arg(long, value_name = "FOLDER")]
    pub output: Option<PathBuf>,
}

/// A lock, or a flow.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct RealCommand {
    #[command(subcommand)]
    pub flow: Option<RealFlow>,
    #[command(flatten)]
    pub lock: Option<RealOptions>,
}

/// A flow on real servers.
#[derive(Subcommand)]
pub(super) enum RealFlow {
    /// The order flow on Redis, MariaDB and ZooKeeper, which are killed and started again, and so are the customers.
    Order(RealOrderOptions),
}

/// When Redis syncs what it appends.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Fsync {
    /// Before each reply: a power loss takes nothing.
    Always,
    /// Once a second: a power loss takes the last one.
    Everysec,
}

#[derive(Args)]
pub(super) struct RealOrderOptions {
    /// Start the servers on loopback, and end them.
    #[arg(long, required = true)]
    pub spawn: bool,
    /// The SKUs' locks on the way through MySQL.
    #[arg(long, value_parser = lock_names(), default_value = "zookeeper")]
    pub lock: String,
    /// Processes of customers; the jobs have one of their own.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub processes: u8,
    /// Customers in each process.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub customers: u8,
    /// SKUs, all sold from Redis at the start.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub skus: u8,
    /// Pieces of each.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub pieces: u32,
    /// How long customers order.
    #[arg(long, value_parser = some_time, default_value = "20s", value_name = "TIME")]
    pub time: Duration,
    /// Something is killed, or loses power, about this often.
    #[arg(long, value_parser = some_time, default_value = "1500ms", value_name = "TIME")]
    pub every: Duration,
    /// When Redis syncs what it appends.
    #[arg(long, value_enum, default_value = "everysec")]
    pub fsync: Fsync,
    /// What is killed when; the same seed gives the same schedule.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Where the history goes.
    #[arg(long, value_name = "FILE", default_value = "doublehold-history.json")]
    pub history: PathBuf,
    /// For machines: one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Where what is guarded is.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum RealStock {
    /// A counter on a Redis server.
    Redis,
    /// The stock of the shop, in MySQL, in one transaction with the order.
    Mysql,
}

fn lock_names() -> impl TypedValueParser<Value = String> {
    PossibleValuesParser::new(LOCKS.iter().map(|lock| PossibleValue::new(lock.name).help(lock.summary)))
}

fn guard_names() -> impl TypedValueParser<Value = String> {
    PossibleValuesParser::new(GUARDS.iter().map(|guard| PossibleValue::new(guard.name).help(guard.summary)))
}

#[derive(Args)]
pub(super) struct RealOptions {
    /// The lock.
    #[arg(long, value_parser = lock_names())]
    pub lock: String,
    /// What checks at the write behind the lock.
    #[arg(long, value_parser = guard_names(), default_value = "nothing")]
    pub guard: String,
    /// Where what is guarded is; by default on Redis, or in MySQL where the lock or the guard is there.
    #[arg(long, value_enum)]
    pub stock: Option<RealStock>,
    /// Start the servers on loopback, and end them.
    #[arg(long, conflicts_with = "redis")]
    pub spawn: bool,
    /// How many Redis servers to start for RedLock.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=9), requires = "spawn")]
    pub servers: u8,
    /// Servers that run already, such as `redis://127.0.0.1:6379`. The first also keeps the guarded counter.
    #[arg(long, value_name = "URL", num_args = 1..)]
    pub redis: Vec<String>,
    /// Sentinels that run already and watch a primary as `mymaster`, such as `redis://127.0.0.1:26379`. The guarded
    /// counter is on the first of `--redis`.
    #[arg(long, value_name = "URL", num_args = 1.., conflicts_with = "spawn", requires = "redis")]
    pub sentinel: Vec<String>,
    /// Servers of a Redis Cluster that runs already, such as `redis://127.0.0.1:7000`; the others they name.
    #[arg(long, value_name = "URL", num_args = 1.., conflicts_with = "spawn", requires = "redis")]
    pub cluster: Vec<String>,
    /// The servers of a ZooKeeper ensemble that runs already, such as `127.0.0.1:2181`. The guarded counter is on the first
    /// of `--redis`.
    #[arg(long, value_name = "HOST:PORT", num_args = 1.., conflicts_with = "spawn", requires = "redis")]
    pub zookeeper: Vec<String>,
    /// The servers of an etcd cluster that runs already, such as `127.0.0.1:2379`.
    #[arg(long, value_name = "HOST:PORT", num_args = 1.., conflicts_with = "spawn", requires = "redis")]
    pub etcd: Vec<String>,
    /// A MySQL or MariaDB server that runs already, and an empty database on it, such as `mysql://root@127.0.0.1:3306/shop`.
    #[arg(long, value_name = "URL", conflicts_with = "spawn")]
    pub mysql: Option<String>,
    /// Operating-system processes.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub processes: u8,
    /// Clients in each process.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub clients: u8,
    /// How long the clients contend.
    #[arg(long, value_parser = some_time, default_value = "5s", value_name = "TIME")]
    pub time: Duration,
    /// The TTL of leases (on etcd in whole seconds), or the time-out of sessions.
    #[arg(long, value_parser = some_time, default_value = "2s", value_name = "TIME")]
    pub ttl: Duration,
    /// Kill a server under load (of an ensemble the leader), and start it again after the TTL.
    #[arg(long, requires = "spawn")]
    pub kill: bool,
    /// Before the kill, stop the primary's replica, write megabytes that it does not read, and wait until the lock is
    /// taken: the kill loses that.
    #[arg(long, requires = "kill")]
    pub lag: bool,
    /// Step the wall clock of a Redis server forward by the TTL, just after the lock was taken. Of several servers, a
    /// minority is down while it is taken, and back when the clock is stepped: with --hold, clients that believe in the
    /// lock for as long as it takes.
    #[arg(long, requires = "spawn", conflicts_with_all = ["kill", "lag"])]
    pub clock_step: bool,
    /// The holder does nothing but hold the lock, for so long, unless the lock tells it that it is lost.
    #[arg(long, value_parser = some_time, value_name = "TIME", conflicts_with_all = ["guard", "stock"])]
    pub hold: Option<Duration>,
    /// How often to do all this, on new servers each time.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..), requires = "spawn")]
    pub trials: u16,
    /// Where the history goes; of several trials, that of the first that violates a property, or of the last.
    #[arg(long, value_name = "FILE", default_value = "doublehold-history.json")]
    pub history: PathBuf,
    /// For machines: one JSON object for each trial.
    #[arg(long)]
    pub json: bool,
}

#[cfg(feature = "real-redis")]
impl RealOptions {
    /// How long a client waits for the lock.
    pub(super) fn wait(&self) -> Duration {
        2 * self.ttl + 2 * self.hold.unwrap_or_default()
    }
}

#[cfg(feature = "real-redis")]
#[derive(Args)]
pub(super) struct WorkerOptions {
    /// The job, as JSON.
    pub job: String,
}

/// Fault budgets that the user gave.
#[derive(Clone)]
pub(super) struct FaultList(pub Vec<(Fault, u8)>);

/// A limit of time, or none.
#[derive(Clone, Copy)]
pub(super) struct TimeLimit(pub Option<Duration>);

/// Seeds from the first to below the second.
#[derive(Clone, Copy)]
pub(super) struct SeedRange {
    pub first: u64,
    pub end: u64,
}

fn faults(text: &str) -> Result<FaultList, String> {
    let one = |part: &str| {
        let (kind, count) = part.split_once('=').ok_or_else(|| format!("'{part}' is not KIND=N"))?;
        let fault = fault_named(kind)?;
        let count = count.parse().map_err(|_| format!("'{count}' is not a number of faults from 0 to 255"))?;
        Ok((fault, count))
    };
    let list = text.split(',').map(one).collect::<Result<Vec<(Fault, u8)>, String>>()?;
    let twice = list.iter().enumerate().find(|(at, (fault, _))| list[..*at].iter().any(|(other, _)| other == fault));
    match twice {
        Some((_, (fault, _))) => Err(format!("{} is given twice", fault.name())),
        None => Ok(FaultList(list)),
    }
}

pub(super) fn fault_named(kind: &str) -> Result<Fault, String> {
    Fault::ALL.into_iter().find(|fault| fault.name() == kind).ok_or_else(|| {
        let kinds: Vec<&str> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        format!("there is no fault '{kind}'; there are {}", kinds.join(", "))
    })
}

/// A duration: `90s`, `5m`, `10ms`, `250us`, `1h`.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit_us = match unit {
        "us" => 1,
        "ms" => 1000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        _ => return Err(format!("'{text}' is not a time such as 10ms, 90s, 5m or 1h")),
    };
    let number: u64 = whole(number, text)?;
    number.checked_mul(unit_us).map(Duration::from_micros).ok_or_else(|| format!("'{text}' is too long"))
}

/// A duration that is not 0.
fn some_time(text: &str) -> Result<Duration, String> {
    time(text).and_then(|time| if time.is_zero() { Err("it must be more than 0".to_owned()) } else { Ok(time) })
}

/// A whole number that is not 0.
fn some_number(text: &str) -> Result<u64, String> {
    whole(text, text).and_then(|number| if number == 0 { Err("it must be more than 0".to_owned()) } else { Ok(number) })
}

fn limit(text: &str) -> Result<TimeLimit, String> {
    if text == "inf" { Ok(TimeLimit(None)) } else { time(text).map(|limit| TimeLimit(Some(limit))) }
}

/// The number that a time or a size begins with.
fn whole(digits: &str, text: &str) -> Result<u64, String> {
    if digits.is_empty() {
        return Err(format!("'{text}' does not begin with a number"));
    }
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("'{text}' is not a whole number"));
    }
    digits.parse().map_err(|_| format!("'{text}' is too large"))
}

fn size(text: &str) -> Result<u64, String> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err(format!("'{text}' is not a size such as 512MiB or 4GiB")),
    };
    let number: u64 = whole(number, text)?;
    if number == 0 {
        return Err("it must be more than 0".to_owned());
    }
    number.checked_shl(shift).filter(|bytes| bytes >> shift == number).ok_or_else(|| format!("'{text}' is too large"))
}

fn seeds(text: &str) -> Result<SeedRange, String> {
    let number =
        |part: &str| part.parse::<u64>().map_err(|_| format!("'{text}' is not a range of seeds such as 0..1000"));
    match text.split_once("..") {
        None => {
            let first = number(text)?;
            Ok(SeedRange { first, end: first.checked_add(1).ok_or("the seed is too large")? })
        }
        Some((first, end)) => {
            let (first, end) = (number(first)?, number(end)?);
            if first >= end {
                return Err(format!("the range of seeds {text} is empty"));
            }
            Ok(SeedRange { first, end })
        }
    }
}
