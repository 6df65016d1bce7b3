//! Nodes: the clocks, the timers, the pauses and the crashes of a system's servers.

use super::choice::{Act, Choice, LinkName};
use super::link::Link;
use super::node::Clocks;
use super::pushed::Pushed;
use super::system::System;
use doublehold_models::{At, Due, Lost, Output, Step, Steps};
use smallvec::SmallVec;

impl System {
    /// The service that a node belongs to.
    pub(super) fn service_of(&self, node: usize) -> usize {
        usize::from(self.nodes[node].service)
    }

    /// What the clocks of a node and of the other members of its service show.
    pub(super) fn clocks_of(&self, node: usize) -> Clocks {
        let service = self.nodes[node].service;
        let first = node - usize::from(self.nodes[node].member);
        let members = self.nodes[first..].iter().take_while(|state| state.service == service);
        members.map(|state| state.clock.read(self.now_us).for_node()).collect()
    }

    /// The first node of a service.
    pub(super) fn first_of(&self, service: usize) -> usize {
        let first = self.nodes.iter().position(|state| usize::from(state.service) == service);
        first.expect("a service has a node")
    }

    /// When a node's state changes by itself next, true time.
    pub(super) fn node_timer(&self, node: usize) -> Option<u64> {
        self.nodes[node].is_running().then(|| self.own_timer(node)).flatten()
    }

    /// The same, whether the node is there to do it or not.
    pub(super) fn own_timer(&self, node: usize) -> Option<u64> {
        let state = &self.nodes[node];
        let service = &self.services[self.service_of(node)];
        Some(match service.next_timer(self.node_clock(node).for_node(), state.member)? {
            Due::Wall(at) => state.clock.true_at_wall(at),
            Due::Monotonic(at) => state.clock.true_at_monotonic(at),
        })
    }

    /// When some node's state changes by itself next, true time.
    pub fn next_node_timer(&self) -> Option<u64> {
        (0..self.nodes.len()).filter_map(|node| self.node_timer(node)).min()
    }

    /// When some service next does something to its clients by itself, true time.
    pub fn next_wake(&self) -> Option<u64> {
        let wakes = |node: &usize| self.services[self.service_of(*node)].wakes_clients();
        (0..self.nodes.len()).filter(wakes).filter_map(|node| self.node_timer(node)).min()
    }

    /// True if some node's state changes by itself until this moment.
    pub(super) fn changes_until(&self, to_us: u64) -> bool {
        self.next_node_timer().is_some_and(|at| at <= to_us)
    }

    pub(super) fn advance(&mut self, to_us: u64) {
        assert!(to_us >= self.now_us, "time went backwards: from {} to {to_us}", self.now_us);
        if self.expiries_left.is_some() && self.changes_until(to_us) {
            self.expiries_left = self.expiries_left.map(|left| left.saturating_sub(1));
        }
        let watched = if self.changes_until(to_us) { self.watch_all() } else { Vec::new() };
        self.now_us = to_us;
        (0..self.nodes.len()).for_each(|node| self.deliver_in_flight(node));
        (0..self.nodes.len()).for_each(|node| self.tick(node));
        watched.into_iter().for_each(|(node, before)| self.judge_service(node, None, before));
    }

    /// Lets a node do what has fallen due.
    pub(super) fn tick(&mut self, node: usize) {
        let state = &self.nodes[node];
        let (service, member) = (usize::from(state.service), state.member);
        if state.is_running() && self.services[service].is_due(self.node_clock(node).for_node(), member) {
            self.touch_service(node, None, |service, clocks, out| service.tick(clocks, member, out));
        }
    }

    /// True if servers of this node's service can be paused: what an ensemble does without one of its servers is not
    /// modelled, unless its members are a group.
    pub(super) fn can_pause(&self, node: usize) -> bool {
        let service = self.service_of(node);
        let alone = self.setup.services[service].config.members() == 1;
        self.nodes[node].is_running() && (alone || self.services[service].is_group())
    }

    pub(super) fn pause_node(&mut self, node: usize) {
        for at in self.watched_links(|link| usize::from(link.node) == node) {
            self.hear_on(at, false);
            self.unanswered(at);
        }
        self.nodes[node].paused_since = Some(self.now_us);
        self.pause_in_group(node, true);
        self.renew_due(|link| usize::from(link.node) == node);
    }

    pub(super) fn resume_node(&mut self, node: usize) {
        self.nodes[node].paused_since = None;
        self.pause_in_group(node, false);
        self.renew_due(|link| usize::from(link.node) == node);
        // By its clock it has not heard of its clients for so long: it looks at that before it reads what they have sent.
        self.tick(node);
        for at in self.watched_links(|link| usize::from(link.node) == node) {
            self.answers_again(at);
            self.hear_on(at, true);
        }
        for at in 0..self.links.len() {
            if usize::from(self.links[at].node) == node {
                self.push_waiting(at);
            }
        }
        self.push_ready(node);
    }

    /// A node's process ends; its machine breaks the connections.
    pub(super) fn crash_node(&mut self, node: usize) {
        let outputs = self.take_down(node, Lost::Process);
        self.reset_links(node, |_| true);
        self.send_all(node, outputs);
    }

    /// A node's machine is gone; its clients hear nothing any more.
    pub(super) fn power_node_off(&mut self, node: usize) {
        self.nodes[node].dark = true;
        let outputs = self.take_down(node, Lost::Power);
        for at in 0..self.links.len() {
            if usize::from(self.links[at].node) == node {
                self.darken(at);
            }
        }
        self.send_all(node, outputs);
    }

    fn take_down(&mut self, node: usize, lost: Lost) -> Vec<Output> {
        self.nodes[node].down_since = Some(self.now_us);
        self.nodes[node].slow_since = None;
        let member = self.nodes[node].member;
        let outputs = self.ask_service(node, None, |service, clocks, out| service.crash(clocks, member, lost, out));
        self.links.retain(|link| usize::from(link.node) != node || link.gone.is_none());
        outputs
    }

    /// These connections to a node break, with everything in flight.
    pub(super) fn reset_links(&mut self, node: usize, which: impl Fn(&Link) -> bool) {
        let due_by = self.due_by();
        for at in 0..self.links.len() {
            if usize::from(self.links[at].node) != node || !which(&self.links[at]) {
                continue;
            }
            if self.is_cut_to_client(&self.links[at]) {
                // The reset does not get through. Once it does, the client is told.
                self.darken(at);
            } else {
                self.links[at].lose(due_by);
                let name = self.links[at].name();
                self.push(Pushed::Deliver(name));
            }
        }
        self.renew_due(|link: &Link| usize::from(link.node) == node);
    }

    /// A node starts again; but as a member that a partition has outvoted it serves nobody yet.
    pub(super) fn restart_node(&mut self, node: usize) {
        let member = self.nodes[node].member;
        let was_dark = std::mem::take(&mut self.nodes[node].dark);
        if self.is_outvoted(node) {
            self.nodes[node].outvoted = true;
        } else {
            self.nodes[node].down_since = None;
            self.touch_service(node, None, |service, clocks, out| service.restart(clocks, member, out));
        }
        if was_dark {
            // Of the connections that it had before it knows nothing; those that clients were about to open come about.
            self.reset_links(node, |link| link.dark);
            let connecting = |link: &&Link| usize::from(link.node) == node && link.connecting;
            let connecting: Vec<LinkName> = self.links.iter().filter(connecting).map(Link::name).collect();
            connecting.into_iter().for_each(|name| self.connect(name));
            self.renew_due(|link| usize::from(link.node) == node);
            self.watched_links(|link| usize::from(link.node) == node).into_iter().for_each(|at| self.answers_again(at));
        }
    }

    /// The steps that services may take by themselves.
    pub(super) fn steps(&self) -> SmallVec<[Choice; 4]> {
        let (mut choices, mut steps) = (SmallVec::new(), Steps::new());
        for (number, service) in self.services.iter().enumerate() {
            service.steps(&mut steps);
            if !steps.is_empty() {
                let first = self.first_of(number);
                let offered = steps.drain(..).filter(|(at, step)| self.may_take(first, *at, *step));
                choices.extend(offered.map(|(at, step)| self.step_at(first, at, step)));
            }
        }
        choices
    }

    /// A step of the service whose first node this is.
    pub(super) fn step_at(&self, first: usize, at: At, step: Step) -> Choice {
        match at {
            At::Member(member) => Choice::node(first + usize::from(member), Act::Take(step)),
            At::Conn(conn) => Choice::link(self.name_of(first, conn), Act::Take(step)),
        }
    }

    /// True if the processes and connections allow a step that a service offers.
    fn may_take(&self, first: usize, at: At, step: Step) -> bool {
        let member = match at {
            At::Member(member) => member,
            At::Conn(conn) => conn.member,
        };
        let node = &self.nodes[first + usize::from(member)];
        match step {
            Step::Grant => node.paused_since.is_none(),
            Step::Lag => node.down_since.is_none(),
            Step::CatchUp | Step::Follow | Step::Learn | Step::FailOver => {
                node.down_since.is_none() && self.is_observable(first + usize::from(member), at, step)
            }
            Step::SlowSync => node.is_running(),
            Step::Synced => node.slow_since.is_some(),
            Step::Expire(client) => self.knows_that_it_is_cut_off(client, self.service_of(first)),
        }
    }

    /// True if a client has been told of the end of its connections to a service.
    fn knows_that_it_is_cut_off(&self, client: u8, service: usize) -> bool {
        let theirs = |link: &&Link| link.client.0 == u16::from(client) && link.tells_idle();
        let here = |link: &&Link| self.service_of(link.node.into()) == service;
        self.links.iter().filter(theirs).filter(here).all(|link| link.arrivals.is_empty())
    }

    pub(super) fn take_step(&mut self, node: usize, step: Step) {
        match step {
            Step::SlowSync => self.nodes[node].slow_since = Some(self.now_us),
            Step::Synced => self.nodes[node].slow_since = None,
            _ => {}
        }
        let at = At::Member(self.nodes[node].member);
        self.touch_service(node, None, |service, clocks, out| service.step(clocks, at, step, out));
        self.tick(node);
    }

    /// True if a node is up and behind the others of its service.
    pub fn is_behind(&self, node: usize) -> bool {
        self.steps().contains(&Choice::node(node, Act::Take(Step::CatchUp)))
    }
}
