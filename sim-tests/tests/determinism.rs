//! Determinism: the same seed gives the same bytes, run after run. That debug and release builds write the same reports
//! is judged in `catalogue.rs`.

use doublehold::explore::Limits;
use doublehold::port::Blob;
use doublehold::report::catalogue::examine;
use doublehold::report::{replay, trace_from};
use doublehold::scenario::{Registry, SIMULATED, setup_for};
use doublehold::trace::{Recorder, Trace};
use doublehold::world::simulated::run;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

fn reports() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../reports")
}

#[test]
fn the_committed_traces_replay() {
    let registry = Registry::standard();
    let mut count = 0;
    for file in std::fs::read_dir(reports().join("traces")).expect("the traces are committed") {
        let path = file.expect("the folder can be read").path();
        let trace = Trace::read(&path).unwrap_or_else(|problem| panic!("{problem}"));
        replay(&registry, &trace).unwrap_or_else(|problem| panic!("{}: {problem}", path.display()));
        assert_eq!(trace.to_bytes(), std::fs::read(&path).expect("it was read before"), "{}", path.display());
        count += 1;
    }
    assert!(count >= 8, "only {count} traces are committed");
}

#[test]
fn a_seed_gives_the_same_bytes_twice_and_replays_in_the_explored_world() {
    let registry = Registry::standard();
    for scenario in registry.iter() {
        let about = scenario.about();
        let simulation = scenario.simulation();
        let parameters = scenario.defaults().simulated(&simulation);
        let bytes = |seed| {
            let setup = Arc::new(setup_for(scenario.as_ref(), &parameters, seed, SIMULATED));
            let run = run(&setup, &simulation, &[], Recorder::on()).unwrap_or_else(|problem| panic!("{problem}"));
            trace_from(&about.name, SIMULATED, &parameters, seed, &run.recorder, run.violation)
        };
        let (once, again) = (bytes(14), bytes(14));
        assert!(once.to_bytes() == again.to_bytes(), "{}: two runs of one seed differ", about.name);
        replay(&registry, &once).unwrap_or_else(|problem| panic!("{}: {problem}", about.name));
    }
}

/// Searches that run one after the other on a thread, or beside simulations, are those of threads of their own.
#[test]
fn what_a_thread_did_before_changes_no_search() {
    let registry = Registry::standard();
    for name in ["redis-lock", "redisson-lock", "zk-sequential", "mysql-version", "pause-past-expiry"] {
        let scenario = registry.find(name).unwrap_or_else(|| panic!("no {name}")).as_ref();
        let search = || {
            let found = examine(scenario, &Limits::default(), &AtomicBool::new(false));
            (found.report.progress.states, found.report.progress.executions, found.trace.map(|trace| trace.to_bytes()))
        };
        let fresh = std::thread::scope(|scope| scope.spawn(search).join().expect("it ends"));
        let simulation = scenario.simulation();
        let parameters = scenario.defaults().simulated(&simulation);
        let setup = Arc::new(setup_for(scenario, &parameters, 3, SIMULATED));
        run(&setup, &simulation, &[], Recorder::off()).unwrap_or_else(|problem| panic!("{problem}"));
        assert!(Blob::from("client-0/1") < Blob::from("client-1/1"), "it orders the names of two clients");
        assert!(search() == fresh, "{name}: after other work a search differs");
    }
}
