//! Confirming: what MySQL is told of a deduction in Redis. Only then it counts.
//!
//! The SKU's route is read under a shared lock, which the transaction keeps: a change of the route waits for it, so
//! that a deduction is either confirmed before the change, and counted by the client that made it, or not at all.

use super::config::Order;
use super::outbox::{COUPON, RETURN, write};
use super::rows::{Standing, route, status};
use super::service::OrderService;
use super::told::NotPlaced;
use crate::lock::Lock;
use crate::lock::mysql::transaction::within;
use crate::lock::mysql::{Stop, Transaction};
use crate::port::mysql::Session;
use crate::port::{Blob, Ports};

const ROUTE: &str = "SELECT route, epoch FROM sku_route WHERE sku_id = ? LOCK IN SHARE MODE";
const DEDUCTED: &str = "UPDATE orders SET status = 'DEDUCTED' WHERE id = ?";
const INSERT_LOG: &str = "INSERT INTO inventory_log (order_id, sku_id, quantity) VALUES (?, ?, ?)";
const REFUSED: &str = "UPDATE orders SET status = 'REFUSED', coupon_id = NULL WHERE id = ? AND status = 'INIT'";

/// What became of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Confirmed {
    /// It has its stock.
    Done,
    /// The SKU's stock is elsewhere meanwhile, or, on the cold path, there is not enough.
    OtherRoute,
    /// It was cancelled or refused.
    Ended,
}

/// Writes down that an order has its stock, with the messages that this makes.
pub(super) async fn write_deducted<S: Session>(session: &mut S, order: &Order) -> Result<(), Stop> {
    within(session.run(DEDUCTED, vec![(&order.id).into()]).await)?;
    let log = vec![(&order.id).into(), order.sku.into(), order.quantity.into()];
    within(session.run(INSERT_LOG, log).await)?;
    if order.coupon.is_some() {
        write(session, COUPON, &order.id).await?;
    }
    Ok(())
}

/// Confirms a deduction that Redis has made under this epoch.
struct Confirm<'a> {
    order: &'a Order,
    /// The epoch; without one any is right.
    epoch: Option<i64>,
}

impl Transaction for Confirm<'_> {
    type Output = Confirmed;

    async fn run<S: Session>(&self, session: &mut S) -> Result<Confirmed, Stop> {
        let (hot, epoch) = route(session, ROUTE, self.order.sku).await?;
        let here = self.epoch.is_none_or(|expected| hot && epoch == expected);
        Ok(match status(session, &self.order.id).await? {
            Standing::Init if here => {
                write_deducted(session, self.order).await?;
                Confirmed::Done
            }
            Standing::Init => Confirmed::OtherRoute,
            // An earlier try, or an earlier click.
            Standing::Deducted | Standing::Paid => Confirmed::Done,
            Standing::Ended => Confirmed::Ended,
        })
    }

    /// Each answer is read from the order's own row.
    fn settles(&self, result: &Result<Confirmed, Stop>) -> bool {
        result.is_ok()
    }
}

/// Refuses an order. If a script may still be on its way, Redis must be told that the order is done with.
struct Refuse<'a> {
    order: &'a Blob,
    in_doubt: bool,
}

impl Transaction for Refuse<'_> {
    type Output = bool;

    async fn run<S: Session>(&self, session: &mut S) -> Result<bool, Stop> {
        let refused = within(session.run(REFUSED, vec![self.order.into()]).await)?.affected == 1;
        if refused && self.in_doubt {
            write(session, RETURN, self.order).await?;
        }
        Ok(refused)
    }

    fn settles(&self, result: &Result<bool, Stop>) -> bool {
        matches!(result, Ok(true))
    }
}

impl<P: Ports, L: Lock> OrderService<P, L> {
    /// Confirms a deduction in Redis.
    pub(super) async fn confirm(&mut self, order: &Order, epoch: i64) -> Result<Confirmed, NotPlaced> {
        let confirm = Confirm { order, epoch: self.config.epochs.then_some(epoch) };
        let confirmed = self.database.transact(&self.ports, self.config.retry, &confirm).await;
        confirmed.map_err(|_| NotPlaced::Unknown)
    }

    /// Refuses an order for which there is not enough. What cannot be written is left to JOB2.
    pub(super) async fn refuse(&mut self, order: &Order, in_doubt: bool) -> NotPlaced {
        let refuse = Refuse { order: &order.id, in_doubt };
        match self.database.transact(&self.ports, self.config.retry, &refuse).await {
            Ok(_) if in_doubt => {
                self.send(&order.id, RETURN).await;
                NotPlaced::SoldOut
            }
            Ok(_) => NotPlaced::SoldOut,
            Err(_) => NotPlaced::Unknown,
        }
    }
}
