//! What is on the real servers before the clients begin and after they have ended.

use super::super::error::CliError;
use crate::lock::redis::fence_key;
use crate::port::{Blob, Command as RedisCommand, Outcome, Redis, Value};
use crate::property::{Ends, Holder};
use crate::scenario::guarded::{LOCK, STOCK};
use crate::world::real::{RealRedis, RedisOptions};

/// The counter's first value.
pub(super) const STOCK_AT_START: i64 = 1_000_000;
/// Makes sure that every server answers, and sets the counter.
pub(super) async fn prepare(urls: &[String]) -> Result<(), CliError> {
    for (number, url) in urls.iter().enumerate() {
        let server =
            RealRedis::new(url, RedisOptions::default()).map_err(|problem| CliError::Usage(problem.to_string()))?;
        let refused = |why: String| CliError::Environment(format!("no Redis server answers at {url}: {why}"));
        match server.call(RedisCommand::new("PING")).await {
            Outcome::Ok(_) => {}
            Outcome::Fail(why) => return Err(refused(why.to_string())),
            Outcome::Indeterminate(why) => return Err(refused(why.to_string())),
        }
        let keys = [LOCK.into(), fence_key(LOCK.as_bytes()), "stock:seen".into()];
        let clear = keys.iter().fold(RedisCommand::new("DEL"), |command, key| command.arg(key));
        drop(server.call(clear).await);
        if number == 0 {
            drop(server.call(RedisCommand::new("SET").arg(STOCK).arg(STOCK_AT_START)).await);
        }
    }
    Ok(())
}

/// What the servers hold after all clients have ended.
pub(super) struct Left {
    pub holders: Vec<Option<Holder>>,
    pub stock: Option<i64>,
}

pub(super) async fn look(urls: &[String]) -> Left {
    let mut left = Left { holders: Vec::new(), stock: None };
    for (number, url) in urls.iter().enumerate() {
        let Ok(server) = RealRedis::new(url, RedisOptions::default()) else { continue };
        let token = server.call(RedisCommand::new("GET").arg(LOCK)).await.ok();
        let ttl = server.call(RedisCommand::new("PTTL").arg(LOCK)).await.ok().and_then(|value| value.as_int());
        left.holders.push(match token {
            Some(Value::Bulk(token)) => Some(Holder { token, ends: Ends::by_time(ttl.is_some_and(|ttl| ttl >= 0)) }),
            _ => None,
        });
        if number == 0 {
            let stock = server.call(RedisCommand::new("GET").arg(STOCK)).await.ok();
            left.stock = stock.as_ref().and_then(Value::as_blob).and_then(Blob::to_int);
        }
    }
    left
}
