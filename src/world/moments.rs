//! Moments: at which moments a client's code would do something else, as far as the search has learnt.
//!
//! Time passes by choice, to moments at which something changes by itself. A client's code has moments of its own: it compares
//! its clock with a deadline, and does something else from there on. The comparison tells the moment
//! ([`port::time`](crate::port::time)), but only to the execution that has come to it. So the search notes each such moment with what
//! the client's code had seen before, and each step from one such state of the code to the next; when it has seen
//! everything, it closes the table (a state of the code has the moments of all that it can come to) and searches again, now
//! stopping just before and at each of them wherever a client is held up for an unknown time. It ends when a search learns nothing new.

use super::clients::Status;
use super::clock::Clock;
use super::link::Link;
use super::seat::Purpose;
use super::system::System;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};

/// A state of a client's code, and the clocks by which it judges.
type CodeState = (u128, i32, i64);

/// The table.
#[derive(Default)]
pub(super) struct Moments {
    /// Where time stops for the client, true time.
    known: FxHashMap<CodeState, BTreeSet<u64>>,
    /// What this search has noted so far.
    named: BTreeMap<CodeState, BTreeSet<u64>>,
    steps: BTreeSet<(CodeState, CodeState)>,
    /// Some client was held up for an unknown time: moments would have mattered.
    held_up: bool,
}

impl Moments {
    /// How many moments are known.
    pub(super) fn count(&self) -> usize {
        self.known.values().flatten().collect::<BTreeSet<_>>().len()
    }

    /// The state of a client's code.
    pub(super) fn code_state(system: &System, client: usize) -> CodeState {
        let state = &system.clients[client];
        let Clock { drift_ppm, offset_us } = state.clock;
        (state.seen, drift_ppm, offset_us)
    }

    /// Notes what one step of a client's code has named.
    pub(super) fn note(&mut self, before: CodeState, after: CodeState, moments: &[u64]) {
        if !moments.is_empty() {
            self.named.entry(before).or_default().extend(moments);
            self.named.entry(after).or_default().extend(moments);
        }
        if before != after && !(self.known.is_empty() && self.named.is_empty()) {
            self.steps.insert((before, after));
        }
    }

    /// The moments, beyond those at which something changes by itself, at which time may stop in a state.
    pub(super) fn offer(&mut self, system: &System, into: &mut BTreeSet<u64>) {
        into.clear();
        let until = system.next_moment();
        if until.is_some_and(|until| until <= system.now_us + 1) {
            return;
        }
        for client in system.waiting_clients().filter(|client| system.is_held_up(*client)) {
            self.held_up = true;
            let known = self.known.get(&Moments::code_state(system, client));
            let until = until.unwrap_or(u64::MAX);
            into.extend(known.iter().flat_map(|known| known.range(system.now_us + 1..until)));
        }
        into.retain(|at| system.allows_time(*at));
    }

    /// Closes the table at the end of a search. True if there is something new to look at.
    pub(super) fn close(&mut self) -> bool {
        let mut closed = self.named.clone();
        for (state, known) in &self.known {
            closed.entry(*state).or_default().extend(known);
        }
        loop {
            let mut grown = false;
            for (before, after) in &self.steps {
                let later: Vec<u64> = closed.get(after).into_iter().flatten().copied().collect();
                let earlier = closed.entry(*before).or_default();
                let had = earlier.len();
                earlier.extend(later);
                grown |= earlier.len() > had;
            }
            if !grown {
                break;
            }
        }
        closed.retain(|_, moments| !moments.is_empty());
        let news = self.held_up && closed.iter().any(|(state, moments)| self.known.get(state) != Some(moments));
        self.known = closed.into_iter().collect();
        news
    }
}

impl System {
    /// True if a client goes on at a moment that not its own timer decides: it has not begun, it is paused, or waits for a
    /// message.
    pub fn is_held_up(&self, client: usize) -> bool {
        let waits = |link: &Link| {
            usize::from(link.client) == client
                && link.gone.is_none()
                && (link.purpose == Purpose::Push || !link.open.is_empty() || !link.arrivals.is_empty())
        };
        match self.clients[client].status {
            Status::NotStarted | Status::Paused(_) => true,
            Status::Running => self.links.iter().any(waits),
            Status::Finished | Status::Crashed => false,
        }
    }
}
