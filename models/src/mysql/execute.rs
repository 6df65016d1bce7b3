//! Statements about tables: what they read, what they change.

use super::access::{Access, plan};
use super::ast::{Expr, Function, Insert, Isolation, LockMode, Operator, Scope, Select, Source, Statement, Wait};
use super::collation::key_value;
use super::eval::{Bound, Env, compare, store};
use super::failure::{
    Done, Stop, column_count, duplicate, has_children, no_default, not_modelled, table_exists, unknown_column,
    unknown_dropped_table, unknown_table,
};
use super::locks::{Part, Place};
use super::replica::Change;
use super::server::Server;
use super::table::{Key, Table, Values};
use super::view::View;
use super::wire::{Reply, Request, Value};
use crate::{Blob, ConnId, NodeClock};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::rc::Rc;

/// What a statement was given, for its expressions.
#[derive(Clone, Copy)]
struct Given<'a> {
    params: &'a [Value],
    now_us: i64,
    last_insert_id: u64,
    row_count: i64,
}

impl<'a> Given<'a> {
    fn env<'b>(&self, rows: &'b [Bound<'b>]) -> Env<'b>
    where
        'a: 'b,
    {
        let Given { params, now_us, last_insert_id, row_count } = *self;
        Env { rows, params, now_us, last_insert_id, row_count, inserted: None, group: None }
    }
}

fn bound<'a>(table: &'a Table, alias: &'a Blob, values: &'a [Value]) -> Bound<'a> {
    Bound { alias, columns: &table.def.columns, values }
}

/// How a query reads.
enum Reading {
    /// What a view sees; without one everything, committed or not.
    Consistent(Option<Rc<View>>),
    /// What is there now, locked, up to so many rows.
    Locking((LockMode, Wait), usize),
}

/// How many rows a statement with a limit looks at to lock them: it stops where it has enough, if they come in its order.
fn limit_of_locked(table: &Table, alias: &Blob, access: &Access, scope: &Scope, limit: usize) -> Done<usize> {
    if scope.order.is_empty() || access.comes_in_order(table, alias, &scope.order) {
        Ok(limit)
    } else if scope.limit.is_some() {
        // Whether it reads an index backwards or sorts decides which rows it locks.
        not_modelled("LIMIT with rows that are locked, in another order than the index has that is read")
    } else {
        Ok(usize::MAX)
    }
}

/// Rows of all tables, one each, that belong together.
type Joined = Vec<Values>;

impl Server {
    pub(super) fn execute(
        &mut self,
        clock: NodeClock,
        conn: ConnId,
        statement: &Statement,
        request: &Request,
        began_us: i64,
    ) -> Done<Reply> {
        let session = self.session(conn);
        let given = Given {
            params: &request.params,
            now_us: began_us,
            last_insert_id: session.last_insert_id,
            row_count: session.row_count,
        };
        match statement {
            Statement::CreateTable { table, if_not_exists } => {
                // A definition ends the transaction before it.
                self.commit(conn);
                if !self.tables.contains_key(&table.name) {
                    self.check_foreign_keys(table)?;
                    let table = Rc::new(Table::new(table.clone()));
                    self.tables.insert(table.def.name.clone(), Rc::clone(&table));
                    self.replicate_definition(Change::Create { table });
                } else if !if_not_exists {
                    return table_exists(&table.name);
                }
                Ok(Reply::Done { affected: 0, last_insert_id: 0 })
            }
            Statement::DropTables { names, if_exists } => {
                // A definition ends the transaction before it.
                self.commit(conn);
                self.drop_tables(names, *if_exists)
            }
            Statement::Insert(insert) => self.insert(conn, insert, &given),
            Statement::Select(select) => self.select(clock, conn, select, &given),
            Statement::Update { table, sets, scope } => self.update(conn, table, sets, scope, &given),
            Statement::Delete { table, scope } => self.delete(conn, table, scope, &given),
            _ => unreachable!("the server has done the others"),
        }
    }

    /// Drops what can be dropped; the first table that cannot be decides the error.
    fn drop_tables(&mut self, names: &[Blob], if_exists: bool) -> Done<Reply> {
        let mut done = Ok(Reply::Done { affected: 0, last_insert_id: 0 });
        for name in names {
            let failed = if self.is_referenced(name) {
                has_children(name)
            } else if self.tables.remove(name).is_some() {
                self.replicate_definition(Change::Drop { table: name.clone() });
                continue;
            } else if if_exists {
                continue;
            } else {
                unknown_dropped_table(name)
            };
            done = done.and(failed);
        }
        done
    }

    fn table(&self, name: &Blob) -> Done<&Rc<Table>> {
        self.tables.get(name).map_or_else(|| unknown_table(name), Ok)
    }

    // Changes.

    /// The rows that a change is about, locked, in its order.
    fn targets(&mut self, conn: ConnId, name: &Blob, scope: &Scope, given: &Given<'_>) -> Done<Vec<(Key, Values)>> {
        let table = Rc::clone(self.table(name)?);
        let access = plan(&table, name, scope.filter.as_ref(), &given.env(&[]))?;
        let limit = count(scope.limit.as_ref(), given)?;
        let wanted = |values: &[Value]| match &scope.filter {
            None => Ok(true),
            Some(filter) => given.env(&[bound(&table, name, values)]).holds(filter),
        };
        let most = limit_of_locked(&table, name, &access, scope, limit)?;
        let mut rows = self.read_locking(conn, name, &access, (LockMode::Exclusive, Wait::Block), most, &wanted)?;
        sort(&mut rows, &scope.order, |(_, values), by| given.env(&[bound(&table, name, values)]).eval(by))?;
        rows.truncate(limit);
        Ok(rows)
    }

    fn update(
        &mut self,
        conn: ConnId,
        name: &Blob,
        sets: &[(Blob, Expr)],
        scope: &Scope,
        given: &Given<'_>,
    ) -> Done<Reply> {
        let mut affected = 0;
        for (primary, old) in self.targets(conn, name, scope, given)? {
            let new = self.assigned(name, &old, sets, given, None)?;
            affected += u64::from(self.change(conn, name, &primary, &old, new)?);
        }
        Ok(Reply::Done { affected, last_insert_id: 0 })
    }

    /// A row after assignments, each of which sees those before it.
    fn assigned(
        &self,
        name: &Blob,
        old: &[Value],
        sets: &[(Blob, Expr)],
        given: &Given<'_>,
        inserted: Option<&[Value]>,
    ) -> Done<Vec<Value>> {
        let table = self.table(name)?;
        let mut new = old.to_vec();
        for (column, value) in sets {
            let Some(place) = table.def.columns.iter().position(|one| one.name == *column) else {
                return unknown_column(column);
            };
            let rows = [bound(table, name, &new)];
            let value = Env { inserted, ..given.env(&rows) }.eval(value)?;
            new[place] = store(&table.def.columns[place], value, self.config.dialect)?;
        }
        if new != old {
            for (place, column) in table.def.columns.iter().enumerate() {
                let Some(value) = &column.on_update else { continue };
                if sets.iter().all(|(assigned, _)| *assigned != column.name) {
                    new[place] = store(column, given.env(&[]).eval(value)?, self.config.dialect)?;
                }
            }
        }
        Ok(new)
    }

    /// Writes a row's new values; false if they are the old ones.
    fn change(&mut self, conn: ConnId, name: &Blob, primary: &Key, old: &[Value], new: Vec<Value>) -> Done<bool> {
        if old == new {
            return Ok(false);
        }
        let moved = self.tables[name].key_of(0, &new) != *primary;
        if moved {
            let indexes: Vec<usize> = (1..self.tables[name].def.indexes.len()).collect();
            self.mark_records(conn, name, &indexes, old)?;
            self.write(conn, name, primary, None);
            self.check_children(conn, name, old, Some(&new))?;
            self.put(conn, name, new, LockMode::Shared)?.map_or(Ok(true), |(key, _)| duplicate(&key))
        } else {
            self.check_children(conn, name, old, Some(&new))?;
            let table = &self.tables[name];
            let indexes = 1..table.def.indexes.len();
            let changed: Vec<usize> =
                indexes.filter(|index| table.key_of(*index, old) != table.key_of(*index, &new)).collect();
            self.mark_records(conn, name, &changed, old)?;
            if let Some((key, _)) = self.enter_all(conn, name, &changed, &new, LockMode::Shared)? {
                return duplicate(&key);
            }
            self.write(conn, name, primary, Some(Rc::new(new)));
            Ok(true)
        }
    }

    fn delete(&mut self, conn: ConnId, name: &Blob, scope: &Scope, given: &Given<'_>) -> Done<Reply> {
        let rows = self.targets(conn, name, scope, given)?;
        for (primary, values) in &rows {
            let indexes: Vec<usize> = (1..self.tables[name].def.indexes.len()).collect();
            self.mark_records(conn, name, &indexes, values)?;
            self.write(conn, name, primary, None);
            self.check_children(conn, name, values, None)?;
        }
        Ok(Reply::Done { affected: rows.len() as u64, last_insert_id: 0 })
    }

    fn insert(&mut self, conn: ConnId, insert: &Insert, given: &Given<'_>) -> Done<Reply> {
        let name = &insert.table;
        self.table(name)?;
        let trx = self.trx(conn).id;
        self.locks.intend(trx, name, LockMode::Exclusive);
        let (mut affected, mut first_id) = (0, 0);
        for row in &insert.rows {
            let (values, id) = self.row(name, &insert.columns, row, given)?;
            if first_id == 0 {
                first_id = id.unwrap_or_default();
            }
            let mode = if insert.on_duplicate.is_empty() { LockMode::Shared } else { LockMode::Exclusive };
            let put = self.put(conn, name, values.clone(), mode);
            if insert.ignore && matches!(&put, Err(Stop::Failed(_))) {
                return not_modelled("INSERT IGNORE of a row without its parent");
            }
            match put? {
                None => affected += 1,
                Some(_) if insert.ignore => {}
                Some((key, _)) if insert.on_duplicate.is_empty() => return duplicate(&key),
                Some((_, primary)) => {
                    affected += 2 * u64::from(self.change_instead(conn, insert, &primary, &values, given)?)
                }
            }
        }
        if first_id > 0 {
            self.session(conn).last_insert_id = first_id;
        }
        Ok(Reply::Done { affected, last_insert_id: first_id })
    }

    /// Changes the row that is in the way of an insert.
    fn change_instead(
        &mut self,
        conn: ConnId,
        insert: &Insert,
        primary: &Key,
        values: &[Value],
        given: &Given<'_>,
    ) -> Done<bool> {
        let name = &insert.table;
        let place = Place { table: name.clone(), index: 0, key: Some(primary.clone()) };
        self.lock(conn, &place, LockMode::Exclusive, Part::Record)?;
        let Some(old) = self.tables[name].newest(primary).and_then(|version| version.values.clone()) else {
            return not_modelled("a duplicate that goes away while it is waited for");
        };
        let new = self.assigned(name, &old, &insert.on_duplicate, given, Some(values))?;
        self.change(conn, name, primary, &old, new)
    }

    /// The values of a row to insert, and the number that it was given.
    fn row(
        &mut self,
        name: &Blob,
        columns: &[Blob],
        row: &[Expr],
        given: &Given<'_>,
    ) -> Done<(Vec<Value>, Option<u64>)> {
        let def = Rc::clone(&self.tables[name].def);
        let places: Vec<usize> = if columns.is_empty() {
            (0..def.columns.len()).collect()
        } else {
            let place = |name: &Blob| {
                def.columns.iter().position(|column| column.name == *name).map_or_else(|| unknown_column(name), Ok)
            };
            columns.iter().map(place).collect::<Done<_>>()?
        };
        if places.len() != row.len() {
            return column_count();
        }
        let (mut values, mut id) = (Vec::new(), None);
        for (place, column) in def.columns.iter().enumerate() {
            let explicit = places.iter().position(|other| *other == place).map(|at| given.env(&[]).eval(&row[at]));
            let value = match explicit.transpose()? {
                Some(Value::Null | Value::Int(0)) | None if column.auto_increment => {
                    let table = Rc::make_mut(self.tables.get_mut(name).expect("looked up before"));
                    id = Some(table.next_auto);
                    Value::UInt(table.next_auto)
                }
                Some(value) => value,
                None => match &column.default {
                    Some(default) => given.env(&[]).eval(default)?,
                    None if column.not_null => return no_default(&column.name),
                    None => Value::Null,
                },
            };
            let value = store(column, value, self.config.dialect)?;
            if column.auto_increment
                && let Some(number) = value.as_int().and_then(|number| u64::try_from(number).ok())
            {
                let table = Rc::make_mut(self.tables.get_mut(name).expect("looked up before"));
                table.next_auto = table.next_auto.max(number + 1);
            }
            values.push(value);
        }
        Ok((values, id))
    }

    // Queries.

    fn select(&mut self, clock: NodeClock, conn: ConnId, select: &Select, given: &Given<'_>) -> Done<Reply> {
        if let (
            [],
            [
                Some((
                    Expr::Call(function @ (Function::GetLock | Function::ReleaseLock | Function::IsFreeLock), args),
                    name,
                )),
            ],
        ) = (&select.from[..], &select.items[..])
        {
            let value = self.user_lock(clock, conn, *function, args, given)?;
            return Ok(Reply::Rows { columns: vec![name.clone()], rows: vec![vec![value]] });
        }
        for source in &select.from {
            self.table(&source.table)?;
        }
        check_names(select)?;
        let rows = self.joined(conn, select, given)?;
        let tables: Vec<&Table> = select.from.iter().map(|source| &*self.tables[&source.table]).collect();
        project(select, &tables, &rows, given)
    }

    fn user_lock(
        &mut self,
        clock: NodeClock,
        conn: ConnId,
        function: Function,
        args: &[Expr],
        given: &Given<'_>,
    ) -> Done<Value> {
        let Value::Text(name) = given.env(&[]).eval(&args[0])? else {
            return not_modelled("a user lock without a text as name");
        };
        match function {
            Function::GetLock => {
                let Some(wait_s) = given.env(&[]).eval(&args[1])?.as_int() else {
                    return not_modelled("this time-out");
                };
                Ok(Value::Int(self.get_lock(clock, conn, &name, wait_s)?))
            }
            Function::ReleaseLock => Ok(self.release_lock(conn, &name).map_or(Value::Null, Value::Int)),
            _ => Ok(Value::Int(self.is_free_lock(&name).into())),
        }
    }

    /// The rows of all tables that belong together and for which the condition holds.
    fn joined(&mut self, conn: ConnId, select: &Select, given: &Given<'_>) -> Done<Vec<Joined>> {
        if select.from.is_empty() {
            return Ok(vec![Vec::new()]);
        }
        let reading = self.reading(conn, select, given)?;
        let mut rows: Vec<Joined> = vec![Vec::new()];
        for at in 0..select.from.len() {
            let mut longer = Vec::new();
            for row in rows {
                longer.extend(self.join(conn, select, at, &row, &reading, given)?);
            }
            rows = longer;
        }
        Ok(rows)
    }

    /// How a query reads.
    fn reading(&mut self, conn: ConnId, select: &Select, given: &Given<'_>) -> Done<Reading> {
        let trx = self.trx(conn);
        let serializable = trx.isolation == Isolation::Serializable && trx.explicit;
        if let Some(how) = select.locking.or(serializable.then_some((LockMode::Shared, Wait::Block))) {
            // With one table it stops at its limit.
            let single = select.from.len() == 1 && !is_grouped(select);
            let most = if single && !select.distinct {
                count(select.scope.limit.as_ref(), given)?.saturating_add(offset(select, given)?)
            } else {
                usize::MAX
            };
            return Ok(Reading::Locking(how, most));
        }
        Ok(Reading::Consistent(self.view(conn)))
    }

    /// `row` with each of the rows of the next table that belong to it.
    fn join(
        &mut self,
        conn: ConnId,
        select: &Select,
        at: usize,
        row: &Joined,
        reading: &Reading,
        given: &Given<'_>,
    ) -> Done<Vec<Joined>> {
        let Source { table: name, alias, on, left } = &select.from[at];
        let table = Rc::clone(&self.tables[name]);
        let before: Vec<(Rc<Table>, Blob)> = select.from[..at]
            .iter()
            .map(|source| (Rc::clone(&self.tables[&source.table]), source.alias.clone()))
            .collect();
        let is_last = at + 1 == select.from.len();
        let bounds: Vec<Bound<'_>> =
            before.iter().zip(row).map(|((table, alias), values)| bound(table, alias, values)).collect();
        let filter = select.scope.filter.as_ref().filter(|_| !left);
        let whole = match (on, filter) {
            (Some(on), Some(filter)) => {
                Some(Expr::Binary(Operator::And, Box::new(on.clone()), Box::new(filter.clone())))
            }
            (on, filter) => on.as_ref().or(filter).cloned(),
        };
        let access = plan(&table, alias, whole.as_ref(), &given.env(&bounds))?;
        let holds = |values: &[Value], expr: Option<&Expr>| match expr {
            None => Ok(true),
            Some(expr) => {
                let mut bounds = bounds.clone();
                bounds.push(bound(&table, alias, values));
                given.env(&bounds).holds(expr)
            }
        };
        // The condition of the whole can only be judged with the last table.
        let filter = select.scope.filter.as_ref().filter(|_| is_last);
        let wanted = |values: &[Value]| Ok(holds(values, on.as_ref())? && (*left || holds(values, filter)?));
        let rows = match reading {
            Reading::Locking(how, most) => {
                let most = match *most {
                    usize::MAX => usize::MAX,
                    most => limit_of_locked(&table, alias, &access, &select.scope, most)?,
                };
                self.read_locking(conn, name, &access, *how, most, &wanted)?
            }
            Reading::Consistent(view) => {
                let mut rows = Vec::new();
                for row in self.read(name, &access, view.as_deref()) {
                    if wanted(&row.1)? {
                        rows.push(row);
                    }
                }
                rows
            }
        };
        let nothing = rows.is_empty() && *left;
        let empty = nothing.then(|| Rc::new(vec![Value::Null; table.def.columns.len()]));
        let mut joined = Vec::new();
        for values in rows.into_iter().map(|(_, values)| values).chain(empty) {
            if !*left || holds(&values, filter)? {
                joined.push(row.iter().cloned().chain([values]).collect());
            }
        }
        Ok(joined)
    }
}

/// `GROUP BY` and `HAVING` may name what the query names, and `HAVING` may name little else: only what means the same
/// either way is modelled.
fn check_names(select: &Select) -> Done<()> {
    let is_plain = |expr: &Expr, name: &Blob| matches!(expr, Expr::Column(_, column) if column == name);
    let is_renamed =
        |name: &Blob| select.items.iter().flatten().any(|(expr, other)| other == name && !is_plain(expr, name));
    let is_listed = |name: &Blob| {
        select.items.iter().any(|item| item.as_ref().is_none_or(|(expr, _)| is_plain(expr, name)))
            || select.group_by.iter().any(|expr| is_plain(expr, name))
    };
    let grouped = select.group_by.iter().flat_map(Expr::columns).find(|(_, name)| is_renamed(name));
    if let Some((_, name)) = grouped {
        return not_modelled(format!("GROUP BY by the name {name} of what the query gives"));
    }
    let having = select.having.iter().flat_map(Expr::columns).find(|(_, name)| is_renamed(name) || !is_listed(name));
    having.map_or(Ok(()), |(_, name)| {
        not_modelled(format!("HAVING by the name {name}, which is no column that is asked for"))
    })
}

fn is_grouped(select: &Select) -> bool {
    let aggregates = select.items.iter().flatten().any(|(expr, _)| expr.has_aggregate());
    aggregates || !select.group_by.is_empty() || select.having.as_ref().is_some_and(Expr::has_aggregate)
}

/// How many rows a limit lets through.
fn count(limit: Option<&Expr>, given: &Given<'_>) -> Done<usize> {
    let Some(limit) = limit else { return Ok(usize::MAX) };
    match given.env(&[]).eval(limit)?.as_int().and_then(|count| usize::try_from(count).ok()) {
        Some(count) => Ok(count),
        None => not_modelled("this LIMIT"),
    }
}

fn offset(select: &Select, given: &Given<'_>) -> Done<usize> {
    if select.offset.is_none() { Ok(0) } else { count(select.offset.as_ref(), given) }
}

/// Sorts by expressions; what is the same keeps its order.
fn sort<T>(rows: &mut Vec<T>, order: &[(Expr, bool)], eval: impl Fn(&T, &Expr) -> Done<Value>) -> Done<()> {
    if order.is_empty() {
        return Ok(());
    }
    let mut keyed = Vec::new();
    for row in rows.drain(..) {
        let key = order.iter().map(|(by, _)| eval(&row, by)).collect::<Done<Vec<Value>>>()?;
        keyed.push((key, row));
    }
    keyed.sort_by(|(left, _), (right, _)| compare_keys(left, right, order));
    rows.extend(keyed.into_iter().map(|(_, row)| row));
    Ok(())
}

/// How two rows stand in an order, by what they are sorted by.
fn compare_keys(left: &[Value], right: &[Value], order: &[(Expr, bool)]) -> Ordering {
    let one = |((left, right), (_, last_first)): ((&Value, &Value), &(Expr, bool))| {
        let ordering = order_of(left, right);
        if *last_first { ordering.reverse() } else { ordering }
    };
    left.iter().zip(right).zip(order).map(one).find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
}

/// Nulls come first.
fn order_of(left: &Value, right: &Value) -> Ordering {
    match compare(left, right) {
        Ok(Some(ordering)) => ordering,
        _ => left.cmp(right),
    }
}

/// A row that a query gives, and what it is sorted by.
type Projected = (Vec<Value>, Vec<Value>);
/// Rows that are one to a query.
type Group<'a> = Vec<Vec<Bound<'a>>>;

/// What a query gives of the rows that were found: grouped, sorted, cut.
fn project(select: &Select, tables: &[&Table], rows: &[Joined], given: &Given<'_>) -> Done<Reply> {
    let mut found: Vec<Projected> = Vec::new();
    for group in groups(select, tables, rows, given)? {
        let Some(row) = project_group(select, &group, given)? else { continue };
        let same = |other: &Projected| other.0.iter().map(key_value).eq(row.0.iter().map(key_value));
        if !(select.distinct && found.iter().any(same)) {
            found.push(row);
        }
    }
    found.sort_by(|(_, left), (_, right)| compare_keys(left, right, &select.scope.order));
    let (skip, take) = (offset(select, given)?, count(select.scope.limit.as_ref(), given)?);
    let rows = found.into_iter().skip(skip).take(take).map(|(values, _)| values).collect();
    Ok(Reply::Rows { columns: names(select, tables), rows })
}

/// The groups of a query with aggregates or `GROUP BY`; of any other each row by itself.
fn groups<'a>(select: &'a Select, tables: &[&'a Table], rows: &'a [Joined], given: &Given<'_>) -> Done<Vec<Group<'a>>> {
    let bounds = |row: &'a Joined| -> Vec<Bound<'a>> {
        let sources = tables.iter().zip(&select.from).zip(row);
        sources.map(|((table, source), values)| bound(table, &source.alias, values)).collect()
    };
    if !is_grouped(select) {
        return Ok(rows.iter().map(|row| vec![bounds(row)]).collect());
    }
    let mut groups: BTreeMap<Vec<Value>, Group<'a>> = BTreeMap::new();
    for row in rows {
        let row = bounds(row);
        let key = select.group_by.iter().map(|by| Ok(key_value(&given.env(&row).eval(by)?)));
        groups.entry(key.collect::<Done<_>>()?).or_default().push(row);
    }
    // Without GROUP BY everything is one group, even nothing.
    if groups.is_empty() && select.group_by.is_empty() {
        groups.insert(Vec::new(), Vec::new());
    }
    Ok(groups.into_values().collect())
}

/// What a query gives of one group; nothing if `HAVING` leaves it out.
fn project_group(select: &Select, group: &Group<'_>, given: &Given<'_>) -> Done<Option<Projected>> {
    let nothing = Vec::new();
    let rows = group.first().unwrap_or(&nothing);
    let env = Env { group: is_grouped(select).then_some(&group[..]), ..given.env(rows) };
    if let Some(having) = &select.having
        && !env.holds(having)?
    {
        return Ok(None);
    }
    let mut values = Vec::new();
    for item in &select.items {
        match item {
            Some((expr, _)) => values.push(env.eval(expr)?),
            None => values.extend(rows.iter().flat_map(|row| row.values.iter().cloned())),
        }
    }
    // An order may name what the query names.
    let meant = |by: &Expr| {
        let named = |name: &Blob| select.items.iter().flatten().find(|(_, other)| other == name).map(|(expr, _)| expr);
        let item = if let Expr::Column(None, name) = by { named(name) } else { None };
        env.eval(item.unwrap_or(by))
    };
    let order = select.scope.order.iter().map(|(by, _)| meant(by)).collect::<Done<_>>()?;
    Ok(Some((values, order)))
}

fn names(select: &Select, tables: &[&Table]) -> Vec<Blob> {
    let mut names = Vec::new();
    for item in &select.items {
        match item {
            Some((_, name)) => names.push(name.clone()),
            None => {
                names.extend(tables.iter().flat_map(|table| table.def.columns.iter()).map(|column| column.name.clone()))
            }
        }
    }
    names
}
