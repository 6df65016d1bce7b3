//! doublehold's command with a lock of one's own beside the built-in ones.

use doublehold::scenario::Registry;
use doublehold_sim_tests::own_lock::LookThenTakeScenario;
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    let mut registry = Registry::standard();
    registry.add(Arc::new(LookThenTakeScenario));
    doublehold::cli::main_with(registry)
}
