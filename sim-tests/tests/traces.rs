//! Traces: garbage, foreign files and other versions get one clear error, and a trace that does not fit says where.

use doublehold::report::{counterexample_of, replay};
use doublehold::scenario::Registry;
use doublehold::trace::{Trace, TraceError};
use proptest::prelude::*;
use std::path::Path;

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
    assert!(matches!(problem, TraceError::Diverged { step: 5, .. }), "{problem}");
    let mut trace = committed();
    trace.events[3].what = "something else".to_owned();
    let problem = replay(&Registry::standard(), &trace).expect_err("the event differs");
    assert!(matches!(problem, TraceError::Different { line: 4, .. }), "{problem}");
    let mut trace = committed();
    trace.scenario = "nobody-knows".to_owned();
    let problem = replay(&Registry::standard(), &trace).expect_err("there is no such scenario");
    assert!(matches!(problem, TraceError::UnknownScenario(_)), "{problem}");
}
