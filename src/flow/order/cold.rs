//! The cold path: the deduction in MySQL, under the SKU's lock and its row's.
//!
//! An order that comes here takes the SKU's route with it: if the row still says HOT, it says COLD from this
//! transaction on, and what Redis has deducted and MySQL has not confirmed does not count any more. So a client that
//! cannot reach Redis sells nothing twice.

use super::config::{LockScope, Order};
use super::confirm::{Confirmed, write_deducted};
use super::rows::{Standing, route, status};
use super::service::OrderService;
use super::told::NotPlaced;
use crate::lock::mysql::transaction::within;
use crate::lock::mysql::{Stop, Transaction};
use crate::lock::{Acquire, Lock};
use crate::port::mysql::{Session, Value};
use crate::port::{Blob, Ports};
use std::time::Duration;

const ROUTE: &str = "SELECT route, epoch FROM sku_route WHERE sku_id = ?";
const ROUTE_FOR_UPDATE: &str = "SELECT route, epoch FROM sku_route WHERE sku_id = ? FOR UPDATE";
const GO_COLD: &str = "UPDATE sku_route SET route = 'COLD', epoch = epoch + 1 WHERE sku_id = ? AND route = 'HOT'";
const STOCK: &str = "SELECT total, reserved FROM stock WHERE sku_id = ?";
const TAKEN: &str = "SELECT COALESCE(SUM(quantity), 0) FROM inventory_log WHERE sku_id = ? AND state = 'DEDUCTED'";

/// What the inventory service has less what it has not been told of yet: (a − b) − logs. After the route's row is
/// locked, both are read as they are then.
pub(super) async fn left<S: Session>(session: &mut S, sku: i64) -> Result<i64, Stop> {
    let stock = within(session.query(STOCK, vec![sku.into()]).await)?;
    let taken = within(session.query(TAKEN, vec![sku.into()]).await)?;
    let number = |rows: &[Vec<Value>], at: usize| rows.first().and_then(|row| row.get(at)).and_then(Value::as_int);
    match (number(&stock, 0), number(&stock, 1), number(&taken, 0)) {
        (Some(total), Some(reserved), Some(taken)) => Ok(total - reserved - taken),
        _ => Err(Stop::GivenUp),
    }
}

/// The deduction. `lock`: the SKU's lock, if the transaction is to take it.
struct Deduct<'a, L, F> {
    order: &'a Order,
    row_lock: bool,
    lock: Option<(&'a L, Duration)>,
    /// Whether the SKU's lock is still held, as far as its holder knows.
    holds: F,
}

impl<L: Lock, F: Fn() -> bool + Send + Sync> Transaction for Deduct<'_, L, F> {
    type Output = Confirmed;

    async fn run<S: Session>(&self, session: &mut S) -> Result<Confirmed, Stop> {
        let Some((lock, wait)) = self.lock else { return self.deduct(session).await };
        let guard = lock.acquire(wait).await.map_err(|_| Stop::GivenUp)?;
        let deducted = self.deduct(session).await;
        drop(guard.release().await);
        deducted
    }

    /// Each answer but that there is not enough is read from the order's own row.
    fn settles(&self, result: &Result<Confirmed, Stop>) -> bool {
        result.is_ok()
    }
}

impl<L: Lock, F: Fn() -> bool + Send + Sync> Deduct<'_, L, F> {
    async fn deduct<S: Session>(&self, session: &mut S) -> Result<Confirmed, Stop> {
        let sku = self.order.sku;
        let read = if self.row_lock { ROUTE_FOR_UPDATE } else { ROUTE };
        if route(session, read, sku).await?.0 {
            within(session.run(GO_COLD, vec![sku.into()]).await)?;
        }
        let left = left(session, sku).await?;
        match status(session, &self.order.id).await? {
            Standing::Deducted | Standing::Paid => return Ok(Confirmed::Done),
            Standing::Ended => return Ok(Confirmed::Ended),
            Standing::Init => {}
        }
        if left < self.order.quantity {
            return Ok(Confirmed::OtherRoute);
        }
        if !(self.holds)() {
            return Err(Stop::GivenUp);
        }
        write_deducted(session, self.order).await?;
        Ok(Confirmed::Done)
    }
}

impl<P: Ports, L: Lock> OrderService<P, L> {
    /// Deducts in MySQL. There is not enough: [`Confirmed::OtherRoute`].
    pub(super) async fn deduct_cold(&mut self, order: &Order) -> Result<Confirmed, NotPlaced> {
        let lock = self.locks.as_ref().map(|locks| locks.lock_of(&Blob::from(format!("sku-{}", order.sku))));
        let wait = self.config.lock_wait;
        let inside = self.config.lock_scope == LockScope::InsideTransaction;
        let guard = match &lock {
            Some(lock) if !inside => Some(lock.acquire(wait).await.map_err(|_| NotPlaced::Busy)?),
            _ => None,
        };
        let holds = || guard.as_ref().is_none_or(|guard| guard.is_valid());
        let lock = lock.as_ref().filter(|_| inside).map(|lock| (lock, wait));
        let deduct = Deduct { order, row_lock: self.config.row_lock, lock, holds };
        let deducted = self.database.transact(&self.ports, self.config.retry, &deduct).await;
        if let Some(guard) = guard {
            // Whether it was released or its lease ends: the row has what the lock guarded.
            drop(guard.release().await);
        }
        deducted.map_err(|stop| if stop == Stop::GivenUp { NotPlaced::Busy } else { NotPlaced::Unknown })
    }
}
