//! Expressions: what they are worth for a row, and what a column takes of a value.

use super::Dialect;
use super::ast::{Aggregate, Column, ColumnType, Expr, Function, Operator};
use super::collation::{key_value, trimmed};
use super::failure::{
    Done, ambiguous_column, is_null, not_modelled, number_out_of_range, out_of_range, too_long, unknown_column,
    wrong_value,
};
use super::wire::Value;
use crate::Blob;
use std::cmp::Ordering;

/// A row of a table, by the name that the statement gives the table.
#[derive(Clone, Copy)]
pub(super) struct Bound<'a> {
    pub alias: &'a Blob,
    pub columns: &'a [Column],
    pub values: &'a [Value],
}

/// What an expression may refer to.
#[derive(Clone, Copy)]
pub(super) struct Env<'a> {
    pub rows: &'a [Bound<'a>],
    pub params: &'a [Value],
    /// The server's wall clock when the statement began, in microseconds.
    pub now_us: i64,
    pub last_insert_id: u64,
    pub row_count: i64,
    /// In `ON DUPLICATE KEY UPDATE`: the row that could not be inserted.
    pub inserted: Option<&'a [Value]>,
    /// The rows of a group, for aggregates.
    pub group: Option<&'a [Vec<Bound<'a>>]>,
}

fn truth(value: bool) -> Value {
    Value::Int(value.into())
}

fn number(value: &Value) -> Option<i128> {
    match value {
        Value::Int(number) => Some((*number).into()),
        Value::UInt(number) => Some((*number).into()),
        _ => None,
    }
}

/// How two values stand to each other; nothing if one is null.
pub(super) fn compare(left: &Value, right: &Value) -> Done<Option<Ordering>> {
    Ok(Some(match (left, right) {
        (Value::Null, _) | (_, Value::Null) => return Ok(None),
        (Value::Text(left), Value::Text(right)) => trimmed(left).cmp(trimmed(right)),
        (Value::DateTime(left), Value::DateTime(right)) => left.cmp(right),
        (left, right) => match (number(left), number(right)) {
            (Some(left), Some(right)) => left.cmp(&right),
            _ => return not_modelled(format!("to compare {left} with {right}")),
        },
    }))
}

/// True, false or neither.
pub(super) fn is_true(value: &Value) -> Done<Option<bool>> {
    match value {
        Value::Null => Ok(None),
        Value::Int(number) => Ok(Some(*number != 0)),
        Value::UInt(number) => Ok(Some(*number != 0)),
        other => not_modelled(format!("{other} as a condition")),
    }
}

impl<'a> Env<'a> {
    fn column(&self, table: Option<&Blob>, name: &Blob) -> Done<Value> {
        let mut found = None;
        for row in self.rows.iter().filter(|row| table.is_none_or(|table| row.alias == table)) {
            let Some(place) = row.columns.iter().position(|column| column.name == *name) else { continue };
            if found.replace(row.values[place].clone()).is_some() {
                return ambiguous_column(name);
            }
        }
        found.map_or_else(|| unknown_column(name), Ok)
    }

    /// True if a condition holds; one that is null does not.
    pub(super) fn holds(&self, condition: &Expr) -> Done<bool> {
        Ok(is_true(&self.eval(condition)?)?.unwrap_or(false))
    }

    /// What an expression is worth.
    pub(super) fn eval(&self, expr: &Expr) -> Done<Value> {
        match expr {
            Expr::Column(table, name) => self.column(table.as_ref(), name),
            Expr::Value(value) => Ok(value.clone()),
            Expr::Param(at) => match self.params.get(*at) {
                Some(value) => Ok(value.clone()),
                None => not_modelled(format!("a statement with {} parameters where it needs more", self.params.len())),
            },
            Expr::Not(inner) => Ok(is_true(&self.eval(inner)?)?.map_or(Value::Null, |holds| truth(!holds))),
            Expr::Negative(inner) => match self.eval(inner)? {
                Value::Null => Ok(Value::Null),
                Value::Int(number) => {
                    number.checked_neg().map_or_else(|| number_out_of_range("BIGINT"), |number| Ok(Value::Int(number)))
                }
                other => not_modelled(format!("the negative of {other}")),
            },
            Expr::Binary(operator, left, right) => self.binary(*operator, left, right),
            Expr::IsNull(inner) => Ok(truth(self.eval(inner)? == Value::Null)),
            Expr::In(inner, list) => self.is_in(inner, list),
            Expr::Between(inner, low, high) => {
                let value = self.eval(inner)?;
                let above = compare(&value, &self.eval(low)?)?.map(Ordering::is_ge);
                let below = compare(&value, &self.eval(high)?)?.map(Ordering::is_le);
                Ok(match (above, below) {
                    (Some(false), _) | (_, Some(false)) => truth(false),
                    (Some(true), Some(true)) => truth(true),
                    _ => Value::Null,
                })
            }
            Expr::AddInterval(moment, count, unit_us) => match (self.eval(moment)?, self.eval(count)?) {
                (Value::Null, _) | (_, Value::Null) => Ok(Value::Null),
                (Value::DateTime(us), count) => match count.as_int().and_then(|count| count.checked_mul(*unit_us)) {
                    Some(more) => Ok(Value::DateTime(us.saturating_add(more))),
                    None => not_modelled(format!("an interval of {count}")),
                },
                (other, _) => not_modelled(format!("{other} and an interval")),
            },
            Expr::Call(function, args) => self.call(*function, args),
            Expr::Aggregate(aggregate, of, distinct) => self.aggregate(*aggregate, of.as_deref(), *distinct),
        }
    }

    /// Two sides of a comparison. A sum is a decimal, written as text; beside a number it is one.
    fn comparable(&self, left: Value, right: Value) -> (Value, Value) {
        let decimal = |value: &Value| match value {
            Value::Text(text) if self.group.is_some() => text.to_int().map(Value::Int),
            _ => None,
        };
        match (number(&left), number(&right)) {
            (None, Some(_)) => (decimal(&left).unwrap_or(left), right),
            (Some(_), None) => {
                let decimal = decimal(&right).unwrap_or(right);
                (left, decimal)
            }
            _ => (left, right),
        }
    }

    fn is_in(&self, inner: &Expr, list: &[Expr]) -> Done<Value> {
        let value = self.eval(inner)?;
        let mut unknown = value == Value::Null;
        for one in list {
            match compare(&value, &self.eval(one)?)? {
                Some(Ordering::Equal) => return Ok(truth(true)),
                Some(_) => {}
                None => unknown = true,
            }
        }
        Ok(if unknown { Value::Null } else { truth(false) })
    }

    fn binary(&self, operator: Operator, left: &Expr, right: &Expr) -> Done<Value> {
        if let Operator::And | Operator::Or = operator {
            return self.logic(operator == Operator::Or, left, right);
        }
        let (left, right) = self.comparable(self.eval(left)?, self.eval(right)?);
        let ordered = |holds: fn(Ordering) -> bool| {
            Ok(compare(&left, &right)?.map_or(Value::Null, |ordering| truth(holds(ordering))))
        };
        match operator {
            Operator::Equal => ordered(Ordering::is_eq),
            Operator::NotEqual => ordered(Ordering::is_ne),
            Operator::Less => ordered(Ordering::is_lt),
            Operator::LessOrEqual => ordered(Ordering::is_le),
            Operator::Greater => ordered(Ordering::is_gt),
            Operator::GreaterOrEqual => ordered(Ordering::is_ge),
            Operator::NullSafeEqual => Ok(truth(match compare(&left, &right)? {
                Some(ordering) => ordering.is_eq(),
                None => left == right,
            })),
            Operator::Add | Operator::Subtract | Operator::Multiply | Operator::Modulo => {
                arithmetic(operator, &left, &right)
            }
            Operator::And | Operator::Or => unreachable!("decided above"),
        }
    }

    /// `AND`, or `OR` if `decisive` is true: one side that is so decides alone.
    fn logic(&self, decisive: bool, left: &Expr, right: &Expr) -> Done<Value> {
        let left = is_true(&self.eval(left)?)?;
        if left == Some(decisive) {
            return Ok(truth(decisive));
        }
        Ok(match (left, is_true(&self.eval(right)?)?) {
            (_, Some(right)) if right == decisive => truth(decisive),
            (Some(_), Some(_)) => truth(!decisive),
            _ => Value::Null,
        })
    }

    fn call(&self, function: Function, args: &[Expr]) -> Done<Value> {
        let arg = |at: usize| self.eval(&args[at]);
        match function {
            Function::Now(digits) => Ok(Value::DateTime(truncate(self.now_us, digits))),
            Function::LastInsertId => Ok(Value::UInt(self.last_insert_id)),
            Function::RowCount => Ok(Value::Int(self.row_count)),
            Function::IfNull => match arg(0)? {
                Value::Null => arg(1),
                value => Ok(value),
            },
            Function::If => {
                if self.holds(&args[0])? {
                    arg(1)
                } else {
                    arg(2)
                }
            }
            Function::Least | Function::Greatest => {
                let (left, right) = (arg(0)?, arg(1)?);
                Ok(match compare(&left, &right)? {
                    None => Value::Null,
                    Some(ordering) if ordering.is_le() == (function == Function::Least) => left,
                    Some(_) => right,
                })
            }
            Function::Inserted => match (self.inserted, &args[0]) {
                (Some(values), Expr::Column(None, name)) => {
                    let place = self.rows[0].columns.iter().position(|column| column.name == *name);
                    place.map_or_else(|| unknown_column(name), |place| Ok(values[place].clone()))
                }
                _ => not_modelled("VALUES() here"),
            },
            Function::GetLock | Function::ReleaseLock | Function::IsFreeLock => {
                not_modelled("a function of user locks within an expression, or beside others")
            }
        }
    }

    fn aggregate(&self, aggregate: Aggregate, of: Option<&Expr>, distinct: bool) -> Done<Value> {
        let Some(group) = self.group else { return not_modelled("an aggregate here") };
        let Some(of) = of else { return Ok(Value::Int(group.len() as i64)) };
        let mut values = Vec::new();
        for rows in group {
            match (Env { rows, group: None, ..*self }).eval(of)? {
                Value::Null => {}
                value if distinct && values.iter().any(|other| key_value(other) == key_value(&value)) => {}
                value => values.push(value),
            }
        }
        match aggregate {
            Aggregate::Count => Ok(Value::Int(values.len() as i64)),
            Aggregate::Sum => {
                let numbers: Option<Vec<i128>> = values.iter().map(number).collect();
                match numbers {
                    None => not_modelled("SUM of what are no integers"),
                    Some(numbers) if numbers.is_empty() => Ok(Value::Null),
                    // A sum of integers is a decimal.
                    Some(numbers) => Ok(Value::Text(Blob::from(numbers.iter().sum::<i128>().to_string()))),
                }
            }
            Aggregate::Min | Aggregate::Max => {
                let mut best = Value::Null;
                for value in values {
                    let better = compare(&value, &best)?
                        .is_none_or(|ordering| ordering.is_lt() == (aggregate == Aggregate::Min));
                    if better {
                        best = value;
                    }
                }
                Ok(best)
            }
        }
    }
}

fn arithmetic(operator: Operator, left: &Value, right: &Value) -> Done<Value> {
    if *left == Value::Null || *right == Value::Null {
        return Ok(Value::Null);
    }
    let (Some(first), Some(second)) = (number(left), number(right)) else {
        return not_modelled(format!("to compute with {left} and {right}"));
    };
    let result = match operator {
        Operator::Add => first + second,
        Operator::Subtract => first - second,
        Operator::Multiply => first.checked_mul(second).unwrap_or(i128::MAX),
        _ if second == 0 => return Ok(Value::Null),
        _ => first % second,
    };
    let unsigned = matches!(left, Value::UInt(_)) || matches!(right, Value::UInt(_));
    if unsigned {
        u64::try_from(result).map_or_else(|_| number_out_of_range("BIGINT UNSIGNED"), |number| Ok(Value::UInt(number)))
    } else {
        i64::try_from(result).map_or_else(|_| number_out_of_range("BIGINT"), |number| Ok(Value::Int(number)))
    }
}

/// What the last of so many digits after the second stands for, in microseconds.
fn unit_us(digits: u32) -> i64 {
    10_i64.pow(6 - digits.min(6))
}

/// A moment with so many digits after the second; what is behind them is cut off.
fn truncate(us: i64, digits: u32) -> i64 {
    us.div_euclid(unit_us(digits)) * unit_us(digits)
}

/// What a column takes of a value.
pub(super) fn store(column: &Column, value: Value, dialect: Dialect) -> Done<Value> {
    let whole = match (&column.kind, &value) {
        (_, Value::Null) if column.not_null => return is_null(&column.name),
        (_, Value::Null) => return Ok(value),
        (ColumnType::Int { .. } | ColumnType::Unsigned { .. }, Value::Text(text)) => {
            text.to_int().map(i128::from).map_or_else(|| wrong_value(&column.name, dialect), Ok)?
        }
        (_, value) => number(value).unwrap_or_default(),
    };
    match (&column.kind, value) {
        (ColumnType::Int { .. } | ColumnType::Unsigned { .. }, Value::DateTime(_)) => {
            not_modelled("a moment as a number")
        }
        (ColumnType::Int { min, max }, _) => match i64::try_from(whole) {
            Ok(number) if (*min..=*max).contains(&number) => Ok(Value::Int(number)),
            _ => out_of_range(&column.name),
        },
        (ColumnType::Unsigned { max }, _) => match u64::try_from(whole) {
            Ok(number) if number <= *max => Ok(Value::UInt(number)),
            _ => out_of_range(&column.name),
        },
        (ColumnType::Text { max }, value) => {
            let text = match value {
                Value::Text(text) => text,
                Value::DateTime(_) => return not_modelled("a moment as a text"),
                _ => Blob::from(whole.to_string()),
            };
            let characters = text.to_text().chars().count() as u64;
            if characters <= *max { Ok(Value::Text(text)) } else { too_long(&column.name) }
        }
        (ColumnType::DateTime { digits }, Value::DateTime(us)) => Ok(Value::DateTime(match dialect {
            Dialect::MariaDb => truncate(us, *digits),
            Dialect::MySql8 => truncate(us + unit_us(*digits) / 2, *digits),
        })),
        (ColumnType::DateTime { .. }, other) => not_modelled(format!("{other} as a moment")),
    }
}
