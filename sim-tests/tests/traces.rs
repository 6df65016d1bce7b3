//! Traces: garbage, foreign files and other versions get one clear error, and a trace that does not fit says where.

use doublehold::explore::follow::Diverged;
use doublehold::port::Ports;
use doublehold::property::CONVERGENCE;
use doublehold::report::{counterexample_of, replay, trace_from};
use doublehold::scenario::{
    About, Expectation, Parameters, Registry, SIMULATED, Scenario, Workload, program, setup_for,
};
use doublehold::trace::{Recorder, Trace, TraceError};
use doublehold::world::choice::Act;
use doublehold::world::cut::Partitions;
use doublehold::world::explored::{Explored, Remember};
use doublehold::world::fault::{Assumptions, Budgets};
use doublehold::world::setup::{ArrivalTime, ServiceSpec, Setup};
use doublehold::world::simulated::run;
use doublehold_models::ServiceConfig;
use doublehold_models::redis::Config;
use proptest::prelude::*;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn committed() -> Trace {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../reports/traces/redlock-clock-step.json");
    Trace::read(&path).expect("the trace is committed")
}

proptest! {
    #[test]
    fn garbage_is_an_error_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Trace::parse(&bytes, "garbage").is_err());
    }

    /// A trace with one byte changed is refused, or reads as another trace, which then replays or says why it does not.
    #[test]
    fn a_damaged_trace_never_panics(at in 0usize..4000, byte in any::<u8>()) {
        let mut bytes = committed().to_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(trace) = Trace::parse(&bytes, "damaged") {
            let small = trace.parameters.clients <= 8 && trace.parameters.operations <= 1000;
            if small {
                let _ = replay(&Registry::standard(), &trace);
                let _ = counterexample_of(&Registry::standard(), &trace);
            }
        }
    }
}

#[test]
fn a_trace_of_another_version_says_so() {
    let text = String::from_utf8(committed().to_bytes()).expect("JSON is text");
    let newer = text.replacen("\"version\": 1", "\"version\": 2", 1);
    let problem = Trace::parse(newer.as_bytes(), "newer").expect_err("it is of another version");
    assert!(matches!(problem, TraceError::Version { found: 2, .. }), "{problem}");
}

#[test]
fn a_trace_of_an_unknown_world_says_so() {
    let text = String::from_utf8(committed().to_bytes()).expect("JSON is text");
    let banana = text.replacen("\"world\": \"explored\"", "\"world\": \"banana\"", 1);
    let problem = Trace::parse(banana.as_bytes(), "banana").expect_err("there is no such world").to_string();
    assert!(problem.contains("there is no world 'banana'"), "{problem}");
}

#[test]
fn a_trace_that_does_not_fit_says_where() {
    let mut trace = committed();
    trace.schedule[4] = "client-7 → redis-9 SET #1: serve".to_owned();
    let problem = replay(&Registry::standard(), &trace).expect_err("there is no client 7");
    assert!(matches!(problem, TraceError::Diverged(Diverged { step: 5, .. })), "{problem}");
    let mut trace = committed();
    trace.events[3].what = "something else".to_owned();
    let problem = replay(&Registry::standard(), &trace).expect_err("the event differs");
    assert!(matches!(problem, TraceError::Different { line: 4, .. }), "{problem}");
    let mut trace = committed();
    trace.scenario = "nobody-knows".to_owned();
    let problem = replay(&Registry::standard(), &trace).expect_err("there is no such scenario");
    assert!(matches!(problem, TraceError::UnknownScenario(_)), "{problem}");
}

/// Clients that never come to their end.
#[derive(Clone)]
struct Endless;

impl Workload for Endless {
    async fn run<P: Ports>(&self, ports: P) {
        loop {
            ports.sleep(Duration::from_secs(70)).await;
        }
    }
}

impl Scenario for Endless {
    fn about(&self) -> About {
        About {
            name: "endless".into(),
            row: None,
            summary: "no client ends",
            source: "an example",
            fix: None,
            expects: Expectation::Violated(CONVERGENCE),
        }
    }

    fn defaults(&self) -> Parameters {
        Parameters {
            clients: 2,
            operations: 1,
            think_us_max: 0,
            budgets: Budgets::NONE,
            assumptions: Assumptions::default(),
            judged: Vec::new(),
        }
    }

    fn setup(&self, parameters: &Parameters, seed: u64) -> Setup {
        Setup {
            services: vec![ServiceSpec { name: "redis-0".into(), config: ServiceConfig::Redis(Config::default()) }],
            clients: parameters.clients,
            program: program(Endless),
            symmetric: true,
            arrival: ArrivalTime::AtStart,
            partitions: Partitions::Any,
            budgets: parameters.budgets,
            assumptions: parameters.assumptions,
            locks: Vec::new(),
            resources: Vec::new(),
            properties: Vec::new(),
            seed,
        }
    }
}

/// That a client has not ended at the horizon is seen by a replay that has come to the horizon, and by no other.
#[test]
fn convergence_is_established_by_the_replay() {
    let mut registry = Registry::default();
    registry.add(Arc::new(Endless));
    let parameters = Endless.defaults().simulated(&Endless.simulation());
    let setup = Arc::new(setup_for(&Endless, &parameters, 1, SIMULATED));
    let run = run(&setup, &Endless.simulation(), &[], Recorder::on()).unwrap_or_else(|problem| panic!("{problem}"));
    let trace = trace_from("endless", SIMULATED, &parameters, 1, &run.recorder, run.violation);
    assert!(trace.violation.as_ref().is_some_and(|violation| violation.property == CONVERGENCE));
    replay(&registry, &trace).expect("it replays");

    let mut early = trace.clone();
    early.schedule.pop();
    early.events.pop();
    let problem = replay(&registry, &early).expect_err("the horizon is not reached");
    assert!(matches!(problem, TraceError::Different { what: "verdicts", .. }), "{problem}");
    let mut other = trace;
    other.violation.as_mut().expect("it has one").what = "client-0 had not ended at 600000 ms".to_owned();
    let problem = replay(&registry, &other).expect_err("both have not ended");
    assert!(matches!(problem, TraceError::Different { what: "verdicts", .. }), "{problem}");
}

/// What shrinking leaves the search could have found: time passes only to moments that it offers.
#[test]
fn in_committed_traces_time_stops_where_the_search_stops() {
    let registry = Registry::standard();
    let (mut traces, mut stops) = (0, 0);
    let mut strange = Vec::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../reports/traces");
    for entry in std::fs::read_dir(folder).expect("traces are committed") {
        let trace = Trace::read(&entry.expect("it can be read").path()).expect("it is a trace");
        let found = counterexample_of(&registry, &trace).expect("it replays").expect("it breaks something");
        let scenario = registry.find(&trace.scenario).expect("it is in the catalogue");
        let setup = Arc::new(setup_for(scenario.as_ref(), &trace.parameters, trace.seed, found.world));
        let mut world = Explored::new(setup, Remember::Nothing, Recorder::off());
        let mut enabled = Vec::new();
        traces += 1;
        for choice in found.schedule {
            world.system().enabled(&mut enabled);
            if matches!(choice.act, Act::Advance(_)) {
                stops += 1;
                if !enabled.contains(&choice) {
                    strange.push(format!("{}: {}", trace.scenario, choice.name(world.system())));
                }
            }
            world.step(choice);
        }
    }
    assert!(traces > 60 && stops > 50, "{traces} traces, {stops} stops");
    assert_eq!(strange, Vec::<String>::new());
}
