//! The row of what is for sale, as it was seen.

use crate::lock::mysql::Stop;
use crate::lock::mysql::transaction::within;
use crate::port::mysql::{Session, Value};

pub(super) const READ: &str = "SELECT count, sale, version FROM stock WHERE id = ?";

/// The stock's row, as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Seen {
    /// What there was at the start.
    pub count: i64,
    /// What is sold.
    pub sale: i64,
    /// Grows with each sale.
    pub version: i64,
}

impl Seen {
    pub(super) fn of(row: &[Value]) -> Option<Self> {
        let [count, sale, version] = row else { return None };
        Some(Seen { count: count.as_int()?, sale: sale.as_int()?, version: version.as_int()? })
    }

    pub(super) fn is_sold_out(self) -> bool {
        self.sale >= self.count
    }

    /// The same after one more sale.
    pub(super) fn sold(self) -> Self {
        Seen { sale: self.sale + 1, version: self.version + 1, ..self }
    }
}

/// Reads the row.
pub(super) async fn read<S: Session>(session: &mut S, stock: i64) -> Result<Seen, Stop> {
    let rows = within(session.query(READ, vec![stock.into()]).await)?;
    rows.first().and_then(|row| Seen::of(row)).ok_or(Stop::GivenUp)
}
