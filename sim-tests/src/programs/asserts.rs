//! Asserts: what hand-written programs are made of, and what searches must say about them.

use super::host::*;
use std::time::Duration;

/// A workload: the code of one client.
#[macro_export]
macro_rules! clients {
    ($(#[$doc:meta])* $name:ident($ports:ident) $body:block) => {
        $(#[$doc])*
        #[derive(Clone)]
        struct $name;

        impl Workload for $name {
            async fn run<P: Ports>(&self, $ports: P) $body
        }
    };
}

/// So many milliseconds.
pub const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// `SET key value`.
pub fn set(key: &'static str, value: impl Into<Blob>) -> Command {
    Command::new("SET").arg(key).arg(value)
}

/// `SET key value NX PX ttl`.
pub fn set_nx(key: &'static str, value: impl Into<Blob>, ttl_ms: u64) -> Command {
    set(key, value).arg("NX").arg("PX").arg(ttl_ms)
}

/// `GET key`.
pub fn get(key: &'static str) -> Command {
    Command::new("GET").arg(key)
}

/// `DEL key`.
pub fn del(key: &'static str) -> Command {
    Command::new("DEL").arg(key)
}

/// True if the answer is OK.
pub fn is_ok(outcome: &Outcome<Value>) -> bool {
    matches!(outcome, Outcome::Ok(reply) if reply.is_ok())
}

/// All reductions, each alone, and none.
pub const REDUCTIONS: [Reduce; 4] = [Reduce::Nothing, Reduce::PartialOrder, Reduce::Symmetry, Reduce::All];

/// Searches with all reductions, with each alone and with none all find that this property is broken.
#[track_caller]
pub fn assert_violated(world: &World, property: &str) {
    for reduce in REDUCTIONS {
        assert_eq!(world.exhaust(reduce), Judged::violated(property), "{reduce:?}, {}", world.assumed());
    }
}

/// No search accuses anybody. It need not say that the program holds: there may be too little in it to be judged.
#[track_caller]
pub fn assert_not_accused(world: &World) {
    for reduce in REDUCTIONS {
        let judged = world.exhaust(reduce);
        assert!(!matches!(judged, Judged::Violated(_)), "{reduce:?}, {}: {judged:?}", world.assumed());
    }
}

/// Searches with all reductions, with each alone and with none all find an execution that records this mark.
#[track_caller]
pub fn assert_reached(world: &World, label: &'static str) {
    for reduce in REDUCTIONS {
        assert!(world.reaches(label, reduce), "{label} is not reached by a search with {reduce:?}");
    }
}

/// No search finds an execution that records this mark.
#[track_caller]
pub fn assert_not_reached(world: &World, label: &'static str) {
    for reduce in REDUCTIONS {
        assert!(!world.reaches(label, reduce), "{label} is reached by a search with {reduce:?}");
    }
}
