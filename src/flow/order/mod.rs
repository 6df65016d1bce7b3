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
//! | `service`, `config` | the service and how it works |
//! | `place` | the flow from the request to the answer |
//! | [`catalogue`] | validation and pricing |
//! | `hot`, `scripts/` | the stock in Redis: deduct, give back, settle, close, open |
//! | `confirm` | what MySQL is told of a deduction in Redis |
//! | `cold` | the deduction in MySQL |
//! | `rows` | what the rows of orders and routes say |
//! | `outbox`, `message` | the local message table, and the services that are told |
//! | `inventory` | the inventory service: total (a) and reserved (b) |
//! | `pay`, `cancel` | the two ends of an order; JOB2 |
//! | [`rebuild`] | the stock in Redis from MySQL and what Redis remembers |
//! | [`naive`] | the same as one would do it at first, which is wrong |
//! | [`heat`] | the job that keeps the bitmap of hot SKUs |
//! | [`breaker`], [`limiter`] | when Redis is not asked; how much then comes to MySQL |
//! | `migrations/` | the tables |
//! | [`books`], `reconcile`, `oracle/` | what an auditor finds, and what must hold of it |
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
mod config;
mod confirm;
pub mod heat;
mod hot;
mod inventory;
pub mod limiter;
mod message;
pub mod naive;
#[cfg(feature = "check")]
pub mod oracle;
mod outbox;
mod pay;
mod place;
pub mod rebuild;
mod reconcile;
mod rows;
mod service;
pub mod told;

use super::schema::Migration;

pub use config::{Config, LockScope, Order};
pub use service::OrderService;

/// The tables.
pub const MIGRATIONS: [Migration; 1] = [("0001_shop.sql", include_str!("migrations/0001_shop.sql"))];
