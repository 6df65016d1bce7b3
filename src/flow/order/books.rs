//! Books: what an auditor finds after all clients have ended and the jobs have done their work.

use super::config::Config;
use super::hot::HotStock;
use super::reconcile::reconcile;
use super::service::OrderService;
use crate::base::Tells;
use crate::lock::Lock;
use crate::port::mysql::{MySql, Session, Value};
use crate::port::{Blob, Ports, Unanswered, answered};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Every order beside what the other tables have of it.
const ORDERS: &str = "SELECT orders.id, orders.sku_id, orders.quantity, orders.amount_minor, orders.status, \
     inventory_log.state, stock_movement.quantity, payment.amount_minor FROM orders \
     LEFT JOIN inventory_log ON inventory_log.order_id = orders.id \
     LEFT JOIN stock_movement ON stock_movement.order_id = orders.id \
     LEFT JOIN payment ON payment.order_id = orders.id ORDER BY orders.id";
const STOCK: &str = "SELECT stock.sku_id, stock.total, stock.reserved, sku_route.route, sku_route.epoch FROM stock \
     JOIN sku_route ON sku_route.sku_id = stock.sku_id ORDER BY stock.sku_id";
const ORDERED: &str = "SELECT sku_id, SUM(quantity) FROM orders WHERE status IN ('DEDUCTED', 'PAID') GROUP BY sku_id";
const UNSENT: &str = "SELECT COUNT(*) FROM message WHERE state = 'NEW'";
const COUPONS: &str = "SELECT coupon.id, coupon.order_id, orders.id FROM coupon \
     LEFT JOIN orders ON orders.coupon_id = coupon.id AND orders.status = 'PAID' ORDER BY coupon.id";

/// What is there in the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Books {
    /// The SKUs' stock.
    pub stock: Vec<StockRow>,
    /// The orders.
    pub orders: Vec<OrderRow>,
    /// The coupons.
    pub coupons: Vec<CouponRow>,
    /// The messages that were not sent.
    pub unsent: i64,
    /// The rules of the reconciliation that are broken.
    pub unreconciled: Vec<String>,
}

/// The stock of a SKU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockRow {
    /// The SKU.
    pub sku: i64,
    /// How much there is in all (a).
    pub total: i64,
    /// How much of it is paid for (b).
    pub reserved: i64,
    /// How much orders had of it before the jobs did their work.
    pub ordered: i64,
    /// What Redis says is left, if the SKU is sold from there.
    pub cached: Option<i64>,
}

/// An order, and what the other tables have of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRow {
    /// The order.
    pub id: Blob,
    /// What was ordered.
    pub sku: i64,
    /// How many.
    pub quantity: i64,
    /// For how much.
    pub amount_minor: i64,
    /// Its status.
    pub status: String,
    /// The state of its inventory log.
    pub log: Option<String>,
    /// How many the inventory service has moved.
    pub moved: Option<i64>,
    /// What was paid.
    pub paid_minor: Option<i64>,
}

/// A coupon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CouponRow {
    /// Its number.
    pub id: i64,
    /// The order that the coupon service has for it.
    pub used_by: Option<Blob>,
    /// The paid order that had its discount.
    pub order: Option<Blob>,
}

impl StockRow {
    /// What orders of a kind have of this SKU.
    pub fn taken<'a>(&self, orders: impl IntoIterator<Item = &'a OrderRow>) -> i64 {
        orders.into_iter().filter(|order| order.sku == self.sku).map(|order| order.quantity).sum()
    }
}

impl OrderRow {
    /// True if it has its stock.
    pub fn has_stock(&self) -> bool {
        matches!(self.status.as_str(), "DEDUCTED" | "PAID")
    }
}

impl Tells for Books {
    const KIND: &'static str = "books";
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for StockRow { sku, total, reserved, ordered, cached } in &self.stock {
            write!(f, "SKU {sku}: {total} in all, {ordered} ordered, {reserved} paid")?;
            cached.map_or(Ok(()), |left| write!(f, ", {left} left in Redis"))?;
            f.write_str("; ")?;
        }
        for OrderRow { id, status, log, .. } in &self.orders {
            write!(f, "{id} {status}, {}; ", log.as_deref().unwrap_or("no log"))?;
        }
        write!(f, "{} messages unsent", self.unsent)
    }
}

fn text(value: &Value) -> Option<Blob> {
    if let Value::Text(text) = value { Some(text.clone()) } else { None }
}

fn word(value: &Value) -> Option<String> {
    text(value).map(|text| text.to_text().into_owned())
}

/// A row that is not as its statement says: a mistake of this file.
fn malformed(what: &'static str) -> Unanswered {
    Unanswered { what, why: "a row of another shape".to_owned() }
}

fn order_row(row: &[Value]) -> Option<OrderRow> {
    let [id, sku, quantity, amount_minor, status, log, moved, paid] = row else { return None };
    Some(OrderRow {
        id: text(id)?,
        sku: sku.as_int()?,
        quantity: quantity.as_int()?,
        amount_minor: amount_minor.as_int()?,
        status: word(status)?,
        log: word(log),
        moved: moved.as_int(),
        paid_minor: paid.as_int(),
    })
}

fn coupon_row(row: &[Value]) -> Option<CouponRow> {
    let [id, used_by, order] = row else { return None };
    Some(CouponRow { id: id.as_int()?, used_by: text(used_by), order: text(order) })
}

/// The numbers of a SKU's row, and the epoch under which it is hot.
fn stock_row(row: &[Value]) -> Option<(StockRow, Option<i64>)> {
    let [sku, total, reserved, route, epoch] = row else { return None };
    let (sku, total, reserved) = (sku.as_int()?, total.as_int()?, reserved.as_int()?);
    let hot = (*route == Value::from("HOT")).then(|| epoch.as_int()).flatten();
    Some((StockRow { sku, total, reserved, ordered: 0, cached: None }, hot))
}

impl<P: Ports, L: Lock> OrderService<P, L> {
    /// What the jobs do once everything is quiet: they cancel what is neither paid nor ended, and send all messages.
    pub async fn repair(&mut self) {
        while self.cancel_stale(Duration::ZERO, Duration::ZERO).await > 0 {}
        while self.send_unsent().await > 0 {}
    }
}

/// How much orders have of each SKU that any has some of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ordered(Vec<(i64, i64)>);

/// How much orders have, to be asked before the jobs cancel what is not paid. The answer must come.
pub async fn ordered<P: Ports>(ports: &P, config: &Config) -> Result<Ordered, Unanswered> {
    let mut session = ports.mysql(config.database).session();
    let rows = answered(ORDERED, session.query(ORDERED, Vec::new()).await)?;
    let pair = |row: &Vec<Value>| Some((row.first()?.as_int()?, row.get(1)?.as_int()?));
    Ok(Ordered(rows.iter().map(|row| pair(row).ok_or_else(|| malformed(ORDERED))).collect::<Result<_, _>>()?))
}

/// Looks everything up. The answers must come.
pub async fn audit<P: Ports>(ports: &P, config: &Config, ordered: &Ordered) -> Result<Books, Unanswered> {
    let mut session = ports.mysql(config.database).session();
    let orders = answered(ORDERS, session.query(ORDERS, Vec::new()).await)?;
    let orders = orders.iter().map(|row| order_row(row).ok_or_else(|| malformed(ORDERS))).collect::<Result<_, _>>()?;
    let coupons = answered(COUPONS, session.query(COUPONS, Vec::new()).await)?;
    let coupons =
        coupons.iter().map(|row| coupon_row(row).ok_or_else(|| malformed(COUPONS))).collect::<Result<_, _>>()?;
    let unsent = answered(UNSENT, session.query(UNSENT, Vec::new()).await)?;
    let unsent = unsent.first().and_then(|row| row.first()).and_then(Value::as_int).ok_or_else(|| malformed(UNSENT))?;
    let hot = HotStock::new(ports, config);
    let mut stock = Vec::new();
    for row in answered(STOCK, session.query(STOCK, Vec::new()).await)? {
        let (mut row, epoch) = stock_row(&row).ok_or_else(|| malformed(STOCK))?;
        row.ordered = ordered.0.iter().find(|(sku, _)| *sku == row.sku).map_or(0, |(_, quantity)| *quantity);
        row.cached = match (epoch, hot.left(row.sku).await) {
            (Some(epoch), Some((left, opened))) if epoch == opened => Some(left),
            _ => None,
        };
        stock.push(row);
    }
    let unreconciled = reconcile(&mut session).await?;
    Ok(Books { stock, orders, coupons, unsent, unreconciled })
}
