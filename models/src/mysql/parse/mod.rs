//! Parsing: SQL text to what the model knows, by way of sqlparser. Whatever it does not know it names.
//!
//! That nothing is overlooked is made sure by comparison: what was understood is put into an otherwise empty statement of the same
//! kind, which must then be the same as the one that was parsed.

mod expr;
mod words;

use super::ast::{
    Column, ColumnType, Expr, ForeignKey, Index, Insert, Isolation, LockMode, Scope, Select, Source, Statement,
    TableDef, Wait,
};
use crate::Blob;
use expr::expr;
use sqlparser::ast::{self as sql, ColumnOption, Expr as Sql, SetExpr, Statement as SqlStatement};
use sqlparser::dialect::MySqlDialect;
use sqlparser::parser::Parser;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
pub(super) use words::NotModelled;
use words::{Parsed, ident, name, unknown};

thread_local! {
    /// A text is parsed once: parsing is a function of the text alone, and nothing else is kept.
    static PARSED: RefCell<HashMap<Blob, Rc<Parsed<Statement>>>> = RefCell::default();
}

/// How many texts are remembered before they are all forgotten.
const REMEMBERED_MAX: usize = 4096;

/// What a text says.
pub(super) fn parse(text: &Blob) -> Rc<Parsed<Statement>> {
    PARSED.with_borrow_mut(|parsed| {
        if let Some(known) = parsed.get(text) {
            return Rc::clone(known);
        }
        if parsed.len() >= REMEMBERED_MAX {
            parsed.clear();
        }
        let statement = Rc::new(statement(&in_other_words(&text.to_text())));
        parsed.insert(text.clone(), Rc::clone(&statement));
        statement
    })
}

/// What sqlparser knows only in other words: `LOCK IN SHARE MODE`, which is all that MariaDB has, as MySQL 8's `FOR SHARE`; and
/// the scope of `SET SESSION TRANSACTION`, which it would lose.
fn in_other_words(text: &str) -> Cow<'_, str> {
    const SHARE: &str = "LOCK IN SHARE MODE";
    let trimmed = text.trim_end();
    if let Some((query, end)) = trimmed.len().checked_sub(SHARE.len()).and_then(|at| trimmed.split_at_checked(at))
        && end.eq_ignore_ascii_case(SHARE)
    {
        return Cow::Owned(format!("{query}FOR SHARE"));
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    match &words[..] {
        [set, scope, transaction, rest @ ..]
            if set.eq_ignore_ascii_case("SET") && transaction.eq_ignore_ascii_case("TRANSACTION") =>
        {
            let rest = rest.join(" ");
            match scope.to_ascii_uppercase().as_str() {
                "SESSION" | "LOCAL" => Cow::Owned(format!("SET SESSION CHARACTERISTICS AS TRANSACTION {rest}")),
                // Not modelled, which a statement of this name is told.
                scope => Cow::Owned(format!("SHOW {scope} TRANSACTION")),
            }
        }
        _ => Cow::Borrowed(text),
    }
}

/// Parses text that is known to be right, as a template.
fn template(text: &str) -> SqlStatement {
    let mut statements = Parser::parse_sql(&MySqlDialect {}, text).expect("a template is SQL");
    statements.remove(0)
}

/// What begins a comment that is none to some versions of the server.
const EXECUTED_COMMENTS: [&str; 2] = ["/*!", "/*M!"];

/// True if nothing of `found` is missing in `understood`.
fn all_understood<T: PartialEq>(understood: &T, found: &T, what: &str) -> Parsed<()> {
    if understood == found { Ok(()) } else { unknown(format!("a clause of this {what}")) }
}

fn statement(text: &str) -> Parsed<Statement> {
    if EXECUTED_COMMENTS.iter().any(|mark| text.contains(mark)) {
        return unknown("a comment that some servers execute");
    }
    let parsed = Parser::parse_sql(&MySqlDialect {}, text);
    let parsed = parsed.or_else(|problem| unknown(format!("what the parser cannot read ({problem})")))?;
    let [one] = <[SqlStatement; 1]>::try_from(parsed).or_else(|_| unknown("several statements at once"))?;
    match one {
        SqlStatement::CreateTable(create) => create_table(&create),
        SqlStatement::Drop { object_type: sql::ObjectType::Table, if_exists, names, temporary: false, .. } => {
            let names = names.iter().map(name).collect::<Parsed<_>>()?;
            Ok(Statement::DropTables { names, if_exists })
        }
        SqlStatement::Insert(insert) => self::insert(&insert),
        SqlStatement::Query(query) => Ok(Statement::Select(select(&query)?)),
        SqlStatement::Update(update) => self::update(&update),
        SqlStatement::Delete(delete) => self::delete(&delete),
        SqlStatement::StartTransaction { modes, modifier: None, statements, .. }
            if modes.is_empty() && statements.is_empty() =>
        {
            Ok(Statement::Begin)
        }
        SqlStatement::Commit { chain: false, end: false, modifier: None } => Ok(Statement::Commit),
        SqlStatement::Rollback { chain: false, savepoint } => Ok(match savepoint {
            None => Statement::Rollback,
            Some(name) => Statement::RollbackTo(ident(&name)),
        }),
        SqlStatement::Savepoint { name } => Ok(Statement::Savepoint(ident(&name))),
        SqlStatement::ReleaseSavepoint { name } => Ok(Statement::Release(ident(&name))),
        SqlStatement::Set(set) => self::set(&set),
        other => unknown(format!("the statement {}", other.to_string().split(' ').next().unwrap_or_default())),
    }
}

/// True if a name is this word, unquoted.
fn is_name_of(parts: &[sql::ObjectNamePart], word: &str) -> bool {
    let is_word = |one: &sql::Ident| one.quote_style.is_none() && one.value.eq_ignore_ascii_case(word);
    matches!(parts, [sql::ObjectNamePart::Identifier(one)] if is_word(one))
}

fn set(set: &sql::Set) -> Parsed<Statement> {
    match set {
        sql::Set::SetTransaction { modes, snapshot: None, session } => match &modes[..] {
            [sql::TransactionMode::IsolationLevel(level)] => {
                let level = match level {
                    sql::TransactionIsolationLevel::ReadUncommitted => Isolation::ReadUncommitted,
                    sql::TransactionIsolationLevel::ReadCommitted => Isolation::ReadCommitted,
                    sql::TransactionIsolationLevel::RepeatableRead => Isolation::RepeatableRead,
                    sql::TransactionIsolationLevel::Serializable => Isolation::Serializable,
                    other => return unknown(format!("the isolation level {other}")),
                };
                Ok(Statement::SetIsolation { session: *session, level })
            }
            _ => unknown("this SET TRANSACTION"),
        },
        sql::Set::SingleAssignment { scope, hivevar: false, variable, values }
            if !matches!(scope, Some(sql::ContextModifier::Global)) =>
        {
            let value = match &values[..] {
                [one] => expr(one, &mut 0)?,
                _ => return unknown("SET with several values"),
            };
            let number = if let Expr::Value(value) = &value { value.as_int() } else { None };
            match (name(variable)?.as_bytes(), number) {
                (b"autocommit", Some(number)) => Ok(Statement::SetAutocommit(number != 0)),
                (b"innodb_lock_wait_timeout", Some(seconds)) if seconds > 0 => {
                    Ok(Statement::SetLockWaitTimeout(u32::try_from(seconds).unwrap_or(u32::MAX)))
                }
                _ => unknown(format!("SET {variable}")),
            }
        }
        other => unknown(other),
    }
}

fn create_table(create: &sql::CreateTable) -> Parsed<Statement> {
    let SqlStatement::CreateTable(mut understood) = template("CREATE TABLE t (a INT)") else {
        unreachable!("the template is one")
    };
    (understood.if_not_exists, understood.name) = (create.if_not_exists, create.name.clone());
    (understood.columns, understood.constraints) = (create.columns.clone(), create.constraints.clone());
    // Options such as the engine and the character set change nothing that is modelled.
    understood.table_options = create.table_options.clone();
    all_understood(&understood, create, "CREATE TABLE")?;
    let mut table =
        TableDef { name: name(&create.name)?, columns: Vec::new(), indexes: Vec::new(), foreign_keys: Vec::new() };
    let (mut primary, mut foreign) = (None, Vec::new());
    for column in &create.columns {
        let place = table.columns.len();
        let (column, keys) = self::column(column)?;
        for is_primary in keys {
            let index = Index { name: column.name.clone(), columns: vec![place], unique: true };
            if is_primary { primary = Some(index) } else { table.indexes.push(index) }
        }
        table.columns.push(column);
    }
    for constraint in &create.constraints {
        let (columns, unique, named) = match constraint {
            sql::TableConstraint::PrimaryKey(key) => {
                primary = Some(Index { name: "PRIMARY".into(), columns: places(&table, &key.columns)?, unique: true });
                continue;
            }
            sql::TableConstraint::Unique(key) => (&key.columns, true, key.index_name.as_ref().or(key.name.as_ref())),
            sql::TableConstraint::Index(key) => (&key.columns, false, key.name.as_ref()),
            sql::TableConstraint::ForeignKey(key) => {
                foreign.push(key);
                continue;
            }
            other => return unknown(format!("the constraint {other}")),
        };
        let columns = places(&table, columns)?;
        let name = named.map_or_else(|| table.columns[columns[0]].name.clone(), ident);
        table.indexes.push(Index { name, columns, unique });
    }
    let Some(primary) = primary else { return unknown("a table without a primary key") };
    for place in &primary.columns {
        table.columns[*place].not_null = true;
    }
    table.indexes.insert(0, Index { name: "PRIMARY".into(), ..primary });
    for key in foreign {
        let key = foreign_key(&mut table, key)?;
        table.foreign_keys.push(key);
    }
    Ok(Statement::CreateTable { table, if_not_exists: create.if_not_exists })
}

/// A foreign key; its columns get an index if none begins with them.
fn foreign_key(table: &mut TableDef, key: &sql::ForeignKeyConstraint) -> Parsed<ForeignKey> {
    use sql::ReferentialAction::{NoAction, Restrict};
    let restricts = |action: &Option<sql::ReferentialAction>| matches!(action, None | Some(NoAction | Restrict));
    if !restricts(&key.on_delete) || !restricts(&key.on_update) || key.match_kind.is_some() {
        return unknown(format!("the foreign key {key}"));
    }
    let parent = name(&key.foreign_table)?;
    if key.columns.len() != key.referred_columns.len() || parent == table.name {
        return unknown(format!("the foreign key {key}"));
    }
    let columns: Vec<Blob> = key.columns.iter().map(ident).collect();
    let place = |wanted: &Blob| match table.columns.iter().position(|column| column.name == *wanted) {
        Some(place) => Ok(place),
        None => unknown(format!("a foreign key on {wanted}, which is no column")),
    };
    let places = columns.iter().map(place).collect::<Parsed<Vec<usize>>>()?;
    let known = table.indexes.iter().position(|index| index.columns.starts_with(&places));
    let index = known.unwrap_or(table.indexes.len());
    if known.is_none() {
        let named = key.name.as_ref().or(key.index_name.as_ref());
        let name = named.map_or_else(|| columns[0].clone(), ident);
        table.indexes.push(Index { name, columns: places, unique: false });
    }
    Ok(ForeignKey { index, parent, referenced: key.referred_columns.iter().map(ident).collect() })
}

fn places(table: &TableDef, columns: &[sql::IndexColumn]) -> Parsed<Vec<usize>> {
    let place = |column: &sql::IndexColumn| match &column.column.expr {
        Sql::Identifier(one) => table
            .columns
            .iter()
            .position(|column| column.name == ident(one))
            .map_or_else(|| unknown(format!("a key on {one}, which is no column")), Ok),
        other => unknown(format!("a key on {other}")),
    };
    columns.iter().map(place).collect()
}

/// A column, and for each key that it is by itself whether that is the primary one.
fn column(def: &sql::ColumnDef) -> Parsed<(Column, Vec<bool>)> {
    let mut column = Column {
        name: ident(&def.name),
        kind: column_type(&def.data_type)?,
        not_null: false,
        default: None,
        on_update: None,
        auto_increment: false,
    };
    let mut keys = Vec::new();
    for option in &def.options {
        match &option.option {
            ColumnOption::Null => {}
            ColumnOption::NotNull => column.not_null = true,
            ColumnOption::Default(value) => column.default = Some(expr(value, &mut 0)?),
            ColumnOption::OnUpdate(value) => column.on_update = Some(expr(value, &mut 0)?),
            ColumnOption::PrimaryKey(_) => keys.push(true),
            ColumnOption::Unique(_) => keys.push(false),
            ColumnOption::Comment(_) => {}
            ColumnOption::DialectSpecific(tokens)
                if tokens.iter().any(|token| token.to_string() == "AUTO_INCREMENT") =>
            {
                (column.auto_increment, column.not_null) = (true, true);
            }
            other => return unknown(format!("the column option {other}")),
        }
    }
    Ok((column, keys))
}

fn column_type(data_type: &sql::DataType) -> Parsed<ColumnType> {
    use sql::DataType as Type;
    let int = |bits: u32| ColumnType::Int { min: i64::MIN >> (64 - bits), max: i64::MAX >> (64 - bits) };
    let unsigned = |bits: u32| ColumnType::Unsigned { max: u64::MAX >> (64 - bits) };
    Ok(match data_type {
        Type::TinyInt(_) | Type::Bool | Type::Boolean => int(8),
        Type::SmallInt(_) => int(16),
        Type::MediumInt(_) => int(24),
        Type::Int(_) | Type::Integer(_) => int(32),
        Type::BigInt(_) => int(64),
        Type::TinyIntUnsigned(_) => unsigned(8),
        Type::SmallIntUnsigned(_) => unsigned(16),
        Type::MediumIntUnsigned(_) => unsigned(24),
        Type::IntUnsigned(_) | Type::IntegerUnsigned(_) => unsigned(32),
        Type::BigIntUnsigned(_) => unsigned(64),
        Type::Varchar(Some(sql::CharacterLength::IntegerLength { length, .. })) => ColumnType::Text { max: *length },
        Type::Datetime(digits) => ColumnType::DateTime { digits: digits.unwrap_or(0) as u32 },
        other => return unknown(format!("the type {other}")),
    })
}

fn assignments(list: &[sql::Assignment], params: &mut usize) -> Parsed<Vec<(Blob, Expr)>> {
    let one = |assignment: &sql::Assignment| match &assignment.target {
        sql::AssignmentTarget::ColumnName(column) => Ok((name(column)?, expr(&assignment.value, params)?)),
        sql::AssignmentTarget::Tuple(_) => unknown("an assignment to several columns"),
    };
    list.iter().map(one).collect()
}

fn insert(insert: &sql::Insert) -> Parsed<Statement> {
    let SqlStatement::Insert(mut understood) = template("INSERT INTO t VALUES (1)") else {
        unreachable!("the template is one")
    };
    (understood.ignore, understood.into, understood.table) = (insert.ignore, insert.into, insert.table.clone());
    (understood.columns, understood.source) = (insert.columns.clone(), insert.source.clone());
    understood.on = insert.on.clone();
    all_understood(&understood, insert, "INSERT")?;
    let sql::TableObject::TableName(table) = &insert.table else { return unknown("INSERT into no table") };
    let Some(SetExpr::Values(values)) = insert.source.as_ref().map(|source| source.body.as_ref()) else {
        return unknown("INSERT without VALUES");
    };
    let params = &mut 0;
    let rows = values.rows.iter().map(|row| row.iter().map(|value| expr(value, params)).collect());
    let rows = rows.collect::<Parsed<Vec<Vec<Expr>>>>()?;
    let on_duplicate = match &insert.on {
        None => Vec::new(),
        Some(sql::OnInsert::DuplicateKeyUpdate(list)) => assignments(list, params)?,
        Some(other) => return unknown(other),
    };
    let columns = insert.columns.iter().map(name).collect::<Parsed<_>>()?;
    Ok(Statement::Insert(Insert { table: name(table)?, columns, rows, ignore: insert.ignore, on_duplicate }))
}

fn update(update: &sql::Update) -> Parsed<Statement> {
    let SqlStatement::Update(mut understood) = template("UPDATE t SET a = 1") else {
        unreachable!("the template is one")
    };
    (understood.table, understood.assignments) = (update.table.clone(), update.assignments.clone());
    (understood.selection, understood.order_by) = (update.selection.clone(), update.order_by.clone());
    understood.limit = update.limit.clone();
    all_understood(&understood, update, "UPDATE")?;
    let params = &mut 0;
    let sets = assignments(&update.assignments, params)?;
    let scope = scope(update.selection.as_ref(), &update.order_by, update.limit.as_ref(), params)?;
    Ok(Statement::Update { table: one_table(std::slice::from_ref(&update.table))?, sets, scope })
}

fn delete(delete: &sql::Delete) -> Parsed<Statement> {
    let SqlStatement::Delete(mut understood) = template("DELETE FROM t") else { unreachable!("the template is one") };
    (understood.from, understood.selection) = (delete.from.clone(), delete.selection.clone());
    (understood.order_by, understood.limit) = (delete.order_by.clone(), delete.limit.clone());
    all_understood(&understood, delete, "DELETE")?;
    let sql::FromTable::WithFromKeyword(from) = &delete.from else { return unknown("DELETE without FROM") };
    let scope = scope(delete.selection.as_ref(), &delete.order_by, delete.limit.as_ref(), &mut 0)?;
    Ok(Statement::Delete { table: one_table(from)?, scope })
}

fn one_table(from: &[sql::TableWithJoins]) -> Parsed<Blob> {
    match &sources(from, &mut 0)?[..] {
        [Source { table, alias, .. }] if table == alias => Ok(table.clone()),
        _ => unknown("a change to several tables, or to one under another name"),
    }
}

fn scope(filter: Option<&Sql>, order: &[sql::OrderByExpr], limit: Option<&Sql>, params: &mut usize) -> Parsed<Scope> {
    let filter = filter.map(|filter| expr(filter, params)).transpose()?;
    let order = order.iter().map(|by| order_by(by, params)).collect::<Parsed<_>>()?;
    let limit = limit.map(|limit| expr(limit, params)).transpose()?;
    Ok(Scope { filter, order, limit })
}

fn order_by(by: &sql::OrderByExpr, params: &mut usize) -> Parsed<(Expr, bool)> {
    if let Sql::Value(number) = &by.expr {
        return unknown(format!("ORDER BY the column with the number {number}"));
    }
    let last_first = match (&by.options.sort, by.options.nulls_first, &by.with_fill) {
        (None | Some(sql::OrderBySort::Asc), None, None) => false,
        (Some(sql::OrderBySort::Desc), None, None) => true,
        _ => return unknown(format!("ORDER BY {by}")),
    };
    Ok((expr(&by.expr, params)?, last_first))
}

fn group_by(by: &Sql, params: &mut usize) -> Parsed<Expr> {
    match by {
        Sql::Value(number) => unknown(format!("GROUP BY the column with the number {number}")),
        by => expr(by, params),
    }
}

fn select(query: &sql::Query) -> Parsed<Select> {
    let SqlStatement::Query(mut understood) = template("SELECT 1") else { unreachable!("the template is one") };
    (understood.order_by, understood.limit_clause) = (query.order_by.clone(), query.limit_clause.clone());
    (understood.locks, understood.body) = (query.locks.clone(), query.body.clone());
    all_understood(understood.as_ref(), query, "query")?;
    let SetExpr::Select(found) = query.body.as_ref() else { return unknown("a query that is no SELECT") };
    let SqlStatement::Query(empty) = template("SELECT 1") else { unreachable!("the template is one") };
    let SetExpr::Select(mut understood) = *empty.body else { unreachable!("the template is one") };
    (understood.projection, understood.from) = (found.projection.clone(), found.from.clone());
    (understood.selection, understood.group_by) = (found.selection.clone(), found.group_by.clone());
    (understood.having, understood.distinct) = (found.having.clone(), found.distinct.clone());
    all_understood(&understood, found, "SELECT")?;
    // Parameters are numbered as they stand in the text.
    let params = &mut 0;
    let items = found.projection.iter().map(|item| select_item(item, params)).collect::<Parsed<_>>()?;
    let from = sources(&found.from, params)?;
    let filter = found.selection.as_ref().map(|filter| expr(filter, params)).transpose()?;
    let group_by = match &found.group_by {
        sql::GroupByExpr::Expressions(list, modifiers) if modifiers.is_empty() => {
            list.iter().map(|by| group_by(by, params)).collect::<Parsed<_>>()?
        }
        other => return unknown(other),
    };
    let having = found.having.as_ref().map(|having| expr(having, params)).transpose()?;
    let order = match query.order_by.as_ref().map(|order| (&order.kind, &order.interpolate)) {
        None => Vec::new(),
        Some((sql::OrderByKind::Expressions(list), None)) => {
            list.iter().map(|by| order_by(by, params)).collect::<Parsed<_>>()?
        }
        Some(_) => return unknown("this ORDER BY"),
    };
    let (limit, offset) = limits(query.limit_clause.as_ref(), params)?;
    let locking = match &query.locks[..] {
        [] => None,
        [one] => Some(locking(one)?),
        _ => return unknown("several locking clauses"),
    };
    let distinct = match &found.distinct {
        None => false,
        Some(sql::Distinct::Distinct) => true,
        Some(other) => return unknown(other),
    };
    Ok(Select { items, distinct, from, scope: Scope { filter, order, limit }, group_by, having, offset, locking })
}

fn limits(clause: Option<&sql::LimitClause>, params: &mut usize) -> Parsed<(Option<Expr>, Option<Expr>)> {
    match clause {
        None => Ok((None, None)),
        Some(sql::LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
            let limit = limit.as_ref().map(|limit| expr(limit, params)).transpose()?;
            let offset = offset.as_ref().map(|offset| expr(&offset.value, params)).transpose()?;
            Ok((limit, offset))
        }
        Some(sql::LimitClause::OffsetCommaLimit { offset, limit }) => {
            let offset = expr(offset, params)?;
            Ok((Some(expr(limit, params)?), Some(offset)))
        }
        Some(other) => unknown(other),
    }
}

fn locking(lock: &sql::LockClause) -> Parsed<(LockMode, Wait)> {
    let mode = match (&lock.lock_type, &lock.of) {
        (sql::LockType::Share, None) => LockMode::Shared,
        (sql::LockType::Update, None) => LockMode::Exclusive,
        _ => return unknown(lock),
    };
    let wait = match lock.nonblock {
        None => Wait::Block,
        Some(sql::NonBlock::Nowait) => Wait::Fail,
        Some(sql::NonBlock::SkipLocked) => Wait::Skip,
    };
    Ok((mode, wait))
}

fn select_item(item: &sql::SelectItem, params: &mut usize) -> Parsed<Option<(Expr, Blob)>> {
    match item {
        sql::SelectItem::UnnamedExpr(found) => {
            let name = match found {
                Sql::Identifier(one) => ident(one),
                Sql::CompoundIdentifier(parts) => ident(parts.last().expect("a name has a part")),
                other => Blob::from(other.to_string()),
            };
            Ok(Some((expr(found, params)?, name)))
        }
        sql::SelectItem::ExprWithAlias { expr: found, alias } => Ok(Some((expr(found, params)?, ident(alias)))),
        sql::SelectItem::Wildcard(options) if options.to_string().is_empty() => Ok(None),
        other => unknown(format!("SELECT {other}")),
    }
}

fn sources(from: &[sql::TableWithJoins], params: &mut usize) -> Parsed<Vec<Source>> {
    let mut sources = Vec::new();
    for tables in from {
        sources.push(source(&tables.relation, None, false)?);
        for join in &tables.joins {
            let (constraint, left) = match &join.join_operator {
                sql::JoinOperator::Join(on) | sql::JoinOperator::Inner(on) => (on, false),
                sql::JoinOperator::Left(on) | sql::JoinOperator::LeftOuter(on) => (on, true),
                _ => return unknown(format!("the join{join}")),
            };
            let sql::JoinConstraint::On(on) = constraint else { return unknown(format!("the join{join}")) };
            sources.push(source(&join.relation, Some(expr(on, params)?), left)?);
        }
    }
    Ok(sources)
}

fn source(table: &sql::TableFactor, on: Option<Expr>, left: bool) -> Parsed<Source> {
    let SqlStatement::Query(query) = template("SELECT 1 FROM t") else { unreachable!("the template is one") };
    let SetExpr::Select(mut select) = *query.body else { unreachable!("the template is one") };
    let mut understood = select.from.remove(0).relation;
    let sql::TableFactor::Table { name: table_name, alias, .. } = table else {
        return unknown(format!("FROM {table}"));
    };
    if let sql::TableFactor::Table { name, alias: as_name, .. } = &mut understood {
        (*name, *as_name) = (table_name.clone(), alias.clone());
    }
    all_understood(&understood, table, "FROM")?;
    if is_name_of(&table_name.0, "dual") {
        return unknown("the table DUAL");
    }
    let table = name(table_name)?;
    let alias = alias.as_ref().map_or_else(|| table.clone(), |alias| ident(&alias.name));
    Ok(Source { table, alias, on, left })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mysql::ast::Operator;

    fn not_modelled(text: &str) -> String {
        match statement(text) {
            Err(NotModelled(what)) => what,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn what_is_not_modelled_is_named() {
        let text = "SELECT a FROM t WHERE a IN (SELECT b FROM u)";
        assert_eq!(not_modelled(text), "the expression a IN (SELECT b FROM u)");
        assert_eq!(not_modelled("REPLACE INTO t VALUES (1)"), "a clause of this INSERT");
        assert_eq!(not_modelled("SELECT RANK() OVER (ORDER BY a) FROM t"), "RANK() OVER (ORDER BY a)");
        assert_eq!(not_modelled("CREATE TABLE t (a DOUBLE PRIMARY KEY)"), "the type DOUBLE");
        assert_eq!(not_modelled("GRANT ALL ON t TO u"), "the statement GRANT");
    }

    #[test]
    fn parameters_are_numbered_as_they_stand() {
        let text = "UPDATE t SET a = ?, b = b + ? WHERE c = ? LIMIT 1";
        let Ok(Statement::Update { sets, scope, .. }) = statement(text) else { panic!("it is an update") };
        assert_eq!(sets[0].1, Expr::Param(0));
        let column = |name: &'static str| Box::new(Expr::Column(None, name.into()));
        assert_eq!(sets[1].1, Expr::Binary(Operator::Add, column("b"), Box::new(Expr::Param(1))));
        assert_eq!(scope.filter, Some(Expr::Binary(Operator::Equal, column("c"), Box::new(Expr::Param(2)))));
    }
}
