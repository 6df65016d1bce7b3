//! The catalogue: each scenario shows what it is there to show, explored and simulated.

use doublehold::explore::exhaustive::{Exhaustive, Reduction};
use doublehold::explore::{Cause, Limits, Verdict, check};
use doublehold::property::silent;
use doublehold::report::catalogue::{Finding, examine, index, scenarios, trace_file};
use doublehold::scenario::{EXPLORED, Expectation, Registry, SIMULATED, Scenario, setup_for};
use doublehold::trace::Recorder;
use doublehold::world::fault::Fault;
use doublehold::world::simulated::run;
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Each published failure is found within this many seeds of the simulated world, and its fix survives them.
const SEEDS: u64 = 300;

/// What needs a coincidence that sampling does not meet within the seeds; the explorer finds it.
const TOO_RARE_TO_SAMPLE: [&str; 6] = [
    "mutant-drift-ignored",
    "mutant-unlock-only-where-acquired",
    "redis-lock-break",
    "mutant-order-late-script",
    "no-lock-delay",
    "wait-on-another-connection",
];

/// Rows with more states take too long for each run of the tests: `doublehold report --check` searches them all, and so
/// does this test with `DOUBLEHOLD_CATALOGUE=all`.
const STATES_MAX: u64 = 50_000;

/// The committed reports were written by a release build; this test runs in a debug build too.
#[test]
fn the_explored_world_finds_what_is_broken_and_passes_what_is_sound_as_the_committed_reports_say() {
    let all = std::env::var("DOUBLEHOLD_CATALOGUE").is_ok_and(|rows| rows == "all");
    let committed = std::fs::read_to_string(reports().join("README.md")).expect("the index is committed");
    let registry = Registry::standard();
    let rows: Vec<&Arc<dyn Scenario>> = scenarios(&registry).collect();
    let (quick, slow): (Vec<&Arc<dyn Scenario>>, Vec<_>) =
        rows.iter().partition(|scenario| all || states(&committed, &scenario.about().name) <= STATES_MAX);
    println!("{} rows, and without {} that have more than {STATES_MAX} states", quick.len(), slow.len());
    assert!(slow.len() * 5 < rows.len(), "{} of {} rows are left to the report", slow.len(), rows.len());
    let known_bad = quick.iter().filter(|scenario| scenario.about().name.starts_with("mutant-")).count();
    assert!(known_bad >= 8, "the checker is tried on {known_bad} known-bad locks only");
    let findings: Vec<Finding> = quick.par_iter().with_max_len(1).map(|scenario| finds(scenario.as_ref())).collect();
    let found = index(&findings);
    let line = |index: &str, name: &str| line_of(index, name).unwrap_or_else(|| panic!("{name} has a line")).to_owned();
    for finding in &findings {
        let name = &finding.about.name;
        assert_eq!(line(&found, name), line(&committed, name), "reports/README.md differs: run `doublehold report`");
        let mut sections = sections_of(&found, name).zip(sections_of(&committed, name));
        assert!(sections.all(|(found, committed)| found == committed), "{name}: run `doublehold report`");
    }
    assert!(!all || committed == found, "reports/README.md differs: run `doublehold report`");
}

/// Searches a scenario: it shows what it is there to show, by the committed trace.
fn finds(scenario: &dyn Scenario) -> Finding {
    let finding = examine(scenario, &Limits::default(), &AtomicBool::new(false));
    let name = &finding.about.name;
    assert!(finding.as_expected(), "{name}: {:?}", finding.report.verdict);
    assert_everything_was_reached(scenario, &finding);
    if let Some(trace) = &finding.trace {
        let path = reports().join(trace_file(name));
        let committed = std::fs::read(&path).unwrap_or_else(|problem| panic!("{}: {problem}", path.display()));
        assert!(committed == trace.to_bytes(), "{} differs: run `doublehold report`", path.display());
    }
    finding
}

/// The line of a scenario in the index's table.
fn line_of<'a>(index: &'a str, name: &str) -> Option<&'a str> {
    index.lines().find(|line| line.starts_with(&format!("| {name} |")) || line.starts_with(&format!("| [{name}](")))
}

/// What the index says of a scenario below its table.
fn sections_of<'a>(index: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let heading = format!(" {name}");
    index
        .split("\n## ")
        .skip(1)
        .filter(move |section| section.lines().next().is_some_and(|line| line.ends_with(&heading)))
}

/// How many states the committed index says that a scenario has. One that it does not know has none.
fn states(index: &str, name: &str) -> u64 {
    let covered = line_of(index, name).and_then(|line| line.split_once(" states,"));
    let number = covered.and_then(|(before, _)| before.rsplit(' ').next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn reports() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../reports")
}

/// A scenario that holds says what must happen sometimes, and all of it did.
fn assert_everything_was_reached(scenario: &dyn Scenario, finding: &Finding) {
    if finding.about.expects != Expectation::Holds {
        return;
    }
    let name = &finding.about.name;
    let properties = setup_for(scenario, &finding.parameters, 0, EXPLORED).properties;
    let sometimes: Vec<_> = properties.iter().filter(|property| property.must_be_seen()).collect();
    assert!(!sometimes.is_empty(), "{name} declares nothing that must happen sometimes");
    for property in sometimes {
        let never = finding.report.never_happened.iter().any(|(unseen, _)| *unseen == property.name());
        assert!(!never, "{name}: never {}", property.name());
    }
}

/// Pauses that are too short for a lease to end in are no pauses.
#[test]
fn what_must_happen_sometimes_and_never_does_makes_a_verdict_vacuous() {
    let registry = Registry::standard();
    let scenario = registry.find("redis-lock").expect("it is in the catalogue").as_ref();
    let mut parameters = scenario.defaults();
    parameters.assumptions.delay_us_max = Some(0);
    parameters.budgets = parameters.budgets.with(Fault::Pause, 1);
    let stop = AtomicBool::new(false);
    for (pause_us, lease_ends) in [(1_000, false), (150_000, true)] {
        parameters.assumptions.pause_us_max = Some(pause_us);
        parameters.judged = vec!["leak".to_owned(), "sometimes-lease-ends".to_owned()];
        let setup = Arc::new(setup_for(scenario, &parameters, 0, EXPLORED));
        let report = check(&setup, &mut Exhaustive::new(Reduction::ALL), &Limits::default(), &stop, &mut |_| {});
        let never = Verdict::Unknown { cause: Cause::NeverHappened };
        assert_eq!(report.verdict, if lease_ends { Verdict::Holds } else { never }, "pauses of {pause_us} µs");
        assert_eq!(report.never_happened.is_empty(), lease_ends);
    }
    // What must happen sometimes judges nothing: where it happened and nothing was judged, nothing was seen.
    parameters.judged = vec!["fencing-order".to_owned(), "sometimes-lease-ends".to_owned()];
    let setup = Arc::new(setup_for(scenario, &parameters, 0, EXPLORED));
    let report = check(&setup, &mut Exhaustive::new(Reduction::ALL), &Limits::default(), &stop, &mut |_| {});
    assert_eq!(report.verdict, Verdict::Unknown { cause: Cause::NothingJudged });
}

#[test]
fn every_published_failure_has_a_broken_and_a_fixed_variant() {
    let registry = Registry::standard();
    let redis = [
        "R1", "R2", "R3", "R4", "R5", "R7", "R8", "R9", "R10", "R12", "R13", "R14", "R15", "R16", "R17", "R18", "R19",
        "R20", "R24", "R25", "R26", "R27", "R28", "R29", "R30", "R31", "R32", "R33", "R34",
    ];
    let zookeeper = ["Z1", "Z2", "Z3", "Z4", "Z5", "Z6", "Z7", "Z9", "Z11"];
    let mysql = ["M1", "M2", "M5", "M6", "M8"];
    let flows =
        ["S1", "S2", "S4", "S5", "S6", "S7", "S8", "S9", "S10", "S11", "S12", "S13", "S14", "S15", "M9", "M10", "X1"];
    for row in redis.into_iter().chain(zookeeper).chain(mysql).chain(flows) {
        let variants = registry.iter().map(|scenario| scenario.about()).filter(|about| about.row == Some(row));
        let variants: Vec<_> = variants.collect();
        assert!(variants.iter().any(|about| matches!(about.expects, Expectation::Violated(_))), "{row}");
        assert!(variants.iter().any(|about| about.expects == Expectation::Holds && about.fix.is_some()), "{row}");
    }
}

#[test]
fn the_simulated_world_finds_what_is_broken_and_passes_what_is_sound() {
    let registry = Registry::standard();
    let rows: Vec<&Arc<dyn Scenario>> = scenarios(&registry).collect();
    rows.par_iter().with_max_len(1).for_each(|scenario| simulates(scenario.as_ref()));
}

/// Simulates a scenario with one seed after the other: it shows what it is there to show.
fn simulates(scenario: &dyn Scenario) {
    let about = scenario.about();
    if TOO_RARE_TO_SAMPLE.contains(&about.name.as_str()) {
        return;
    }
    let simulation = scenario.simulation();
    let parameters = scenario.defaults().simulated(&simulation);
    let mut looked = 0;
    let found = (0..SEEDS).find_map(|seed| {
        let setup = Arc::new(setup_for(scenario, &parameters, seed, SIMULATED));
        let run = run(&setup, &simulation, &[], Recorder::off()).unwrap_or_else(|problem| panic!("{problem}"));
        looked |= run.looked;
        run.violation.map(|violation| (seed, violation))
    });
    match (about.expects, found) {
        (Expectation::Holds, None) => {
            let properties = setup_for(scenario, &parameters, 0, SIMULATED).properties;
            let never: Vec<_> = silent(&properties, looked, true).collect();
            assert!(never.is_empty(), "{}: never happened: {never:?}", about.name);
        }
        (Expectation::Violated(property), Some((_, violation))) => {
            assert_eq!(violation.property, property, "{}", about.name);
        }
        (_, found) => panic!("{}: expected {:?}, found {found:?}", about.name, about.expects),
    }
}
