//! The simulated MySQL against MariaDB 10.11: random transactions of several sessions, and the anomalies of the Hermitage catalogue;
//! rows, counts, errors, who waits, and the final tables compared.

mod generate;
mod hermitage;
mod real;

use doublehold_sim_tests::conformance::{Sweep, sweep};
use doublehold_sim_tests::mariadb_or_skip;
use real::Real;

/// Sequences of each family.
const SEQUENCES: u64 = 15;
const STEPS: usize = 40;

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
