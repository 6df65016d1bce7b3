//! What commands share: choosing scenarios, parameters, progress, files.

use super::args::ScenarioOptions;
use super::error::CliError;
use crate::scenario::{Parameters, Registry, Scenario};
use crate::trace::{Trace, write_whole};
use crate::world::setup::Setup;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Plain progress lines come at most this often where there is no terminal.
const PLAIN_LINE_EVERY: Duration = Duration::from_secs(10);

/// The reader of standard output has gone: nothing more is printed.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Prints a line on standard output. Where its reader has gone the work goes on in silence, so that the exit code is the
/// verdict's; where it cannot be written for another reason the command ends as with any output that cannot be written.
pub(super) fn say(line: std::fmt::Arguments) {
    if CLOSED.load(Ordering::Relaxed) {
        return;
    }
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_fmt(line).and_then(|()| stdout.write_all(b"\n"));
    match written.and_then(|()| stdout.flush()) {
        Ok(()) => {}
        Err(problem) if problem.kind() == std::io::ErrorKind::BrokenPipe => CLOSED.store(true, Ordering::Relaxed),
        Err(problem) => {
            complain!("cannot write to standard output: {problem}");
            std::process::exit(super::error::ENVIRONMENT.into());
        }
    }
}

/// Prints a line on standard error. Where that cannot be written there is no place left to say so.
pub(super) fn complain(line: std::fmt::Arguments) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The scenarios that the patterns name.
pub(super) fn select<'a>(registry: &'a Registry, patterns: &[String]) -> Result<Vec<&'a Arc<dyn Scenario>>, CliError> {
    let mut selected: Vec<&Arc<dyn Scenario>> = Vec::new();
    for pattern in patterns {
        let found = registry.select(pattern);
        if found.is_empty() {
            let nearest = registry.nearest(pattern);
            return Err(CliError::UnknownScenario { name: pattern.clone(), nearest });
        }
        let new = found.into_iter().filter(|found| !selected.iter().any(|known| Arc::ptr_eq(known, found)));
        let new: Vec<_> = new.collect();
        selected.extend(new);
    }
    Ok(selected)
}

/// The scenario's parameters with the user's changes.
pub(super) fn parameters(scenario: &dyn Scenario, options: &ScenarioOptions) -> Result<Parameters, CliError> {
    let mut parameters = scenario.defaults();
    let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    if let Some(clients) = options.clients {
        parameters.clients = clients_of(scenario, clients)?;
    }
    if let Some(operations) = options.operations {
        parameters.operations = operations_of(scenario, operations)?;
    }
    for (fault, count) in options.faults.iter().flat_map(|list| &list.0) {
        parameters.budgets = parameters.budgets.with(*fault, *count);
    }
    parameters.judged = judged(&scenario.setup(&parameters, 1), scenario, options)?;
    let setup = scenario.setup(&parameters, 1);
    let asked = options.faults.iter().flat_map(|list| &list.0);
    if let Some((fault, _)) = asked.into_iter().find(|(fault, count)| *count > 0 && !setup.can_suffer(*fault)) {
        let name = scenario.about().name;
        return Err(CliError::Usage(format!("no server of {name} can have the fault {fault}")));
    }
    let assumptions = &mut parameters.assumptions;
    if let Some(limit) = options.delay {
        assumptions.delay_us_max = limit.0.map(us);
    }
    if let Some(limit) = options.pause {
        assumptions.pause_us_max = limit.0.map(us);
    }
    if let Some(drift) = options.drift {
        assumptions.drift_ppm_max = drift;
    }
    if let Some(offset) = options.offset {
        assumptions.offset_us_max = us(offset);
    }
    if options.expiries.is_some() {
        assumptions.expiries_max = options.expiries;
    }
    use crate::world::fault::Fault;
    let steps = parameters.budgets.left(Fault::ClockStep) + parameters.budgets.left(Fault::ClientClockStep);
    if steps > 0 && parameters.assumptions.clock_steps_us.iter().next().is_none() {
        // The scenario has no opinion: forward and back by a second, longer than any lease here.
        parameters.assumptions.clock_steps_us.0 = [1_000_000, -1_000_000];
    }
    Ok(parameters)
}

/// A number of clients, if it makes sense.
pub(super) fn clients_of(scenario: &dyn Scenario, clients: u8) -> Result<usize, CliError> {
    within(scenario, "--clients", clients.into(), &scenario.clients())
}

/// A number of operations, if it makes sense.
pub(super) fn operations_of(scenario: &dyn Scenario, operations: u32) -> Result<usize, CliError> {
    within(scenario, "--operations", operations as usize, &scenario.operations())
}

fn within(
    scenario: &dyn Scenario,
    option: &str,
    number: usize,
    range: &RangeInclusive<usize>,
) -> Result<usize, CliError> {
    if range.contains(&number) {
        return Ok(number);
    }
    let name = scenario.about().name;
    let makes_sense = match (range.start(), range.end()) {
        (first, last) if first == last => format!("{first}"),
        (first, &usize::MAX) => format!("{first} or more"),
        (first, last) => format!("{first} to {last}"),
    };
    Err(CliError::Usage(format!("{option} {number} makes no sense for {name}: {makes_sense} does")))
}

/// The properties to judge, of those that a scenario has; none for all of them.
fn judged(setup: &Setup, scenario: &dyn Scenario, options: &ScenarioOptions) -> Result<Vec<String>, CliError> {
    let known: Vec<&str> = setup.properties.iter().map(|property| property.name()).collect();
    let named = options.property.iter().chain(&options.except);
    if let Some(unknown) = named.into_iter().find(|name| !known.contains(&name.as_str())) {
        let name = scenario.about().name;
        return Err(CliError::Usage(format!("{name} does not judge '{unknown}'; it judges {}", known.join(", "))));
    }
    let is_judged = |name: &&str| match options.property.is_empty() {
        true => !options.except.iter().any(|except| except == name),
        false => options.property.iter().any(|property| property == name),
    };
    let judged: Vec<String> = known.iter().copied().filter(is_judged).map(str::to_owned).collect();
    if judged.is_empty() {
        return Err(CliError::Usage("--except leaves no property to judge".to_owned()));
    }
    Ok(if judged.len() == known.len() { Vec::new() } else { judged })
}

/// A bar or a spinner on a terminal, plain lines elsewhere, nothing where machines read.
pub(super) struct Meter {
    bar: ProgressBar,
    plain: bool,
    last: Instant,
}

impl Meter {
    /// `total`: the length of the bar, if it is known.
    pub(super) fn new(total: Option<u64>, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = match total {
            Some(total) => ProgressBar::new(total).with_style(
                ProgressStyle::with_template("{bar:30} {pos}/{len} {per_sec} {msg} eta {eta}")
                    .expect("a valid template"),
            ),
            None => ProgressBar::new_spinner(),
        };
        if quiet || !terminal {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        Meter { bar, plain: !quiet && !terminal, last: Instant::now() }
    }

    /// Shows where the work is.
    pub(super) fn show(&mut self, position: u64, message: impl FnOnce() -> String) {
        self.bar.set_position(position);
        if self.plain && self.last.elapsed() >= PLAIN_LINE_EVERY {
            self.last = Instant::now();
            complain(format_args!("… {}", message()));
        } else if !self.plain && !self.bar.is_hidden() {
            self.bar.set_message(message());
        }
    }

    /// Takes the bar off the screen.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// Where a scenario's trace goes.
pub(super) fn trace_path(wanted: Option<&PathBuf>, several: bool, scenario: &str) -> PathBuf {
    match wanted {
        Some(folder) if several => folder.join(format!("{scenario}.json")),
        Some(file) => file.clone(),
        None => PathBuf::from(format!("doublehold-{scenario}.json")),
    }
}

/// Writes a trace and says how to replay it.
pub(super) fn save(trace: &Trace, path: &Path, quiet: bool) -> Result<(), CliError> {
    trace.write(path)?;
    if !quiet {
        say!("replay it with: doublehold replay {}", path.display());
    }
    Ok(())
}

/// Writes a file, whole or not at all, making its folder.
pub(super) fn write_file(path: &Path, text: &str) -> Result<(), CliError> {
    write_whole(path, text.as_bytes()).map_err(|source| CliError::Write { path: path.display().to_string(), source })
}
