//! Configuration: how the sale works.

use super::limiter;
use crate::lock::mysql::Retry;

/// How much of the article is in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Reads and writes the stock; oversells.
    Naive,
    /// Writes it if its version is the one that was read.
    Optimistic,
    /// Behind a rate limiter.
    Limited,
    /// Reads the stock from Redis.
    Cached,
    /// Orders are made by the consumer of a queue.
    Queued,
}

impl Stage {
    /// All, in their order.
    pub const ALL: [Stage; 5] = [Stage::Naive, Stage::Optimistic, Stage::Limited, Stage::Cached, Stage::Queued];
}

/// How the service works.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The place of the MySQL server in the topology.
    pub database: usize,
    /// The place of the Redis server.
    pub cache: usize,
    /// The number of the row that is for sale.
    pub stock: i64,
    /// How much of the article is in place.
    pub stage: Stage,
    /// How often a request tries its transaction; the article's fails at the first conflict. A further try helps only
    /// where the row is read, not its copy in Redis.
    pub retry: Retry,
    /// How often the consumer does.
    pub consumer_retry: Retry,
    /// How the counters in Redis follow the row.
    pub publish: Publish,
    /// How many requests go on.
    pub limiter: limiter::Config,
    /// Whether the consumer commits a message before it makes the order, which loses it in a crash.
    pub commits_first: bool,
}

/// How the counters follow the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publish {
    /// They are replaced by what the row has, if that is newer; also after a conflict.
    Refresh,
    /// They are incremented after each sale, one after the other (S8).
    Increment,
}
