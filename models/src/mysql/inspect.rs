//! What oracles ask of a server: committed rows, and who has a lock.

use super::server::Server;
use super::table::Values;
use super::view::TrxId;
use super::wire::Value;
use crate::{Blob, NodeClock};

impl Server {
    /// The committed rows of a table, in the order of its primary key.
    fn committed_rows(&self, table: &Blob) -> Vec<Values> {
        let active = |id: TrxId| self.active().any(|trx| trx.id == id);
        self.tables.get(table).map_or_else(Vec::new, |table| table.committed_rows(active))
    }

    /// The committed rows of a table as a text; nothing if there is no such table.
    pub(super) fn committed_text(&self, table: &Blob) -> Option<Blob> {
        self.tables.get(table)?;
        let row = |values: Values| values.iter().map(ToString::to_string).collect::<Vec<String>>().join(", ");
        let rows: Vec<String> = self.committed_rows(table).into_iter().map(row).collect();
        Some(Blob::from(rows.join("; ")))
    }

    /// The owner in the committed row of the table `locks (fence, name, owner, expires_at)` with this name that has not ended by
    /// the server's clock, and whether it will.
    pub(super) fn lock_row(&self, clock: NodeClock, lock: &Blob) -> Option<(Blob, bool)> {
        self.committed_rows(&"locks".into()).iter().find_map(|row| match &row[..] {
            [_, Value::Text(name), Value::Text(owner), ends] if name == lock => match ends {
                Value::DateTime(at_us) if *at_us <= clock.wall_us => None,
                ends => Some((owner.clone(), *ends != Value::Null)),
            },
            _ => None,
        })
    }
}
