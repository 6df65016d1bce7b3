//! Access: which records of which index a statement looks at, and which of them it locks.

use super::ast::{ColumnType, Expr, Isolation, LockMode, Operator, Wait};
use super::collation::key_value;
use super::eval::Env;
use super::failure::{Done, Stop, is_locked};
use super::locks::{Part, Place};
use super::server::Server;
use super::table::{Key, Table, Values};
use super::view::View;
use super::wire::Value;
use crate::{Blob, ConnId};
use std::ops::Bound;

/// The records to look at.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Access {
    /// None: the condition cannot hold.
    Nothing,
    /// The one with this key of a unique index.
    Point { index: usize, key: Key },
    /// Those of an index whose keys begin so.
    Prefix { index: usize, key: Key },
    /// Those of the primary key from a bound to a bound of its first column.
    Range { from: Bound<Value>, to: Bound<Value> },
    /// All, by the primary key.
    All,
}

impl Access {
    fn index(&self) -> usize {
        match self {
            Access::Point { index, .. } | Access::Prefix { index, .. } => *index,
            Access::Nothing | Access::Range { .. } | Access::All => 0,
        }
    }

    fn begins(&self) -> Bound<Key> {
        match self {
            Access::Point { key, .. } | Access::Prefix { key, .. } => Bound::Included(key.clone()),
            Access::Range { from: Bound::Included(first), .. } => Bound::Included(vec![first.clone()]),
            // Behind every key that begins with it: those that follow are skipped one by one.
            Access::Range { from: Bound::Excluded(first), .. } => Bound::Included(vec![first.clone()]),
            Access::Range { .. } | Access::Nothing | Access::All => Bound::Unbounded,
        }
    }

    /// True if a range of the primary key begins with just this key: nothing that comes in before it is in the range, and the gap is not
    /// locked.
    fn begins_at(&self, key: &[Value]) -> bool {
        matches!((self, key), (Access::Range { from: Bound::Included(first), .. }, [only]) if only == first)
    }

    /// Whether a key is one to look at; nothing if none behind it is either.
    fn takes(&self, key: &[Value]) -> Option<bool> {
        match self {
            Access::Nothing => None,
            Access::Point { key: wanted, .. } | Access::Prefix { key: wanted, .. } => {
                key.starts_with(wanted).then_some(true)
            }
            Access::Range { from, to } => {
                let behind = match to {
                    Bound::Included(last) => key[0] > *last,
                    Bound::Excluded(end) => key[0] >= *end,
                    Bound::Unbounded => false,
                };
                let before = matches!(from, Bound::Excluded(first) if key[0] == *first);
                if behind { None } else { Some(!before) }
            }
            Access::All => Some(true),
        }
    }
}

impl Access {
    /// True if the records come in this order by themselves: by the primary key, behind what the condition fixes.
    pub(super) fn comes_in_order(&self, table: &Table, alias: &Blob, order: &[(Expr, bool)]) -> bool {
        let fixed = match self {
            Access::Nothing | Access::Point { .. } => return true,
            Access::Prefix { index, key } => *index > 0 && key.len() == table.def.indexes[*index].columns.len(),
            Access::Range { .. } | Access::All => true,
        };
        let primary = &table.def.indexes[0].columns;
        let is_column = |(at, (expr, descending)): (usize, &(Expr, bool))| match expr {
            Expr::Column(of, name) => {
                let known = of.as_ref().is_none_or(|of| of == alias);
                known && !descending && primary.get(at).is_some_and(|place| table.def.columns[*place].name == *name)
            }
            _ => false,
        };
        fixed && order.iter().enumerate().all(is_column)
    }
}

/// A value as it stands in a column, if it can.
fn as_stored(kind: &ColumnType, value: &Value) -> Option<Value> {
    match (kind, value) {
        (ColumnType::Unsigned { .. }, Value::Int(number)) => u64::try_from(*number).ok().map(Value::UInt),
        (ColumnType::Int { .. }, Value::UInt(number)) => i64::try_from(*number).ok().map(Value::Int),
        (ColumnType::Unsigned { .. }, Value::UInt(_))
        | (ColumnType::Int { .. }, Value::Int(_))
        | (ColumnType::Text { .. }, Value::Text(_))
        | (ColumnType::DateTime { .. }, Value::DateTime(_)) => Some(key_value(value)),
        _ => None,
    }
}

/// What a condition demands of single columns, all at once: the column, how it stands, and to what.
type Demand = (usize, Operator, Value);

/// Collects what `filter` demands of a table's columns, as far as the other side is known without its rows.
fn demands(table: &Table, alias: &Blob, filter: &Expr, env: &Env<'_>, into: &mut Vec<Demand>) -> Done<()> {
    let Expr::Binary(operator, left, right) = filter else {
        if let Expr::Between(inner, low, high) = filter {
            let bound = |operator, bound: &Expr| Expr::Binary(operator, inner.clone(), Box::new(bound.clone()));
            demands(table, alias, &bound(Operator::GreaterOrEqual, low), env, into)?;
            demands(table, alias, &bound(Operator::LessOrEqual, high), env, into)?;
        }
        return Ok(());
    };
    if *operator == Operator::And {
        demands(table, alias, left, env, into)?;
        return demands(table, alias, right, env, into);
    }
    let place = |expr: &Expr| match expr {
        Expr::Column(of, name) if of.as_ref().is_none_or(|of| of == alias) => {
            table.def.columns.iter().position(|column| column.name == *name)
        }
        _ => None,
    };
    let turned = match operator {
        Operator::Less => Operator::Greater,
        Operator::LessOrEqual => Operator::GreaterOrEqual,
        Operator::Greater => Operator::Less,
        Operator::GreaterOrEqual => Operator::LessOrEqual,
        other => *other,
    };
    for (column, other, operator) in [(left, right, *operator), (right, left, turned)] {
        if let Some(place) = place(column)
            && is_known(other, table, alias, env)
        {
            into.push((place, operator, env.eval(other)?));
            return Ok(());
        }
    }
    Ok(())
}

/// True if an expression names no column of the table, nor of one that has no row yet.
fn is_known(expr: &Expr, table: &Table, alias: &Blob, env: &Env<'_>) -> bool {
    let mut known = true;
    expr.walk(&mut |part| {
        known &= match part {
            Expr::Column(Some(of), _) => of != alias && env.rows.iter().any(|row| row.alias == of),
            Expr::Column(None, name) => {
                table.def.columns.iter().all(|column| column.name != *name)
                    && env.rows.iter().any(|row| row.columns.iter().any(|column| column.name == *name))
            }
            Expr::Aggregate(..) => false,
            _ => true,
        };
    });
    known
}

/// The way to the rows for which `filter` may hold.
pub(super) fn plan(table: &Table, alias: &Blob, filter: Option<&Expr>, env: &Env<'_>) -> Done<Access> {
    let mut found = Vec::new();
    if let Some(filter) = filter {
        demands(table, alias, filter, env, &mut found)?;
    }
    if found.iter().any(|(_, operator, value)| *operator != Operator::NullSafeEqual && *value == Value::Null) {
        return Ok(Access::Nothing);
    }
    let stored = |place: usize, value: &Value| as_stored(&table.def.columns[place].kind, value);
    let equal = |place: &usize| {
        let demand = found.iter().find(|(of, operator, _)| of == place && *operator == Operator::Equal)?;
        stored(*place, &demand.2)
    };
    for (index, def) in table.def.indexes.iter().enumerate().filter(|(_, def)| def.unique) {
        if let Some(key) = def.columns.iter().map(equal).collect::<Option<Key>>() {
            return Ok(Access::Point { index, key });
        }
    }
    for (index, def) in table.def.indexes.iter().enumerate() {
        let key: Key = def.columns.iter().map_while(equal).collect();
        if !key.is_empty() {
            return Ok(Access::Prefix { index, key });
        }
    }
    let first = table.def.indexes[0].columns[0];
    let bound = |excluded: Operator, included: Operator| {
        found.iter().filter(|(place, ..)| *place == first).find_map(|(_, operator, value)| match operator {
            operator if *operator == excluded => stored(first, value).map(Bound::Excluded),
            operator if *operator == included => stored(first, value).map(Bound::Included),
            _ => None,
        })
    };
    let from = bound(Operator::Greater, Operator::GreaterOrEqual);
    let to = bound(Operator::Less, Operator::LessOrEqual);
    if from.is_none() && to.is_none() {
        return Ok(Access::All);
    }
    Ok(Access::Range { from: from.unwrap_or(Bound::Unbounded), to: to.unwrap_or(Bound::Unbounded) })
}

impl Server {
    /// The rows that a view sees, without locks; everything that there is, committed or not, without a view.
    pub(super) fn read(&self, name: &Blob, access: &Access, view: Option<&View>) -> Vec<(Key, Values)> {
        let (table, index) = (&self.tables[name], access.index());
        let mut rows = Vec::new();
        for key in table.keys_from(index, access.begins().as_ref()) {
            match access.takes(key) {
                None => break,
                Some(false) => continue,
                Some(true) => {}
            }
            let primary = table.primary_of(index, key);
            let values = match view {
                Some(view) => table.seen(primary, view),
                None => table.newest(primary).and_then(|version| version.values.clone()),
            };
            // An index also has the keys of other versions.
            if let Some(values) = values.filter(|values| table.key_of(index, values) == *key) {
                rows.push((primary.to_vec(), values));
            }
        }
        rows
    }

    /// The rows as they are now, locked, for which `wanted` holds, up to `limit` of them.
    pub(super) fn read_locking(
        &mut self,
        conn: ConnId,
        name: &Blob,
        access: &Access,
        (mode, wait): (LockMode, Wait),
        limit: usize,
        wanted: &dyn Fn(&[Value]) -> Done<bool>,
    ) -> Done<Vec<(Key, Values)>> {
        let mut rows = Vec::new();
        if *access == Access::Nothing || limit == 0 {
            return Ok(rows);
        }
        let trx = self.trx(conn).id;
        self.locks.intend(trx, name, mode);
        let gaps = self.trx(conn).isolation >= Isolation::RepeatableRead;
        let index = access.index();
        let is_point = matches!(access, Access::Point { .. });
        let mut next = self.tables[name].keys_from(index, access.begins().as_ref()).next().cloned();
        let mut found_point = false;
        while let Some(key) = next {
            match access.takes(&key) {
                None => {
                    next = Some(key);
                    break;
                }
                Some(false) => {
                    next = self.tables[name].next_key(index, &key);
                    continue;
                }
                Some(true) => {}
            }
            let part = if gaps && !is_point && !access.begins_at(&key) { Part::NextKey } else { Part::Record };
            let place = Place { table: name.clone(), index, key: Some(key.clone()) };
            let held = match self.lock(conn, &place, mode, part) {
                Err(Stop::Blocked) if wait != Wait::Block => {
                    let trx = self.trx(conn).id;
                    self.locks.stop_waiting(trx);
                    if wait == Wait::Fail {
                        return Err(is_locked(self.config.dialect));
                    }
                    next = self.tables[name].next_key(index, &key);
                    continue;
                }
                other => other?,
            };
            found_point = true;
            let matched = self.row_behind(conn, name, index, &key, mode, wanted)?;
            if matched.is_none() && held && !gaps {
                let trx = self.trx(conn).id;
                self.locks.unlock(trx, &place);
            }
            rows.extend(matched);
            next = self.tables[name].next_key(index, &key);
            if rows.len() >= limit {
                return Ok(rows);
            }
        }
        if gaps && !(is_point && found_point) {
            // Nobody may come in behind the last one.
            let place = Place { table: name.clone(), index, key: next };
            self.lock(conn, &place, mode, Part::Gap)?;
        }
        Ok(rows)
    }

    /// The row that a locked record of an index stands for, if it is wanted. By another index than the primary one it is locked
    /// there too.
    fn row_behind(
        &mut self,
        conn: ConnId,
        name: &Blob,
        index: usize,
        key: &Key,
        mode: LockMode,
        wanted: &dyn Fn(&[Value]) -> Done<bool>,
    ) -> Done<Option<(Key, Values)>> {
        let primary = self.tables[name].primary_of(index, key).to_vec();
        if index > 0 {
            let place = Place { table: name.clone(), index: 0, key: Some(primary.clone()) };
            self.lock(conn, &place, mode, Part::Record)?;
        }
        let table = &self.tables[name];
        let Some(values) = table.newest(&primary).and_then(|version| version.values.clone()) else { return Ok(None) };
        let current = table.key_of(index, &values) == *key;
        Ok(if current && wanted(&values)? { Some((primary, values)) } else { None })
    }
}
