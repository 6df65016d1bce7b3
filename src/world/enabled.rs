//! Enabled: which choices a state offers, in an order that never changes.

use super::fault::Fault;
use super::link::{Arrival, Link};
use super::system::{ClientState, Status, System};
use crate::explore::choice::{Choice, Process};

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
        self.offer_waits(into);
        self.offer_timers(into);
        self.offer_time(into);
        // Without a client that could suffer from it, a fault is not worth exploring.
        if self.waiting_clients().next().is_some() {
            self.offer_client_faults(into);
            self.offer_node_faults(into);
            self.offer_link_faults(into);
            self.offer_session_faults(into);
        }
        self.offer_recoveries(into);
    }

    /// True if a choice is possible: as [`enabled`](System::enabled), but time may pass to any moment
    /// before the next one that cannot wait.
    pub fn allows(&self, choice: Choice, scratch: &mut Vec<Choice>) -> bool {
        if let Choice::Advance { to_us } = choice {
            return self.violation.is_none()
                && !self.is_quiescent()
                && !self.is_beginning()
                && !self.hides_expiry_until(to_us)
                && to_us > self.now_us
                && self.time_limit().is_none_or(|limit| to_us <= limit);
        }
        self.enabled(scratch);
        scratch.contains(&choice)
    }

    /// Before anything else: how far each clock is off, one process after the other. True while
    /// there is one to be set.
    fn offer_clocks(&self, into: &mut Vec<Choice>) -> bool {
        let (drift, offset) =
            (self.setup().assumptions.drift_ppm_max as i32, self.setup().assumptions.offset_us_max as i64);
        let (next, clients) = (usize::from(self.clocks_set), self.clients.len());
        if (drift, offset) == (0, 0) || next >= clients + self.nodes.len() {
            return false;
        }
        let process = if next < clients { Process::Client(next as u8) } else { Process::Node((next - clients) as u8) };
        // The extremes decide: what holds at both ends of a clock's range holds in between.
        let extremes = |limit: i64| if limit == 0 { vec![0] } else { vec![-limit, limit] };
        for drift in extremes(drift.into()) {
            let drift_ppm = drift as i32;
            let offsets = extremes(offset).into_iter();
            into.extend(offsets.map(|offset_us| Choice::SetClock { process, drift_ppm, offset_us }));
        }
        true
    }

    /// Clients that begin at the start do so before anything else, in order: they can only send.
    fn offer_starts(&self, into: &mut Vec<Choice>) -> bool {
        let waiting = self.clients.iter().enumerate().filter(|(_, client)| client.status == Status::NotStarted);
        let starts = waiting.map(|(client, _)| Choice::Start { client: client as u8 });
        if self.starts_any_time() {
            into.extend(starts);
            return false;
        }
        into.extend(starts.take(1));
        !into.is_empty()
    }

    fn offer_messages(&self, into: &mut Vec<Choice>) {
        for link in &self.links {
            let paused = matches!(self.clients[usize::from(link.client)].status, Status::Paused(_));
            if !paused && (!link.arrivals.is_empty() || self.is_given_up(link)) {
                into.push(Choice::Deliver(link.name()));
            }
            if !paused && !link.requests.is_empty() {
                into.push(Choice::Serve(link.name()));
            }
        }
    }

    fn offer_waits(&self, into: &mut Vec<Choice>) {
        into.extend(self.ready().map(Choice::GoOn));
    }

    fn offer_timers(&self, into: &mut Vec<Choice>) {
        for (number, client) in self.clients.iter().enumerate().filter(|(_, client)| client.status == Status::Running) {
            let mono_us = client.clock.read(self.now_us).mono_us;
            let due = client.timers.iter().filter(|(_, at)| *at <= mono_us);
            into.extend(due.map(|(id, _)| Choice::Fire { client: number as u8, id: *id }));
        }
    }

    /// Time passes to the next moment at which something can change, if nothing has to happen before.
    fn offer_time(&self, into: &mut Vec<Choice>) {
        let limit = self.time_limit();
        let Some(next) = self.next_moment(limit) else { return };
        let to_us = limit.map_or(next, |limit| next.min(limit));
        if to_us > self.now_us && !self.hides_expiry_until(to_us) {
            into.push(Choice::Advance { to_us });
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
    fn time_limit(&self) -> Option<u64> {
        let assumptions = &self.setup().assumptions;
        let due = self
            .clients
            .iter()
            .filter(|client| client.status == Status::Running)
            .flat_map(|client| client.timers.iter().map(|(_, at)| client.clock.true_at_monotonic(*at)));
        let delays = assumptions.delay_us_max.into_iter().flat_map(|delay| {
            self.links.iter().flat_map(move |link| self.sent(link)).map(move |sent| sent.saturating_add(delay))
        });
        let pauses = assumptions.pause_us_max.into_iter().flat_map(|pause| {
            self.clients.iter().filter_map(move |client| match client.status {
                Status::Paused(since) => Some(since.saturating_add(pause)),
                _ => None,
            })
        });
        let silences = self.links.iter().filter_map(|link| {
            let client = &self.clients[usize::from(link.client)];
            let at_mono_us = link.given_up_at().filter(|_| client.status == Status::Running)?;
            Some(client.clock.true_at_monotonic(at_mono_us))
        });
        // Threads that may run do so before a message would have come.
        let ready = assumptions.delay_us_max.and_then(|_| self.ready().next()).map(|_| self.now_us);
        due.chain(ready).chain(delays).chain(pauses).chain(silences).min()
    }

    /// When the messages of a link were sent, those that someone is bound to receive.
    fn sent<'a>(&self, link: &'a Link) -> impl Iterator<Item = u64> + 'a {
        // A paused client neither sends nor receives; what is on its side waits for it. A slow connection takes its time.
        let exempt = link.slow || matches!(self.clients[usize::from(link.client)].status, Status::Paused(_));
        let requests = link.requests.iter().map(|flight| flight.sent_us);
        let arrivals = link.arrivals.iter().map(|arriving| arriving.sent_us);
        requests.chain(arrivals).filter(move |_| !exempt)
    }

    /// The next moment at which something changes with time alone.
    fn next_moment(&self, limit: Option<u64>) -> Option<u64> {
        let expiries = self.expiries_left != Some(0);
        let nodes = (0..self.nodes.len()).filter_map(|node| self.node_timer(node)).filter(|_| expiries);
        let restart = self.setup().assumptions.restart_us_min;
        let restarts = self.nodes.iter().filter_map(|node| Some(node.down_since? + restart));
        let moments = nodes.chain(restarts).chain(limit).filter(|at| *at > self.now_us);
        moments.min()
    }

    fn running(&self) -> impl Iterator<Item = (u8, &ClientState)> {
        let running = |client: &ClientState| client.status == Status::Running;
        self.clients
            .iter()
            .enumerate()
            .filter(move |(_, client)| running(client))
            .map(|(number, client)| (number as u8, client))
    }

    fn offer_client_faults(&self, into: &mut Vec<Choice>) {
        if self.budgets.left(Fault::Pause) > 0 {
            into.extend(self.running().map(|(client, _)| Choice::Pause { client }));
        }
        if self.budgets.left(Fault::ClientCrash) > 0 {
            into.extend(self.running().map(|(client, _)| Choice::CrashClient { client }));
        }
        if self.budgets.left(Fault::ClientClockStep) > 0 {
            let steps = self.setup().assumptions.clock_steps_us;
            let choices = |client| steps.iter().map(move |us| Choice::StepClient { client, us });
            into.extend(self.running().flat_map(|(client, _)| choices(client)));
        }
    }

    fn offer_node_faults(&self, into: &mut Vec<Choice>) {
        let up = self.nodes.iter().enumerate().filter(|(_, node)| node.down_since.is_none());
        for node in up.map(|(node, _)| node as u8) {
            if self.budgets.left(Fault::Lag) > 0 && self.can_lag(node.into()) && !self.is_behind(node.into()) {
                into.push(Choice::Lag { node });
            }
            if self.budgets.left(Fault::NodeCrash) > 0 {
                into.push(Choice::CrashNode { node });
            }
            if self.budgets.left(Fault::ClockStep) > 0 {
                let steps = self.setup().assumptions.clock_steps_us;
                into.extend(steps.iter().map(|us| Choice::StepNode { node, us }));
            }
        }
    }

    fn offer_session_faults(&self, into: &mut Vec<Choice>) {
        if self.budgets.left(Fault::SessionExpiry) == 0 {
            return;
        }
        for service in 0..self.services.len() {
            let node = self.first_of(service) as u8;
            into.extend(self.cut_off(service).map(|client| Choice::Expire { node, client: client as u8 }));
        }
    }

    fn offer_link_faults(&self, into: &mut Vec<Choice>) {
        for link in &self.links {
            let breaking =
                matches!(link.arrivals.first(), Some(arriving) if matches!(arriving.what, Arrival::Broken(_)));
            if link.is_idle() || breaking {
                continue;
            }
            if self.budgets.left(Fault::Break) > 0 {
                into.push(Choice::Break(link.name()));
            }
            if self.budgets.left(Fault::Stall) > 0 && !link.stalled {
                into.push(Choice::Stall(link.name()));
            }
            if self.budgets.left(Fault::Delay) > 0 && !link.slow && !link.stalled {
                into.push(Choice::Delay(link.name()));
            }
        }
    }

    fn offer_recoveries(&self, into: &mut Vec<Choice>) {
        for (number, client) in self.clients.iter().enumerate() {
            if let Status::Paused(_) = client.status {
                into.push(Choice::Resume { client: number as u8 });
            }
        }
        into.extend(
            (0..self.nodes.len()).filter(|node| self.is_behind(*node)).map(|node| Choice::CatchUp { node: node as u8 }),
        );
        let restart = self.setup().assumptions.restart_us_min;
        for (number, node) in self.nodes.iter().enumerate() {
            if node.down_since.is_some_and(|since| since + restart <= self.now_us) {
                into.push(Choice::RestartNode { node: number as u8 });
            }
        }
    }
}
