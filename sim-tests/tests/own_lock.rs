//! A lock of one's own: checked from a test, and by the command.

use doublehold::explore::Verdict;
use doublehold::explore::exhaustive::Reduction;
use doublehold::scenario::Scenario;
use doublehold_sim_tests::exhaust;
use doublehold_sim_tests::own_lock::LookThenTakeScenario;
use std::process::Command;

#[test]
fn the_checker_is_called_from_a_test() {
    let scenario = LookThenTakeScenario;
    let (report, _) = exhaust(&scenario, &scenario.defaults(), Reduction::ALL);
    let Verdict::Violated(violation) = report.verdict else { panic!("{:?}", report.verdict) };
    assert_eq!(violation.property, "belief");
}

#[test]
fn the_command_knows_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = Command::new(env!("CARGO_BIN_EXE_own-lock"))
        .args(["check", "look-then-take"])
        .current_dir(folder.path())
        .output()
        .expect("the command runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("VIOLATED belief"));
    assert!(folder.path().join("doublehold-look-then-take.json").exists());
}
