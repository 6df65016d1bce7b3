//! The requests and replies of MySQL, as plain data.

use crate::Blob;
use std::fmt;

/// A value of a column, an expression or a parameter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// `NULL`, which sorts before everything.
    Null,
    /// An integer.
    Int(i64),
    /// An integer of an unsigned column, or what was computed with one.
    UInt(u64),
    /// A text. Decimals, which sums of integers are, are texts too.
    Text(Blob),
    /// A moment, in microseconds since the epoch, UTC.
    DateTime(i64),
}

/// A statement.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// Its text, with `?` for parameters.
    pub sql: Blob,
    /// The parameters.
    pub params: Vec<Value>,
}

impl Request {
    /// A statement with its parameters.
    pub fn new(sql: impl Into<Blob>, params: impl Into<Vec<Value>>) -> Self {
        Request { sql: sql.into(), params: params.into() }
    }
}

impl Request {
    /// Its first word.
    pub fn name(&self) -> Blob {
        let word = self.sql.split(|byte| !byte.is_ascii_alphabetic()).next().unwrap_or_default();
        Blob::copy_from(word)
    }
}

/// Why a statement failed: MySQL's error code and SQLSTATE.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Failure {
    /// The code, such as 1062.
    pub code: u16,
    /// The state, such as `23000`.
    pub state: &'static str,
    /// What it says.
    pub message: Blob,
}

/// What a server sends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// The rows of a query.
    Rows {
        /// The columns' names.
        columns: Vec<Blob>,
        /// The rows.
        rows: Vec<Vec<Value>>,
    },
    /// A statement without rows was done.
    Done {
        /// The rows that it changed.
        affected: u64,
        /// The first number that `AUTO_INCREMENT` gave, 0 if none.
        last_insert_id: u64,
    },
    /// It failed.
    Failed(Failure),
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Int(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(Blob::copy_from(text.as_bytes()))
    }
}

impl From<&Blob> for Value {
    fn from(text: &Blob) -> Self {
        Value::Text(text.clone())
    }
}

impl Value {
    /// The integer, if it is one, or a decimal without a fraction.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            Value::UInt(number) => i64::try_from(*number).ok(),
            Value::Text(text) => text.to_int(),
            Value::Null | Value::DateTime(_) => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("NULL"),
            Value::Int(number) => number.fmt(f),
            Value::UInt(number) => number.fmt(f),
            Value::Text(text) => write!(f, "'{text}'"),
            Value::DateTime(us) => write!(f, "@{}.{:06}", us.div_euclid(1_000_000), us.rem_euclid(1_000_000)),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, values: &[Value]) -> fmt::Result {
    values.iter().enumerate().try_for_each(|(at, value)| write!(f, "{}{value}", if at > 0 { ", " } else { "" }))
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sql.fmt(f)?;
        if self.params.is_empty() {
            return Ok(());
        }
        f.write_str(" [")?;
        list(f, &self.params)?;
        f.write_str("]")
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Rows { rows, .. } => {
                write!(f, "{} rows", rows.len())?;
                rows.iter().try_for_each(|row| {
                    f.write_str(" (")?;
                    list(f, row)?;
                    f.write_str(")")
                })
            }
            Reply::Done { affected, .. } => write!(f, "{affected} changed"),
            Reply::Failed(Failure { code, state, message }) => write!(f, "error {code} ({state}): {message}"),
        }
    }
}
