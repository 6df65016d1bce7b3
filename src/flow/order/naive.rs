//! Rebuilding a SKU's stock in Redis as one would at first: read what there is, and set it. It is wrong (S5, S6), and
//! here to be shown so.
//!
//! What is deducted between the reading and the setting is sold again. An order that the inventory service counts
//! between the two readings is counted twice, if Redis is read first, or not at all.

use super::cold::left;
use super::service::OrderService;
use crate::lock::Lock;
use crate::lock::mysql::transaction::within;
use crate::lock::mysql::{Stop, Transaction};
use crate::port::mysql::{Session, Value};
use crate::port::{Blob, Ports};

const LOGGED: &str = "SELECT order_id FROM inventory_log WHERE sku_id = ? AND state = 'DEDUCTED'";

/// What is read first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// Redis's log.
    Redis,
    /// MySQL's tables.
    MySql,
}

/// (a − b) − MySQL's log, and the orders that are in that.
struct Read {
    sku: i64,
}

impl Transaction for Read {
    type Output = (i64, Vec<Blob>);

    async fn run<S: Session>(&self, session: &mut S) -> Result<(i64, Vec<Blob>), Stop> {
        let left = left(session, self.sku).await?;
        let rows = within(session.query(LOGGED, vec![self.sku.into()]).await)?;
        let order =
            |row: &Vec<Value>| if let Some(Value::Text(order)) = row.first() { Some(order.clone()) } else { None };
        Ok((left, rows.iter().filter_map(order).collect()))
    }

    fn settles(&self, result: &Result<(i64, Vec<Blob>), Stop>) -> bool {
        result.is_ok()
    }
}

impl<P: Ports, L: Lock> OrderService<P, L> {
    /// Sets a SKU's stock in Redis to (a − b) less the orders in both logs, each once; false without an answer.
    pub async fn rebuild_naively(&mut self, sku: i64, first: First) -> bool {
        let before = if first == First::Redis { self.hot.log(sku).await } else { None };
        let Ok((left, known)) = self.database.transact(&self.ports, self.config.retry, &Read { sku }).await else {
            return false;
        };
        let log = if first == First::Redis { before } else { self.hot.log(sku).await };
        let Some(log) = log else { return false };
        let others: i64 = log.iter().filter(|(order, _)| !known.contains(order)).map(|(_, quantity)| quantity).sum();
        self.hot.set(sku, left - others).await
    }
}
