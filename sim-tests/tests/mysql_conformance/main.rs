//! The simulated MySQL against MariaDB 10.11: random transactions of several sessions, and the anomalies of the Hermitage catalogue;
//! rows, counts, errors, who waits, and the final tables compared.

mod generate;
mod hermitage;
mod real;

use doublehold_sim_tests::conformance::{Step, Sweep, Tally, sweep};
use doublehold_sim_tests::mariadb_or_skip;
use generate::statement;
use real::Real;
use std::time::Duration;

/// Sequences of each family.
const SEQUENCES: u64 = 15;
const STEPS: usize = 40;

/// Waits that end because they have lasted too long: of rows, which take back the statement, and of user locks.
#[test]
fn waits_end_as_on_the_real_server() {
    if !mariadb_or_skip("waits that end, on a real server") {
        return;
    }
    let mut real = Real::start();
    let mut tally = Tally::default();
    let long = Step::Sleep(Duration::from_millis(1600));
    let rows = |level: &str| {
        let begin = |client| statement(client, "BEGIN", Vec::new());
        vec![
            statement(0, "CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL)", Vec::new()),
            statement(0, "INSERT INTO t (id, v) VALUES (1, 10), (2, 20)", Vec::new()),
            statement(1, "SET SESSION innodb_lock_wait_timeout = 1", Vec::new()),
            statement(1, format!("SET SESSION TRANSACTION ISOLATION LEVEL {level}"), Vec::new()),
            begin(0),
            begin(1),
            statement(0, "UPDATE t SET v = 11 WHERE id = 1", Vec::new()),
            statement(1, "UPDATE t SET v = 22 WHERE id = 2", Vec::new()),
            statement(1, "UPDATE t SET v = v + 1 WHERE id <= 2", Vec::new()),
            long.clone(),
            // What it had done before stays.
            statement(1, "SELECT id, v FROM t ORDER BY id", Vec::new()),
            statement(0, "COMMIT", Vec::new()),
            statement(1, "COMMIT", Vec::new()),
            statement(0, "SELECT id, v FROM t ORDER BY id", Vec::new()),
        ]
    };
    for level in ["READ COMMITTED", "REPEATABLE READ"] {
        tally.compare(&mut real, &format!("a row at {level}"), &rows(level));
    }
    let user_lock = [
        statement(0, "SELECT GET_LOCK('a', 0)", Vec::new()),
        statement(1, "SELECT GET_LOCK('a', 1)", Vec::new()),
        statement(2, "SELECT GET_LOCK('a', 20)", Vec::new()),
        long,
        statement(1, "SELECT IS_FREE_LOCK('a')", Vec::new()),
        statement(0, "SELECT RELEASE_LOCK('a')", Vec::new()),
        statement(2, "SELECT RELEASE_LOCK('a')", Vec::new()),
    ];
    tally.compare(&mut real, "a user lock", &user_lock);
    assert_eq!(tally.complete, 3, "{tally}");
}

#[test]
fn random_sequences_get_the_same_replies() {
    if !mariadb_or_skip("the MySQL conformance suite") {
        return;
    }
    let plan = Sweep {
        families: &generate::FAMILIES,
        generate: generate::sequence,
        sequences: SEQUENCES,
        steps: STEPS,
        complete_percent_min: 70,
    };
    println!("MySQL conformance: {}", sweep(&mut Real::start(), &plan));
}
