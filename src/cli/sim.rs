//! `doublehold sim`.

use super::args::{SimOptions, fault_named, time};
use super::error::{CliError, INTERRUPTED};
use super::output::{Meter, clients_of, operations_of, save, select, trace_path, write_file};
use crate::property::{Property, silent};
use crate::report::{count, trace_from};
use crate::scenario::{Expectation, Parameters, Registry, SIMULATED, Scenario, Simulation, setup_for};
use crate::trace::{Recorder, Trace};
use crate::world::fault::Fault;
use crate::world::memories::Violation;
use crate::world::setup::{ServiceSpec, Setup};
use crate::world::simulated::{NotSimulated, Planned, Run, Target, run as run_seed};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// What a range of seeds gave.
struct Summary {
    scenario: Arc<dyn Scenario>,
    parameters: Parameters,
    seeds: u64,
    steps: u64,
    virtual_us: u64,
    /// The failures, the smallest seed first.
    failures: Vec<(u64, Violation)>,
    seconds: f64,
    /// All seeds that were asked for were run.
    complete: bool,
    /// Seeds that did not give the same twice.
    unsteady: Vec<u64>,
    /// In how many seeds each planned fault hit something.
    struck: Vec<u64>,
    properties: Vec<Arc<dyn Property>>,
    /// Those of them that found something to judge in some seed, a bit each.
    looked: u64,
}

impl Summary {
    /// What must happen sometimes and did in no seed: its name, and what it demands.
    fn never_happened(&self) -> Vec<(&'static str, &'static str)> {
        self.silent(true).map(|property| (property.name(), property.demands())).collect()
    }

    /// True if no seed failed and the verdict is vacuous: no property judged anything, or a `sometimes` never happened.
    fn is_vacuous(&self) -> bool {
        let judging = self.properties.iter().filter(|property| !property.must_be_seen()).count();
        self.failures.is_empty() && (self.silent(false).count() == judging || self.silent(true).next().is_some())
    }

    fn silent(&self, must_be_seen: bool) -> impl Iterator<Item = &Arc<dyn Property>> {
        silent(&self.properties, self.looked, must_be_seen)
    }
}

/// One seed's result, as a worker reports it.
struct Done {
    seed: u64,
    violation: Option<Violation>,
    steps: u64,
    virtual_us: u64,
    steady: bool,
    struck: Vec<bool>,
    looked: u64,
}

pub(super) fn run(options: &SimOptions, registry: &Registry, stop: &AtomicBool) -> Result<u8, CliError> {
    let scenarios = select(registry, &options.scenarios)?;
    let several = scenarios.len() > 1;
    let mut summaries = Vec::new();
    for scenario in scenarios {
        let job = Job::new(scenario, options)?;
        let summary = job.run(options, stop)?;
        print(&summary, options);
        if let Some((seed, violation)) = summary.failures.first() {
            let trace = job.trace(*seed, violation)?;
            let path = trace_path(options.trace.as_ref(), several, &trace.scenario);
            if !several || options.trace.is_some() {
                save(&trace, &path, options.json)?;
            }
        }
        summaries.push(summary);
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    if let Some(path) = &options.junit {
        write_file(path, &junit(&summaries, options.expected))?;
    }
    if let Some(summary) = summaries.iter().find(|summary| !summary.unsteady.is_empty()) {
        let (name, seed) = (summary.scenario.about().name, summary.unsteady[0]);
        return Err(CliError::Nondeterminism(format!("{name}, seed {seed}: the second run was another one")));
    }
    let interrupted = stop.load(Ordering::Relaxed);
    Ok(exit_code(&summaries, interrupted, options))
}

fn as_expected(summary: &Summary) -> bool {
    match (summary.scenario.about().expects, summary.failures.first()) {
        (Expectation::Holds, None) => !summary.is_vacuous(),
        (Expectation::Violated(property), Some((_, violation))) => violation.property == property,
        _ => false,
    }
}

fn exit_code(summaries: &[Summary], interrupted: bool, options: &SimOptions) -> u8 {
    if options.expected {
        // What was cut short has missed nothing yet.
        let decided = |summary: &&Summary| summary.complete || !interrupted || !summary.failures.is_empty();
        let missed = summaries.iter().filter(decided).filter(|summary| !as_expected(summary));
        let missed: Vec<String> = missed.map(|summary| summary.scenario.about().name).collect();
        let met = summaries.iter().filter(decided).filter(|summary| as_expected(summary)).count();
        if !missed.is_empty() {
            complain!("not as expected: {}", missed.join(", "));
        }
        if !options.json {
            say!("{met} of {} scenarios show what they are there to show", summaries.len());
        }
        return match (missed.is_empty(), interrupted) {
            (false, _) => 1,
            (true, true) => INTERRUPTED,
            (true, false) => 0,
        };
    }
    if summaries.iter().any(|summary| !summary.failures.is_empty()) {
        return 1;
    }
    // Seeds are samples. That all of those asked for were run and passed is what the user asked; anything less is unknown.
    // A planned fault that hit nothing has shown nothing; nor have seeds in which a `sometimes` never happened.
    let shown =
        |summary: &Summary| summary.complete && summary.struck.iter().all(|seeds| *seeds > 0) && !summary.is_vacuous();
    if summaries.iter().all(shown) && !interrupted { 0 } else { INTERRUPTED }
}

/// A scenario, ready to be run with many seeds.
struct Job {
    scenario: Arc<dyn Scenario>,
    simulation: Simulation,
    parameters: Parameters,
    planned: Vec<Planned>,
}

impl Job {
    fn new(scenario: &Arc<dyn Scenario>, options: &SimOptions) -> Result<Self, CliError> {
        let mut simulation = scenario.simulation();
        let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        if let Some(clients) = options.clients {
            simulation.clients = clients_of(scenario.as_ref(), clients)?;
        }
        if let Some(operations) = options.operations {
            simulation.operations = operations_of(scenario.as_ref(), operations)?;
        }
        if let Some(every) = options.fault_every {
            simulation.fault_every_us = us(every);
        }
        if let Some(after) = options.healthy_after {
            simulation.healthy_after_us = us(after);
        }
        // The healthy phase is at least as long as the default one.
        let healthy = Simulation::default().horizon_us - Simulation::default().healthy_after_us;
        simulation.horizon_us = simulation.horizon_us.max(simulation.healthy_after_us.saturating_add(healthy));
        let mut parameters = scenario.defaults().simulated(&simulation);
        let setup = setup_for(scenario.as_ref(), &parameters, 0, SIMULATED);
        let names = setup.node_names();
        let planned = options.fault_at.iter().map(|text| {
            let planned = plan(text, &names, simulation.clients)?;
            if !setup.can_suffer(planned.fault) {
                return Err(format!("no server of {} can have the fault {}", scenario.about().name, planned.fault));
            }
            check_target(text, &planned, &setup).map(|()| planned)
        });
        let planned = planned.collect::<Result<Vec<_>, String>>().map_err(CliError::Usage)?;
        for plan in &planned {
            parameters.budgets = parameters.budgets.with(plan.fault, u8::MAX);
            if parameters.assumptions.clock_steps_us.iter().next().is_none() {
                parameters.assumptions.clock_steps_us.0 = [1_000_000, -1_000_000];
            }
        }
        Ok(Job { scenario: Arc::clone(scenario), simulation, parameters, planned })
    }

    fn seed(&self, seed: u64, recorder: Recorder) -> Result<Run, NotSimulated> {
        let setup = Arc::new(setup_for(self.scenario.as_ref(), &self.parameters, seed, SIMULATED));
        run_seed(&setup, &self.simulation, &self.planned, recorder)
    }

    /// Runs all seeds on all cores.
    fn run(&self, options: &SimOptions, stop: &AtomicBool) -> Result<Summary, CliError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (first, end) = (options.seeds.first, options.seeds.end);
        let jobs = options.jobs.map_or(cores, usize::from).clamp(1, usize::try_from(end - first).unwrap_or(usize::MAX));
        let next = AtomicU64::new(first);
        let bound = AtomicU64::new(end);
        let started = Instant::now();
        let mut summary = self.empty();
        let worker = |report: Sender<Result<Done, NotSimulated>>| {
            while !stop.load(Ordering::Relaxed) && options.budget.is_none_or(|budget| started.elapsed() < budget) {
                let bound_now = bound.load(Ordering::Relaxed);
                // Never beyond the bound: the last seeds that there are have no successor.
                let after = |seed: u64| (seed < bound_now).then(|| seed + 1);
                let Ok(seed) = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, after) else { break };
                let done = self.one(seed, options.twice);
                let failed = matches!(&done, Ok(Done { violation: Some(_), .. }) | Err(_));
                if failed && !options.keep_going {
                    // Smaller seeds are still finished, so that the first failure is the same however many cores there are.
                    bound.fetch_min(seed, Ordering::Relaxed);
                }
                if report.send(done).is_err() {
                    break;
                }
            }
        };
        std::thread::scope(|scope| {
            let (sender, receiver) = channel();
            for _ in 0..jobs {
                let sender = sender.clone();
                scope.spawn(|| worker(sender));
            }
            drop(sender);
            self.collect(&receiver, &mut summary, options, end - first)
        })?;
        summary.seconds = started.elapsed().as_secs_f64();
        summary.failures.sort_by_key(|(seed, _)| *seed);
        summary.complete = summary.seeds >= end - first;
        Ok(summary)
    }

    fn empty(&self) -> Summary {
        Summary {
            scenario: Arc::clone(&self.scenario),
            parameters: self.parameters.clone(),
            seeds: 0,
            steps: 0,
            virtual_us: 0,
            failures: Vec::new(),
            seconds: 0.0,
            complete: false,
            unsteady: Vec::new(),
            struck: vec![0; self.planned.len()],
            properties: setup_for(self.scenario.as_ref(), &self.parameters, 0, SIMULATED).properties,
            looked: 0,
        }
    }

    fn one(&self, seed: u64, twice: bool) -> Result<Done, NotSimulated> {
        let recorder = || if twice { Recorder::on() } else { Recorder::off() };
        let run = self.seed(seed, recorder())?;
        let steady = if twice {
            let again = self.seed(seed, recorder())?;
            again.recorder.decisions == run.recorder.decisions
                && again.recorder.events == run.recorder.events
                && again.violation == run.violation
        } else {
            true
        };
        let Run { violation, steps, virtual_us, struck, looked, .. } = run;
        Ok(Done { seed, violation, steps, virtual_us, steady, struck, looked })
    }

    fn collect(
        &self,
        receiver: &Receiver<Result<Done, NotSimulated>>,
        summary: &mut Summary,
        options: &SimOptions,
        total: u64,
    ) -> Result<(), CliError> {
        let mut meter = Meter::new(Some(total), options.json);
        let name = self.scenario.about().name;
        for done in receiver {
            let done = done.map_err(|problem| CliError::Environment(problem.to_string()))?;
            summary.seeds += 1;
            summary.steps += done.steps;
            summary.virtual_us += done.virtual_us;
            summary.looked |= done.looked;
            summary.struck.iter_mut().zip(&done.struck).for_each(|(seeds, struck)| *seeds += u64::from(*struck));
            summary.unsteady.extend((!done.steady).then_some(done.seed));
            summary.failures.extend(done.violation.map(|violation| (done.seed, violation)));
            let failures = summary.failures.len();
            meter.show(summary.seeds, || format!("{name}: {} of {total} seeds, {failures} failures", summary.seeds));
        }
        meter.clear();
        Ok(())
    }

    /// Runs a failing seed again and writes everything down.
    fn trace(&self, seed: u64, violation: &Violation) -> Result<Trace, CliError> {
        let run = self.seed(seed, Recorder::on()).map_err(|problem| CliError::Environment(problem.to_string()))?;
        let name = self.scenario.about().name;
        if run.violation.as_ref() != Some(violation) {
            return Err(CliError::Nondeterminism(format!("{name}, seed {seed}: the second run was another one")));
        }
        Ok(trace_from(&name, SIMULATED, &self.parameters, seed, &run.recorder, run.violation))
    }
}

/// Reads `2s redis-0 clock-step`.
fn plan(text: &str, nodes: &[String], clients: usize) -> Result<Planned, String> {
    let [at, target, fault] = text.split_whitespace().collect::<Vec<_>>()[..] else {
        return Err(format!("'{text}' is not TIME TARGET FAULT, such as '2s redis-0 clock-step'"));
    };
    let at_us = u64::try_from(time(at)?.as_micros()).map_err(|_| format!("'{at}' is too long"))?;
    let fault = fault_named(fault)?;
    let node = nodes.iter().position(|name| name == target).map(Target::Node);
    let client = target.strip_prefix("client-").and_then(|number| number.parse().ok());
    let client = client.filter(|client| *client < clients).map(Target::Client);
    let target = node.or(client).ok_or_else(|| {
        format!("there is no '{target}'; there are client-0 to client-{} and {}", clients - 1, nodes.join(", "))
    })?;
    Ok(Planned { at_us, fault, target })
}

/// Refuses a fault that can never hit its target.
fn check_target(text: &str, planned: &Planned, setup: &Setup) -> Result<(), String> {
    let fault = planned.fault;
    let clients = || format!("client-0 to client-{}", setup.clients - 1);
    let of = |spec: &ServiceSpec| -> Vec<String> {
        let alone = Setup { services: vec![spec.clone()], ..setup.clone() };
        if alone.can_suffer(fault) { alone.node_names() } else { Vec::new() }
    };
    let nodes: Vec<String> = setup.services.iter().flat_map(of).collect();
    let (hits_clients, hits_nodes) = match fault {
        Fault::Pause | Fault::ClientCrash | Fault::ClientPowerLoss | Fault::ClientClockStep | Fault::SessionExpiry => {
            (true, false)
        }
        Fault::NodeCrash
        | Fault::NodePowerLoss
        | Fault::NodePause
        | Fault::ClockStep
        | Fault::SlowSync
        | Fault::Lag => (false, true),
        Fault::Break | Fault::Stall | Fault::Delay | Fault::Partition => (true, true),
    };
    let hits = match planned.target {
        Target::Client(_) => hits_clients,
        Target::Node(node) => hits_nodes && nodes.contains(&setup.node_names()[node]),
    };
    if hits {
        return Ok(());
    }
    let targets = if hits_clients { clients() } else { nodes.join(", ") };
    let target = text.split_whitespace().nth(1).unwrap_or_default();
    Err(format!("'{text}' can never hit: {fault} is no fault of {target}, but of {targets}"))
}

fn print(summary: &Summary, options: &SimOptions) {
    let name = summary.scenario.about().name;
    let virtual_s = summary.virtual_us as f64 / 1e6;
    if options.json {
        let failures: Vec<_> = summary
            .failures
            .iter()
            .map(|(seed, violation)| serde_json::json!({ "seed": seed, "property": violation.property, "what": violation.what }))
            .collect();
        let line = serde_json::json!({
            "scenario": name, "seeds": summary.seeds, "complete": summary.complete, "failures": failures,
            "as_expected": as_expected(summary), "vacuous": summary.is_vacuous(),
            "never_happened": summary.never_happened().iter().map(|(name, _)| *name).collect::<Vec<_>>(),
            "parameters": summary.parameters, "steps": summary.steps,
            "virtual_seconds": virtual_s, "seconds": summary.seconds,
        });
        say!("{line}");
        return;
    }
    match summary.failures.first() {
        Some((seed, violation)) => {
            say!("{name}: VIOLATED {} at seed {seed}: {}", violation.property, violation.what)
        }
        None if summary.complete && summary.is_vacuous() => say!("{name}: no failure, which says nothing (vacuous)"),
        None if summary.complete => say!("{name}: no failure"),
        None => say!("{name}: no failure in the seeds that were run; not all were"),
    }
    let Parameters { clients, operations, budgets, .. } = &summary.parameters;
    let kinds: Vec<&str> = budgets.iter().map(|(fault, _)| fault.name()).collect();
    let kinds = if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") };
    say!(
        "  {}, {} failing; {} × {}, faults {kinds}; {virtual_s:.0} s of virtual time, {} in {:.2} s",
        count(summary.seeds, "seed"),
        summary.failures.len(),
        count(*clients as u64, "client"),
        count(*operations as u64, "operation"),
        count(summary.steps, "step"),
        summary.seconds
    );
    for (name, demands) in summary.never_happened() {
        say!("  never happened: {name}: {demands}");
    }
    for (text, seeds) in options.fault_at.iter().zip(&summary.struck).filter(|(_, seeds)| **seeds < summary.seeds) {
        say!(
            "  the fault '{text}' hit something in {seeds} of {} seeds: in the others the clients had ended before, or its \
             target was not there to be hit",
            summary.seeds
        );
    }
    if let Some((seed, _)) = summary.failures.first() {
        say!("  run it again with: doublehold sim {name} --seeds {seed}{}", changes(options));
    }
}

/// The options that change what a seed does.
fn changes(options: &SimOptions) -> String {
    let mut text = String::new();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = write!(text, " --{name} {value}");
        }
    };
    let us = |time: Option<Duration>| time.map(|time| format!("{}us", time.as_micros()));
    add("clients", options.clients.map(|clients| clients.to_string()));
    add("operations", options.operations.map(|operations| operations.to_string()));
    add("fault-every", us(options.fault_every));
    add("healthy-after", us(options.healthy_after));
    for fault in &options.fault_at {
        add("fault-at", Some(format!("'{fault}'")));
    }
    text
}

/// One test case a scenario. With `expected` it fails where the scenario does not show what it is there to show.
fn junit(summaries: &[Summary], expected: bool) -> String {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let failed = |summary: &Summary| match (expected, summary.failures.is_empty()) {
        (false, none) => !none,
        (true, true) if !summary.complete => false,
        (true, _) => !as_expected(summary),
    };
    let failures = summaries.iter().filter(|summary| failed(summary)).count();
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"doublehold sim\" tests=\"{}\" failures=\"{failures}\">\n",
        summaries.len()
    );
    for summary in summaries {
        let name = escape(&summary.scenario.about().name);
        let _ = write!(text, "  <testcase name=\"{name}\" time=\"{:.3}\"", summary.seconds);
        match summary.failures.first() {
            None if !summary.complete => {
                text.push_str(">\n    <skipped message=\"unknown: not all seeds were run\"/>\n  </testcase>\n");
            }
            _ if !failed(summary) => text.push_str("/>\n"),
            None => text.push_str(">\n    <failure message=\"no failure, where one was expected\"/>\n  </testcase>\n"),
            Some((seed, violation)) => {
                let what = escape(&format!("{} at seed {seed}: {}", violation.property, violation.what));
                let _ = write!(text, ">\n    <failure message=\"{what}\"/>\n  </testcase>\n");
            }
        }
    }
    text.push_str("</testsuite>\n");
    text
}
