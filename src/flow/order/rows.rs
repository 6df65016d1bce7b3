//! What the rows of orders and routes say.

use crate::lock::mysql::Stop;
use crate::lock::mysql::transaction::within;
use crate::port::Blob;
use crate::port::mysql::{Session, Value};

const STATUS: &str = "SELECT status FROM orders WHERE id = ? FOR UPDATE";
/// The route of a SKU that is sold from Redis.
const HOT: &str = "HOT";

/// How an order stands.
pub(super) async fn status<S: Session>(session: &mut S, order: &Blob) -> Result<Standing, Stop> {
    let rows = within(session.query(STATUS, vec![order.into()]).await)?;
    Ok(match rows.first().and_then(|row| row.first()) {
        Some(Value::Text(status)) => match status.as_bytes() {
            b"INIT" => Standing::Init,
            b"DEDUCTED" => Standing::Deducted,
            b"PAID" => Standing::Paid,
            _ => Standing::Ended,
        },
        _ => Standing::Ended,
    })
}

/// The status of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Init,
    Deducted,
    Paid,
    Ended,
}

/// The route and the epoch of a SKU, as this statement reads them.
pub(super) async fn route<S: Session>(session: &mut S, sql: &'static str, sku: i64) -> Result<(bool, i64), Stop> {
    let rows = within(session.query(sql, vec![sku.into()]).await)?;
    match rows.first().map(Vec::as_slice) {
        Some([route, epoch]) => Ok((*route == Value::from(HOT), epoch.as_int().unwrap_or(0))),
        _ => Err(Stop::GivenUp),
    }
}
