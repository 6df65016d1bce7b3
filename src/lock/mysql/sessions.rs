//! Sessions: those of one client with a server that live on between two statements.

use crate::lock::sync::{Mutex, MutexGuard, lock};
use crate::port::Blob;
use crate::port::mysql::{MySql, Session};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A client's sessions; clones share them.
pub(super) struct Sessions<M: MySql> {
    server: M,
    kept: Arc<Mutex<Kept<M::Session>>>,
}

struct Kept<S> {
    /// Those that nobody uses at the moment.
    idle: Vec<S>,
    /// Those that something depends on, by the token of the hold.
    held: BTreeMap<Blob, S>,
}

impl<M: MySql> Clone for Sessions<M> {
    fn clone(&self) -> Self {
        Sessions { server: self.server.clone(), kept: Arc::clone(&self.kept) }
    }
}

impl<M: MySql> Sessions<M> {
    pub(super) fn new(server: M) -> Self {
        Sessions { server, kept: Arc::new(Mutex::new(Kept { idle: Vec::new(), held: BTreeMap::new() })) }
    }

    fn kept(&self) -> MutexGuard<'_, Kept<M::Session>> {
        lock(&self.kept)
    }

    /// A session that is open, or has not been connected yet. Whoever drops it ends it.
    pub(super) fn take(&self) -> M::Session {
        let mut kept = self.kept();
        while let Some(session) = kept.idle.pop() {
            if session.is_open() {
                return session;
            }
        }
        self.server.session()
    }

    /// Keeps a session for the next one, if it is still open.
    pub(super) fn give_back(&self, session: M::Session) {
        if session.is_open() {
            self.kept().idle.push(session);
        }
    }

    /// Keeps a session that a hold depends on.
    pub(super) fn keep(&self, token: &Blob, session: M::Session) {
        self.kept().held.insert(token.clone(), session);
    }

    /// The session that a hold depends on.
    pub(super) fn take_kept(&self, token: &Blob) -> Option<M::Session> {
        self.kept().held.remove(token)
    }

    /// True if the session of a hold is still open, as far as the client knows.
    pub(super) fn is_kept(&self, token: &Blob) -> bool {
        self.kept().held.get(token).is_some_and(Session::is_open)
    }
}
