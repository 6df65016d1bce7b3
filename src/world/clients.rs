//! Clients: their lives, what their code asks for, what it is told.

use super::choice::{Act, Choice};
use super::client::{ClientState, Status};
use super::footprint::Threshold;
use super::inputs::{Input, Ran, Wake};
use super::link::Gone;
use super::pushed::Pushed;
use super::seat::{Outgoing, Told, WaitId};
use super::system::System;
use crate::base::time::{self, Observed};
use crate::property::Moment;
use crate::world::recorder::Recorder;

impl System {
    /// Takes in what running a client's code gave, and what it asked for.
    pub fn absorb(
        &mut self,
        client: usize,
        ran: &Ran,
        outbox: impl Iterator<Item = Outgoing>,
        recorder: &mut Recorder,
    ) {
        self.footprint.timed |= ran.read_clock;
        self.footprint.told_apart |= ran.told_apart;
        self.take_moments(client, ran.inputs, &ran.observed);
        for outgoing in outbox {
            match outgoing {
                Outgoing::Request { id, node, channel, purpose, request } => {
                    self.send(client, id, (node, channel), purpose, request);
                }
                Outgoing::Timer { id, at_mono_us } => self.set_timer(client, id, at_mono_us),
                Outgoing::Forget(id) => self.forget(client, id),
                Outgoing::Close { node, channel } => self.close(client, node, channel),
                Outgoing::KeepAlive { node, channel, silence_us_max } => {
                    self.keep_alive(client, node, channel, silence_us_max);
                }
                Outgoing::Record(event) => self.record(client, event, recorder),
            }
        }
        self.clients[client].seen = ran.seen;
        if ran.finished {
            self.finish(client, recorder);
        }
    }

    /// The moments of true time at which the client's code would have done something else.
    fn take_moments(&mut self, client: usize, inputs: u32, observed: &Observed) {
        self.footprint.escaped |= observed.escaped;
        self.clients[client].leaked.retain(|at_us| *at_us > self.now_us);
        for leaked in &observed.leaked {
            let at_us = self.true_at(client, *leaked);
            if at_us <= self.now_us {
                self.footprint.escaped = true;
            }
            // A later moment, as a number: time stops at it, and just behind it.
            for at_us in self.stops(at_us).into_iter().chain(self.stops(at_us + 1)) {
                if at_us > self.now_us && !self.clients[client].leaked.contains(&at_us) {
                    self.clients[client].leaked.push(at_us);
                }
            }
        }
        for flip in &observed.flips {
            let steps_back = inputs.saturating_sub(1).saturating_sub(flip.since);
            for at_us in self.stops(self.true_at(client, flip.at)) {
                let threshold = Threshold { at_us, steps_back };
                if at_us > self.now_us && !self.footprint.thresholds.contains(&threshold) {
                    self.footprint.thresholds.push(threshold);
                }
            }
        }
    }

    /// Where time stops for a threshold: at it, and just before it. A timer that is set just before fires just after,
    /// when none that was set earlier does.
    fn stops(&self, at_us: u64) -> [u64; 2] {
        [at_us.saturating_sub(1), at_us]
    }

    /// The first moment of true time at which a client's clock shows this, or more.
    fn true_at(&self, client: usize, reading: time::Reading) -> u64 {
        let (clock, now) = (self.clients[client].clock, self.client_clock(client));
        match reading {
            time::Reading::Monotonic(at_us) => clock.true_at_monotonic(at_us),
            time::Reading::Wall(at_us) => {
                let ahead_us = at_us.saturating_sub(now.wall_us);
                clock.true_at_monotonic(now.mono_us.saturating_add_signed(ahead_us))
            }
        }
    }

    fn set_timer(&mut self, client: usize, id: WaitId, at_mono_us: u64) {
        self.footprint.timed = true;
        self.clients[client].timers.push((id, at_mono_us));
        let at_us = self.clients[client].clock.true_at_monotonic(at_mono_us).max(self.now_us);
        self.push(Pushed::Fire { client: client as u8, id, at_us });
    }

    pub(super) fn wake(&mut self, client: usize, told: Told) -> Wake {
        let input = Input { now: self.client_clock(client), told };
        if self.keep_inputs {
            self.clients[client].inputs.push(input);
            return Wake { client, input: None };
        }
        Wake { client, input: Some(input) }
    }

    fn finish(&mut self, client: usize, recorder: &mut Recorder) {
        self.end_client(client, Status::Finished);
        // That it has gone may let others on: not something to be done ahead of them.
        self.footprint.visible = true;
        recorder.finished(self.now_us, client);
        let due_by = self.due_by();
        self.detach_all(client, Gone { due_by, lossy: false, silent: false });
    }

    pub(super) fn crash_client(&mut self, client: usize) {
        self.check(&Moment::Crashed { client });
        self.end_client(client, Status::Crashed);
        let due_by = self.due_by();
        self.detach_all(client, Gone { due_by, lossy: true, silent: false });
    }

    /// The client's machine is gone. Servers keep its connections: nothing tells them.
    pub(super) fn power_client_off(&mut self, client: usize) {
        self.check(&Moment::Crashed { client });
        self.hear(client, false);
        self.end_client(client, Status::Crashed);
        let due_by = self.due_by();
        self.detach_all(client, Gone { due_by, lossy: true, silent: true });
    }

    /// Nothing asks again what the code of a client that has ended had seen, or what its clocks show.
    fn end_client(&mut self, client: usize, status: Status) {
        let ClientState { apart, was_cut_off, .. } = self.clients[client];
        self.clients[client] = ClientState { status, apart, was_cut_off, ..ClientState::default() };
        self.holds.ended(client);
    }

    /// True if a client's process stands still.
    pub fn is_paused(&self, client: usize) -> bool {
        matches!(self.clients[client].status, Status::Paused(_))
    }

    pub(super) fn pause_client(&mut self, client: usize) {
        self.hear(client, false);
        self.clients[client].status = Status::Paused(self.now_us);
        self.renew_due(|link| usize::from(link.client) == client);
    }

    pub(super) fn resume_client(&mut self, client: usize) {
        let Status::Paused(since_us) = self.clients[client].status else { panic!("client-{client} is not paused") };
        self.clients[client].status = Status::Running;
        let since_mono_us = self.clients[client].clock.read(since_us).mono_us;
        let now_mono_us = self.client_clock(client).mono_us;
        self.holds.paused(client, now_mono_us - since_mono_us);
        // What it had handed to its network card only now leaves the machine.
        self.renew_due(|link| usize::from(link.client) == client);
        for at in 0..self.links.len() {
            if usize::from(self.links[at].client) == client && self.links[at].gone.is_none() {
                // By its clock it has heard nothing for so long: it gives the connection up before it reads from it. What else
                // its code does it may do before that.
                self.links[at].unheard_since(since_mono_us, now_mono_us);
                self.push_waiting(at);
            }
        }
        for (id, at_mono_us) in self.clients[client].timers.clone() {
            let at_us = self.clients[client].clock.true_at_monotonic(at_mono_us).max(self.now_us);
            self.push(Pushed::Fire { client: client as u8, id, at_us });
        }
        self.hear(client, true);
    }

    /// The timers of a running client that are due.
    pub(super) fn due_timers(&self, client: usize) -> impl Iterator<Item = Choice> {
        let state = &self.clients[client];
        let mono_us = state.clock.read(self.now_us).mono_us;
        let due = state.timers.iter().filter(move |(_, at)| *at <= mono_us);
        due.map(move |(id, _)| Choice::client(client, Act::Fire(*id)))
    }
}
