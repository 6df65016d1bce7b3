//! What the suites share.

pub mod conformance;

pub mod own_lock;

pub mod programs;

pub mod real;

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
    or_skip(installed, "redis-server", what)
}

/// The same for ZooKeeper's classes and Java.
///
/// # Panics
/// If they are missing and must not be.
pub fn zookeeper_or_skip(what: &str) -> bool {
    let java = std::process::Command::new("java").arg("-version").output().is_ok();
    or_skip(java && std::path::Path::new(ZOOKEEPER_JAR).exists(), "ZooKeeper", what)
}

/// The same for etcd.
///
/// # Panics
/// If it is missing and must not be.
pub fn etcd_or_skip(what: &str) -> bool {
    let installed = std::process::Command::new("etcd").arg("--version").output().is_ok();
    or_skip(installed, "etcd", what)
}

/// The same for MariaDB.
///
/// # Panics
/// If it is missing and must not be.
pub fn mariadb_or_skip(what: &str) -> bool {
    let installed = std::process::Command::new("mariadbd").arg("--version").output().is_ok();
    or_skip(installed, "mariadbd", what)
}

/// Says loudly that something is skipped because it is not in this build; with `DOUBLEHOLD_REQUIRE_SERVERS` in the environment
/// that is an error.
///
/// # Panics
/// If it must not be skipped.
pub fn skip_unbuilt(what: &str, feature: &str) {
    assert!(
        std::env::var_os("DOUBLEHOLD_REQUIRE_SERVERS").is_none(),
        "{what} is not in this build (feature `{feature}` of doublehold-sim-tests), and DOUBLEHOLD_REQUIRE_SERVERS forbids to skip it"
    );
    eprintln!("\n*** SKIPPED: {what}: build with `--features doublehold-sim-tests/{feature}` ***\n");
}

/// Where Debian's package has ZooKeeper's classes.
const ZOOKEEPER_JAR: &str = "/usr/share/java/zookeeper.jar";

fn or_skip(installed: bool, program: &str, what: &str) -> bool {
    if !installed {
        assert!(
            std::env::var_os("DOUBLEHOLD_REQUIRE_SERVERS").is_none(),
            "{program} is not installed, and DOUBLEHOLD_REQUIRE_SERVERS forbids to skip {what}"
        );
        eprintln!("\n*** SKIPPED: {what}: {program} is not installed ***\n");
    }
    installed
}
