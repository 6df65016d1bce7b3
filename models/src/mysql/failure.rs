//! The errors that the server knows, with their codes and states.

use super::Dialect;
use super::parse::NotModelled;
use super::wire::{Failure, Reply};
use crate::Blob;
use std::fmt::Display;

/// Why a statement does not go on.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Stop {
    /// It fails, and with it what it has done so far.
    Failed(Failure),
    /// The whole transaction is rolled back.
    Deadlock,
    /// It waits for a lock.
    Blocked,
    /// The model does not have this.
    NotModelled(String),
}

pub(super) type Done<T> = Result<T, Stop>;

fn failure<T>(code: u16, state: &'static str, message: impl Display) -> Done<T> {
    Err(Stop::Failed(Failure { code, state, message: Blob::from(message.to_string()) }))
}

pub(super) fn not_modelled<T>(what: impl Display) -> Done<T> {
    Err(Stop::NotModelled(what.to_string()))
}

pub(super) fn unknown_column<T>(name: &Blob) -> Done<T> {
    failure(1054, "42S22", format!("Unknown column '{name}'"))
}

pub(super) fn ambiguous_column<T>(name: &Blob) -> Done<T> {
    failure(1052, "23000", format!("Column '{name}' is ambiguous"))
}

pub(super) fn unknown_table<T>(name: &Blob) -> Done<T> {
    failure(1146, "42S02", format!("Table '{name}' doesn't exist"))
}

pub(super) fn table_exists<T>(name: &Blob) -> Done<T> {
    failure(1050, "42S01", format!("Table '{name}' already exists"))
}

pub(super) fn unknown_dropped_table<T>(name: &Blob) -> Done<T> {
    failure(1051, "42S02", format!("Unknown table '{name}'"))
}

pub(super) fn is_null<T>(column: &Blob) -> Done<T> {
    failure(1048, "23000", format!("Column '{column}' cannot be null"))
}

pub(super) fn no_default<T>(column: &Blob) -> Done<T> {
    failure(1364, "HY000", format!("Field '{column}' doesn't have a default value"))
}

pub(super) fn out_of_range<T>(column: &Blob) -> Done<T> {
    failure(1264, "22003", format!("Out of range value for column '{column}'"))
}

pub(super) fn number_out_of_range<T>(what: &str) -> Done<T> {
    failure(1690, "22003", format!("{what} value is out of range"))
}

pub(super) fn too_long<T>(column: &Blob) -> Done<T> {
    failure(1406, "22001", format!("Data too long for column '{column}'"))
}

pub(super) fn wrong_value<T>(column: &Blob, dialect: Dialect) -> Done<T> {
    let state = match dialect {
        Dialect::MariaDb => "22007",
        Dialect::MySql8 => "HY000",
    };
    failure(1366, state, format!("Incorrect value for column '{column}'"))
}

pub(super) fn duplicate<T>(key: &Blob) -> Done<T> {
    failure(1062, "23000", format!("Duplicate entry for key '{key}'"))
}

/// `malformed`: the table that cannot be created.
pub(super) fn malformed_foreign_key<T>(malformed: &Blob) -> Done<T> {
    let what =
        format!("Can't create table '{malformed}' (errno: 150 \"Foreign key constraint is incorrectly formed\")");
    failure(1005, "HY000", what)
}

pub(super) fn no_parent<T>(child: &Blob) -> Done<T> {
    let what = "Cannot add or update a child row: a foreign key constraint fails";
    failure(1452, "23000", format!("{what} ('{child}')"))
}

pub(super) fn has_children<T>(child: &Blob) -> Done<T> {
    let what = "Cannot delete or update a parent row: a foreign key constraint fails";
    failure(1451, "23000", format!("{what} ('{child}')"))
}

pub(super) fn column_count<T>() -> Done<T> {
    failure(1136, "21S01", "Column count doesn't match value count")
}

pub(super) fn unknown_savepoint<T>(name: &Blob) -> Done<T> {
    failure(1305, "42000", format!("SAVEPOINT {name} does not exist"))
}

pub(super) fn isolation_in_transaction<T>() -> Done<T> {
    failure(1568, "25001", "Transaction characteristics can't be changed while a transaction is in progress")
}

pub(super) fn lock_wait_timeout() -> Stop {
    let message = "Lock wait timeout exceeded; try restarting transaction";
    Stop::Failed(Failure { code: 1205, state: "HY000", message: message.into() })
}

/// `NOWAIT`, and a row is locked.
pub(super) fn is_locked(dialect: Dialect) -> Stop {
    match dialect {
        Dialect::MariaDb => lock_wait_timeout(),
        Dialect::MySql8 => {
            let message = "Statement aborted because lock(s) could not be acquired immediately and NOWAIT is set.";
            Stop::Failed(Failure { code: 3572, state: "HY000", message: message.into() })
        }
    }
}

fn deadlock() -> Failure {
    let message = "Deadlock found when trying to get lock; try restarting transaction";
    Failure { code: 1213, state: "40001", message: message.into() }
}

impl From<&NotModelled> for Stop {
    fn from(NotModelled(what): &NotModelled) -> Self {
        Stop::NotModelled(what.clone())
    }
}

impl Stop {
    /// What the client is told.
    ///
    /// # Panics
    /// If there is nothing to tell: the statement waits, or the model does not have it.
    pub(super) fn reply(&self) -> Reply {
        match self {
            Stop::Failed(failure) => Reply::Failed(failure.clone()),
            Stop::Deadlock => Reply::Failed(deadlock()),
            Stop::NotModelled(what) => panic!("no client is told that {what} is not modelled"),
            Stop::Blocked => panic!("a statement that waits has no reply"),
        }
    }
}
