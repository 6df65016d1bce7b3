//! Payment: the order is paid, and the inventory service must be told.

use super::outbox::{STOCK, write};
use super::rows::{Standing, status};
use super::service::OrderService;
use super::told::{Answer, tell};
use crate::lock::Lock;
use crate::lock::mysql::transaction::within;
use crate::lock::mysql::{Stop, Transaction};
use crate::port::mysql::Session;
use crate::port::{Blob, Ports};

const PAID: &str = "UPDATE orders SET status = 'PAID' WHERE id = ?";
const PAYMENT: &str = "INSERT INTO payment (order_id, amount_minor) VALUES (?, ?)";

/// Takes a payment for an order that has its stock, once.
struct Pay<'a> {
    order: &'a Blob,
    amount_minor: i64,
}

impl Transaction for Pay<'_> {
    type Output = bool;

    async fn run<S: Session>(&self, session: &mut S) -> Result<bool, Stop> {
        match status(session, self.order).await? {
            Standing::Deducted => {}
            Standing::Paid => return Ok(true),
            Standing::Init | Standing::Ended => return Ok(false),
        }
        within(session.run(PAID, vec![self.order.into()]).await)?;
        within(session.run(PAYMENT, vec![self.order.into(), self.amount_minor.into()]).await)?;
        write(session, STOCK, self.order).await?;
        Ok(true)
    }

    /// The answer is read from the order's own row.
    fn settles(&self, result: &Result<bool, Stop>) -> bool {
        result.is_ok()
    }
}

impl<P: Ports, L: Lock> OrderService<P, L> {
    /// Takes the payment for an order; true if it is paid.
    pub async fn pay(&mut self, order: &Blob, amount_minor: i64) -> bool {
        let pay = Pay { order, amount_minor };
        let paid = self.database.transact(&self.ports, self.config.retry, &pay).await;
        let answer = match &paid {
            Ok(true) => Answer::Paid,
            Ok(false) | Err(Stop::Failed(_) | Stop::GivenUp | Stop::Conflict | Stop::Unavailable) => Answer::NotPaid,
            Err(Stop::Unknown) => Answer::PaymentUnknown,
        };
        tell(&self.ports, order, answer);
        if answer == Answer::Paid {
            // JOB1 sends what is not sent now.
            self.send(order, STOCK).await;
        }
        answer == Answer::Paid
    }
}
