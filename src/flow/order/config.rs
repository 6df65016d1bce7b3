//! Configuration: how the service works, and what an order is to it.

use super::{breaker, limiter};
use crate::flow::redis_at::RedisAt;
use crate::lock::mysql::Retry;
use crate::lock::redis::ReplicaWait;
use crate::port::Blob;
use std::time::Duration;

/// How the service works.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The place of the MySQL server in the topology.
    pub database: usize,
    /// Where the Redis is.
    pub cache: RedisAt,
    /// How many replicas must have a deduction before it counts; `None`: none is waited for.
    pub replicas: Option<ReplicaWait>,
    /// How often to try a transaction.
    pub retry: Retry,
    /// How long to wait for a script.
    pub script_timeout: Duration,
    /// How often to send a script.
    pub script_tries: u32,
    /// When Redis is not asked.
    pub breaker: breaker::Config,
    /// How many orders of hot SKUs may come to MySQL because Redis does not answer.
    pub limiter: limiter::Config,
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
