//! JOB2: orders that have got stuck, or were not paid in time, are cancelled and their stock returned.
//!
//! The order's row is first: from then on nothing is confirmed for it. What MySQL has deducted is returned in the
//! same transaction; what Redis has deducted, or will when a script arrives late, by a message.

use super::outbox::{RETURN, write};
use super::rows::{Standing, status};
use super::service::OrderService;
use crate::lock::Lock;
use crate::lock::mysql::transaction::within;
use crate::lock::mysql::{Stop, Transaction};
use crate::port::mysql::{Session, Value};
use crate::port::{Blob, Ports};
use std::time::Duration;

const STALE: &str = "SELECT id FROM orders WHERE status = ? AND created_at <= NOW(6) - INTERVAL ? MICROSECOND \
     ORDER BY created_at, id LIMIT 100";
const FREE_COUPON: &str = "UPDATE coupon SET order_id = NULL WHERE order_id = ?";
const CANCELLED: &str = "UPDATE orders SET status = 'CANCELLED', coupon_id = NULL WHERE id = ?";
const RETURNED: &str = "UPDATE inventory_log SET state = 'RETURNED' WHERE order_id = ? AND state = 'DEDUCTED'";

struct Cancel<'a> {
    order: &'a Blob,
}

impl Transaction for Cancel<'_> {
    type Output = bool;

    async fn run<S: Session>(&self, session: &mut S) -> Result<bool, Stop> {
        match status(session, self.order).await? {
            Standing::Init | Standing::Deducted => {}
            Standing::Paid | Standing::Ended => return Ok(false),
        }
        within(session.run(CANCELLED, vec![self.order.into()]).await)?;
        within(session.run(RETURNED, vec![self.order.into()]).await)?;
        within(session.run(FREE_COUPON, vec![self.order.into()]).await)?;
        write(session, RETURN, self.order).await?;
        Ok(true)
    }

    fn settles(&self, result: &Result<bool, Stop>) -> bool {
        matches!(result, Ok(true))
    }
}

impl<P: Ports, L: Lock> OrderService<P, L> {
    /// JOB2: cancels the orders that have had no stock for `init`, and those that were not paid for `unpaid`. Gives
    /// how many.
    pub async fn cancel_stale(&mut self, init: Duration, unpaid: Duration) -> usize {
        let mut cancelled = 0;
        for (status, age) in [("INIT", init), ("DEDUCTED", unpaid)] {
            for order in self.stale(status, age).await {
                cancelled += usize::from(self.cancel(&order).await);
            }
        }
        cancelled
    }

    async fn stale(&mut self, status: &'static str, age: Duration) -> Vec<Blob> {
        let age_us = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
        let session = self.database.session();
        let ask = async { within(session.query(STALE, vec![status.into(), age_us.into()]).await).map_err(|_| ()) };
        let rows = self.ports.round(ask).await.unwrap_or_default();
        let id = |row: Vec<Value>| match row.into_iter().next() {
            Some(Value::Text(id)) => Some(id),
            _ => None,
        };
        rows.into_iter().filter_map(id).collect()
    }

    /// Cancels an order that is not paid; false if it is, or if the answer was lost.
    pub async fn cancel(&mut self, order: &Blob) -> bool {
        let cancelled = self.database.transact(&self.ports, self.config.retry, &Cancel { order }).await;
        if cancelled == Ok(true) {
            // JOB1 sends what is not sent now.
            self.send(order, RETURN).await;
        }
        cancelled == Ok(true)
    }
}
