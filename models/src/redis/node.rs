//! A server: serves commands, lets time pass, goes down and starts again.

use super::Config;
use super::call::Call;
use super::commands;
use super::keyspace::{Data, Keyspace};
use super::persistence::{Disk, Save};
use super::pubsub::deliveries;
use super::reply::Failure;
use super::state::{Role, State};
use super::stream::{Changed, Done, Effect};
use super::subscribers::Subscribers;
use super::transactions::Transactions;
use crate::escape::Fixed;
use crate::resp::{Command, Value};
use crate::{Blob, ConnId, Lost, NodeClock, Output, Response};
use std::rc::Rc;

/// A simulated Redis server.
#[derive(Clone, Hash)]
pub struct Node {
    config: Fixed<Rc<Config>>,
    pub(super) state: State,
}

impl Node {
    /// An empty server.
    pub fn new(config: Config) -> Self {
        let disk = Disk::new(&config.persistence);
        Node { config: Fixed(Rc::new(config)), state: State::new(Keyspace::default(), disk) }
    }

    /// Serves one command: the reply first, then what it publishes. Returns what it did that replicas must do too.
    pub(super) fn serve(&mut self, clock: NodeClock, conn: ConnId, command: &Command, out: &mut Vec<Output>) -> Done {
        let now_ms = clock.wall_ms();
        if self.state.disk.is_due(clock.wall_us) {
            self.state.disk.sync();
        }
        self.state.disk.before_write(&self.state.db, commands::may_write(command));
        let mut call = Call::new(&mut self.state, commands::resolve, now_ms, clock.wall_us, conn);
        let reply = match commands::dispatch(&mut call, command) {
            Ok(reply) => reply,
            Err(Failure::Error(text)) => Some(Value::Error(text)),
            Err(Failure::NotModelled(what)) => {
                out.push(Output::not_modelled(conn, what));
                return Done::default();
            }
        };
        let Call { mut touched, altered, collected, published, announced, replies, dirty, save, .. } = call;
        self.state.transactions.collected(&collected);
        self.state.transactions.invalidate(&touched);
        self.state.disk.after_command(clock.wall_us, dirty, save);
        for response in replies {
            out.push(Output::reply(conn, Response::Redis(response)));
        }
        if let Some(reply) = reply {
            out.push(Output::reply(conn, Response::Redis(reply)));
        }
        for (to, message) in published {
            out.push(Output::message(to, Response::Redis(message)));
        }
        touched.extend(altered);
        Done { touched, collected, announced }
    }

    /// Does as a replica what its primary has done.
    pub(super) fn take_in(&mut self, clock: NodeClock, effect: &Effect, out: &mut Vec<Output>) {
        self.state.disk.before_write(&self.state.db, true);
        for Changed { key, entry } in effect.changed.iter() {
            match entry {
                Some(entry) => self.state.db.insert(key.clone(), entry.clone()),
                None => drop(self.state.db.remove(key)),
            }
        }
        let keys = |gone: bool| {
            let these = effect.changed.iter().filter(|changed| changed.entry.is_none() == gone);
            these.map(|changed| changed.key.clone()).collect::<Vec<Blob>>()
        };
        self.state.transactions.invalidate(&keys(false));
        self.state.transactions.collected(&keys(true));
        self.state.disk.after_command(clock.wall_us, effect.changed.len() as u64, Save::No);
        for (channel, message) in &effect.announced {
            let deliveries = deliveries(&self.state.subscribers, channel, message);
            out.extend(deliveries.into_iter().map(|(to, message)| Output::message(to, Response::Redis(message))));
        }
    }

    /// Becomes a copy of another server, as a replica does in a full synchronization.
    pub(super) fn copy(&mut self, other: &Node) {
        self.state.db = other.state.db.clone();
        self.state.transactions.invalidate_all();
        self.state.disk.sync();
    }

    /// Forgets all connections.
    pub(super) fn forget_all(&mut self) {
        self.state.transactions = Transactions::default();
        self.state.subscribers = Subscribers::default();
        self.state.table.iter_mut().for_each(|table| table.readonly.clear());
    }

    /// Forgets a connection: its transaction, watches and subscriptions.
    pub(super) fn forget(&mut self, conn: ConnId) {
        self.state.transactions.forget(conn);
        self.state.subscribers.forget(conn);
        if let Some(table) = &mut self.state.table {
            table.readonly.remove(&conn);
        }
    }

    /// True if a connection has a transaction, watches, subscriptions, or READONLY.
    pub(super) fn has_state_of(&self, conn: ConnId) -> bool {
        let reads_here = || self.state.table.as_ref().is_some_and(|table| table.readonly.contains(&conn));
        self.state.transactions.has(conn) || self.state.subscribers.is_subscribed(conn) || reads_here()
    }

    /// When the next key expires or the next periodic fsync falls due, by the wall clock, in microseconds.
    pub(super) fn next_change(&self, clock: NodeClock) -> Option<i64> {
        // A key is expired once the clock, in whole milliseconds, is past its deadline.
        let expiry =
            self.state.db.next_expiry(clock.wall_ms()).map(|deadline| deadline.saturating_add(1).saturating_mul(1000));
        [expiry, self.state.disk.next_sync()].into_iter().flatten().filter(|at| *at > clock.wall_us).min()
    }

    /// True if a key has expired or the periodic fsync is due.
    pub(super) fn has_fallen_due(&self, clock: NodeClock) -> bool {
        let expires = self.state.role != Role::Replica && self.state.db.any_expired(clock.wall_ms());
        expires || self.state.disk.is_due(clock.wall_us)
    }

    /// The active expiry cycle and the periodic fsync. Returns what has expired.
    pub(super) fn cycle(&mut self, clock: NodeClock) -> Vec<Blob> {
        let is_replica = self.state.role == Role::Replica;
        let expired = if is_replica { Vec::new() } else { self.state.db.remove_expired(clock.wall_ms()) };
        self.state.transactions.collected(&expired);
        if self.state.disk.is_due(clock.wall_us) {
            self.state.disk.sync();
        }
        expired
    }

    /// Goes down.
    pub(super) fn go_down(&mut self, lost: Lost) {
        let State { role, table, db, disk, .. } = &mut self.state;
        let (role, table, surviving) = (*role, table.take(), disk.surviving(std::mem::take(db), lost));
        self.state = State { role, table, ..State::new(surviving, disk.clone()) };
    }

    /// Starts from the disk; what expired meanwhile is not loaded.
    pub(super) fn load(&mut self, clock: NodeClock) {
        if self.state.role != Role::Replica {
            self.state.db.remove_expired(clock.wall_ms());
        }
        self.state.disk = Disk::new(&self.config.persistence);
        self.state.disk.sync();
    }

    /// The token of the lock that is kept under a key, and its expiry: a string is the token; of a hash the
    /// field is that was set first.
    pub(super) fn token(&self, clock: NodeClock, key: &Blob) -> Option<(Blob, Option<i64>)> {
        let entry = self.state.db.peek(key, clock.wall_ms())?;
        let token = match &entry.data {
            Data::Str(value) => value.clone(),
            Data::Hash(fields) => fields.first()?.0.clone(),
            Data::Set(holds) => return holds.iter().find_map(|hold| self.string(clock, hold)),
            _ => return None,
        };
        Some((token, entry.expire_at))
    }

    /// The value and expiry of a string key that is alive.
    pub fn string(&self, clock: NodeClock, key: &Blob) -> Option<(Blob, Option<i64>)> {
        let entry = self.state.db.peek(key, clock.wall_ms())?;
        match &entry.data {
            Data::Str(value) => Some((value.clone(), entry.expire_at)),
            _ => None,
        }
    }
}
