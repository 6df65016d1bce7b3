//! Messages: other services are told what the local message table has for them.
//!
//! Each of them knows the order: told twice, it does nothing the second time. So a message is sent until its row says
//! SENT (JOB1), and the row says so only after the service has answered.

use super::config::Order;
use super::outbox::{COUPON, STOCK, topic};
use super::rows::{Standing, status};
use super::service::OrderService;
use crate::lock::Lock;
use crate::lock::mysql::transaction::{ending, within};
use crate::lock::mysql::{Stop, Transaction};
use crate::port::mysql::{Session, Value};
use crate::port::{Blob, Ports};

const SENT: &str = "UPDATE message SET state = 'SENT' WHERE topic = ? AND order_id = ?";
const UNSENT: &str = "SELECT topic, order_id FROM message WHERE state = 'NEW' ORDER BY id LIMIT 100";
const ORDER: &str = "SELECT sku_id, quantity, coupon_id FROM orders WHERE id = ?";
const USE_COUPON: &str = "UPDATE coupon SET order_id = ? WHERE id = ? AND order_id IS NULL";

impl<P: Ports, L: Lock> OrderService<P, L> {
    /// JOB1: sends the messages that were not sent, oldest first. Gives how many were.
    pub async fn send_unsent(&mut self) -> usize {
        let session = self.database.session();
        let ask = async { within(session.query(UNSENT, Vec::new()).await).map_err(|_| ()) };
        let Ok(rows) = self.ports.round(ask).await else { return 0 };
        let mut sent = 0;
        for row in rows {
            if let [name, Value::Text(order)] = &row[..]
                && let Some(topic) = topic(name)
            {
                sent += usize::from(self.send(order, topic).await);
            }
        }
        sent
    }

    /// Sends a message; false if it must be sent again.
    pub(super) async fn send(&mut self, order: &Blob, topic: &'static str) -> bool {
        let Some(order) = self.read_order(order).await else { return false };
        let told = match topic {
            COUPON => self.use_coupon(&order).await,
            STOCK => self.reserve(&order).await && self.hot.settle(order.sku, &order.id).await,
            _ => self.hot.give_back(order.sku, &order.id).await,
        };
        if !told {
            return false;
        }
        let session = self.database.session();
        let sent = async { ending(session.run(SENT, vec![topic.into(), (&order.id).into()]).await).is_ok() };
        self.ports.round(sent).await
    }

    /// An order that is in the database.
    pub(super) async fn read_order(&mut self, id: &Blob) -> Option<Order> {
        let session = self.database.session();
        let ask = async { within(session.query(ORDER, vec![id.into()]).await).map_err(|_| ()) };
        let rows = self.ports.round(ask).await.ok()?;
        let [sku, quantity, coupon] = &rows.first()?[..] else { return None };
        Some(Order { id: id.clone(), sku: sku.as_int()?, quantity: quantity.as_int()?, coupon: coupon.as_int() })
    }

    /// The coupon service: a coupon is used up by one order.
    async fn use_coupon(&mut self, order: &Order) -> bool {
        let Some(coupon) = order.coupon else { return true };
        let use_up = UseCoupon { order: &order.id, coupon };
        self.database.transact(&self.ports, self.config.retry, &use_up).await.is_ok()
    }
}

/// Uses a coupon up, unless its order has been cancelled meanwhile.
struct UseCoupon<'a> {
    order: &'a Blob,
    coupon: i64,
}

impl Transaction for UseCoupon<'_> {
    type Output = ();

    async fn run<S: Session>(&self, session: &mut S) -> Result<(), Stop> {
        match status(session, self.order).await? {
            Standing::Deducted | Standing::Paid => {
                within(session.run(USE_COUPON, vec![self.order.into(), self.coupon.into()]).await).map(drop)
            }
            Standing::Init | Standing::Ended => Ok(()),
        }
    }

    fn settles(&self, result: &Result<(), Stop>) -> bool {
        result.is_ok()
    }
}
