//! What a statement says, reduced to what the model knows.

use super::wire::Value;
use crate::Blob;
use std::hash::{Hash, Hasher};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Statement {
    CreateTable { table: TableDef, if_not_exists: bool },
    DropTables { names: Vec<Blob>, if_exists: bool },
    Insert(Insert),
    Select(Select),
    Update { table: Blob, sets: Vec<(Blob, Expr)>, scope: Scope },
    Delete { table: Blob, scope: Scope },
    Begin,
    Commit,
    Rollback,
    Savepoint(Blob),
    RollbackTo(Blob),
    Release(Blob),
    SetAutocommit(bool),
    SetIsolation { session: bool, level: Isolation },
    SetLockWaitTimeout(u32),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Isolation {
    ReadUncommitted,
    ReadCommitted,
    #[default]
    RepeatableRead,
    Serializable,
}

#[derive(Clone, Debug, PartialEq, Hash)]
pub(super) struct TableDef {
    pub name: Blob,
    pub columns: Vec<Column>,
    /// The first is the primary key.
    pub indexes: Vec<Index>,
    pub foreign_keys: Vec<ForeignKey>,
}

/// The first columns of an index name a row of another table, which must be there.
#[derive(Clone, Debug, PartialEq, Hash)]
pub(super) struct ForeignKey {
    /// The place of the index.
    pub index: usize,
    pub parent: Blob,
    /// The columns of the parent's key, as many as are the index's first.
    pub referenced: Vec<Blob>,
}

#[derive(Clone, Debug, PartialEq, Hash)]
pub(super) struct Column {
    pub name: Blob,
    pub kind: ColumnType,
    pub not_null: bool,
    pub default: Option<Expr>,
    /// What it becomes when another column of its row changes.
    pub on_update: Option<Expr>,
    pub auto_increment: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ColumnType {
    /// With the smallest and the largest number.
    Int {
        min: i64,
        max: i64,
    },
    Unsigned {
        max: u64,
    },
    /// With the most characters.
    Text {
        max: u64,
    },
    /// With the digits after the second.
    DateTime {
        digits: u32,
    },
}

impl ColumnType {
    /// True if a column of this type may refer to one of the other: numbers must have the same range.
    pub(super) fn may_refer(&self, other: &ColumnType) -> bool {
        match (self, other) {
            (ColumnType::Text { .. }, ColumnType::Text { .. }) => true,
            (own, other) => own == other,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Index {
    pub name: Blob,
    /// Places of columns.
    pub columns: Vec<usize>,
    pub unique: bool,
}

impl Hash for Index {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Index { name, columns, unique } = self;
        (name, unique, columns.len()).hash(state);
        // One by one: a list of numbers would go in as this machine has it.
        columns.iter().for_each(|place| state.write_usize(*place));
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Insert {
    pub table: Blob,
    pub columns: Vec<Blob>,
    pub rows: Vec<Vec<Expr>>,
    pub ignore: bool,
    pub on_duplicate: Vec<(Blob, Expr)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Select {
    /// Expressions with their names; none stands for all columns.
    pub items: Vec<Option<(Expr, Blob)>>,
    pub distinct: bool,
    pub from: Vec<Source>,
    pub scope: Scope,
    pub group_by: Vec<Expr>,
    pub having: Option<Expr>,
    pub offset: Option<Expr>,
    pub locking: Option<(LockMode, Wait)>,
}

/// Which rows, and in what order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Scope {
    pub filter: Option<Expr>,
    /// With the largest first if true.
    pub order: Vec<(Expr, bool)>,
    pub limit: Option<Expr>,
}

/// A table, and how it is joined to those before it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Source {
    pub table: Blob,
    pub alias: Blob,
    pub on: Option<Expr>,
    pub left: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum LockMode {
    Shared,
    Exclusive,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    Block,
    /// `NOWAIT`.
    Fail,
    /// `SKIP LOCKED`.
    Skip,
}

#[derive(Clone, Debug, PartialEq, Hash)]
pub(super) enum Expr {
    Column(Option<Blob>, Blob),
    Value(Value),
    Param(usize),
    Not(Box<Expr>),
    Negative(Box<Expr>),
    Binary(Operator, Box<Expr>, Box<Expr>),
    IsNull(Box<Expr>),
    In(Box<Expr>, Vec<Expr>),
    Between(Box<Expr>, Box<Expr>, Box<Expr>),
    /// A moment and so many units of this many microseconds on top.
    AddInterval(Box<Expr>, Box<Expr>, i64),
    Call(Function, Vec<Expr>),
    Aggregate(Aggregate, Option<Box<Expr>>, bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Modulo,
    Equal,
    NullSafeEqual,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    And,
    Or,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Function {
    /// With the digits after the second.
    Now(u32),
    LastInsertId,
    RowCount,
    GetLock,
    ReleaseLock,
    IsFreeLock,
    IfNull,
    Least,
    Greatest,
    /// In `ON DUPLICATE KEY UPDATE`: what would have been inserted.
    Inserted,
    If,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Aggregate {
    Count,
    Sum,
    Min,
    Max,
}

impl Expr {
    /// Calls `visit` with the expression and all within it.
    pub(super) fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Expr)) {
        self.walk_while(&mut |expr| {
            visit(expr);
            true
        });
    }

    /// Calls `visit` with the expression, and with what is within it if that gives true.
    fn walk_while<'a>(&'a self, visit: &mut impl FnMut(&'a Expr) -> bool) {
        if !visit(self) {
            return;
        }
        match self {
            Expr::Column(..) | Expr::Value(_) | Expr::Param(_) | Expr::Aggregate(_, None, _) => {}
            Expr::Not(inner) | Expr::Negative(inner) | Expr::IsNull(inner) | Expr::Aggregate(_, Some(inner), _) => {
                inner.walk_while(visit);
            }
            Expr::Binary(_, left, right) | Expr::AddInterval(left, right, _) => {
                left.walk_while(visit);
                right.walk_while(visit);
            }
            Expr::In(inner, list) => {
                inner.walk_while(visit);
                list.iter().for_each(|expr| expr.walk_while(visit));
            }
            Expr::Between(inner, low, high) => [inner, low, high].into_iter().for_each(|expr| expr.walk_while(visit)),
            Expr::Call(_, args) => args.iter().for_each(|expr| expr.walk_while(visit)),
        }
    }

    /// The columns that it names by themselves, outside of aggregates.
    pub(super) fn columns(&self) -> Vec<(Option<&Blob>, &Blob)> {
        let mut columns = Vec::new();
        self.walk_while(&mut |expr| {
            if let Expr::Column(table, name) = expr {
                columns.push((table.as_ref(), name));
            }
            !matches!(expr, Expr::Aggregate(..))
        });
        columns
    }

    pub(super) fn has_aggregate(&self) -> bool {
        let mut found = false;
        self.walk(&mut |expr| found |= matches!(expr, Expr::Aggregate(..)));
        found
    }
}
