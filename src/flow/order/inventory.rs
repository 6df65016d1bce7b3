//! The inventory service: the total (a) and what is reserved by paid orders (b), apart, so that orders that are only
//! placed do not contend for the row.

use super::{Order, OrderService};
use crate::lock::Lock;
use crate::lock::mysql::transaction::within;
use crate::lock::mysql::{Stop, Transaction};
use crate::port::Ports;
use crate::port::mysql::Session;

const MOVE: &str = "INSERT INTO stock_movement (order_id, sku_id, quantity) VALUES (?, ?, ?)";
const RESERVE: &str = "UPDATE stock SET reserved = reserved + ? WHERE sku_id = ? AND total >= reserved + ?";
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

impl<P: Ports, L: Lock> OrderService<P, L> {
    /// Tells the inventory service that an order is paid; false if it must be told again.
    pub(super) async fn reserve(&mut self, order: &Order) -> bool {
        match self.database.transact(&self.ports, self.config.retry, &Reserve { order }).await {
            Ok(()) => true,
            // It knows the order.
            Err(stop) => stop.is_duplicate(),
        }
    }
}
