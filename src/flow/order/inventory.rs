//! The inventory service: the total (a) and what is reserved by paid orders (b), apart, so that orders that are only
//! placed do not contend for the row.

use super::cold::left;
use super::config::Order;
use super::rows::route;
use super::service::OrderService;
use crate::lock::Lock;
use crate::lock::mysql::transaction::within;
use crate::lock::mysql::{Retry, Stop, Transaction};
use crate::port::Ports;
use crate::port::mysql::Session;

const MOVE: &str = "INSERT INTO stock_movement (order_id, sku_id, quantity) VALUES (?, ?, ?)";
const RESERVE: &str = "UPDATE stock SET reserved = reserved + ? WHERE sku_id = ? AND total >= reserved + ?";
const ROUTE: &str = "SELECT route, epoch FROM sku_route WHERE sku_id = ? FOR UPDATE";
const RESTOCK: &str = "UPDATE stock SET total = total + ? WHERE sku_id = ? AND ? + ? >= 0";
const SETTLE: &str = "UPDATE inventory_log SET state = 'SETTLED' WHERE order_id = ? AND state = 'DEDUCTED'";

/// Counts a paid order, once: the order's movement, what is reserved, and the log in one transaction, so that (a − b)
/// − logs is the same before and after.
struct Reserve<'a> {
    order: &'a Order,
}

impl Transaction for Reserve<'_> {
    type Output = ();

    async fn run<S: Session>(&self, session: &mut S) -> Result<(), Stop> {
        let Order { id, sku, quantity, .. } = self.order;
        within(session.run(MOVE, vec![id.into(), (*sku).into(), (*quantity).into()]).await)?;
        let reserve = vec![(*quantity).into(), (*sku).into(), (*quantity).into()];
        if within(session.run(RESERVE, reserve).await)?.affected == 0 {
            // More is paid than there is: nothing is written, and the message stays for a person to look at.
            return Err(Stop::GivenUp);
        }
        within(session.run(SETTLE, vec![id.into()]).await).map(drop)
    }

    fn settles(&self, result: &Result<(), Stop>) -> bool {
        match result {
            Ok(()) => true,
            Err(stop) => stop.is_duplicate(),
        }
    }
}

/// Changes how much there is in all, unless orders have it. The route's row is locked, and the SKU is cold: nothing is
/// deducted meanwhile.
struct Restock {
    sku: i64,
    by: i64,
}

impl Transaction for Restock {
    type Output = bool;

    async fn run<S: Session>(&self, session: &mut S) -> Result<bool, Stop> {
        if route(session, ROUTE, self.sku).await?.0 {
            return Err(Stop::Conflict);
        }
        let left = left(session, self.sku).await?;
        let restock = vec![self.by.into(), self.sku.into(), self.by.into(), left.into()];
        Ok(within(session.run(RESTOCK, restock).await)?.affected == 1)
    }

    /// After a commit in doubt less may be left for that alone.
    fn settles(&self, _: &Result<bool, Stop>) -> bool {
        false
    }
}

impl<P: Ports, L: Lock> OrderService<P, L> {
    /// Adds to the total of a SKU, or takes from it what no order has; true if it was done. Without an answer to the
    /// commit it is not done again. A hot SKU is cold while that goes on, and is rebuilt.
    pub async fn restock(&mut self, sku: i64, by: i64) -> bool {
        let was_hot = self.hot.is_hot(sku).await == Some(true);
        if !self.make_cold(sku).await {
            return false;
        }
        let retry = Retry { unknown: false, ..self.config.retry };
        let restocked = self.database.transact(&self.ports, retry, &Restock { sku, by }).await == Ok(true);
        if was_hot {
            self.rebuild(sku).await;
        }
        restocked
    }

    /// Tells the inventory service that an order is paid; false if it must be told again.
    pub(super) async fn reserve(&mut self, order: &Order) -> bool {
        match self.database.transact(&self.ports, self.config.retry, &Reserve { order }).await {
            Ok(()) => true,
            // It knows the order.
            Err(stop) => stop.is_duplicate(),
        }
    }
}
