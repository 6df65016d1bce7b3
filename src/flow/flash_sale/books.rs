//! What an auditor finds after all have ended, and after a last request that comes alone.

use super::config::Stage;
use super::limiter;
use super::row::{READ, Seen};
use super::service::FlashSale;
use crate::base::Tells;
use crate::flow::queue::Queue;
use crate::port::mysql::{Session, Value as Sql};
use crate::port::{Blob, Command, Ports, Redis, Unanswered, Value, answered};
use serde::{Deserialize, Serialize};
use std::fmt;

const ORDERS: &str = "SELECT request_id, COUNT(*) FROM stock_order GROUP BY request_id ORDER BY request_id";
/// A request that comes alone may meet counters that are behind the row, and bring them up to it: the next one must
/// get a piece.
const LAST_REQUESTS: usize = 2;

/// The row of what is for sale, or its copy in Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// What there was at the start.
    pub count: i64,
    /// What is sold.
    pub sale: i64,
    /// Grows with each sale.
    pub version: i64,
}

/// What there is in the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Books {
    /// The row after all have ended.
    pub stock: Row,
    /// The requests that have orders, with the number of their orders.
    pub orders: Vec<(Blob, i64)>,
    /// The row after the last requests, which came alone.
    pub after: Row,
    /// What Redis has of it then, if the sale uses Redis.
    pub cached: Option<Row>,
    /// True if the limiter's counter will never expire.
    pub limiter_stays: bool,
}

impl Books {
    /// How many orders there are.
    pub fn ordered(&self) -> i64 {
        self.orders.iter().map(|(_, times)| times).sum()
    }
}

impl Tells for Books {
    const KIND: &'static str = "flash-sale-books";
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { count, sale, version } = self.stock;
        write!(f, "{sale} of {count} are sold in {} orders, version {version}", self.ordered())?;
        if let Some(Row { sale, version, .. }) = self.cached {
            write!(f, "; after another request {} are sold, and Redis has {sale}, version {version}", self.after.sale)?;
        }
        if self.limiter_stays { f.write_str("; the limiter's counter stays for ever") } else { Ok(()) }
    }
}

impl From<Seen> for Row {
    fn from(Seen { count, sale, version }: Seen) -> Self {
        Row { count, sale, version }
    }
}

impl<P: Ports, Q: Queue> FlashSale<P, Q> {
    /// Takes everything that is in the queue.
    async fn drain(&mut self) {
        if self.config.stage == Stage::Queued {
            while self.consume().await > 0 {}
        }
    }

    async fn row(&mut self) -> Result<Row, Unanswered> {
        let stock = self.config.stock;
        let rows = answered(READ, self.database.session().query(READ, vec![stock.into()]).await)?;
        let seen = rows.first().and_then(|row| Seen::of(row));
        seen.map(Row::from).ok_or_else(|| Unanswered { what: READ, why: "no such row".to_owned() })
    }

    async fn orders(&mut self) -> Result<Vec<(Blob, i64)>, Unanswered> {
        let rows = answered(ORDERS, self.database.session().query(ORDERS, Vec::new()).await)?;
        let order = |row: Vec<Sql>| match &row[..] {
            [Sql::Text(request), times] => Some((request.clone(), times.as_int()?)),
            _ => None,
        };
        Ok(rows.into_iter().filter_map(order).collect())
    }

    /// Looks everything up, and lets further requests come, one after the other, without the limiter. The answers must
    /// come.
    pub async fn audit(&mut self) -> Result<Books, Unanswered> {
        self.drain().await;
        let (stock, orders) = (self.row().await?, self.orders().await?);
        let pttl = Command::new("PTTL").arg(limiter::key(self.config.stock));
        let ttl = answered("PTTL", self.ports.redis(self.config.cache).call(pttl).await)?;
        for _ in 0..LAST_REQUESTS {
            let request = self.ports.unique_id();
            self.take(&request).await;
            self.drain().await;
        }
        let cached = if self.config.stage >= Stage::Cached { self.counters.read().await } else { None };
        Ok(Books {
            stock,
            orders,
            after: self.row().await?,
            cached: cached.map(Row::from),
            limiter_stays: ttl == Value::Int(-1),
        })
    }
}
