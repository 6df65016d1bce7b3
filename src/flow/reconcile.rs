//! Reconciliation: what is on the servers after everybody has ended, asked for in SQL, on simulated and real servers alike.
//!
//! Source: article quality, "data reconciliation": records that are there more than once.

use super::sale::Audit;
use crate::lock::resource::{Access, Counter, Resource};
use crate::port::mysql::{MySql, Session, Value};
use crate::port::{Blob, Ports, Unanswered, answered};

/// Every order and every draw is a record here; `unique_id` is the request that made it.
const TASK_RECORD: &str = "CREATE TABLE task_record (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, \
     scene_code VARCHAR(16) NOT NULL, order_id VARCHAR(64) NOT NULL, unique_id VARCHAR(64), KEY by_order (scene_code, order_id))";
/// The same, and no record is there twice.
const TASK_RECORD_UNIQUE: &str = "CREATE TABLE task_record (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, \
     scene_code VARCHAR(16) NOT NULL, order_id VARCHAR(64) NOT NULL, unique_id VARCHAR(64), \
     UNIQUE KEY by_order (scene_code, order_id))";

const DUPLICATES: &str = "SELECT COUNT(*) AS task_count, scene_code, order_id FROM task_record \
     WHERE unique_id IS NOT NULL GROUP BY scene_code, order_id HAVING COUNT(*) > 1 ORDER BY scene_code, order_id";
const ORDERS: &str = "SELECT COUNT(*) FROM task_record WHERE scene_code = 'order'";
const STOCK: &str = "SELECT stock FROM stock WHERE id = ?";

/// Where the stock is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StockAt {
    /// In the row with this number, in the database of the orders.
    Row(i64),
    /// At the key `stock` of the Redis server at this place of the topology.
    Redis(usize),
}

/// The key of the stock on a Redis server.
pub const STOCK_KEY: &str = "stock";

/// Makes the table of the records, which must not be there yet.
pub async fn create_records<S: Session>(session: &mut S, unique: bool) -> Result<(), Unanswered> {
    let sql = if unique { TASK_RECORD_UNIQUE } else { TASK_RECORD };
    answered(sql, session.run(sql, Vec::new()).await).map(drop)
}

/// The records that are there more than once, and how often.
pub async fn duplicates<S: Session>(session: &mut S) -> Result<Vec<(Blob, i64)>, Unanswered> {
    let rows = answered(DUPLICATES, session.query(DUPLICATES, Vec::new()).await)?;
    let duplicate = |row: Vec<Value>| match &row[..] {
        [count, Value::Text(scene), Value::Text(order)] => {
            Some((Blob::from(format!("{scene} {order}")), count.as_int()?))
        }
        _ => None,
    };
    Ok(rows.into_iter().filter_map(duplicate).collect())
}

async fn count<S: Session>(session: &mut S, sql: &'static str, params: Vec<Value>) -> Result<i64, Unanswered> {
    let rows = answered(sql, session.query(sql, params).await)?;
    let number = rows.first().and_then(|row| row.first()).and_then(Value::as_int);
    number.ok_or_else(|| Unanswered { what: sql, why: "no number".to_owned() })
}

/// What there is in the end.
pub async fn audit<P: Ports>(ports: &P, database: usize, stock: Option<(StockAt, i64)>) -> Result<Audit, Unanswered> {
    let mut session = ports.mysql(database).session();
    let left = match stock.map(|(at, _)| at) {
        None => 0,
        Some(StockAt::Row(id)) => count(&mut session, STOCK, vec![id.into()]).await?,
        Some(StockAt::Redis(server)) => {
            match answered("GET stock", Counter::new(ports.redis(server), STOCK_KEY).read(None).await)? {
                Access::Accepted(stock) => stock,
                Access::Stale => unreachable!("there is no fencing token to be stale"),
            }
        }
    };
    Ok(Audit {
        stock: stock.map(|(_, at_start)| (at_start, left)),
        orders: count(&mut session, ORDERS, Vec::new()).await?,
        duplicates: duplicates(&mut session).await?,
    })
}
