//! Lifetime: a hold that its client keeps alive on the servers, and how long it may be believed in.

use super::hold::{Hold, Phase};
use super::sync::{Mutex, lock};
use crate::port::{Host, Instant};
use std::future::Future;
use std::time::Duration;

/// How an attempt to keep a hold alive went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// The servers have renewed it.
    Renewed,
    /// The servers say that it is gone.
    Gone,
    /// There was no answer.
    Unanswered,
}

/// How many times in its life a hold is renewed.
const RENEWALS_PER_LIFE: u32 = 3;

/// The life of a hold. It begins held.
#[derive(Debug)]
pub struct Lifetime {
    hold: Hold,
    /// For how long it may be believed in after it was renewed.
    good_for: Duration,
    /// Until when it certainly lasts, by the client's monotonic clock: counted from before the renewal was asked for.
    until: Mutex<Instant>,
}

impl Lifetime {
    /// The life of a hold that was asked for at this moment and may be believed in for so long.
    pub fn new(asked_at: Instant, good_for: Duration) -> Self {
        Lifetime { hold: Hold::new(), good_for, until: Mutex::new(asked_at + good_for) }
    }

    /// Where it is in its life.
    pub fn hold(&self) -> &Hold {
        &self.hold
    }

    /// Until when it certainly lasts, by the client's own monotonic clock.
    pub fn until(&self) -> Instant {
        *lock(&self.until)
    }

    /// It was renewed by a request that was sent at this moment.
    pub fn renewed(&self, asked_at: Instant) {
        *lock(&self.until) = asked_at + self.good_for;
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
        let every = self.good_for / RENEWALS_PER_LIFE;
        loop {
            let left = self.until().left_at(host.monotonic());
            if host.timeout(every.min(left), self.ended()).await.is_some() {
                return;
            }
            let asked_at = host.monotonic();
            let left = self.until().left_at(asked_at);
            if left.is_zero() {
                self.hold.lose();
                return;
            }
            match host.timeout(limit.min(left), renew()).await {
                Some(Renewal::Gone) => {
                    self.hold.lose();
                    return;
                }
                Some(Renewal::Renewed) => self.renewed(asked_at),
                Some(Renewal::Unanswered) | None => {}
            }
        }
    }
}
