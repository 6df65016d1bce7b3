//! The flash sale of article flash-sale: many buyers, few pieces, in five stages.
//!
//! | stage | a request | database statements |
//! |---|---|---|
//! | [`Stage::Naive`] | reads the stock, writes what it computed, inserts the order | 3, and an oversell |
//! | [`Stage::Optimistic`] | the same in a transaction; fails if the version is not the one that was read | 5 |
//! | [`Stage::Limited`] | first asks the rate limiter in Redis | 5, for those that pass |
//! | [`Stage::Cached`] | reads count, sale and version from Redis | 4, for those that may get a piece |
//! | [`Stage::Queued`] | checks the stock in Redis and appends to a queue | none; the consumer's 5 make the order |
//!
//! | file | what |
//! |---|---|
//! | `service`, `config` | the service and how it works |
//! | `buy` | a request, stage by stage |
//! | `consume` | the consumer of the queue |
//! | `purchase`, `row` | the transaction: stock and order; the stock's row |
//! | `counters` | count, sale and version in Redis |
//! | [`limiter`] | how many requests go on in a window |
//! | `migrations/` | the tables |
//! | [`told`], [`books`], `oracle/` | what buyers are told, what an auditor finds, what must hold of it |
//!
//! **Claims** from the second stage on: no more is sold than there is; each piece that is taken is in one order; a
//! request has one order, however often its message comes; a request that was accepted gets its order while pieces are
//! left; and requests that come one after the other, with no others beside them, get a piece while there is one, the
//! second at the latest – the first may find counters that are behind the row – whichever process ended between any
//! two steps before. What a request is told is about this sending of it: sent again after an answer was lost, it may be
//! told that nothing is left although its first sending has got a piece.
//!
//! **How**: the row's version decides, in the transaction that inserts the order; the request's number is unique
//! there. What Redis has is a hint: counters are replaced by newer ones only, and a conflict with the row replaces
//! them. Incrementing them instead, as the article does, leaves the version behind when a process ends between commit
//! and increment: no request gets through any more (S8, scenario `flash-partial-counters`).

pub mod books;
mod buy;
mod config;
mod consume;
mod counters;
pub mod limiter;
#[cfg(feature = "check")]
pub mod oracle;
mod purchase;
mod row;
mod service;
pub mod told;

use super::schema::Migration;

pub use config::{Config, Publish, Stage};
pub use service::FlashSale;

/// The tables.
pub const MIGRATIONS: [Migration; 1] = [("0001_flash_sale.sql", include_str!("migrations/0001_flash_sale.sql"))];
