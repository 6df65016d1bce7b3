//! Replication, seen from the primary: what it sends, and who waits until that has been received.

use super::Replication;
use super::replica::{Change, Replica};
use super::server::{Server, Waiting};
use super::table::Key;
use super::wire::{Reply, Request};
use crate::{Blob, ConnId};
use std::collections::BTreeSet;
use std::rc::Rc;

impl Server {
    /// Sends a transaction's changes to the replica. Gives their number if they must have arrived before they are committed.
    pub(super) fn unreceived(&mut self, conn: ConnId) -> Option<u64> {
        let number = self.replicate(conn)?;
        let waits = matches!(self.config.replication, Some(Replication::SemiSynchronous { .. })) && !self.degraded;
        (waits && !self.replica.as_ref()?.has(number)).then_some(number)
    }

    pub(super) fn wait_for_replica(&mut self, conn: ConnId, reply: Reply, number: u64) {
        self.waits += 1;
        let request = Rc::new(Request::new(Blob::EMPTY, Vec::new()));
        let timeout_us = match self.config.replication {
            Some(Replication::SemiSynchronous { timeout_ms: Some(ms) }) => u64::from(ms) * 1000,
            _ => u64::MAX,
        };
        let until_us = self.now_us.saturating_add(timeout_us);
        let (sent, waits) = (Some((reply, number)), self.waits);
        let waiting = Waiting { request, began_us: 0, until_us, user_lock: None, number: waits, granted: false, sent };
        self.session(conn).waiting = Some(waiting);
    }

    /// Sends what a transaction has changed to the replica, once. Gives the number under which it was sent.
    pub(super) fn replicate(&mut self, conn: ConnId) -> Option<u64> {
        self.replica.as_ref()?;
        let trx = self.session(conn).trx.as_ref()?;
        if trx.sent.is_some() || trx.undo.is_empty() {
            return trx.sent;
        }
        let rows: BTreeSet<(Blob, Key)> = trx.undo.iter().cloned().collect();
        let names: BTreeSet<&Blob> = rows.iter().map(|(table, _)| table).collect();
        let numbers = names.iter().filter_map(|name| {
            Some(Change::NextAuto { table: (*name).clone(), next: self.tables.get(*name)?.next_auto })
        });
        let row = |(table, primary): &(Blob, Key)| {
            let values = self.tables.get(table)?.newest(primary).and_then(|version| version.values.clone());
            Some(Change::Row { table: table.clone(), primary: primary.clone(), values })
        };
        let changes = rows.iter().filter_map(row).chain(numbers).collect();
        let number = self.replica.as_mut()?.send(changes);
        self.trx(conn).sent = Some(number);
        Some(number)
    }

    /// Sends a definition to the replica.
    pub(super) fn replicate_definition(&mut self, change: Change) {
        if let Some(replica) = &mut self.replica {
            replica.send(vec![change]);
        }
    }

    /// True if there is a replica, which can fall behind.
    pub(super) fn can_lag(&self) -> bool {
        self.replica.is_some()
    }

    /// True if the replica is behind.
    pub(super) fn is_behind(&self) -> bool {
        self.replica.as_ref().is_some_and(Replica::is_behind)
    }

    /// The replica falls behind.
    pub(super) fn lag(&mut self) {
        if let Some(replica) = &mut self.replica {
            replica.lag();
        }
    }

    /// The replica receives one commit more.
    pub(super) fn catch_up(&mut self) {
        let Some(replica) = &mut self.replica else { return };
        replica.catch_up();
        self.degraded &= replica.is_behind();
        for session in self.sessions.values_mut() {
            if let Some(Waiting { sent: Some((_, number)), granted, .. }) = &mut session.waiting {
                *granted |= replica.has(*number);
            }
        }
    }
}
