//! What every lock on ZooKeeper needs of its client: a session that is replaced when it has ended, a create whose node is
//! found again, a delete that is repeated.

use super::NotAcquired;
use crate::port::zookeeper::{CreateMode, Error, Session, SessionId, SessionState, Stat, ZooKeeper};
use crate::port::{Blob, Outcome, Ports, Refusal};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What to do when the answer to a create was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Look for the node by the GUID in its name, and take it for ours if it is of our session.
    OwnSession,
    /// Look for the node by the GUID in its name, and take it for ours whoever's session it is of (Z4).
    AnySession,
    /// Create another one (Z2).
    None,
}

/// How a node is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delete {
    /// Again until there is an answer or the session has ended.
    Guaranteed,
    /// Once, whatever becomes of it (Z6).
    Once,
}

/// How sessions and creations are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// The session time-out that is asked for.
    pub session_timeout: Duration,
    /// What a lost answer to a create means.
    pub protection: Protection,
    /// Whether the search for a node first lets the server catch up; without, a server that is behind does not show it (Z5).
    pub sync_first: bool,
    /// How nodes are deleted.
    pub delete: Delete,
}

/// How often something is tried again after its connection broke.
const RETRIES_MAX: usize = 4;

/// A node of ours.
#[derive(Clone, Debug)]
pub struct Owned<S> {
    /// The session that it ends with.
    pub session: S,
    /// Its path.
    pub path: Blob,
    /// The transaction that created it.
    pub czxid: i64,
}

/// A client whose session is replaced when it has ended. Its clones share the session.
#[derive(Clone)]
pub struct Client<P: Ports> {
    ports: P,
    ensemble: P::ZooKeeper,
    config: ClientConfig,
    current: Arc<Mutex<Option<SessionOf<P>>>>,
}

/// A session of these ports.
pub type SessionOf<P> = <<P as Ports>::ZooKeeper as ZooKeeper>::Session;

impl<P: Ports> Client<P> {
    /// A client of this ensemble. It connects when it is first used.
    pub fn new(ports: &P, ensemble: P::ZooKeeper, config: ClientConfig) -> Self {
        Client { ports: ports.clone(), ensemble, config, current: Arc::default() }
    }

    /// Its machine.
    pub fn ports(&self) -> &P {
        &self.ports
    }

    /// The session as it is now, if there is one that has not ended.
    pub fn current(&self) -> Option<SessionOf<P>> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.clone().filter(|session| session.state() != SessionState::Lost)
    }

    /// The session with this number, if it has not ended.
    pub fn session_numbered(&self, id: SessionId) -> Option<SessionOf<P>> {
        self.current().filter(|session| session.id() == id)
    }

    /// The session; a new one if there is none or it has ended.
    pub async fn session(&self) -> Result<SessionOf<P>, NotAcquired> {
        if let Some(session) = self.current() {
            return Ok(session);
        }
        let Some(session) = self.ensemble.connect(self.config.session_timeout).await.ok() else {
            return Err(NotAcquired::Unavailable);
        };
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(session.clone());
        Ok(session)
    }

    /// Ends the session.
    pub async fn close(&self) {
        if let Some(session) = self.current() {
            session.close().await;
        }
    }

    /// Creates an ephemeral sequential node `parent/_c_GUID-prefix`, and its parents as containers. Where the answer is lost,
    /// the GUID tells whether the node is there.
    pub async fn create_protected(&self, parent: &Blob, prefix: &str) -> Result<Owned<SessionOf<P>>, NotAcquired> {
        let guid = self.guid();
        let mut half_way = HalfWay { client: self, parent, guid: &guid, armed: true };
        let created = self.create_named(parent, &guid, prefix).await;
        // Whoever gives up does not know whether its last create has made the node.
        half_way.armed = created.is_err();
        created
    }

    async fn create_named(&self, parent: &Blob, guid: &Blob, prefix: &str) -> Result<Owned<SessionOf<P>>, NotAcquired> {
        let path = Blob::from(format!("{parent}/_c_{guid}-{prefix}"));
        let mut answer_lost = false;
        for _ in 0..=RETRIES_MAX {
            let session = self.session().await?;
            if answer_lost && self.config.protection != Protection::None {
                match self.find(&session, parent, guid).await {
                    Outcome::Ok(Some(found)) => return Ok(found),
                    Outcome::Ok(None) | Outcome::Fail(_) => {}
                    Outcome::Indeterminate(_) => continue,
                }
            }
            match session.create(path.clone(), Blob::EMPTY, CreateMode::EphemeralSequential).await {
                Outcome::Ok((path, stat)) => return Ok(Owned { session, path, czxid: stat.czxid }),
                Outcome::Fail(Refusal::ZooKeeper(Error::NoNode)) => self.create_parents(&session, parent).await?,
                Outcome::Fail(Refusal::ZooKeeper(Error::SessionExpired)) => {}
                Outcome::Fail(_) => return Err(NotAcquired::Unavailable),
                Outcome::Indeterminate(_) => answer_lost = true,
            }
        }
        Err(NotAcquired::Unavailable)
    }

    /// A name that no other creation has; without the `/` that would part it.
    fn guid(&self) -> Blob {
        let id = self.ports.unique_id();
        let clean: Vec<u8> = id.iter().map(|byte| if *byte == b'/' { b'.' } else { *byte }).collect();
        Blob::from(clean)
    }

    /// The node with this GUID, if it is there and may be taken for ours.
    async fn find(&self, session: &SessionOf<P>, parent: &Blob, guid: &Blob) -> Outcome<Option<Owned<SessionOf<P>>>> {
        if self.config.sync_first
            && let Outcome::Indeterminate(why) = session.sync(parent.clone()).await
        {
            return Outcome::Indeterminate(why);
        }
        let mark = Blob::from(format!("_c_{guid}-"));
        let name = match session.children(parent.clone()).await {
            Outcome::Ok(names) => names.into_iter().find(|name| name.starts_with(&mark)),
            Outcome::Fail(why) => return Outcome::Fail(why),
            Outcome::Indeterminate(why) => return Outcome::Indeterminate(why),
        };
        let Some(name) = name else { return Outcome::Ok(None) };
        let path = Blob::from(format!("{parent}/{name}"));
        session.exists(path.clone()).await.map(|stat| {
            let ours =
                |stat: &Stat| self.config.protection == Protection::AnySession || stat.ephemeral_owner == session.id();
            stat.filter(ours).map(|stat| Owned { session: session.clone(), path, czxid: stat.czxid })
        })
    }

    async fn create_parents(&self, session: &SessionOf<P>, path: &Blob) -> Result<(), NotAcquired> {
        let slashes = path.iter().enumerate().skip(1).filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        for end in slashes.chain([path.len()]) {
            let part = Blob::copy_from(&path[..end]);
            match session.create(part, Blob::EMPTY, CreateMode::Container).await {
                Outcome::Ok(_) | Outcome::Fail(Refusal::ZooKeeper(Error::NodeExists)) | Outcome::Indeterminate(_) => {}
                Outcome::Fail(_) => return Err(NotAcquired::Unavailable),
            }
        }
        Ok(())
    }

    /// Deletes the node with this GUID, if it is there.
    async fn delete_named(&self, parent: &Blob, guid: &Blob) {
        while let Some(session) = self.current() {
            match self.find(&session, parent, guid).await {
                Outcome::Ok(Some(found)) => return drop(self.delete(found.session.id(), &found.path).await),
                Outcome::Ok(None) | Outcome::Fail(_) => return,
                Outcome::Indeterminate(_) => {}
            }
        }
    }

    /// Deletes a node of the session with this number. `false` if it was gone already.
    pub async fn delete(&self, owner: SessionId, path: &Blob) -> Outcome<bool> {
        loop {
            // A session that has ended has taken its nodes with it.
            let Some(session) = self.session_numbered(owner) else { return Outcome::Ok(false) };
            match session.delete(path.clone()).await {
                Outcome::Ok(()) => return Outcome::Ok(true),
                Outcome::Fail(Refusal::ZooKeeper(Error::NoNode | Error::SessionExpired)) => return Outcome::Ok(false),
                Outcome::Fail(why) => return Outcome::Fail(why),
                Outcome::Indeterminate(why) if self.config.delete == Delete::Once => {
                    return Outcome::Indeterminate(why);
                }
                Outcome::Indeterminate(_) => {}
            }
        }
    }
}

/// A create that is under way: where it is cancelled or given up, nobody knows whether the node is there.
struct HalfWay<'a, P: Ports> {
    client: &'a Client<P>,
    parent: &'a Blob,
    guid: &'a Blob,
    armed: bool,
}

impl<P: Ports> Drop for HalfWay<'_, P> {
    fn drop(&mut self) {
        if self.armed && self.client.config.protection != Protection::None {
            let (client, parent, guid) = (self.client.clone(), self.parent.clone(), self.guid.clone());
            // The create was sent before: what looks for its node over the same session comes behind it.
            self.client.ports.spawn(async move { client.delete_named(&parent, &guid).await });
        }
    }
}
