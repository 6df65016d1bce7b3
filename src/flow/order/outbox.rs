//! The local message table: what other services must be told is written in the transaction that makes it true.

use crate::lock::mysql::Stop;
use crate::lock::mysql::transaction::within;
use crate::port::Blob;
use crate::port::mysql::{Session, Value};

/// The coupon service: the order has used its coupon up.
pub(super) const COUPON: &str = "coupon";
/// The inventory service: the order is paid.
pub(super) const STOCK: &str = "stock";
/// The stock in Redis: the order has ended without its pieces.
pub(super) const RETURN: &str = "return";

const INSERT: &str = "INSERT INTO message (topic, order_id) VALUES (?, ?)";

/// Writes a message into the transaction.
pub(super) async fn write<S: Session>(session: &mut S, topic: &'static str, order: &Blob) -> Result<(), Stop> {
    within(session.run(INSERT, vec![topic.into(), order.into()]).await).map(drop)
}

/// The topic with this name.
pub(super) fn topic(name: &Value) -> Option<&'static str> {
    [COUPON, STOCK, RETURN].into_iter().find(|topic| *name == Value::from(*topic))
}
