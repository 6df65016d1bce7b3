//! Lifetime: a hold that its client keeps alive on the servers, and how long it may be believed in.

use super::hold::{Hold, Phase};
use super::sync::{Mutex, lock};
use crate::port::{Host, Instant};
use std::future::Future;
use std::time::Duration;

/// How an attempt to keep a hold alive went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// The servers have renewed it: it certainly lasts until then, by the client's monotonic clock.
    Renewed(Instant),
    /// The servers say that it is gone.
    Gone,
    /// There was no answer.
    Unanswered,
}

/// How many times a hold is renewed in the time for which it lasts.
const RENEWALS_PER_LIFE: u32 = 3;

/// The life of a hold. It begins held.
#[derive(Debug)]
pub struct Lifetime {
    hold: Hold,
    /// How often it is renewed.
    every: Duration,
    /// Until when it certainly lasts, by the client's monotonic clock: counted from before the renewal was asked for.
    until: Mutex<Instant>,
}

impl Lifetime {
    /// The life of a hold that certainly lasts until then. Renewals make it last for so long.
    pub fn new(until: Instant, lasts: Duration) -> Self {
        Lifetime { hold: Hold::new(), every: lasts / RENEWALS_PER_LIFE, until: Mutex::new(until) }
    }

    /// Where it is in its life.
    pub fn hold(&self) -> &Hold {
        &self.hold
    }

    /// Until when it certainly lasts, by the client's own monotonic clock.
    pub fn until(&self) -> Instant {
        *lock(&self.until)
    }

    /// It was renewed, and certainly lasts until then.
    pub fn renewed(&self, until: Instant) {
        *lock(&self.until) = until;
    }

    /// Ends when the hold has, as far as the client knows.
    pub async fn ended(&self) -> Phase {
        self.hold.ended().await
    }

    /// Keeps it alive until it is given back or lost. It is lost when the servers say so, or when nothing was heard for
    /// so long that it may have ended. `renew` is given `limit` at the most to answer, and is tried again while the
    /// hold may last.
    pub async fn keep<H: Host, F: Future<Output = Renewal> + Send>(
        &self,
        host: &H,
        limit: Duration,
        renew: impl Fn() -> F + Send + Sync,
    ) {
        loop {
            let left = self.until().left_at(host.monotonic());
            if host.timeout(self.every.min(left), self.ended()).await.is_some() {
                return;
            }
            let left = self.until().left_at(host.monotonic());
            if left.is_zero() {
                self.hold.lose();
                return;
            }
            match host.timeout(limit.min(left), renew()).await {
                Some(Renewal::Gone) => {
                    self.hold.lose();
                    return;
                }
                Some(Renewal::Renewed(until)) => self.renewed(until),
                Some(Renewal::Unanswered) | None => {}
            }
        }
    }
}
