//! What the suites share.

pub mod conformance;

pub mod own_lock;

use doublehold::explore::exhaustive::{Exhaustive, Reduction};
use doublehold::explore::{Limits, Report, check};
use doublehold::scenario::{Parameters, Registry, Scenario};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The scenario with this name.
pub fn scenario(name: &str) -> Arc<dyn Scenario> {
    Registry::standard().find(name).unwrap_or_else(|| panic!("there is no scenario {name}")).clone()
}

/// Searches a scenario exhaustively.
pub fn exhaust(scenario: &dyn Scenario, parameters: &Parameters, reduction: Reduction) -> (Report, Exhaustive) {
    let setup = Arc::new(scenario.setup(parameters, 1));
    let mut strategy = Exhaustive::new(reduction);
    strategy.collect_finals();
    let report = check(&setup, &mut strategy, &Limits::default(), &AtomicBool::new(false), &mut |_| ());
    (report, strategy)
}

/// True if redis-server can be started. Says loudly what is skipped otherwise; with
/// `DOUBLEHOLD_REQUIRE_SERVERS` in the environment skipping is an error.
///
/// # Panics
/// If the server is missing and must not be.
pub fn redis_server_or_skip(what: &str) -> bool {
    let installed = std::process::Command::new("redis-server").arg("--version").output().is_ok();
    if !installed {
        assert!(
            std::env::var_os("DOUBLEHOLD_REQUIRE_SERVERS").is_none(),
            "redis-server is not installed, and DOUBLEHOLD_REQUIRE_SERVERS forbids to skip {what}"
        );
        eprintln!("\n*** SKIPPED: {what}: redis-server is not installed ***\n");
    }
    installed
}
