//! Expressions, as sqlparser has them, to what the model knows.

use super::words::{Parsed, ident, name, unknown};
use crate::Blob;
use crate::mysql::ast::{Aggregate, Expr, Function, Operator};
use crate::mysql::wire::Value;
use sqlparser::ast::{self as sql, Expr as Sql};

/// What an expression says. Parameters are numbered as they come.
pub(super) fn expr(found: &Sql, params: &mut usize) -> Parsed<Expr> {
    let mut inner = |found: &Sql| expr(found, params).map(Box::new);
    Ok(match found {
        Sql::Identifier(one) if is_column(one) => Expr::Column(None, ident(one)),
        Sql::CompoundIdentifier(parts) if parts.iter().all(is_column) => match &parts[..] {
            [table, column] => Expr::Column(Some(ident(table)), ident(column)),
            _ => return unknown(format!("the name {found}")),
        },
        Sql::Nested(nested) => return expr(nested, params),
        Sql::Value(value) => return literal(&value.value, params),
        Sql::UnaryOp { op: sql::UnaryOperator::Minus, expr } => Expr::Negative(inner(expr)?),
        Sql::UnaryOp { op: sql::UnaryOperator::Not, expr } => Expr::Not(inner(expr)?),
        Sql::IsNull(expr) => Expr::IsNull(inner(expr)?),
        Sql::IsNotNull(expr) => Expr::Not(Box::new(Expr::IsNull(inner(expr)?))),
        Sql::InList { expr: of, list, negated } => {
            let of = inner(of)?;
            let list = list.iter().map(|one| expr(one, params)).collect::<Parsed<_>>()?;
            negate(Expr::In(of, list), *negated)
        }
        Sql::Between { expr, negated, low, high } => {
            negate(Expr::Between(inner(expr)?, inner(low)?, inner(high)?), *negated)
        }
        Sql::BinaryOp { left, op, right } => return binary(left, op, right, params),
        Sql::Function(function) => return call(function, params),
        other => return unknown(format!("the expression {other}")),
    })
}

/// Words that are no columns to the real server, but are to the parser.
const WORDS: [&str; 13] = [
    "_rowid",
    "current_date",
    "current_role",
    "current_time",
    "current_timestamp",
    "current_user",
    "default",
    "localtime",
    "localtimestamp",
    "rownum",
    "utc_date",
    "utc_time",
    "utc_timestamp",
];

/// False for variables of the server and of the session, and for words that mean something else.
fn is_column(name: &sql::Ident) -> bool {
    let word = name.value.to_ascii_lowercase();
    name.quote_style.is_some() || !(word.starts_with('@') || WORDS.contains(&word.as_str()))
}

fn negate(expr: Expr, negated: bool) -> Expr {
    if negated { Expr::Not(Box::new(expr)) } else { expr }
}

fn literal(value: &sql::Value, params: &mut usize) -> Parsed<Expr> {
    Ok(match value {
        sql::Value::Placeholder(mark) if mark == "?" => {
            *params += 1;
            Expr::Param(*params - 1)
        }
        sql::Value::Number(text, _) => match (text.parse::<i64>(), text.parse::<u64>()) {
            (Ok(number), _) => Expr::Value(Value::Int(number)),
            (_, Ok(number)) => Expr::Value(Value::UInt(number)),
            _ => return unknown(format!("the number {text}")),
        },
        sql::Value::SingleQuotedString(text) | sql::Value::DoubleQuotedString(text) => {
            Expr::Value(Value::Text(Blob::from(text.clone())))
        }
        sql::Value::Boolean(truth) => Expr::Value(Value::Int((*truth).into())),
        sql::Value::Null => Expr::Value(Value::Null),
        other => return unknown(format!("the literal {other}")),
    })
}

fn binary(left: &Sql, op: &sql::BinaryOperator, right: &Sql, params: &mut usize) -> Parsed<Expr> {
    if let Sql::Interval(interval) = right {
        let sign = match op {
            sql::BinaryOperator::Plus => 1,
            sql::BinaryOperator::Minus => -1,
            other => return unknown(format!("{other} with an interval")),
        };
        let moment = Box::new(expr(left, params)?);
        let count = Box::new(expr(&interval.value, params)?);
        let unit_us = match &interval.leading_field {
            Some(sql::DateTimeField::Microsecond) => 1,
            Some(sql::DateTimeField::Second) => 1_000_000,
            Some(sql::DateTimeField::Minute) => 60_000_000,
            Some(sql::DateTimeField::Hour) => 3_600_000_000,
            Some(sql::DateTimeField::Day) => 86_400_000_000,
            _ => return unknown(interval),
        };
        return Ok(Expr::AddInterval(moment, count, sign * unit_us));
    }
    let operator = match op {
        sql::BinaryOperator::Plus => Operator::Add,
        sql::BinaryOperator::Minus => Operator::Subtract,
        sql::BinaryOperator::Multiply => Operator::Multiply,
        sql::BinaryOperator::Modulo => Operator::Modulo,
        sql::BinaryOperator::Eq => Operator::Equal,
        sql::BinaryOperator::Spaceship => Operator::NullSafeEqual,
        sql::BinaryOperator::NotEq => Operator::NotEqual,
        sql::BinaryOperator::Lt => Operator::Less,
        sql::BinaryOperator::LtEq => Operator::LessOrEqual,
        sql::BinaryOperator::Gt => Operator::Greater,
        sql::BinaryOperator::GtEq => Operator::GreaterOrEqual,
        sql::BinaryOperator::And => Operator::And,
        sql::BinaryOperator::Or => Operator::Or,
        other => return unknown(format!("the operator {other}")),
    };
    Ok(Expr::Binary(operator, Box::new(expr(left, params)?), Box::new(expr(right, params)?)))
}

fn call(function: &sql::Function, params: &mut usize) -> Parsed<Expr> {
    let text = name(&function.name)?.to_text().into_owned();
    let (args, distinct) = match &function.args {
        sql::FunctionArguments::None => (Vec::new(), false),
        sql::FunctionArguments::List(list) if list.clauses.is_empty() => {
            let distinct = matches!(list.duplicate_treatment, Some(sql::DuplicateTreatment::Distinct));
            (list.args.clone(), distinct)
        }
        _ => return unknown(function),
    };
    if function.over.is_some() || function.filter.is_some() || !function.within_group.is_empty() {
        return unknown(function);
    }
    let aggregate = match text.as_str() {
        "count" => Some(Aggregate::Count),
        "sum" => Some(Aggregate::Sum),
        "min" => Some(Aggregate::Min),
        "max" => Some(Aggregate::Max),
        _ => None,
    };
    let whole = |arg: &sql::FunctionArg| matches!(arg, sql::FunctionArg::Unnamed(sql::FunctionArgExpr::Wildcard));
    if let (Some(Aggregate::Count), [one]) = (aggregate, &args[..])
        && whole(one)
    {
        return Ok(Expr::Aggregate(Aggregate::Count, None, false));
    }
    let arg = |arg: &sql::FunctionArg| match arg {
        sql::FunctionArg::Unnamed(sql::FunctionArgExpr::Expr(one)) => expr(one, params),
        other => unknown(other),
    };
    let mut args = args.iter().map(arg).collect::<Parsed<Vec<Expr>>>()?;
    if let (Some(aggregate), 1) = (aggregate, args.len()) {
        return Ok(Expr::Aggregate(aggregate, args.pop().map(Box::new), distinct));
    }
    let digits = |args: &[Expr]| match args {
        [] => Some(0),
        [Expr::Value(Value::Int(digits @ 0..=6))] => Some(*digits as u32),
        _ => None,
    };
    let known = match (text.as_str(), args.len()) {
        ("now" | "current_timestamp", _) => digits(&args).map(Function::Now),
        ("last_insert_id", 0) => Some(Function::LastInsertId),
        ("row_count", 0) => Some(Function::RowCount),
        ("get_lock", 2) => Some(Function::GetLock),
        ("release_lock", 1) => Some(Function::ReleaseLock),
        ("is_free_lock", 1) => Some(Function::IsFreeLock),
        ("ifnull" | "coalesce", 2) => Some(Function::IfNull),
        ("least", 2) => Some(Function::Least),
        ("greatest", 2) => Some(Function::Greatest),
        ("values", 1) => Some(Function::Inserted),
        ("if", 3) => Some(Function::If),
        _ => None,
    };
    match known {
        Some(Function::Now(digits)) => Ok(Expr::Call(Function::Now(digits), Vec::new())),
        Some(known) => Ok(Expr::Call(known, args)),
        None => unknown(format!("the function {function}")),
    }
}
