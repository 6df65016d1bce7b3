//! What oracles and the explorer ask of a server: committed rows, who has a lock, and a fingerprint of it all.

use super::server::{Server, Session};
use super::table::{TrxId, Values, View};
use super::wire::Value;
use crate::{Blob, ConnId, Digest, NodeClock};

impl Server {
    /// The committed rows of a table, in the order of its primary key.
    fn committed_rows(&self, table: &Blob) -> Vec<Values> {
        let active = |id: TrxId| self.active().any(|trx| trx.id == id);
        self.tables.get(table).map_or_else(Vec::new, |table| table.committed_rows(active))
    }

    /// The committed rows of a table as a text; nothing if there is no such table.
    pub fn committed_text(&self, table: &Blob) -> Option<Blob> {
        self.tables.get(table)?;
        let row = |values: Values| values.iter().map(ToString::to_string).collect::<Vec<String>>().join(", ");
        let rows: Vec<String> = self.committed_rows(table).into_iter().map(row).collect();
        Some(Blob::from(rows.join("; ")))
    }

    /// The owner in the committed row of the table `locks (fence, name, owner, expires_at)` with this name that has not ended by
    /// the server's clock, and whether it will.
    pub fn lock_row(&self, clock: NodeClock, lock: &Blob) -> Option<(Blob, bool)> {
        self.committed_rows(&"locks".into()).iter().find_map(|row| match &row[..] {
            [_, Value::Text(name), Value::Text(owner), ends] if name == lock => match ends {
                Value::DateTime(at_us) if *at_us <= clock.wall_us => None,
                ends => Some((owner.clone(), *ends != Value::Null)),
            },
            _ => None,
        })
    }

    /// Adds the state to a fingerprint. Transactions count by their order and by who sees whom, not by their numbers.
    pub fn digest(&self, clock: NodeClock, digest: &mut Digest) {
        digest.int(self.up.into());
        let active = self.active_ids();
        let rank = |trx: TrxId| active.binary_search(&trx).map_or(u64::MAX, |rank| rank as u64);
        let views: Vec<&View> = self.active().filter_map(|trx| trx.view.as_deref()).collect();
        // A transaction that has ended matters by those who see it alone.
        let standing = |trx: TrxId| match rank(trx) {
            u64::MAX => views.iter().fold(1, |seen, view| seen << 1 | u64::from(view.sees(trx))),
            rank => u64::MAX - rank,
        };
        digest.int(self.tables.len() as u64);
        for (name, table) in &self.tables {
            digest.text(name);
            table.digest(digest, standing);
        }
        self.locks.digest(digest, rank);
        if let Some((tables, at_us)) = &self.flushed {
            digest.int(at_us.saturating_sub(clock.mono_us));
            tables.values().for_each(|table| table.digest(digest, |_| 0));
        }
        for (conn, session) in &self.sessions {
            digest.client(conn.client.into());
            digest.int(u64::from(conn.lane));
            session.digest(clock, digest, rank);
        }
        // User locks are handed on in the order of the waits.
        let waits = |session: &Session| {
            session.waiting.as_ref().filter(|waiting| waiting.user_lock.is_some()).map(|waiting| waiting.number)
        };
        let waiting = self.sessions.iter().filter_map(|(conn, session)| Some((waits(session)?, *conn)));
        let mut waiting: Vec<(u64, ConnId)> = waiting.collect();
        waiting.sort_unstable();
        for (_, conn) in waiting {
            digest.client(conn.client.into());
            digest.int(u64::from(conn.lane));
        }
        if let Some(replica) = &self.replica {
            digest.int(self.degraded.into());
            replica.digest(digest);
        }
        for (name, (owner, count)) in &self.user_locks {
            digest.text(name);
            digest.client(owner.client.into());
            digest.int(u64::from(*count) << 8 | u64::from(owner.lane));
        }
    }
}

impl Session {
    fn digest(&self, clock: NodeClock, digest: &mut Digest, rank: impl Fn(TrxId) -> u64) {
        digest.hashed(&(self.autocommit, self.isolation, self.next_isolation, self.lock_wait_s));
        digest.hashed(&(self.last_insert_id, self.row_count));
        if let Some(trx) = &self.trx {
            digest.int(rank(trx.id));
            digest.hashed(&(trx.isolation, trx.explicit, trx.view.is_some(), trx.sent.is_some()));
            digest.hashed(&(&trx.undo, &trx.savepoints));
        }
        if let Some(waiting) = &self.waiting {
            digest.hashed(&(&waiting.request, &waiting.user_lock, waiting.began_us, waiting.granted));
            digest.int(waiting.until_us.saturating_sub(clock.mono_us));
            digest.hashed(&waiting.sent.as_ref().map(|(reply, _)| reply));
        }
    }
}
