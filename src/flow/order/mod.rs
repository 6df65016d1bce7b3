//! The order flow of article order: validate, price, insert the order, deduct the stock hot or cold, confirm, pay.
//!
//! ```text
//! place:  validate → price → INSERT orders INIT → route ─ hot:  deduct in Redis → confirm in MySQL ─┐
//!                                                       └ cold: deduct in MySQL under the SKU's lock ┴→ coupon message
//! pay:    PAID and the stock message → the inventory service adds to what is reserved
//! JOB1:   sends messages again that were not sent           JOB2: cancels stale orders and returns their stock
//! ```
//!
//! | file | what |
//! |---|---|
//! | [`catalogue`] | validation and pricing |
//! | `hot`, `scripts/` | the stock in Redis: deduct, give back, settle, close, open |
//! | `confirm` | what MySQL is told of a deduction in Redis |
//! | `cold` | the deduction in MySQL |
//! | `message` | the local message table, and the services that are told |
//! | `inventory` | the inventory service: total (a) and reserved (b) |
//! | `pay`, `cancel` | the two ends of an order; JOB2 |
//! | [`rebuild`] | the stock in Redis from MySQL and what Redis remembers |
//! | [`naive`] | the same as one would do it at first, which is wrong |
//! | [`heat`] | the job that keeps the bitmap of hot SKUs |
//! | [`breaker`] | when Redis is not asked |
//! | [`schema`], `migrations/` | the tables |
//! | [`books`], `oracle/` | what an auditor finds, and what must hold of it |
//!
//! **Claims**: no more is sold than there is, and after JOB1 and JOB2 nothing is lost: each order is in one final
//! state with the one stock movement that belongs to it, whichever process ends between any two steps and whatever
//! answer is lost.
//!
//! **How**: MySQL decides. A SKU's row in `sku_route` says where its stock is deducted and has an epoch that grows
//! with each change. A deduction in Redis counts once it is *confirmed* in MySQL under the epoch that Redis gave it;
//! a deduction in MySQL counts under the row's lock. Redis remembers each order (its inventory log), so that a script
//! can be sent again, and each order that is done with, so that a script that arrives late does nothing.
//!
//! **Assumes** that Redis keeps what it has answered, or is rebuilt ([`rebuild`]) before it is asked again (S4).

pub mod books;
pub mod breaker;
mod cancel;
pub mod catalogue;
mod cold;
mod confirm;
pub mod heat;
mod hot;
mod inventory;
mod message;
pub mod naive;
#[cfg(feature = "check")]
pub mod oracle;
mod pay;
pub mod rebuild;
pub mod schema;
pub mod told;

use crate::lock::Lock;
use crate::lock::mysql::{Client, Retry};
use crate::lock::segmented::Segmented;
use crate::port::{Blob, Ports};
use breaker::Breaker;
use catalogue::Request;
use confirm::Confirmed;
use hot::{Deducted, HotStock};
use std::time::Duration;
use told::{Answer, NotPlaced, Path};

/// How often an order is deducted hot because its SKU's route has changed meanwhile.
const HOT_TRIES: usize = 2;

/// How the service works.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The place of the MySQL server in the topology.
    pub database: usize,
    /// The place of the Redis server.
    pub cache: usize,
    /// How often to try a transaction.
    pub retry: Retry,
    /// How long to wait for a script.
    pub script_timeout: Duration,
    /// How often to send a script.
    pub script_tries: u32,
    /// When Redis is not asked.
    pub breaker: breaker::Config,
    /// How long to wait for a SKU's lock on the cold path.
    pub lock_wait: Duration,
    /// Whether the cold path locks the SKU's row; otherwise only the SKU's lock guards it.
    pub row_lock: bool,
    /// When the cold path takes the SKU's lock.
    pub lock_scope: LockScope,
    /// Whether a deduction in Redis counts only under the epoch in which it was made.
    pub epochs: bool,
}

/// When the cold path takes and releases the SKU's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockScope {
    /// Before the transaction, and after its COMMIT.
    AroundTransaction,
    /// Within it, as an annotation around the method that commits has it: it is free before the COMMIT (M9).
    InsideTransaction,
}

/// An order that is in the database.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Order {
    /// Its number.
    pub id: Blob,
    /// What is ordered.
    pub sku: i64,
    /// How many.
    pub quantity: i64,
    /// The coupon that is used up with it.
    pub coupon: Option<i64>,
}

/// One instance of the service: it has one connection of each kind, and serves one request at a time.
pub struct OrderService<P: Ports, L: Lock> {
    ports: P,
    config: Config,
    database: Client<P::MySql>,
    hot: HotStock<P>,
    /// The SKUs' locks on the cold path, if there are any.
    locks: Option<Segmented<L>>,
    breaker: Breaker,
}

impl<P: Ports, L: Lock> OrderService<P, L> {
    /// A service that connects when it is asked for something.
    pub fn new(ports: &P, config: Config, locks: Option<Segmented<L>>) -> Self {
        OrderService {
            ports: ports.clone(),
            config,
            database: Client::new(ports.mysql(config.database)),
            hot: HotStock::new(ports, &config),
            locks,
            breaker: Breaker::new(config.breaker),
        }
    }

    /// Places an order. The same request may be sent again: its id is the order's.
    pub async fn place(&mut self, request: &Request) -> Result<(), NotPlaced> {
        let placed = self.try_place(request).await;
        let answer = placed.map_or_else(Answer::NotPlaced, |from| Answer::Placed { from });
        told::tell(&self.ports, &request.id, answer);
        placed.map(drop)
    }

    async fn try_place(&mut self, request: &Request) -> Result<Path, NotPlaced> {
        let product = self.product(request.sku).await?;
        let amount_minor = product.price(request)?;
        let order = self.insert_order(request, amount_minor).await?;
        let path = self.deduct(&order).await?;
        if order.coupon.is_some() {
            // JOB1 sends what is not sent now.
            self.send(&order.id, message::COUPON).await;
        }
        Ok(path)
    }

    /// Deducts where the SKU's stock is, and again where it has gone meanwhile. What cannot be deducted hot is
    /// deducted cold.
    async fn deduct(&mut self, order: &Order) -> Result<Path, NotPlaced> {
        // A script whose reply did not come may still take effect.
        let mut in_doubt = false;
        for _ in 0..HOT_TRIES {
            if self.breaker.allows(&self.ports) && self.hot.is_hot(order.sku).await {
                let deducted = self.hot.deduct(order).await;
                in_doubt |= deducted.in_doubt;
                self.breaker.learns(&self.ports, deducted.answer.is_some());
                match deducted.answer {
                    Some(Deducted::Done { epoch }) => match self.confirm(order, epoch).await? {
                        Confirmed::Done => return Ok(Path::Hot),
                        Confirmed::OtherRoute => continue,
                        Confirmed::Ended => return Err(NotPlaced::Cancelled),
                    },
                    Some(Deducted::SoldOut) => return Err(self.refuse(order, in_doubt).await),
                    Some(Deducted::Ended) => return Err(NotPlaced::Cancelled),
                    Some(Deducted::Closed) | None => {}
                }
            }
            break;
        }
        match self.deduct_cold(order).await? {
            Confirmed::Done => Ok(Path::Cold),
            Confirmed::OtherRoute => Err(self.refuse(order, in_doubt).await),
            Confirmed::Ended => Err(NotPlaced::Cancelled),
        }
    }
}
