//! Queue: what a system has put on its way, for worlds that decide when it happens.

use super::choice::{Act, Choice, Target};
use super::client::Status;
use super::pushed::Pushed;
use super::system::System;

impl System {
    /// Notes from now on what is put on its way, for [`take_pushed`](System::take_pushed).
    pub fn keep_pushed(&mut self) {
        self.pushed = Some(Vec::new());
    }

    /// What was put on its way since the last call.
    pub fn take_pushed(&mut self, into: &mut Vec<Pushed>) {
        into.append(self.pushed.as_mut().expect("what is put on its way is noted"));
    }

    pub(super) fn push(&mut self, pushed: Pushed) {
        if let Some(kept) = &mut self.pushed {
            kept.push(pushed);
        }
    }

    /// Notes that the client will have found a connection silent for too long.
    pub(super) fn push_silence(&mut self, at: usize) {
        let link = &self.links[at];
        if let Some(at_mono_us) = link.given_up_at() {
            let (name, clock) = (link.name(), &self.clients[usize::from(link.client)].clock);
            let at_us = clock.true_at_monotonic(at_mono_us).max(self.now_us);
            self.push(Pushed::Silence(name, at_us));
        }
    }

    /// Everything that waits on a connection is on its way again: one of its ends was paused.
    pub(super) fn push_waiting(&mut self, at: usize) {
        let link = &self.links[at];
        let (name, requests, arrivals) = (link.name(), link.requests.len(), link.arrivals.len());
        (0..requests).for_each(|_| self.push(Pushed::Serve(name)));
        (0..arrivals).for_each(|_| self.push(Pushed::Deliver(name)));
        if let Some(gone) = self.links[at].gone {
            self.push(Pushed::HangUp(name, gone.lossy));
        }
        self.push_silence(at);
    }

    /// True if a message or a timer can still come: it was not lost, and neither end is paused.
    pub fn can_come(&self, choice: Choice) -> bool {
        match (choice.at, choice.act) {
            (Target::Link(name), act) => self.find_link(name).is_some_and(|at| match act {
                Act::Serve => self.can_serve(at),
                Act::Deliver => self.can_deliver(at),
                Act::DeliverEnd(_) => self.ends_of(name).contains(&act),
                Act::HangUp => self.can_hang_up(at),
                Act::Take(_) => self.steps().contains(&choice),
                _ => false,
            }),
            (Target::Client(client), Act::Fire(id)) => {
                let client = &self.clients[usize::from(client)];
                client.status == Status::Running && client.timers.iter().any(|(timer, _)| *timer == id)
            }
            _ => false,
        }
    }
}
