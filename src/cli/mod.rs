//! The command line: the only part that prints.

/// Prints a line; see [`output::say`].
macro_rules! say {
    ($($part:tt)*) => { crate::cli::output::say(format_args!($($part)*)) };
}

/// Prints a line about the command itself; see [`output::complain`].
macro_rules! complain {
    ($($part:tt)*) => {
        crate::cli::output::complain(format_args!("doublehold: {}", format_args!($($part)*)))
    };
}

mod args;
mod bench;
mod check;
mod error;
mod guarded_by;
mod list;
mod matrix;
mod numbers;
mod output;
#[cfg(feature = "real-redis")]
mod real;
#[cfg(all(feature = "real-zookeeper", feature = "real-mysql"))]
mod real_order;
mod replay;
mod report;
mod shrink;
mod sim;
#[cfg(feature = "real-redis")]
mod worker;

use crate::scenario::Registry;
use args::{Arguments, Command, RealCommand, RealFlow};
use clap::Parser;
use error::{CliError, INTERRUPTED, USAGE};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs the command with doublehold's own scenarios.
pub fn main() -> ExitCode {
    main_with(Registry::standard())
}

/// Runs the command with these scenarios: bring your own lock by adding it to a [`Registry`].
pub fn main_with(registry: Registry) -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(problem) => {
            return ExitCode::from(tell(&problem));
        }
    };
    match run(arguments, &registry) {
        Ok(code) => ExitCode::from(code),
        Err(problem) => {
            complain!("{problem}");
            ExitCode::from(problem.exit_code())
        }
    }
}

/// Prints the help, or what is wrong with the arguments: the exit code.
fn tell(problem: &clap::Error) -> u8 {
    if problem.use_stderr() {
        // Where this cannot be printed there is no place left to say so.
        let _ = problem.print();
        return USAGE;
    }
    output::say(format_args!("{}", problem.render().to_string().trim_end()));
    0
}

fn run(arguments: Arguments, registry: &Registry) -> Result<u8, CliError> {
    let stop = watch_for_interrupts();
    let code = run_until(arguments, registry, &stop)?;
    // Whatever was left out has decided nothing.
    Ok(if code == 0 && stop.load(Ordering::SeqCst) { INTERRUPTED } else { code })
}

fn run_until(arguments: Arguments, registry: &Registry, stop: &Arc<AtomicBool>) -> Result<u8, CliError> {
    match arguments.command {
        Command::List(options) => list::run(&options, registry),
        Command::Check(options) => check::run(&options, registry, stop),
        Command::Sim(options) => sim::run(&options, registry, stop),
        Command::Replay(options) => replay::run(&options, registry),
        Command::Shrink(options) => shrink::run(&options, registry, stop),
        Command::Report(options) => report::run(&options, registry, stop),
        Command::Matrix(options) => matrix::run(&options, stop),
        Command::Numbers(options) => numbers::run(&options, registry),
        Command::Bench(options) => bench::run(&options, registry, stop),
        Command::Real(command) => run_real(command, stop),
        #[cfg(feature = "real-redis")]
        Command::RealWorker(options) => real::job::work(&options),
        #[cfg(all(feature = "real-zookeeper", feature = "real-mysql"))]
        Command::RealOrderWorker(options) => real_order::worker::work(&options),
    }
}

/// What runs on real servers, as far as this build can.
#[cfg_attr(not(feature = "real-redis"), allow(unused_variables, reason = "nothing runs that could be stopped"))]
fn run_real(command: RealCommand, stop: &AtomicBool) -> Result<u8, CliError> {
    match command {
        #[cfg(all(feature = "real-zookeeper", feature = "real-mysql"))]
        RealCommand { flow: Some(RealFlow::Order(options)), .. } => real_order::run(&options, stop),
        #[cfg(not(all(feature = "real-zookeeper", feature = "real-mysql")))]
        RealCommand { flow: Some(RealFlow::Order(_)), .. } => {
            Err(CliError::NotBuilt("real order".to_owned(), "real-zookeeper,real-mysql"))
        }
        #[cfg(feature = "real-redis")]
        RealCommand { lock: Some(options), .. } => real::run(&options, stop),
        #[cfg(not(feature = "real-redis"))]
        RealCommand { lock: Some(options), .. } => {
            Err(CliError::NotBuilt("real".to_owned(), guarded_by::GuardedBy::of(&options)?.features()[0]))
        }
        RealCommand { flow: None, lock: None } => {
            Err(CliError::Usage("name a lock with --lock, or a flow: `doublehold real order --spawn`".to_owned()))
        }
    }
}

/// The first interrupt asks the work to end and write what it has; the second ends it at once.
fn watch_for_interrupts() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let handler = move || {
        if flag.swap(true, Ordering::SeqCst) {
            std::process::exit(INTERRUPTED.into());
        }
        complain!("ending and writing what was found; once more to end at once");
    };
    if let Err(problem) = ctrlc::set_handler(handler) {
        complain!("interrupts will end the work at once: {problem}");
    }
    stop
}
