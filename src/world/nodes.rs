//! Nodes: the clocks, the timers, the pauses and the crashes of a system's servers.

use super::choice::{Act, Choice, LinkName};
use super::fault::Fault;
use super::link::Link;
use super::node::{Arrives, Clocks};
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
        (0..self.nodes.len()).for_each(|node| self.let_arrive(node));
        (0..self.nodes.len()).for_each(|node| self.tick(node));
        watched.into_iter().for_each(|(node, before)| self.judge_service(node, None, before));
    }

    /// What other members have sent to a node arrives, where Δ has passed since and nothing keeps it.
    fn let_arrive(&mut self, node: usize) {
        let member = self.nodes[node].member;
        while self.nodes[node].on_its_way.first().is_some_and(|due| due.0 < self.now_us) {
            let mut arrived = false;
            self.touch_service(node, None, |service, clocks, out| arrived = service.arrive(clocks, member, out));
            if !arrived {
                break;
            }
        }
    }

    /// Notes until when what members of a group have sent to each other must arrive, after something has changed there.
    pub(super) fn note_on_its_way(&mut self, service: usize) {
        let due_by = self.due_by();
        if due_by.is_none() || !self.services[service].is_group() {
            return;
        }
        for node in self.first_of(service)..self.nodes.len() {
            if self.service_of(node) != service {
                break;
            }
            let count = self.services[service].on_its_way(self.nodes[node].member);
            let noted = &mut self.nodes[node].on_its_way;
            let arrived = noted.len().saturating_sub(count);
            noted.drain(..arrived);
            noted.extend(due_by.map(Arrives).into_iter().cycle().take(count - noted.len()));
        }
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

    /// Tells a member's group that it stops, or goes on.
    fn pause_in_group(&mut self, node: usize, paused: bool) {
        if self.services[self.service_of(node)].is_group() {
            let member = self.nodes[node].member;
            self.touch_service(node, None, |service, clocks, out| service.pause(clocks, member, paused, out));
        }
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
    fn step_at(&self, first: usize, at: At, step: Step) -> Choice {
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
            Step::CatchUp | Step::Follow | Step::FailOver => {
                let number = first + usize::from(member);
                let ends = [Fault::NodeCrash, Fault::NodePowerLoss, Fault::NodePause, Fault::Partition];
                let endangered = ends.into_iter().any(|fault| self.may_suffer(fault));
                let matters = self.services[self.service_of(number)].matters(at, step, endangered);
                node.down_since.is_none() && (matters || self.is_asked(number))
            }
            Step::SlowSync => node.is_running(),
            Step::Synced => node.slow_since.is_some(),
            Step::Expire(client) => self.knows_that_it_is_cut_off(client, self.service_of(first)),
        }
    }

    /// True if some client of a node can tell what it does next.
    fn is_asked(&self, node: usize) -> bool {
        let asks = |link: &Link| !link.requests.is_empty() || !link.open.is_empty() || link.tells_idle();
        self.links.iter().any(|link| usize::from(link.node) == node && asks(link))
    }

    /// True if a service offers a step, whether anybody could tell or not.
    pub(super) fn offers(&self, choice: Choice, step: Step) -> bool {
        let offered = |service: usize| {
            let mut steps = Steps::new();
            self.services[service].steps(&mut steps);
            steps
                .iter()
                .any(|(at, offered)| *offered == step && self.step_at(self.first_of(service), *at, step) == choice)
        };
        choice.at.node().is_some_and(|node| offered(self.service_of(node.into())))
    }

    /// The steps that members of a group take by themselves in the course of things.
    pub fn group_steps(&self, service: usize) -> SmallVec<[Choice; 4]> {
        let (mut steps, first) = (Steps::new(), self.first_of(service));
        self.services[service].steps(&mut steps);
        let own = |step: Step| matches!(step, Step::CatchUp | Step::FailOver | Step::Follow);
        steps.into_iter().filter(|(_, step)| own(*step)).map(|(at, step)| self.step_at(first, at, step)).collect()
    }

    /// True if this is a step of a member of a group.
    pub fn is_group_step(&self, choice: Choice) -> bool {
        let is_step = matches!(choice.act, Act::Take(Step::CatchUp | Step::FailOver | Step::Follow));
        let group = |node: u8| self.services[self.service_of(node.into())].is_group();
        is_step && choice.at.node().is_some_and(group)
    }

    /// True if some service may take a step by itself that ends its clients' connections.
    pub fn may_regroup(&self) -> bool {
        self.services.iter().filter(|service| service.is_group()).any(|service| {
            let mut steps = Steps::new();
            service.steps(&mut steps);
            steps.iter().any(|(_, step)| matches!(step, Step::FailOver | Step::Follow))
        })
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
