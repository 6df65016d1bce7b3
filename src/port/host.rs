//! Host: the machine that a client runs on.

use super::{Blob, Instant, WallTime};
use crate::base::Event;
use std::future::Future;
use std::hash::Hash;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// A client's own machine: its clocks, its timers, its tasks and its randomness.
pub trait Host: Clone + Send + Sync + 'static {
    /// The machine's own monotonic clock. It may run too fast or too slow, never backwards.
    fn monotonic(&self) -> Instant;

    /// The machine's own wall clock. It may be off, and it may jump.
    fn wall(&self) -> WallTime;

    /// Ends once the machine's monotonic clock has moved by `duration`, or later.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;

    /// Starts a task of this client; it ends with the client's process.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);

    /// Starts a task that listens for as long as the client lives. Nobody waits for its end: it is dropped when the client's
    /// other tasks have ended.
    fn spawn_background(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn(task);
    }

    /// A random number from the machine's own stream.
    fn random(&self) -> u64;

    /// A text that no other call, on any machine, ever returned or will return.
    fn unique_id(&self) -> Blob;

    /// Tells the history what the client just did or learnt; the oracles judge by it. Locks tell theirs themselves.
    fn record(&self, event: Event);

    /// Runs `inner` as a round: once it has ended, nothing of what it saw matters but its result.
    ///
    /// The explored world forgets a finished round's inputs, so that states which differ only in
    /// how a round went are one. Other worlds just run it.
    ///
    /// The caller promises that `inner` leaves nothing behind (in captured cells, say) that later
    /// code reads, other than its result.
    fn round<T: Hash + Send>(&self, inner: impl Future<Output = T> + Send) -> impl Future<Output = T> + Send {
        inner
    }

    /// The result of `inner`, or `None` once `limit` has passed by the machine's monotonic clock. The
    /// time-out drops `inner`.
    fn timeout<T: Send>(
        &self,
        limit: Duration,
        inner: impl Future<Output = T> + Send,
    ) -> impl Future<Output = Option<T>> + Send {
        async move {
            let mut inner = pin!(inner);
            let mut timer = pin!(self.sleep(limit));
            std::future::poll_fn(|cx| match inner.as_mut().poll(cx) {
                Poll::Ready(value) => Poll::Ready(Some(value)),
                Poll::Pending => timer.as_mut().poll(cx).map(|()| None),
            })
            .await
        }
    }

    /// A random duration in `[min, max)`, or `min` if there is no choice.
    fn random_between(&self, min: Duration, max: Duration) -> Duration {
        let width = u64::try_from(max.saturating_sub(min).as_micros()).unwrap_or(u64::MAX);
        if width == 0 { min } else { min + Duration::from_micros(self.random() % width) }
    }
}
