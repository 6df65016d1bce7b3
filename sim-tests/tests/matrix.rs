//! The matrix: a part of the committed table is what this build writes, and its traces replay.

use doublehold::report::matrix::{Effort, line, row, selected};
use doublehold::report::replay;
use doublehold::scenario::Registry;
use doublehold::scenario::matrix::Stock;
use doublehold::trace::Trace;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// Rows whose every cell is exhausted in no time.
const QUICK: [&str; 7] = ["nothing", "in-process", "redis", "user-lock", "decrement", "version", "redis+version"];

fn reports() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../reports")
}

#[test]
fn the_committed_rows_are_what_this_build_finds() {
    let committed = std::fs::read_to_string(reports().join("matrix.md")).expect("the matrix is committed");
    let mut compared = 0;
    for stock in Stock::ALL {
        for one in selected(stock, &QUICK.map(str::to_owned)) {
            let found = line(&one, &row(stock, &one, Effort::default(), &AtomicBool::new(false)), true);
            let place = stock.name();
            assert!(
                committed.contains(&found),
                "{place}: run `doublehold matrix --output reports`; this build has\n{found}"
            );
            compared += 1;
        }
    }
    assert_eq!(compared, 12, "seven rows with the stock in MySQL, five with it in Redis");
}

#[test]
fn what_guards_the_write_never_oversells_where_the_database_keeps_what_it_has_answered() {
    let committed = std::fs::read_to_string(reports().join("matrix.md")).expect("the matrix is committed");
    let guarded = [
        "version",
        "decrement",
        "for-update",
        "redis+version",
        "redlock+version",
        "user-lock+version",
        "zookeeper+fence",
        "etcd+fence",
    ];
    let in_mysql = committed.split("## ").nth(1).expect("the first table is of the stock in MySQL");
    for name in guarded {
        let line = in_mysql.lines().find(|line| line.starts_with(&format!("| {name} |")));
        let cells: Vec<&str> = line.unwrap_or_else(|| panic!("no row {name}")).split(" | ").collect();
        let (failover, others) = cells.split_last().expect("a row has cells");
        assert!(others.iter().all(|cell| !cell.contains("oversells")), "{name}: {others:?}");
        assert!(failover.contains("oversells"), "{name}: a lost commit is beyond any lock: {failover}");
    }
    let unguarded = in_mysql.lines().find(|line| line.starts_with("| in-process |")).expect("a row");
    assert!(unguarded.contains("oversells"), "{unguarded}");
}

#[test]
fn the_committed_traces_of_the_matrix_replay() {
    let registry = Registry::standard();
    let mut count = 0;
    for file in std::fs::read_dir(reports().join("matrix")).expect("the traces are committed") {
        let path = file.expect("the folder can be read").path();
        let trace = Trace::read(&path).unwrap_or_else(|problem| panic!("{problem}"));
        replay(&registry, &trace).unwrap_or_else(|problem| panic!("{}: {problem}", path.display()));
        count += 1;
    }
    assert!(count >= 10, "only {count} traces are committed");
}
