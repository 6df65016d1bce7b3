//! The leader's book of sessions: who is heard over which connection, and when whom it will take for dead.

use super::wire::SessionId;
use crate::{ClientId, ConnId};
use std::collections::BTreeMap;

/// A session.
#[derive(Clone, Debug, Hash)]
pub(super) struct Session {
    timeout_us: u64,
    /// The client that opened it.
    client: ClientId,
    /// The connection that it goes over.
    pub conn: Option<ConnId>,
    /// When it expires, by the leader's monotonic clock; `None` as long as its client is heard.
    expires_at: Option<u64>,
}

/// All sessions.
#[derive(Clone, Default, Hash)]
pub(super) struct Sessions {
    all: BTreeMap<SessionId, Session>,
    opened: i64,
}

/// Session numbers begin here.
const FIRST: SessionId = 1 << 56;

impl Sessions {
    /// A new session.
    pub(super) fn open(&mut self, timeout_us: u64, conn: ConnId) -> SessionId {
        self.opened += 1;
        let id = FIRST + self.opened;
        self.all.insert(id, Session { timeout_us, client: ClientId(conn.client), conn: Some(conn), expires_at: None });
        id
    }

    pub(super) fn get(&self, id: SessionId) -> Option<&Session> {
        self.all.get(&id)
    }

    pub(super) fn close(&mut self, id: SessionId) -> Option<Session> {
        self.all.remove(&id)
    }

    /// The session that goes over a connection.
    pub(super) fn over(&self, conn: ConnId) -> Option<SessionId> {
        self.all.iter().find(|(_, session)| session.conn == Some(conn)).map(|(id, _)| *id)
    }

    /// A session goes on over this connection; the one that it went over before.
    pub(super) fn go_on(&mut self, id: SessionId, conn: ConnId) -> Option<ConnId> {
        let session = self.all.get_mut(&id)?;
        session.expires_at = None;
        session.conn.replace(conn).filter(|old| *old != conn)
    }

    /// The client at the other end of a connection is heard, or not any more.
    pub(super) fn hear(&mut self, conn: ConnId, heard: bool, now_us: Option<u64>, tick_us: u64) {
        if let Some(id) = self.over(conn)
            && let Some(session) = self.all.get_mut(&id)
        {
            session.expires_at = match (heard, now_us) {
                (true, _) | (false, None) => None,
                (false, Some(now_us)) => session.expires_at.or(Some(session.end(now_us, tick_us))),
            };
        }
    }

    /// A connection has ended.
    pub(super) fn cut(&mut self, conn: ConnId, now_us: Option<u64>, tick_us: u64) {
        self.hear(conn, false, now_us, tick_us);
        if let Some(id) = self.over(conn)
            && let Some(session) = self.all.get_mut(&id)
        {
            session.conn = None;
        }
    }

    /// A new leader gives every session its whole time again; nobody is connected.
    pub(super) fn begin_again(&mut self, now_us: u64, tick_us: u64) {
        for session in self.all.values_mut() {
            session.conn = None;
            session.expires_at = Some(session.end(now_us, tick_us));
        }
    }

    /// Without a leader nobody is connected, and no time runs out.
    pub(super) fn suspend(&mut self) {
        for session in self.all.values_mut() {
            (session.conn, session.expires_at) = (None, None);
        }
    }

    /// The sessions without a connection, and whose they are; none while there is no leader.
    pub(super) fn cut_off(&self) -> impl Iterator<Item = (SessionId, u16)> {
        let cut_off = |session: &Session| session.conn.is_none() && session.expires_at.is_some();
        self.all.iter().filter(move |(_, session)| cut_off(session)).map(|(id, session)| (*id, session.client.0))
    }

    /// The connections in use.
    pub(super) fn connections(&self) -> Vec<ConnId> {
        self.all.values().filter_map(|session| session.conn).collect()
    }

    pub(super) fn next_expiry(&self) -> Option<u64> {
        self.all.values().filter_map(|session| session.expires_at).min()
    }

    /// The sessions that have expired.
    pub(super) fn expired(&self, now_us: u64) -> Vec<SessionId> {
        let expired = |session: &Session| session.expires_at.is_some_and(|at| at <= now_us);
        self.all.iter().filter(|(_, session)| expired(session)).map(|(id, _)| *id).collect()
    }
}

impl Session {
    /// When the session ends if nothing is heard after `now_us`: its time-out later, rounded up to the next tick.
    fn end(&self, now_us: u64, tick_us: u64) -> u64 {
        (now_us.saturating_add(self.timeout_us) / tick_us + 1) * tick_us
    }

    pub(super) fn timeout_us(&self) -> u64 {
        self.timeout_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{Mutation, each_shows};

    #[test]
    fn every_field_is_in_the_digest() {
        const CONN: ConnId = ConnId { client: 1, member: 0, lane: 1 };
        let mut sessions = Sessions::default();
        sessions.open(1, CONN);
        fn session(all: &mut Sessions) -> &mut Session {
            all.all.values_mut().next().expect("one is open")
        }
        let changes: &[Mutation<Sessions>] = &[
            ("a session", |all| {
                all.open(1, ConnId { client: 2, ..CONN });
            }),
            ("no session", |all| {
                all.close(FIRST + 1);
            }),
            ("the time-out", |all| session(all).timeout_us = 2),
            ("the client", |all| session(all).client = ClientId(2)),
            ("the connection", |all| session(all).conn = None),
            ("the end", |all| session(all).expires_at = Some(1)),
            ("how many were opened", |all| all.opened += 1),
        ];
        each_shows(&sessions, changes);
    }
}
