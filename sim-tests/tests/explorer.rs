//! The explorer: exact state counts, reduction that loses nothing, minimal counterexamples, limits that are told.

use doublehold::explore::exhaustive::{Exhaustive, Reduction};
use doublehold::explore::pct::Pct;
use doublehold::explore::random::Random;
use doublehold::explore::strategy::{Begin, Coverage, Strategy};
use doublehold::explore::{Cause, Limits, Verdict, check};
use doublehold::report::counterexample_of;
use doublehold::scenario::{Expectation, Parameters, Registry, Scenario};
use doublehold::shrink::without;
use doublehold::trace::Trace;
use doublehold::world::choice::Choice;
use doublehold::world::clock::Reading;
use doublehold::world::explored::{Explored, Remember};
use doublehold::world::fault::{Budgets, Fault};
use doublehold::world::inputs::{Input, Inputs};
use doublehold::world::seat::{SeatPorts, Task, Told};
use doublehold::world::setup::Program;
use doublehold_sim_tests::{exhaust, scenario};
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

fn ttl_lock(clients: usize, expiries: u8) -> Parameters {
    let mut parameters = scenario("ttl-lock").defaults();
    parameters.clients = clients;
    parameters.assumptions.expiries_max = Some(expiries);
    parameters
}

#[test]
fn the_number_of_states_is_exact() {
    fn count(clients: usize, expiries: u8, reduction: Reduction, expected: u64) {
        let (report, _) = exhaust(scenario("ttl-lock").as_ref(), &ttl_lock(clients, expiries), reduction);
        assert_eq!(report.verdict, Verdict::Holds);
        assert_eq!(report.progress.states, Some(expected), "{clients} clients, {expiries} expiries, {reduction:?}");
    }
    count(2, 0, Reduction::NONE, 139);
    count(2, 1, Reduction::NONE, 1_029);
    count(3, 0, Reduction::NONE, 1_909);
    count(3, 0, Reduction::ALL, 361);
    count(3, 1, Reduction::ALL, 6_301);
}

/// A program that counts how often a client's code is run from its start.
struct Counted {
    program: Arc<dyn Program>,
    starts: Arc<AtomicU64>,
}

impl Program for Counted {
    fn start(&self, ports: SeatPorts) -> Task {
        self.starts.fetch_add(1, Ordering::Relaxed);
        self.program.start(ports)
    }
}

/// What comes again in another order of the other clients is looked up.
#[test]
fn clients_code_runs_only_where_its_history_is_new() {
    let mut setup = scenario("ttl-lock").setup(&ttl_lock(3, 1), 1);
    let starts = Arc::new(AtomicU64::new(0));
    setup.program = Arc::new(Counted { program: setup.program, starts: Arc::clone(&starts) });
    let stop = AtomicBool::new(false);
    let report = check(&Arc::new(setup), &mut Exhaustive::new(Reduction::ALL), &Limits::default(), &stop, &mut |_| ());
    assert_eq!(report.progress.states, Some(6_301));
    let (starts, executions) = (starts.load(Ordering::Relaxed), report.progress.executions);
    assert!(starts * 5 < executions, "clients' code was started {starts} times in {executions} executions");
}

#[test]
fn a_history_of_any_length_is_kept_and_dropped() {
    let at = |mono_us| Input { now: Reading { mono_us, wall_us: 0 }, told: Told::Start };
    let mut inputs = Inputs::none();
    (0..1_000_000).for_each(|mono_us| inputs.push(at(mono_us)));
    let last = inputs.last().expect("it was told something");
    assert_eq!(last.all().len(), 1_000_000);
    // The same told in the same place is one input, told otherwise it is another.
    let (mut same, mut other) = (Inputs::none(), Inputs::none());
    same.push(at(1));
    other.clone_from(&same);
    let known = same.clone();
    same.push(at(2));
    other.push(at(2));
    assert!(Rc::ptr_eq(same.last().expect("told"), other.last().expect("told")));
    let mut later = known;
    later.push(at(3));
    assert!(!Rc::ptr_eq(same.last().expect("told"), later.last().expect("told")));
}

#[test]
fn reduction_changes_neither_verdicts_nor_final_states() {
    let partial_order = Reduction { partial_order: true, symmetry: false };
    let symmetry = Reduction { partial_order: false, symmetry: true };
    let names = ["ttl-lock", "redis-lock", "redlock-clock-step-fixed", "pause-past-expiry-fixed", "redlock-parallel"];
    let ensembles = ["zk-sequential", "zk-herd", "zk-read-write", "etcd-mutex"];
    let mysql = ["mysql-unguarded-version", "mysql-unguarded-for-update", "mysql-lock-table", "mysql-user-lock"];
    for name in names.into_iter().chain(ensembles).chain(mysql) {
        let scenario = scenario(name);
        let mut parameters = scenario.defaults();
        if mysql.contains(&name) {
            parameters.clients = 3;
        }
        if name == "ttl-lock" {
            parameters = ttl_lock(2, 1);
        }
        let (full, all_states) = exhaust(scenario.as_ref(), &parameters, Reduction::NONE);
        let (reduced, fewer_states) = exhaust(scenario.as_ref(), &parameters, partial_order);
        assert_eq!(full.verdict, reduced.verdict, "{name}");
        assert_eq!(all_states.finals(), fewer_states.finals(), "{name}: final states");
        assert!(!all_states.finals().is_empty(), "{name} has final states");
        let (symmetric, _) = exhaust(scenario.as_ref(), &parameters, symmetry);
        assert_eq!(full.verdict, symmetric.verdict, "{name}");
        assert!(symmetric.progress.states <= full.progress.states, "{name}");
    }
}

/// A restart is no budgeted fault, but a delivery may not overtake it: the next request would be refused.
#[test]
fn reduction_keeps_every_final_state_around_a_node_crash() {
    let partial_order = Reduction { partial_order: true, symmetry: false };
    for name in ["pause-past-expiry-fixed", "ambiguous-set-fixed"] {
        let scenario = scenario(name);
        let mut parameters = scenario.defaults();
        parameters.budgets = Budgets::NONE.with(Fault::NodeCrash, 1);
        let finals = |reduction| {
            let mut setup = scenario.setup(&parameters, 1);
            setup.properties.clear();
            let mut strategy = Exhaustive::new(reduction);
            strategy.collect_finals();
            let stop = AtomicBool::new(false);
            let report = check(&Arc::new(setup), &mut strategy, &Limits::default(), &stop, &mut |_| ());
            assert_eq!(report.verdict, Verdict::Unknown { cause: Cause::NothingJudged }, "{name}");
            strategy.finals()
        };
        assert_eq!(finals(Reduction::NONE), finals(partial_order), "{name}");
    }
}

fn first_violation(name: &str, clients: usize, budgets: Budgets) -> String {
    let scenario = scenario(name);
    let parameters = Parameters { clients, budgets, ..scenario.defaults() };
    match exhaust(scenario.as_ref(), &parameters, Reduction::ALL).0.verdict {
        Verdict::Violated(violation) => violation.property,
        other => other.name().to_owned(),
    }
}

/// A client that waits for ever is told, whatever faults could still have ended its wait.
#[test]
fn an_unspent_fault_hides_no_deadlock() {
    let stall = Budgets::NONE.with(Fault::Stall, 1);
    assert_eq!(first_violation("redis-lock", 1, stall), "deadlock");
    assert_eq!(first_violation("redis-lock", 1, stall.with(Fault::ClientCrash, 1)), "deadlock");
}

/// A client is told of a broken connection even if the server crashes before it is.
#[test]
fn a_crash_swallows_no_break() {
    let budgets = Budgets::NONE.with(Fault::Break, 1).with(Fault::NodeCrash, 1);
    assert_ne!(first_violation("redis-lock-break", 2, budgets), "deadlock");
}

#[test]
fn reduction_hides_no_violation() {
    let registry = Registry::standard();
    let broken = |scenario: &&Arc<dyn Scenario>| scenario.about().expects != Expectation::Holds;
    for scenario in registry.select("mutant-*").into_iter().filter(broken) {
        let parameters = scenario.defaults();
        let (full, _) = exhaust(scenario.as_ref(), &parameters, Reduction::NONE);
        let (reduced, _) = exhaust(scenario.as_ref(), &parameters, Reduction::ALL);
        assert!(matches!(full.verdict, Verdict::Violated(_)), "{}", scenario.about().name);
        assert!(matches!(reduced.verdict, Verdict::Violated(_)), "{}", scenario.about().name);
    }
}

/// The committed ones, which the test of the catalogue compares with what a search finds.
#[test]
fn counterexamples_are_minimal() {
    let registry = Registry::standard();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../reports/traces");
    let mut counterexamples = 0;
    for entry in std::fs::read_dir(folder).expect("traces are committed") {
        let trace = Trace::read(&entry.expect("it can be read").path()).expect("it is a trace");
        let scenario = registry.find(&trace.scenario).expect("it is in the catalogue");
        let found = counterexample_of(&registry, &trace).expect("it replays").expect("it breaks something");
        counterexamples += 1;
        for at in 0..found.schedule.len() {
            let shorter = without(scenario.as_ref(), &found, at);
            assert!(shorter.is_none(), "{}: step {at} of {} can go", trace.scenario, found.schedule.len());
        }
    }
    assert!(counterexamples > 100, "{counterexamples} counterexamples are committed");
}

/// Counts the lengths of the executions of a strategy.
struct Lengths {
    inner: Random,
    begun: bool,
    counts: BTreeMap<usize, u64>,
}

impl Strategy for Lengths {
    fn begin(&mut self, world: &Explored, executions_left: u64) -> Option<Begin> {
        if std::mem::replace(&mut self.begun, true) {
            *self.counts.entry(world.schedule().len()).or_default() += self.inner.executions();
        }
        self.inner.begin(world, executions_left)
    }
    fn choose(&mut self, world: &Explored, enabled: &mut Vec<Choice>) -> Option<usize> {
        self.inner.choose(world, enabled)
    }
    fn executions(&self) -> u64 {
        self.inner.executions()
    }
    fn remembers(&self) -> Remember {
        self.inner.remembers()
    }
    fn coverage(&self) -> Coverage {
        self.inner.coverage()
    }
}

/// Executions that share what they have in common are drawn as those that do not: as often of each length.
#[test]
fn a_flock_walks_as_its_walkers_would_alone() {
    const EXECUTIONS: u64 = 40_000;
    let lengths = |inner: Random| {
        let setup = Arc::new(scenario("ttl-lock").setup(&ttl_lock(2, 1), 1));
        let limits = Limits { executions_max: Some(EXECUTIONS), ..Limits::default() };
        let mut strategy = Lengths { inner, begun: false, counts: BTreeMap::new() };
        let report = check(&setup, &mut strategy, &limits, &AtomicBool::new(false), &mut |_| ());
        assert_eq!(report.progress.executions, EXECUTIONS);
        strategy.counts
    };
    let (flock, alone) = (lengths(Random::new(3)), lengths(Random::alone(4)));
    assert!(flock.len() > 3, "{flock:?}");
    for length in flock.keys().chain(alone.keys()) {
        let share = |counts: &BTreeMap<usize, u64>| *counts.get(length).unwrap_or(&0) as f64 / EXECUTIONS as f64;
        let (flock, alone) = (share(&flock), share(&alone));
        assert!((flock - alone).abs() < 0.015, "length {length}: {flock} in a flock, {alone} alone");
    }
}

#[test]
fn random_and_pct_find_a_clock_step() {
    let scenario = scenario("redlock-clock-step");
    let setup = Arc::new(scenario.setup(&scenario.defaults(), 1));
    let limits = Limits { executions_max: Some(50_000), ..Limits::default() };
    let stop = AtomicBool::new(false);
    let random = check(&setup, &mut Random::new(1), &limits, &stop, &mut |_| ());
    assert!(matches!(random.verdict, Verdict::Violated(_)), "{random:?}");
    let pct = check(&setup, &mut Pct::new(1, 4), &limits, &stop, &mut |_| ());
    assert!(matches!(pct.verdict, Verdict::Violated(_)), "{pct:?}");
}

#[test]
fn a_search_that_was_cut_never_holds() {
    let scenario = scenario("redlock");
    let setup = Arc::new(scenario.setup(&scenario.defaults(), 1));
    let unknown = |limits: Limits, stop: bool, expected: Cause| {
        let mut strategy = Exhaustive::new(Reduction::ALL);
        let report = check(&setup, &mut strategy, &limits, &AtomicBool::new(stop), &mut |_| ());
        assert_eq!(report.verdict, Verdict::Unknown { cause: expected });
    };
    unknown(Limits { steps_max: 5, ..Limits::default() }, false, Cause::Steps);
    unknown(Limits { executions_max: Some(3), ..Limits::default() }, false, Cause::Executions);
    unknown(Limits { states_max: Some(100), ..Limits::default() }, false, Cause::States);
    unknown(Limits { memory_bytes_max: Some(100_000), ..Limits::default() }, false, Cause::Memory);
    unknown(Limits::default(), true, Cause::Interrupted);
    let limits = Limits { executions_max: Some(10), ..Limits::default() };
    let sampled = check(&setup, &mut Random::new(1), &limits, &AtomicBool::new(false), &mut |_| ());
    assert!(matches!(sampled.verdict, Verdict::Unknown { .. }));
}
