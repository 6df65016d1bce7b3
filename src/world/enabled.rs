//! Enabled: which choices a state offers, in an order that never changes.

use super::choice::{Act, Choice, Target};
use super::client::{ClientState, Status};
use super::clock::Clock;
use super::fault::Fault;
use super::system::System;

impl System {
    /// Everything that can happen next. Empty once the execution has ended.
    pub fn enabled(&self, into: &mut Vec<Choice>) {
        into.clear();
        if self.violation.is_some() || self.is_quiescent() {
            return;
        }
        if self.offer_clocks(into) || self.offer_starts(into) {
            return;
        }
        self.offer_messages(into);
        let steps = self.steps();
        into.extend(steps.iter().filter(|step| !step.is_fault()));
        self.running().for_each(|(client, _)| into.extend(self.due_timers(client)));
        self.offer_time(into);
        // Without a client that could suffer from it, a fault is not worth exploring.
        if self.waiting_clients().next().is_some() {
            self.offer_client_faults(into);
            self.offer_node_faults(into);
            self.offer_link_faults(into);
            into.extend(steps.iter().filter(|step| step.fault().is_some_and(|fault| self.may_suffer(fault))));
            if self.may_suffer(Fault::Partition) && self.cut.is_none() {
                self.offer_partitions(into);
            }
        }
        self.offer_recoveries(into);
    }

    /// True if a choice is possible: as [`enabled`](System::enabled), but time may pass to any moment
    /// up to the next one at which something changes, and clocks may be off by anything within their ranges.
    pub fn allows(&self, choice: Choice, scratch: &mut Vec<Choice>) -> bool {
        match choice.act {
            Act::Advance(to_us) => choice.at == Target::Time && self.allows_time(to_us),
            Act::SetClock { drift_ppm, offset_us } => {
                let assumptions = &self.setup.assumptions;
                self.clocks_are_open()
                    && choice == self.next_clock(choice.act)
                    && drift_ppm.unsigned_abs() <= assumptions.drift_ppm_max
                    && offset_us.unsigned_abs() <= assumptions.offset_us_max
            }
            // Schedules of the simulated world have steps that no process can observe.
            _ if self.is_group_step(choice) => self.allows_group_step(choice),
            _ => {
                self.enabled(scratch);
                scratch.contains(&choice)
            }
        }
    }

    /// True if time may pass to this moment.
    pub fn allows_time(&self, to_us: u64) -> bool {
        self.allows_time_within(to_us, self.next_moment())
    }

    /// True if time may pass to this moment in one stride, over moments at which something changes: the simulated
    /// world does so.
    pub fn allows_stride(&self, to_us: u64) -> bool {
        self.allows_time_within(to_us, self.time_limit())
    }

    fn allows_time_within(&self, to_us: u64, limit: Option<u64>) -> bool {
        self.violation.is_none()
            && !self.is_quiescent()
            && !self.is_beginning()
            && !self.clocks_are_open()
            && !self.hides_expiry_until(to_us)
            && to_us > self.now_us
            && limit.is_none_or(|limit| to_us <= limit)
            && (to_us - self.now_us <= LONGEST_WAIT_US)
    }

    /// True while some process's clocks are still to be set.
    fn clocks_are_open(&self) -> bool {
        let assumptions = &self.setup.assumptions;
        let all = self.clients.len() + self.nodes.len();
        (assumptions.drift_ppm_max, assumptions.offset_us_max) != (0, 0) && usize::from(self.clocks_set) < all
    }

    /// Before anything else: how far each clock is off, one process after the other. True while
    /// there is one to be set.
    fn offer_clocks(&self, into: &mut Vec<Choice>) -> bool {
        if !self.clocks_are_open() {
            return false;
        }
        let assumptions = &self.setup.assumptions;
        let (drift, offset) = (i64::from(assumptions.drift_ppm_max), assumptions.offset_us_max as i64);
        let set = |act| self.next_clock(act);
        // All clocks are right, or each is at an end of its range.
        let first = self.clients.get(0).map(|client| client.clock).filter(|_| self.clocks_set > 0);
        if first.is_none_or(|first| first == Clock::default()) {
            into.push(set(Act::SetClock { drift_ppm: 0, offset_us: 0 }));
        }
        if first.is_some_and(|first| first == Clock::default()) {
            return true;
        }
        let ends = |limit: i64| if limit == 0 { vec![0] } else { vec![-limit, limit] };
        for drift in ends(drift) {
            let drift_ppm = drift as i32;
            into.extend(ends(offset).into_iter().map(|offset_us| set(Act::SetClock { drift_ppm, offset_us })));
        }
        true
    }

    /// Sets the clock that is the next to be set.
    fn next_clock(&self, act: Act) -> Choice {
        let (next, clients) = (usize::from(self.clocks_set), self.clients.len());
        if next < clients { Choice::client(next, act) } else { Choice::node(next - clients, act) }
    }

    /// Clients that begin at the start do so before anything else, in order: they can only send.
    fn offer_starts(&self, into: &mut Vec<Choice>) -> bool {
        let waiting = self.clients.iter().enumerate().filter(|(_, client)| client.status == Status::NotStarted);
        let starts = waiting.map(|(client, _)| Choice::client(client, Act::Start));
        if self.starts_any_time() {
            into.extend(starts);
            return false;
        }
        into.extend(starts.take(1));
        !into.is_empty()
    }

    fn offer_messages(&self, into: &mut Vec<Choice>) {
        for (at, link) in self.links.iter().enumerate() {
            if self.can_deliver(at) {
                into.push(Choice::link(link.name(), Act::Deliver));
                into.extend(self.ends_at(at).map(|act| Choice::link(link.name(), act)));
            }
            if self.can_serve(at) {
                into.push(Choice::link(link.name(), Act::Serve));
            }
            if self.can_hang_up(at) {
                into.push(Choice::link(link.name(), Act::HangUp));
            }
        }
    }

    /// Time passes to the next moment at which something can change, if nothing has to happen before.
    fn offer_time(&self, into: &mut Vec<Choice>) {
        if let Some(to_us) = self.next_moment().filter(|to_us| *to_us > self.now_us && !self.hides_expiry_until(*to_us))
        {
            into.push(Choice::advance(to_us));
        }
    }

    /// True if time cannot pass to this moment because a lease would end once more than the bound allows.
    fn hides_expiry_until(&self, to_us: u64) -> bool {
        self.expiries_left == Some(0) && self.changes_until(to_us)
    }

    /// True while clients that begin at the start have not all begun.
    fn is_beginning(&self) -> bool {
        !self.starts_any_time() && self.clients.iter().any(|client| client.status == Status::NotStarted)
    }

    /// The moment that time cannot pass before something that is due has happened.
    pub(super) fn time_limit(&self) -> Option<u64> {
        let running = || self.clients.iter().filter(|client| client.status == Status::Running);
        let due = running().flat_map(|client| client.timers.iter().map(|(_, at)| client.clock.true_at_monotonic(*at)));
        let delays = self.links.iter().flat_map(|link| {
            let requests = link.requests.iter().map(|flight| flight.due_by);
            let arrivals = link.arrivals.iter().map(|arriving| arriving.due_by);
            requests.chain(arrivals).chain(link.gone.map(|gone| gone.due_by)).flatten()
        });
        let silences = self.links.iter().filter_map(|link| {
            let client = &self.clients[usize::from(link.client)];
            let at_mono_us = link.given_up_at().filter(|_| client.status == Status::Running)?;
            Some(client.clock.true_at_monotonic(at_mono_us))
        });
        let syncs = self.nodes.iter().filter_map(|node| Some(node.slow_since? + SYNC_US_MAX));
        // Threads that may run do so before a message would have come.
        let delay_us_max = self.setup.assumptions.delay_us_max;
        let ready = delay_us_max.filter(|_| self.has_ready()).map(|_| self.now_us);
        due.chain(ready).chain(delays).chain(self.pause_ends()).chain(silences).chain(syncs).min()
    }

    /// When the processes that stand still must go on, and the partition must heal.
    fn pause_ends(&self) -> impl Iterator<Item = u64> {
        let clients = self.clients.iter().filter_map(|client| match client.status {
            Status::Paused(since) => Some(since),
            _ => None,
        });
        let nodes = self.nodes.iter().filter_map(|node| node.paused_since);
        let pause_us_max = self.setup.assumptions.pause_us_max;
        let cut = self.cut.map(|cut| cut.since_us);
        clients.chain(nodes).chain(cut).filter_map(move |since| Some(since.saturating_add(pause_us_max?)))
    }

    /// The next moment at which something changes with time alone, or that time cannot pass.
    pub(super) fn next_moment(&self) -> Option<u64> {
        let expiries = self.expiries_left != Some(0);
        let nodes = (0..self.nodes.len()).filter_map(|node| self.node_timer(node)).filter(|_| expiries);
        let restart = self.setup.assumptions.restart_us_min;
        let down = self.nodes.iter().filter(|node| !node.outvoted);
        let restarts = down.filter_map(|node| Some(node.down_since? + restart));
        // Whoever wakes from a pause finds its timers due: as many as the pause was long. So does a server.
        let paused = self.clients.iter().filter(|client| matches!(client.status, Status::Paused(_)));
        let overslept =
            paused.flat_map(|client| client.timers.iter().map(|(_, at)| client.clock.true_at_monotonic(*at)));
        let stopped = (0..self.nodes.len()).filter(|node| self.nodes[*node].paused_since.is_some());
        let missed = stopped.filter_map(|node| self.own_timer(node));
        let moments = nodes.chain(restarts).chain(overslept).chain(missed).filter(|at| *at > self.now_us);
        moments.chain(self.time_limit()).min()
    }

    /// True if clients begin by themselves, not all at once.
    fn starts_any_time(&self) -> bool {
        self.setup.arrival == super::setup::ArrivalTime::AnyTime
    }

    fn running(&self) -> impl Iterator<Item = (usize, &ClientState)> {
        self.clients.iter().enumerate().filter(|(_, client)| client.status == Status::Running)
    }

    fn offer_client_faults(&self, into: &mut Vec<Choice>) {
        for (client, _) in self.running() {
            if self.may_suffer(Fault::Pause) {
                into.push(Choice::client(client, Act::Pause));
            }
            if self.may_suffer(Fault::ClientCrash) {
                into.push(Choice::client(client, Act::Crash));
            }
            if self.may_suffer(Fault::ClientPowerLoss) {
                into.push(Choice::client(client, Act::PowerLoss));
            }
            if self.may_suffer(Fault::ClientClockStep) {
                let steps = self.setup.assumptions.clock_steps_us;
                into.extend(steps.iter().map(|us| Choice::client(client, Act::Step(us))));
            }
        }
    }

    fn offer_node_faults(&self, into: &mut Vec<Choice>) {
        for node in (0..self.nodes.len()).filter(|node| self.nodes[*node].down_since.is_none()) {
            if self.may_suffer(Fault::NodeCrash) && self.nodes[node].is_running() {
                into.push(Choice::node(node, Act::Crash));
            }
            if self.may_suffer(Fault::NodePowerLoss) && self.nodes[node].is_running() {
                into.push(Choice::node(node, Act::PowerLoss));
            }
            if self.may_suffer(Fault::NodePause) && self.can_pause(node) {
                into.push(Choice::node(node, Act::Pause));
            }
            if self.may_suffer(Fault::ClockStep) {
                let steps = self.setup.assumptions.clock_steps_us;
                into.extend(steps.iter().map(|us| Choice::node(node, Act::Step(us))));
            }
        }
    }

    fn offer_link_faults(&self, into: &mut Vec<Choice>) {
        let breaks = [Fault::Break, Fault::Stall, Fault::Delay].map(|fault| self.may_suffer(fault));
        if breaks == [false; 3] {
            return;
        }
        for link in self.links.iter().filter(|link| self.is_breakable(link)) {
            if breaks[0] {
                into.push(Choice::link(link.name(), Act::Break));
            }
            if breaks[1] && !link.stalled {
                into.push(Choice::link(link.name(), Act::Stall));
            }
            if breaks[2] && !link.slow && !link.stalled {
                into.push(Choice::link(link.name(), Act::Delay));
            }
        }
    }

    fn offer_recoveries(&self, into: &mut Vec<Choice>) {
        for client in (0..self.clients.len()).filter(|client| self.is_paused(*client)) {
            into.push(Choice::client(client, Act::Resume));
        }
        for (number, node) in self.nodes.iter().enumerate() {
            if node.paused_since.is_some() {
                into.push(Choice::node(number, Act::Resume));
            }
            let restart = self.setup.assumptions.restart_us_min;
            if !node.outvoted && node.down_since.is_some_and(|since| since + restart <= self.now_us) {
                into.push(Choice::node(number, Act::Restart));
            }
        }
        if self.cut.is_some() {
            into.push(Choice { at: Target::Network, act: Act::Heal });
        }
    }
}

/// A sync takes at most this long. After two seconds a Redis appends all the same.
const SYNC_US_MAX: u64 = 2_000_000;

/// Time passes by at most this much at once where nothing is due: a hundred years.
const LONGEST_WAIT_US: u64 = 100 * 366 * 86_400 * 1_000_000;
