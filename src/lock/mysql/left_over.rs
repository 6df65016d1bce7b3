//! Left over: statements whose sender was dropped before the answer came.
//!
//! The server may still get such a statement, after whatever another session sends. So it is not forgotten: it keeps its
//! session, and whoever must come after it takes it up and waits for its answer.

use crate::port::Outcome;
use crate::port::mysql::Changed;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

/// A statement on its way, and the session in which it runs.
pub(super) type Sent<S> = Pin<Box<dyn Future<Output = (S, Outcome<Changed>)> + Send>>;

/// The statements for whose answers nobody waits.
pub(super) struct LeftOver<S>(Arc<Mutex<Vec<Sent<S>>>>);

impl<S> Clone for LeftOver<S> {
    fn clone(&self) -> Self {
        LeftOver(Arc::clone(&self.0))
    }
}

impl<S> Default for LeftOver<S> {
    fn default() -> Self {
        LeftOver(Arc::default())
    }
}

impl<S> LeftOver<S> {
    /// Waits for the answer. Dropped before, the statement is left over.
    pub(super) fn answer(&self, sent: Sent<S>) -> impl Future<Output = (S, Outcome<Changed>)> + Send {
        Answer { left_over: self.clone(), sent: Some(sent) }
    }

    /// One of them.
    pub(super) fn take(&self) -> Option<Sent<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

struct Answer<S> {
    left_over: LeftOver<S>,
    sent: Option<Sent<S>>,
}

impl<S> Future for Answer<S> {
    type Output = (S, Outcome<Changed>);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let sent = self.sent.as_mut().expect("a statement is waited for until it is answered");
        let answered = ready!(sent.as_mut().poll(cx));
        self.sent = None;
        Poll::Ready(answered)
    }
}

impl<S> Drop for Answer<S> {
    fn drop(&mut self) {
        if let Some(sent) = self.sent.take() {
            self.left_over.0.lock().unwrap_or_else(PoisonError::into_inner).push(sent);
        }
    }
}
