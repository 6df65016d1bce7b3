//! The options of Redisson's locks: each one's default is the algorithm without its known mistakes.

use super::queue::Queue;
use super::shared::{self, Permits};
use crate::base::Mode;
use crate::lock::redis::{ReplicaWait, drift_of};
use crate::port::Blob;
use doublehold_models::slots::beside;
use std::time::Duration;

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
    /// As many as there are permits (`RPermitExpirableSemaphore`).
    Semaphore(Permits),
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
            Kind::Semaphore(permits) => Mode::Permits(permits.count),
        }
    }

    /// True if several may hold it at once.
    pub(super) fn is_shared(self) -> bool {
        self.mode() != Mode::Exclusive
    }
}

/// What the watchdog looks at before it renews.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renew {
    /// Whether the lock is still the owner's.
    IfOurs,
    /// Nothing: it renews the TTL of any holder.
    Anyway,
    /// Nothing: it writes the owner into the lock anew.
    Rewrite,
}

/// Which servers must have a renewal before it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenewedOn {
    /// The primary, and as many replicas as an attempt waits for.
    Replicas,
    /// The primary alone (R6).
    Primary,
}

/// When a release ends the watchdog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndWatchdog {
    /// Before it is sent.
    BeforeRelease,
    /// Once it is answered: a renewal may come after it.
    AfterRelease,
}

/// What keeps a hold alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepAlive {
    /// The watchdog.
    Watchdog,
    /// Nothing: it ends with its TTL.
    Nothing,
}

/// What becomes of an attempt whose caller is interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnInterrupt {
    /// It is given back.
    GiveBack,
    /// It goes on in the background, and the watchdog renews what it takes (R16).
    GoOn,
}

/// What becomes of a holder whose lock is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterLoss {
    /// It is told.
    TellHolder,
    /// The watchdog stops, and the holder carries on (R17).
    Silent,
}

/// What a renewal without an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFailedRenewal {
    /// The next one may have an answer.
    TryAgain,
    /// There is none any more, and the holder is not told (R15).
    GiveUp,
}

/// What an attempt does whose answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterLostReply {
    /// It gives back what it may have taken.
    GiveBack,
    /// It is sent again, and counts twice if the first one was done (R13).
    SendAgain,
}

/// When a waiter looks at the lock, and when it begins to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// It listens, then looks, then waits; it looks again when it has to listen anew.
    ListenThenLook,
    /// It looks, then listens, then waits (R34).
    LookThenListen,
    /// As the first, but when the subscription breaks it waits for the holder's TTL (R25).
    MissBroken,
}

/// What remembers the TTL of a lease that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseOf {
    /// The hold.
    Hold,
    /// The lock object: the watchdog's later holds have it too (R18).
    Object,
}

/// What a release does that is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resend {
    /// It names its hold, and is answered as before.
    Once,
    /// It counts again.
    EachTime,
}

/// The options of the lock; the default is the algorithm without its known mistakes.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which of Redisson's locks it is.
    pub kind: Kind,
    /// The TTL, which the watchdog renews.
    pub ttl: Duration,
    /// The TTL of a hold until it is first prolonged, where that is another one.
    pub first_ttl: Option<Duration>,
    /// What is taken off the TTL for clock drift between client and server.
    pub drift: Duration,
    /// How long to wait for the answer to a renewal.
    pub request_timeout: Duration,
    /// What keeps a hold alive.
    pub keep_alive: KeepAlive,
    /// What the watchdog looks at before it renews.
    pub renew: Renew,
    /// When a release ends the watchdog.
    pub end_watchdog: EndWatchdog,
    /// What becomes of an attempt whose caller is interrupted.
    pub on_interrupt: OnInterrupt,
    /// What becomes of a holder whose lock is gone.
    pub after_loss: AfterLoss,
    /// What a renewal without an answer means.
    pub after_failed_renewal: AfterFailedRenewal,
    /// What an attempt does whose answer was lost.
    pub after_lost_reply: AfterLostReply,
    /// When a waiter looks at the lock, and when it begins to listen.
    pub waiting: Waiting,
    /// What a release does that is sent again.
    pub resend: Resend,
    /// What remembers the TTL of a lease that was asked for.
    pub lease_of: LeaseOf,
    /// How many replicas must have the lock before it is held; `None`: none is waited for.
    pub replicas: Option<ReplicaWait>,
    /// Which servers must have a renewal before it counts.
    pub renewed_on: RenewedOn,
}

impl Config {
    /// The lock with this TTL.
    pub fn new(ttl: Duration) -> Self {
        Config {
            kind: Kind::Mutex,
            ttl,
            first_ttl: None,
            drift: drift_of(ttl),
            request_timeout: ttl / 3,
            keep_alive: KeepAlive::Watchdog,
            renew: Renew::IfOurs,
            end_watchdog: EndWatchdog::BeforeRelease,
            on_interrupt: OnInterrupt::GiveBack,
            after_loss: AfterLoss::TellHolder,
            after_failed_renewal: AfterFailedRenewal::TryAgain,
            after_lost_reply: AfterLostReply::GiveBack,
            waiting: Waiting::ListenThenLook,
            resend: Resend::Once,
            lease_of: LeaseOf::Hold,
            replicas: None,
            renewed_on: RenewedOn::Replicas,
        }
    }
}
