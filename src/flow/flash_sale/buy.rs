//! A request, from the limiter to the answer.

use super::config::Stage;
use super::limiter::Limit;
use super::purchase::Purchased;
use super::row::Seen;
use super::service::FlashSale;
use super::told::{Answer, tell};
use crate::flow::queue::Queue;
use crate::lock::mysql::Stop;
use crate::port::{Blob, Outcome, Ports};

impl<P: Ports, Q: Queue> FlashSale<P, Q> {
    /// Serves a request for one piece.
    pub async fn buy(&mut self, request: &Blob) -> Answer {
        let answer = self.serve(request).await;
        tell(&self.ports, request, answer);
        answer
    }

    async fn serve(&mut self, request: &Blob) -> Answer {
        if self.config.stage >= Stage::Limited {
            match self.limiter.pass().await {
                Limit::Passed => {}
                Limit::Exceeded => return Answer::Limited,
                Limit::Unavailable => return Answer::Unavailable,
            }
        }
        self.take(request).await
    }

    /// Serves a request that the limiter has let pass.
    pub(super) async fn take(&mut self, request: &Blob) -> Answer {
        match self.config.stage {
            Stage::Naive => answer_of(self.purchase_naively(request).await),
            Stage::Optimistic | Stage::Limited => answer_of(self.purchase(request, None, self.config.retry).await),
            Stage::Cached => self.take_cached(request).await,
            Stage::Queued => self.enqueue(request).await,
        }
    }

    /// What Redis says of the row; from the row itself if Redis says nothing.
    async fn seen(&mut self) -> Option<Seen> {
        if let Some(seen) = self.counters.read().await {
            return Some(seen);
        }
        let seen = self.look_up().await?;
        self.counters.refresh(seen).await;
        Some(seen)
    }

    async fn take_cached(&mut self, request: &Blob) -> Answer {
        let Some(seen) = self.seen().await else { return Answer::Unavailable };
        if seen.is_sold_out() {
            return Answer::SoldOut;
        }
        let purchased = self.purchase(request, Some(seen), self.config.retry).await;
        match &purchased {
            Ok(Purchased::Done(now)) => self.counters.sold(*now).await,
            Err(Stop::Conflict) if self.counters.learns_from_conflict() => self.learn().await,
            _ => {}
        }
        answer_of(purchased)
    }

    /// Brings the counters up to what the row has.
    pub(super) async fn learn(&mut self) {
        if let Some(now) = self.look_up().await {
            self.counters.refresh(now).await;
        }
    }

    /// Nothing is taken yet: more may be accepted than there is, and the last of them get nothing.
    async fn enqueue(&mut self, request: &Blob) -> Answer {
        match self.seen().await {
            None => return Answer::Unavailable,
            Some(seen) if seen.is_sold_out() => return Answer::SoldOut,
            Some(_) => {}
        }
        match self.queue.publish(request).await {
            Outcome::Ok(()) => Answer::Accepted,
            Outcome::Fail(_) => Answer::Unavailable,
            Outcome::Indeterminate(_) => Answer::Unknown,
        }
    }
}

fn answer_of(purchased: Result<Purchased, Stop>) -> Answer {
    match purchased {
        Ok(Purchased::Done(_)) => Answer::Sold,
        Ok(Purchased::SoldOut) => Answer::SoldOut,
        // The order is there: an earlier try had come through.
        Err(stop) if stop.is_duplicate() => Answer::Sold,
        Err(Stop::Conflict) => Answer::Conflict,
        Err(Stop::Unknown) => Answer::Unknown,
        Err(Stop::Failed(_) | Stop::GivenUp | Stop::Unavailable) => Answer::Unavailable,
    }
}
