//! Reconciliation: what an auditor asks the database, one statement a rule; each gives the rows that break it.
//!
//! Source: article quality, "data reconciliation".

use crate::port::mysql::{Session, Value};
use crate::port::{Unanswered, answered};

/// A rule, and the rows that break it.
const RULES: [(&str, &str); 6] = [
    (
        "a paid order has one movement of its quantity",
        "SELECT orders.id FROM orders LEFT JOIN stock_movement ON stock_movement.order_id = orders.id \
         WHERE orders.status = 'PAID' AND (stock_movement.quantity IS NULL OR stock_movement.quantity <> orders.quantity) \
         ORDER BY orders.id",
    ),
    (
        "a movement belongs to a paid order",
        "SELECT stock_movement.order_id FROM stock_movement \
         LEFT JOIN orders ON orders.id = stock_movement.order_id AND orders.status = 'PAID' \
         WHERE orders.id IS NULL ORDER BY stock_movement.order_id",
    ),
    (
        "a payment belongs to a paid order, with its amount",
        "SELECT payment.order_id FROM payment \
         LEFT JOIN orders ON orders.id = payment.order_id AND orders.status = 'PAID' \
         WHERE orders.id IS NULL OR orders.amount_minor <> payment.amount_minor ORDER BY payment.order_id",
    ),
    (
        "what is reserved of a SKU is what was moved",
        "SELECT stock.sku_id, stock.reserved FROM stock LEFT JOIN stock_movement ON stock_movement.sku_id = stock.sku_id \
         GROUP BY stock.sku_id, stock.reserved HAVING COALESCE(SUM(stock_movement.quantity), 0) <> stock.reserved \
         ORDER BY stock.sku_id",
    ),
    (
        "an order is in the inventory log once",
        "SELECT order_id FROM inventory_log GROUP BY order_id HAVING COUNT(*) > 1 ORDER BY order_id",
    ),
    (
        "a service is told of an order by one message",
        "SELECT order_id FROM message GROUP BY topic, order_id HAVING COUNT(*) > 1 ORDER BY order_id",
    ),
];

/// The rules that are broken, each with its first row. The answers must come.
pub(super) async fn reconcile<S: Session>(session: &mut S) -> Result<Vec<String>, Unanswered> {
    let mut broken = Vec::new();
    for (rule, sql) in RULES {
        let rows = answered(sql, session.query(sql, Vec::new()).await)?;
        if let Some([first, ..]) = rows.first().map(Vec::as_slice) {
            let count = rows.len();
            let first = if let Value::Text(text) = first { text.to_string() } else { format!("{first}") };
            broken.push(format!("{rule}: {first} breaks this, and {} more do", count - 1));
        }
    }
    Ok(broken)
}
