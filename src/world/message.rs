//! Message: what is on its way between a client and a node. It never changes, so it is hashed once.

use doublehold_models::{ClientId, Digest, Request};
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::OnceLock;

/// A message with its digest, in which its client's own name is written as "mine".
#[derive(Clone, Debug)]
pub struct Message<T> {
    says: T,
    client: ClientId,
    digest: OnceLock<u128>,
    clock: OnceLock<AsksClock>,
}

/// What a request has to do with its server's clock.
#[derive(Clone, Copy, Debug)]
pub struct AsksClock {
    /// The answer may depend on it otherwise than by what ends by itself.
    pub may_ask: bool,
    /// The answer may tell a reading of it.
    pub tells: bool,
}

impl Message<Request> {
    /// What the request has to do with its server's clock.
    pub fn asks_clock(&self) -> AsksClock {
        *self.clock.get_or_init(|| AsksClock { may_ask: self.says.may_ask_time(), tells: self.says.tells_time() })
    }
}

impl<T: Hash> Message<T> {
    /// A message to or from this client.
    pub fn new(client: ClientId, says: T) -> Self {
        Message { says, client, digest: OnceLock::new(), clock: OnceLock::new() }
    }

    /// What it says.
    pub fn take(self) -> T {
        self.says
    }

    fn digest(&self) -> u128 {
        *self.digest.get_or_init(|| {
            let mut digest = Digest::naming_self(self.client.into());
            self.says.hash(&mut digest);
            digest.finish128()
        })
    }
}

impl<T> Deref for Message<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.says
    }
}

impl<T: Hash> Hash for Message<T> {
    /// The fingerprint's hasher for this client would write the same names.
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(self.digest());
    }
}
