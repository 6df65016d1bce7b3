//! The matrix: a part of the committed table is what this build writes, and its traces replay.

use doublehold::report::matrix::{Effort, row, selected};
use doublehold::report::replay;
use doublehold::scenario::Registry;
use doublehold::scenario::matrix::{COLUMNS, Column, Stock};
use doublehold::trace::Trace;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// Rows whose cells are exhausted in no time, but for those of some columns.
const QUICK: [&str; 7] = ["nothing", "in-process", "redis", "user-lock", "decrement", "version", "redis+version"];

const SLOW: [&str; 3] = ["sentinel-failover", "split-brain", "cluster-failover"];

fn reports() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../reports")
}

#[test]
fn the_committed_rows_are_what_this_build_finds() {
    let committed = std::fs::read_to_string(reports().join("matrix.md")).expect("the matrix is committed");
    let is_quick = |column: &Column| !SLOW.contains(&column.name);
    let columns: Vec<Column> = COLUMNS.into_iter().filter(is_quick).collect();
    let mut compared = 0;
    for (stock, table) in Stock::ALL.into_iter().zip(committed.split("## ").skip(1)) {
        for one in selected(stock, &QUICK.map(str::to_owned)) {
            let (place, name) = (stock.name(), one.name());
            let line = table.lines().find(|line| line.starts_with(&format!("| {name} |")));
            let line = line.unwrap_or_else(|| panic!("{place}: no row {name}"));
            let committed = line.split(" | ").skip(1).map(|cell| cell.trim_end_matches(" |"));
            let committed = COLUMNS.iter().zip(committed).filter(|(column, _)| is_quick(column));
            let found = row(stock, &one, &columns, Effort::default(), &AtomicBool::new(false));
            let found: Vec<String> = found.iter().map(|cell| cell.text(true)).collect();
            let committed: Vec<&str> = committed.map(|(_, cell)| cell).collect();
            assert_eq!(found, committed, "{place}, {name}: run `doublehold matrix --output reports`");
            compared += found.len();
        }
    }
    assert_eq!(compared, 12 * columns.len(), "seven rows with the stock in MySQL, five with it in Redis");
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
