//! A simulated Redis server, compared with redis-server 7.0.
//!
//! Single node, built so that replication fits in: every write passes one place
//! ([`ServiceKind::handle`](crate::ServiceKind::handle)), expiry is the primary's decision, and the data set is one
//! value that a replica can be given.
//!
//! Where it differs from the real server, and says so ([`Sent::NotModelled`](crate::Sent)): commands and
//! subcommands outside the table; databases other than 0; SCAN with a cursor other than 0, since one page holds
//! everything; hexadecimal scores; `ZRANGE … BYLEX`; WAIT for replicas without a timeout; subscribing inside MULTI.
//! In scripts: `cjson`, `cmsgpack`, `bit`, `struct`, coroutines, `load`, `loadstring`, `collectgarbage`,
//! `redis.set_repl`, `redis.setresp`, `redis.acl_check_cmd`, a shebang, precompiled code; math.random before
//! math.randomseed, as the real server's numbers go on from one script to the next; tostring of what has an address;
//! looking behind the protected tables (`pairs(redis)`, `getmetatable('')`); the reply fields `map`, `set` and
//! `verbatim_string`, and replies nested a hundred deep; an error without a text, of which redis-server 7.0.15 dies;
//! compile errors that quote what is not UTF-8.
//! A script cannot catch this: it ends there.
//!
//! Where it differs and cannot say so: RESP2 only; `HGETALL` and its kind answer in insertion order, as the real
//! server does for small hashes, and sets answer in byte order, where the real server promises none; a score of -0 is
//! stored as 0, as in small sorted sets; WAIT answers at once, where the real server takes the whole timeout.

mod call;
mod commands;
mod expiry;
mod hashes;
mod keys;
mod keyspace;
mod lists;
mod natives;
mod number;
mod persistence;
mod pubsub;
mod script;
mod server;
mod service;
mod sets;
mod strings;
mod transaction;
mod zsets;

use crate::escape::Fixed;
use crate::resp::{Command, Value};
use crate::{Blob, ConnId, Lost, NodeClock, Output, Response};
use call::{Call, Failure};
use keyspace::Keyspace;
use persistence::Disk;
pub use persistence::{Fsync, Persistence};
use pubsub::Subscribers;
use script::ScriptCache;
use serde::{Deserialize, Serialize};
pub(crate) use service::start;
use std::rc::Rc;
use transaction::Transactions;

/// How a Redis server is set up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// What survives a crash.
    pub persistence: Persistence,
}

/// A simulated Redis server.
#[derive(Clone, Hash)]
pub struct Node {
    config: Fixed<Rc<Config>>,
    db: Keyspace,
    disk: Disk,
    scripts: ScriptCache,
    transactions: Transactions,
    subscribers: Subscribers,
}

impl Node {
    /// An empty server.
    pub fn new(config: Config) -> Self {
        Node {
            disk: Disk::new(&config.persistence),
            config: Fixed(Rc::new(config)),
            db: Keyspace::default(),
            scripts: ScriptCache::default(),
            transactions: Transactions::default(),
            subscribers: Subscribers::default(),
        }
    }

    /// Serves one command: the reply first, then what it publishes.
    fn serve(&mut self, clock: NodeClock, conn: ConnId, command: &Command, out: &mut Vec<Output>) {
        let now_ms = clock.wall_ms();
        if self.disk.is_due(clock.wall_us) {
            self.disk.sync();
        }
        self.disk.before_write(&self.db, commands::may_write(command));
        let mut call = Call::new(self, now_ms, clock.wall_us, conn);
        let reply = match commands::dispatch(&mut call, command) {
            Ok(reply) => reply,
            Err(Failure::Error(text)) => Some(Value::Error(text)),
            Err(Failure::NotModelled(what)) => return out.push(Output::not_modelled(conn, what)),
        };
        let Call { touched, collected, published, replies, dirty, save, .. } = call;
        self.transactions.collected(&collected);
        self.transactions.invalidate(&touched);
        self.disk.after_command(clock.wall_us, dirty, save);
        for response in replies {
            out.push(Output::reply(conn, Response::Redis(response)));
        }
        if let Some(reply) = reply {
            out.push(Output::reply(conn, Response::Redis(reply)));
        }
        for (to, message) in published {
            out.push(Output::message(to, Response::Redis(message)));
        }
    }

    /// Forgets a connection: its transaction, watches and subscriptions.
    fn forget(&mut self, conn: ConnId) {
        self.transactions.forget(conn);
        self.subscribers.forget(conn);
    }

    /// True if a connection has a transaction, watches or subscriptions.
    fn has_state_of(&self, conn: ConnId) -> bool {
        self.transactions.has(conn) || self.subscribers.is_subscribed(conn)
    }

    /// When the next key expires or the next periodic fsync falls due, by the wall clock, in microseconds.
    fn next_change(&self, clock: NodeClock) -> Option<i64> {
        // A key is expired once the clock, in whole milliseconds, is past its deadline.
        let expiry =
            self.db.next_expiry(clock.wall_ms()).map(|deadline| deadline.saturating_add(1).saturating_mul(1000));
        [expiry, self.disk.next_sync()].into_iter().flatten().filter(|at| *at > clock.wall_us).min()
    }

    /// True if a key has expired or the periodic fsync is due.
    fn has_fallen_due(&self, clock: NodeClock) -> bool {
        self.disk.is_due(clock.wall_us) || self.db.any_expired(clock.wall_ms())
    }

    /// The active expiry cycle and the periodic fsync.
    fn cycle(&mut self, clock: NodeClock) {
        let expired = self.db.remove_expired(clock.wall_ms());
        self.transactions.collected(&expired);
        if self.disk.is_due(clock.wall_us) {
            self.disk.sync();
        }
    }

    /// Goes down.
    fn go_down(&mut self, lost: Lost) {
        self.db = self.disk.surviving(std::mem::take(&mut self.db), lost);
        self.scripts = ScriptCache::default();
        self.transactions = Transactions::default();
        self.subscribers = Subscribers::default();
    }

    /// Starts from the disk; what expired meanwhile is not loaded.
    fn load(&mut self, clock: NodeClock) {
        self.db.remove_expired(clock.wall_ms());
        self.disk = Disk::new(&self.config.persistence);
        self.disk.sync();
    }

    /// The value and expiry of a string key that is alive.
    pub fn string(&self, clock: NodeClock, key: &Blob) -> Option<(Blob, Option<i64>)> {
        let entry = self.db.peek(key, clock.wall_ms())?;
        match &entry.data {
            keyspace::Data::Str(value) => Some((value.clone(), entry.expire_at)),
            _ => None,
        }
    }
}
