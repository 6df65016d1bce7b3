//! Rate limiter in Redis: so many requests of all clients in a window.
//!
//! | counting | fails |
//! |---|---|
//! | [`Counting::Script`] | |
//! | [`Counting::TwoCommands`] | a client ends between INCR and PEXPIRE: the counter never expires (S10) |
//! | [`Counting::OwnClock`] | clients whose clocks differ each have the whole quota (S10) |
//!
//! **Claims** for [`Counting::Script`]: at most twice the quota passes within any window – at the end of one and the
//! beginning of the next – unless the server's clock steps. A request whose answer is lost is refused, and counts.

use super::told::Passed;
use crate::base::Event;
use crate::port::{Blob, Command, Ports, Redis, Script, Value};
use std::time::Duration;

static LIMIT: Script = Script { body: include_str!("scripts/limit.lua") };

/// How many requests go on.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// So many in a window.
    pub quota: i64,
    /// How long a window is.
    pub window: Duration,
    /// How they are counted.
    pub counting: Counting,
}

/// How requests are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// A script increments the counter, and gives a new one its deadline.
    Script,
    /// INCR, and PEXPIRE if the counter is new.
    TwoCommands,
    /// As the script, but the counter is that of the current window by the client's own clock.
    OwnClock,
}

/// What the limiter says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    Passed,
    Exceeded,
    /// Redis does not answer.
    Unavailable,
}

/// The limiter of a sale.
pub(super) struct Limiter<P: Ports> {
    ports: P,
    server: P::Redis,
    stock: i64,
    config: Config,
}

/// The counter of a sale.
pub(super) fn key(stock: i64) -> String {
    format!("{{stock-{stock}}}:limit")
}

impl<P: Ports> Limiter<P> {
    pub(super) fn new(ports: &P, cache: usize, stock: i64, config: Config) -> Self {
        Limiter { ports: ports.clone(), server: ports.redis(cache), stock, config }
    }

    /// Counts one more request.
    pub(super) async fn pass(&self) -> Limit {
        let window_ms = i64::try_from(self.config.window.as_millis()).unwrap_or(i64::MAX);
        let key = match self.config.counting {
            Counting::Script | Counting::TwoCommands => key(self.stock),
            Counting::OwnClock => {
                let now_ms = self.ports.wall().as_micros().div_euclid(1000);
                format!("{}:{}", key(self.stock), now_ms.div_euclid(window_ms.max(1)))
            }
        };
        let key = Blob::from(key);
        let counted = match self.config.counting {
            Counting::TwoCommands => self.count_in_two(&key, window_ms).await,
            Counting::Script | Counting::OwnClock => {
                let (keys, args) = ([key], [Blob::from(window_ms)]);
                let reply = self.ports.round(self.server.eval(&LIMIT, &keys, &args)).await.ok();
                let numbers = |reply: &Value| match reply {
                    Value::Array(both) => Some((both.first()?.as_int()?, both.get(1)?.as_int())),
                    _ => None,
                };
                reply.as_ref().and_then(numbers)
            }
        };
        match counted {
            Some((count, counted_ms)) if count <= self.config.quota => {
                self.ports.record(Event::told(&Passed { stock: self.stock, counted_ms }));
                Limit::Passed
            }
            Some(_) => Limit::Exceeded,
            None => Limit::Unavailable,
        }
    }

    /// The count, and no time.
    async fn count_in_two(&self, key: &Blob, window_ms: i64) -> Option<(i64, Option<i64>)> {
        let counted = self.ports.round(self.server.call(Command::new("INCR").arg(key))).await.ok()?.as_int()?;
        if counted == 1 {
            let expire = Command::new("PEXPIRE").arg(key).arg(window_ms);
            drop(self.ports.round(self.server.call(expire)).await);
        }
        Some((counted, None))
    }
}
