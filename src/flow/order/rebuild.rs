//! Rebuilding a SKU's stock in Redis: remaining = (a − b) − the orders in MySQL's log or in Redis's, each once.
//!
//! 1. The route becomes COLD, with a new epoch: what Redis has deducted and MySQL has not confirmed does not count
//!    from here on.
//! 2. The SKU is closed in Redis, which gives its log.
//! 3. With the route's row locked, so that nothing is deducted, MySQL is read; the route becomes HOT, with a new epoch.
//! 4. The SKU is opened in Redis with what was read, unless it has been closed again.
//!
//! A client that crashes between two steps leaves a SKU that is closed in Redis: its orders go the cold way, which
//! makes the route COLD.
//!
//! From an empty Redis the log is empty, and remaining = (a − b) − MySQL's log. After a crash that lost some of
//! Redis's log, the orders that are missing are in MySQL's, or do not count.

use super::rows::route;
use super::service::OrderService;
use crate::lock::Lock;
use crate::lock::mysql::transaction::within;
use crate::lock::mysql::{Stop, Transaction};
use crate::port::mysql::{Session, Value};
use crate::port::{Blob, Ports};

const ROUTE: &str = "SELECT route, epoch FROM sku_route WHERE sku_id = ? FOR UPDATE";
const SET_ROUTE: &str = "UPDATE sku_route SET route = ?, epoch = epoch + 1 WHERE sku_id = ?";
const STOCK: &str = "SELECT total, reserved FROM stock WHERE sku_id = ?";
const LOGGED: &str =
    "SELECT order_id, quantity FROM inventory_log WHERE sku_id = ? AND state = 'DEDUCTED' ORDER BY order_id";
const STATUS: &str = "SELECT status FROM orders WHERE id = ?";

/// Makes the SKU cold: its new epoch.
struct GoCold {
    sku: i64,
}

impl Transaction for GoCold {
    type Output = i64;

    async fn run<S: Session>(&self, session: &mut S) -> Result<i64, Stop> {
        let (_, epoch) = route(session, ROUTE, self.sku).await?;
        within(session.run(SET_ROUTE, vec!["COLD".into(), self.sku.into()]).await)?;
        Ok(epoch + 1)
    }

    /// Another new epoch is as good.
    fn settles(&self, result: &Result<i64, Stop>) -> bool {
        result.is_ok()
    }
}

/// What the stock in Redis is made from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Counted {
    /// The epoch under which the SKU is hot.
    epoch: i64,
    /// a − b.
    left: i64,
    /// The orders that have taken some of it, and how many.
    taken: Vec<(Blob, i64)>,
}

/// Makes the SKU hot, if its epoch is still this one.
struct GoHot<'a> {
    sku: i64,
    epoch: i64,
    /// The log of Redis.
    log: &'a [(Blob, i64)],
}

impl GoHot<'_> {
    /// The orders of Redis's log that MySQL does not have, and that are not over: they keep their pieces as long as
    /// there are enough.
    async fn add_unconfirmed<S: Session>(&self, session: &mut S, counted: &mut Counted) -> Result<(), Stop> {
        for (order, quantity) in self.log {
            if counted.taken.iter().any(|(known, _)| known == order) {
                continue;
            }
            let rows = within(session.query(STATUS, vec![order.into()]).await)?;
            let waits = rows.first().and_then(|row| row.first()) == Some(&Value::from("INIT"));
            let taken: i64 = counted.taken.iter().map(|(_, quantity)| quantity).sum();
            if waits && taken + quantity <= counted.left {
                counted.taken.push((order.clone(), *quantity));
            }
        }
        Ok(())
    }
}

impl Transaction for GoHot<'_> {
    type Output = Option<Counted>;

    async fn run<S: Session>(&self, session: &mut S) -> Result<Option<Counted>, Stop> {
        if route(session, ROUTE, self.sku).await? != (false, self.epoch) {
            return Ok(None);
        }
        let stock = within(session.query(STOCK, vec![self.sku.into()]).await)?;
        let logged = within(session.query(LOGGED, vec![self.sku.into()]).await)?;
        let number = |at: usize| stock.first().and_then(|row| row.get(at)).and_then(Value::as_int);
        let (Some(total), Some(reserved)) = (number(0), number(1)) else { return Err(Stop::GivenUp) };
        let taken = logged.iter().filter_map(|row| match &row[..] {
            [Value::Text(order), quantity] => Some((order.clone(), quantity.as_int()?)),
            _ => None,
        });
        let mut counted = Counted { epoch: self.epoch + 1, left: total - reserved, taken: taken.collect() };
        self.add_unconfirmed(session, &mut counted).await?;
        within(session.run(SET_ROUTE, vec!["HOT".into(), self.sku.into()]).await)?;
        Ok(Some(counted))
    }

    /// After a commit in doubt the epoch may be another one for that alone.
    fn settles(&self, result: &Result<Option<Counted>, Stop>) -> bool {
        matches!(result, Ok(Some(_)))
    }
}

impl<P: Ports, L: Lock> OrderService<P, L> {
    /// Rebuilds a SKU's stock in Redis and makes the SKU hot. False if that did not come to its end: it may be done
    /// again.
    pub async fn rebuild(&mut self, sku: i64) -> bool {
        let Ok(epoch) = self.database.transact(&self.ports, self.config.retry, &GoCold { sku }).await else {
            return false;
        };
        let Some(log) = self.hot.close(sku, epoch).await else { return false };
        let go_hot = GoHot { sku, epoch, log: &log };
        let counted = self.database.transact(&self.ports, self.config.retry, &go_hot).await;
        let Ok(Some(Counted { epoch: opened, left, taken })) = counted else { return false };
        self.hot.open(sku, epoch, opened, left, &taken).await.is_some() && self.hot.mark(sku, true).await
    }

    /// Makes a SKU cold and closes it in Redis; false if that did not come to its end.
    pub async fn make_cold(&mut self, sku: i64) -> bool {
        let Ok(epoch) = self.database.transact(&self.ports, self.config.retry, &GoCold { sku }).await else {
            return false;
        };
        self.hot.mark(sku, false).await && self.hot.close(sku, epoch).await.is_some()
    }
}
