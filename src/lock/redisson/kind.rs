//! Kind: which of Redisson's locks it is, and what each asks the server.

use super::queue::Queue;
use super::scripts::{ACQUIRE, ACQUIRE_FENCED, RELEASE, RELEASE_EACH_TIME, RELEASE_TO_HEAD, RENEW, RENEW_ANY, REWRITE};
use super::shared::{self, ACQUIRE_ALONE, RELEASE_ANY_SHARE, RELEASE_SHARE, RENEW_SHARE, SHARE};
use super::{RedissonLock, Renew, Resend};
use crate::base::Mode;
use crate::port::{Blob, Command, Ports};
use doublehold_models::slots::beside;

/// Which of Redisson's locks it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One owner (`RLock`).
    Mutex,
    /// The same, with a fencing token for each hold (`RFencedLock`).
    Fenced,
    /// The same as the first, in the order in which clients came (`RFairLock`).
    Fair(Queue),
    /// One owner, and no reader (`RReadWriteLock`).
    Writer,
    /// Any number of readers, and no writer.
    Reader,
    /// So many (`RPermitExpirableSemaphore`).
    Semaphore(usize),
}

impl Kind {
    pub(super) fn queue(self) -> Option<Queue> {
        match self {
            Kind::Fair(queue) => Some(queue),
            _ => None,
        }
    }

    /// The key at which the lock with this key shows who holds it.
    pub fn shown_at(self, key: &Blob) -> Blob {
        if self.is_shared() { beside(key, shared::HOLDS) } else { key.clone() }
    }

    /// Who may hold it beside a holder.
    pub(super) fn mode(self) -> Mode {
        match self {
            Kind::Mutex | Kind::Fenced | Kind::Fair(_) | Kind::Writer => Mode::Exclusive,
            Kind::Reader => Mode::Shared,
            Kind::Semaphore(permits) => Mode::Permits(permits),
        }
    }

    fn is_shared(self) -> bool {
        self.mode() != Mode::Exclusive
    }
}

/// More readers than there are clients.
const READERS_MAX: usize = u32::MAX as usize;

impl<P: Ports> RedissonLock<P> {
    /// The key with this behind the lock's.
    pub(super) fn beside(&self, suffix: &[u8], name: &Blob) -> Blob {
        beside(&self.key, &[suffix, name].concat())
    }

    /// The keys that the scripts name: the lock, the hold's latch, whom a release tells.
    fn keys(&self, hold: &Blob) -> [Blob; 3] {
        let waiters = if self.config.kind.queue().is_some() { self.queue_key() } else { self.channel.clone() };
        [self.key.clone(), self.beside(b":latch:", hold), waiters]
    }

    /// The keys of what is shared: the set of holds, and this one.
    fn shared_keys(&self, hold: &Blob) -> [Blob; 2] {
        [self.beside(shared::HOLDS, &Blob::EMPTY), self.beside(shared::HOLD, hold)]
    }

    /// The request of an attempt.
    pub(super) fn acquisition(&self, hold: &Blob, place: Option<&Blob>) -> Command {
        let arguments = [self.owner.clone(), self.sent_ms(self.first_ttl()), hold.clone()];
        let keys = self.keys(hold);
        match self.config.kind {
            Kind::Mutex => ACQUIRE.command(&keys[..2], &arguments),
            Kind::Fenced => {
                let [key, latch, _] = keys;
                ACQUIRE_FENCED.command(&[key, latch, self.beside(b":fence", &Blob::EMPTY)], &arguments)
            }
            Kind::Fair(queue) => {
                let arguments = [&arguments[..], &queue.arguments(&self.host, place)].concat();
                queue.acquire().command(&keys, &arguments)
            }
            Kind::Writer => ACQUIRE_ALONE.command(&[&keys[..], &self.shared_keys(hold)].concat(), &arguments),
            Kind::Reader | Kind::Semaphore(_) => {
                let permits = if let Kind::Semaphore(permits) = self.config.kind { permits } else { READERS_MAX };
                let arguments = [&arguments[..], &[Blob::from(permits as u64)]].concat();
                SHARE.command(&[&keys[..], &self.shared_keys(hold)].concat(), &arguments)
            }
        }
    }

    /// The request of a renewal.
    pub(super) fn renewal(&self, hold: &Blob) -> Command {
        if self.config.kind.is_shared() {
            return RENEW_SHARE.command(&self.shared_keys(hold), &[self.ttl_ms()]);
        }
        let script = match self.config.renew {
            Renew::IfOurs => &RENEW,
            Renew::Anyway => &RENEW_ANY,
            Renew::Rewrite => &REWRITE,
        };
        script.command(std::slice::from_ref(&self.key), &[self.owner.clone(), self.ttl_ms()])
    }

    /// The request that gives a hold back.
    pub(super) fn giving_back(&self, hold: &Blob) -> Command {
        let arguments = [self.owner.clone(), self.ttl_ms(), hold.clone()];
        let keys = self.keys(hold);
        if self.config.kind.is_shared() {
            let script = if self.config.resend == Resend::Once { &RELEASE_SHARE } else { &RELEASE_ANY_SHARE };
            return script.command(&[&keys[..], &self.shared_keys(hold)].concat(), &arguments);
        }
        let script = match (self.config.resend, self.config.kind) {
            (Resend::EachTime, _) => &RELEASE_EACH_TIME,
            (Resend::Once, Kind::Fair(_)) => &RELEASE_TO_HEAD,
            (Resend::Once, _) => &RELEASE,
        };
        script.command(&keys, &arguments)
    }
}
