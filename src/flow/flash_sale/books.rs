//! What an auditor finds after all have ended, and after a last request that comes alone.

use super::config::Stage;
use super::limiter;
use super::row::{READ, Seen};
use super::service::FlashSale;
use crate::base::Tells;
use crate::flow::queue::Queue;
use crate::port::mysql::{Session, Value as Sql};
use crate::port::{Blob, Command, Ports, Redis, Unanswered, answered};
use serde::{Deserialize, Serialize};
use std::fmt;

const ORDERS: &str = "SELECT request_id, COUNT(*) FROM stock_order GROUP BY request_id ORDER BY request_id";
/// The first request that comes alone may meet counters that are behind the row, and bring them up to it: the second
/// must get a piece.
const LAST_REQUESTS: usize = 2;
/// The auditor takes from the queue so often at the most: what is never acknowledged comes for ever.
const POLLS_MAX: usize = 10_000;

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
    /// How many orders there were before the auditor took from the queue what was left in it.
    pub ordered_before: i64,
    /// What the consumers had not acknowledged then, of each part of the queue.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backlog: Vec<i64>,
    /// The row after the last requests, which came alone.
    pub after: Row,
    /// True if the sale keeps counters in Redis.
    pub counts_in_redis: bool,
    /// What Redis has of the row then.
    pub cached: Option<Row>,
    /// How long the limiter's counter stays, in milliseconds: -1 for ever, -2 if there is none.
    pub limiter_ttl_ms: i64,
    /// The limiter's window, in milliseconds.
    pub window_ms: i64,
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
        if self.limiter_ttl_ms == -1 { f.write_str("; the limiter's counter stays for ever") } else { Ok(()) }
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
            for _ in 0..POLLS_MAX {
                if self.consume().await == 0 {
                    return;
                }
            }
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
        let ordered_before = self.orders().await?.iter().map(|(_, times)| times).sum();
        let backlog = if self.config.stage == Stage::Queued { self.queue.backlog().await? } else { Vec::new() };
        self.drain().await;
        let (stock, orders) = (self.row().await?, self.orders().await?);
        let pttl = Command::new("PTTL").arg(limiter::key(self.config.stock));
        let ttl = answered("PTTL", self.ports.redis(self.config.cache).call(pttl).await)?;
        for _ in 0..LAST_REQUESTS {
            let request = self.ports.unique_id();
            self.take(&request).await;
            self.drain().await;
        }
        Ok(Books {
            stock,
            orders,
            ordered_before,
            backlog,
            after: self.row().await?,
            counts_in_redis: self.config.stage >= Stage::Cached,
            cached: self.counters.read().await.map(Row::from),
            limiter_ttl_ms: ttl.as_int().unwrap_or(-1),
            window_ms: i64::try_from(self.config.limiter.window.as_millis()).unwrap_or(i64::MAX),
        })
    }
}
