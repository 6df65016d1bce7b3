//! Nodes: the clocks, the timers and the crashes of a system's servers.

use super::fault::Fault;
use super::link::Link;
use super::system::{Agenda, System};
use doublehold_models::{Due, NodeClock, Output};
use smallvec::SmallVec;
use std::rc::Rc;

impl System {
    /// The service that a node belongs to.
    pub(super) fn service_of(&self, node: usize) -> usize {
        usize::from(self.nodes[node].service)
    }

    /// What the clocks of a node and of the other members of its service show.
    pub(super) fn clocks_of(&self, node: usize) -> SmallVec<[NodeClock; 5]> {
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
        let state = &self.nodes[node];
        if state.down_since.is_some() {
            return None;
        }
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
        self.now_us = to_us;
        (0..self.nodes.len()).for_each(|node| self.tick(node));
    }

    /// Lets a node do what has fallen due.
    pub(super) fn tick(&mut self, node: usize) {
        let state = &self.nodes[node];
        let (service, member) = (usize::from(state.service), state.member);
        if state.down_since.is_some() || !self.services[service].is_due(self.node_clock(node).for_node(), member) {
            return;
        }
        let clocks = self.clocks_of(node);
        let mut outputs = Vec::new();
        Rc::make_mut(&mut self.services[service]).tick(&clocks, member, &mut outputs);
        self.send_all(node, outputs);
        self.note_ready(node);
    }

    pub(super) fn crash_node(&mut self, node: usize) {
        self.budgets.spend(Fault::NodeCrash);
        self.nodes[node].down_since = Some(self.now_us);
        let (clocks, service, member) = (self.clocks_of(node), self.service_of(node), self.nodes[node].member);
        let mut outputs = Vec::new();
        Rc::make_mut(&mut self.services[service]).crash(&clocks, member, &mut outputs);
        for at in 0..self.links.len() {
            if usize::from(self.links[at].node) == node {
                self.links[at].break_at(self.now_us);
                let name = self.links[at].name();
                self.note(Agenda::Deliver(name));
            }
        }
        self.send_all(node, outputs);
    }

    pub(super) fn restart_node(&mut self, node: usize) {
        let (clocks, service, member) = (self.clocks_of(node), self.service_of(node), self.nodes[node].member);
        self.nodes[node].down_since = None;
        let mut outputs: Vec<Output> = Vec::new();
        Rc::make_mut(&mut self.services[service]).restart(&clocks, member, &mut outputs);
        self.send_all(node, outputs);
    }

    pub(super) fn lag(&mut self, node: usize) {
        self.budgets.spend(Fault::Lag);
        let (service, member) = (self.service_of(node), self.nodes[node].member);
        Rc::make_mut(&mut self.services[service]).lag(member);
    }

    pub(super) fn catch_up(&mut self, node: usize) {
        let (service, member) = (self.service_of(node), self.nodes[node].member);
        let mut outputs = Vec::new();
        Rc::make_mut(&mut self.services[service]).catch_up(member, &mut outputs);
        self.send_all(node, outputs);
        self.note_ready(node);
    }

    pub(super) fn expire(&mut self, node: usize, client: usize) {
        self.budgets.spend(Fault::SessionExpiry);
        let (clocks, service) = (self.clocks_of(node), self.service_of(node));
        let mut outputs = Vec::new();
        Rc::make_mut(&mut self.services[service]).expire(&clocks, client as u16, &mut outputs);
        self.send_all(node, outputs);
    }

    /// The clients that are cut off from a service, know it, and still have a session there.
    pub(super) fn cut_off(&self, service: usize) -> impl Iterator<Item = usize> {
        let told = move |client: &usize| {
            let theirs = |link: &&Link| usize::from(link.client) == *client && link.lane > 0;
            let here = |link: &&Link| self.service_of(link.node.into()) == service;
            self.links.iter().filter(theirs).filter(here).all(|link| link.arrivals.is_empty())
        };
        self.services[service].cut_off().into_iter().map(usize::from).filter(told)
    }

    /// True if a node is up and can fall behind the others of its service.
    pub(super) fn can_lag(&self, node: usize) -> bool {
        let state = &self.nodes[node];
        state.down_since.is_none() && self.services[self.service_of(node)].can_lag(state.member)
    }

    /// True if a node is up and behind the others of its service.
    pub fn is_behind(&self, node: usize) -> bool {
        let state = &self.nodes[node];
        state.down_since.is_none() && self.services[self.service_of(node)].is_behind(state.member)
    }
}
