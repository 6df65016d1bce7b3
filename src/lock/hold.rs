//! Hold: whether something that was taken is still held, shared by its holder, by whoever keeps it alive, and by those who want to know of its
//! end.
//!
//! A hold ends once, either way: it is lost, or it is released. Every interleaving of those who end it and those who wait for
//! that is explored in `sim-tests/loom.rs`.

use super::sync::{Mutex, lock};
use std::task::{Poll, Waker};

/// Where a hold is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It is held.
    Held,
    /// It has ended without its holder's doing.
    Lost,
    /// Its holder has given it back.
    Released,
}

/// A hold. It begins held.
#[derive(Debug)]
pub struct Hold {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    waiting: Vec<Waker>,
}

impl Default for Hold {
    fn default() -> Self {
        Hold::new()
    }
}

impl Hold {
    /// A hold that is held.
    pub fn new() -> Self {
        Hold { state: Mutex::new(State { phase: Phase::Held, waiting: Vec::new() }) }
    }

    /// Where it is in its life.
    pub fn phase(&self) -> Phase {
        lock(&self.state).phase
    }

    /// True while it is held.
    pub fn is_held(&self) -> bool {
        self.phase() == Phase::Held
    }

    /// It is lost; false if it had ended already.
    pub fn lose(&self) -> bool {
        self.end(Phase::Lost)
    }

    /// It is given back; false if it had ended already.
    pub fn release(&self) -> bool {
        self.end(Phase::Released)
    }

    fn end(&self, how: Phase) -> bool {
        let waiting = {
            let mut state = lock(&self.state);
            if state.phase != Phase::Held {
                return false;
            }
            state.phase = how;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
        true
    }

    /// Ends when it has ended, and tells how.
    pub async fn ended(&self) -> Phase {
        std::future::poll_fn(|cx| {
            let mut state = lock(&self.state);
            if state.phase != Phase::Held {
                return Poll::Ready(state.phase);
            }
            if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                state.waiting.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await
    }
}
