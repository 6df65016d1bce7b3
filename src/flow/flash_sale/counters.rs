//! Counters: count, sale and version of the stock's row, in Redis.

use super::config::{Config, Publish};
use super::row::Seen;
use crate::port::{Blob, Command, Outcome, Ports, Redis, Script, Value};

static REFRESH: Script = Script { body: include_str!("scripts/refresh.lua") };

/// The counters of a sale.
pub(super) struct Counters<P: Ports> {
    ports: P,
    server: P::Redis,
    stock: i64,
    publish: Publish,
}

impl<P: Ports> Counters<P> {
    pub(super) fn new(ports: &P, config: &Config) -> Self {
        let server = ports.redis(config.cache);
        Counters { ports: ports.clone(), server, stock: config.stock, publish: config.publish }
    }

    /// The keys, in one slot of a cluster.
    fn keys(&self) -> [Blob; 3] {
        ["count", "sale", "version"].map(|name| Blob::from(format!("{{stock-{}}}:{name}", self.stock)))
    }

    async fn call(&self, command: Command) -> Outcome<Value> {
        self.ports.round(self.server.call(command)).await
    }

    /// What Redis says of the row; nothing if it says nothing, or does not answer.
    pub(super) async fn read(&self) -> Option<Seen> {
        let get = self.keys().iter().fold(Command::new("MGET"), |command, key| command.arg(key));
        let Some(Value::Array(values)) = self.call(get).await.ok() else { return None };
        let number = |at: usize| values.get(at).and_then(Value::as_blob).and_then(Blob::to_int);
        Some(Seen { count: number(0)?, sale: number(1)?, version: number(2)? })
    }

    /// One more was sold, and the row is now like this.
    pub(super) async fn sold(&self, now: Seen) {
        match self.publish {
            Publish::Refresh => self.refresh(now).await,
            Publish::Increment => {
                let [_, sale, version] = self.keys();
                for key in [sale, version] {
                    drop(self.call(Command::new("INCR").arg(key)).await);
                }
            }
        }
    }

    /// The row is like this, unless Redis has it newer.
    pub(super) async fn refresh(&self, now: Seen) {
        let args = [now.count, now.sale, now.version].map(Blob::from);
        drop(self.ports.round(self.server.eval(&REFRESH, &self.keys(), &args)).await);
    }

    /// True if a conflict with the row makes the counters right again.
    pub(super) fn learns_from_conflict(&self) -> bool {
        self.publish == Publish::Refresh
    }
}
