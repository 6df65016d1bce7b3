//! User locks: tied to the session, not to its transaction; handed on in the order in which they are waited for.

use super::failure::{Done, Stop, not_modelled};
use super::server::{Server, Session, Waiting};
use super::wire::Request;
use crate::{Blob, ConnId, NodeClock};
use std::rc::Rc;

impl Server {
    /// Takes a user lock, or waits for it: 1, or 0 when the time is over.
    pub(super) fn get_lock(&mut self, clock: NodeClock, conn: ConnId, name: &Blob, wait_s: i64) -> Done<i64> {
        if name.is_empty() || name.len() > 64 {
            return not_modelled("a user lock without a name, or with a long one");
        }
        let waiting = self.session(conn).waiting.clone();
        if waiting.as_ref().is_some_and(|waiting| waiting.granted) {
            return Ok(1);
        }
        let (owner, count) = self.user_locks.entry(name.clone()).or_insert((conn, 0));
        if *owner == conn {
            *count += 1;
            return Ok(1);
        }
        let wait_us = u64::try_from(wait_s).unwrap_or(u64::MAX).saturating_mul(1_000_000);
        let until_us = waiting.map_or(clock.mono_us.saturating_add(wait_us), |waiting| waiting.until_us);
        if until_us <= clock.mono_us {
            return Ok(0);
        }
        let request = Rc::new(Request::new(Blob::EMPTY, Vec::new()));
        let user_lock = Some(name.clone());
        let (number, granted) = (0, false);
        let waiting = Waiting { request, began_us: 0, until_us, user_lock, number, granted, sent: None };
        self.session(conn).waiting = Some(waiting);
        Err(Stop::Blocked)
    }

    /// Gives a user lock back: 1, 0 if it is another's, nothing if nobody has it.
    pub(super) fn release_lock(&mut self, conn: ConnId, name: &Blob) -> Option<i64> {
        let (owner, count) = self.user_locks.get_mut(name)?;
        if *owner != conn {
            return Some(0);
        }
        *count -= 1;
        if *count == 0 {
            self.hand_on(name);
        }
        Some(1)
    }

    /// A user lock goes to whoever has waited for it longest, or is free.
    pub(super) fn hand_on(&mut self, name: &Blob) {
        let waits = |session: &Session| {
            session.waiting.as_ref().filter(|waiting| waiting.user_lock.as_ref() == Some(name)).map(|one| one.number)
        };
        let waiting = self.sessions.iter().filter_map(|(conn, session)| Some((waits(session)?, *conn)));
        match waiting.min() {
            Some((_, conn)) => {
                self.user_locks.insert(name.clone(), (conn, 1));
                if let Some(waiting) = &mut self.session(conn).waiting {
                    waiting.granted = true;
                }
            }
            None => drop(self.user_locks.remove(name)),
        }
    }

    pub(super) fn is_free_lock(&self, name: &Blob) -> bool {
        !self.user_locks.contains_key(name)
    }

    /// The connection whose session has this user lock.
    pub(super) fn user_lock_owner(&self, name: &Blob) -> Option<ConnId> {
        self.user_locks.get(name).map(|(owner, _)| *owner)
    }
}
