//! Local: a mutex in memory that threads of one process share, and the registry of those that are in use.
//!
//! A mutex is passed on in the order in which its waiters came. The interleavings of threads that hold it, wait for it
//! and stop waiting are explored in `sim-tests/loom.rs`, with at most two preemptions where they contend.

use super::sync::{Arc, Mutex, lock};
use crate::port::{Blob, Instant};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A mutex in memory. Its clones are one.
#[derive(Clone, Debug, Default)]
pub struct Local(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    held: bool,
    /// The waiters, in the order in which they came, each by its ticket.
    waiting: VecDeque<(u64, Waker)>,
    tickets: u64,
}

impl State {
    /// Takes the mutex for the waiter with this ticket, or for one that has none, if it is its turn.
    fn take(&mut self, ticket: Option<u64>) -> bool {
        let first = self.waiting.front().map(|(ticket, _)| *ticket);
        if self.held || first != ticket {
            return false;
        }
        self.waiting.pop_front();
        self.held = true;
        true
    }

    /// The waiter whose turn it is, if the mutex is free.
    fn next(&self) -> Option<Waker> {
        let (_, waker) = self.waiting.front().filter(|_| !self.held)?;
        Some(waker.clone())
    }
}

impl Local {
    /// A free mutex.
    pub fn new() -> Self {
        Local::default()
    }

    /// Takes it, if it is free and no other waits for it.
    pub fn try_lock(&self) -> Option<Held> {
        lock(&self.0).take(None).then(|| Held(self.clone()))
    }

    /// Takes it when it is this one's turn. Dropping the future gives the turn up.
    pub fn lock(&self) -> Waiting {
        Waiting { local: self.clone(), ticket: None }
    }

    /// Changes the state, and wakes the waiter whose turn it is then.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let next = {
            let mut state = lock(&self.0);
            change(&mut state);
            state.next()
        };
        if let Some(waker) = next {
            waker.wake();
        }
    }

    /// True if another thread has it, or has a way to it.
    fn is_used(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

/// The mutex is held. It is given back on drop.
#[derive(Debug)]
pub struct Held(Local);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.change(|state| state.held = false);
    }
}

/// Waits for the mutex.
#[derive(Debug)]
pub struct Waiting {
    local: Local,
    ticket: Option<u64>,
}

impl Future for Waiting {
    type Output = Held;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Held> {
        let local = self.local.clone();
        let mut state = lock(&local.0);
        if state.take(self.ticket) {
            self.ticket = None;
            return Poll::Ready(Held(self.local.clone()));
        }
        let waker = cx.waker().clone();
        match self.ticket {
            Some(ticket) => {
                if let Some(waiting) = state.waiting.iter_mut().find(|(of, _)| *of == ticket) {
                    waiting.1 = waker;
                }
            }
            None => {
                state.tickets += 1;
                let ticket = state.tickets;
                state.waiting.push_back((ticket, waker));
                self.ticket = Some(ticket);
            }
        }
        Poll::Pending
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.local.change(|state| state.waiting.retain(|(of, _)| *of != ticket));
        }
    }
}

/// When a registry forgets a mutex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forget {
    /// When no thread has it or waits for it.
    Unused,
    /// When it was last asked for longer ago than this, also if a thread has it. The next thread that asks is given
    /// another mutex.
    OlderThan(Duration),
}

/// The mutexes of a process, by name.
#[derive(Debug)]
pub struct Registry {
    forget: Forget,
    known: Mutex<BTreeMap<Blob, (Local, Instant)>>,
}

impl Registry {
    /// A registry without any.
    pub fn new(forget: Forget) -> Self {
        Registry { forget, known: Mutex::default() }
    }

    /// The mutex with this name, asked for at this moment.
    pub fn obtain(&self, name: &Blob, now: Instant) -> Local {
        let mut known = lock(&self.known);
        known.retain(|_, (local, asked_at)| match self.forget {
            Forget::Unused => local.is_used(),
            Forget::OlderThan(age) => now <= *asked_at + age,
        });
        let entry = known.entry(name.clone()).or_insert_with(|| (Local::new(), now));
        entry.1 = now;
        entry.0.clone()
    }
}
