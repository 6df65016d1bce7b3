//! Group: services whose members go on while others are down, paused or cut off, and take steps of their own.
//!
//! Messages between members arrive within Δ, unless something keeps them. The other steps have no bound in time. A step
//! that no other process can observe commutes with everything until a client of that member waits for it, so searches
//! offer it only then. The simulated world takes each step in its own time.

use super::choice::{Act, Choice};
use super::cut::Way;
use super::fault::Fault;
use super::link::Link;
use super::node::Arrives;
use super::system::System;
use doublehold_models::{At, Step, Steps};
use smallvec::SmallVec;

/// A group that takes more steps than this after the clients have ended does not come to rest.
const SETTLING_STEPS_MAX: usize = 10_000;

impl System {
    /// True if the node belongs to a group.
    fn is_in_group(&self, node: usize) -> bool {
        self.services[self.service_of(node)].is_group()
    }

    /// Tells a member's group that the member stops, or goes on.
    pub(super) fn pause_in_group(&mut self, node: usize, paused: bool) {
        if self.is_in_group(node) {
            let member = self.nodes[node].member;
            self.touch_service(node, None, |service, clocks, out| service.pause(clocks, member, paused, out));
        }
    }

    /// Tells the groups which of their members reach each other.
    pub(super) fn tell_groups(&mut self) {
        for service in 0..self.services.len() {
            if !self.services[service].is_group() {
                continue;
            }
            let first = self.first_of(service);
            let apart: Vec<bool> = self.nodes[first..].iter().map(|node| node.apart).collect();
            let both = self.cut.is_some_and(|cut| cut.way == Way::Both);
            let passes = move |from: u8, to: u8| {
                let (from, to) = (apart[usize::from(from)], apart[usize::from(to)]);
                from == to || !(both || from)
            };
            self.touch_service(first, None, |service, clocks, out| service.cut(clocks, &passes, out));
        }
    }

    // Messages between members.

    /// Delivers the messages of other members for which Δ is over and which nothing keeps.
    pub(super) fn deliver_in_flight(&mut self, node: usize) {
        let member = self.nodes[node].member;
        while self.nodes[node].in_flight.first().is_some_and(|due| due.0 < self.now_us) {
            let mut arrived = false;
            self.touch_service(node, None, |service, clocks, out| arrived = service.arrive(clocks, member, out));
            if !arrived {
                break;
            }
        }
    }

    /// Notes the end of Δ for new messages between members of a group.
    pub(super) fn note_in_flight(&mut self, service: usize) {
        let due_by = self.due_by();
        if due_by.is_none() || !self.services[service].is_group() {
            return;
        }
        for node in self.first_of(service)..self.nodes.len() {
            if self.service_of(node) != service {
                break;
            }
            let count = self.services[service].in_flight(self.nodes[node].member);
            let noted = &mut self.nodes[node].in_flight;
            let arrived = noted.len().saturating_sub(count);
            noted.drain(..arrived);
            noted.extend(due_by.map(Arrives).into_iter().cycle().take(count - noted.len()));
        }
    }

    // Steps.

    /// True if some process can observe when a member takes a step, now or after a fault that disables the step.
    pub(super) fn is_observable(&self, node: usize, at: At, step: Step) -> bool {
        let disabling = [Fault::NodeCrash, Fault::NodePowerLoss, Fault::NodePause, Fault::Partition];
        let endangered = disabling.into_iter().any(|fault| self.may_suffer(fault));
        self.services[self.service_of(node)].matters(at, step, endangered) || self.is_asked(node)
    }

    /// True if a client waits for this node, or the node may push a message to one.
    fn is_asked(&self, node: usize) -> bool {
        let asks = |link: &Link| !link.requests.is_empty() || !link.open.is_empty() || link.tells_idle();
        self.links.iter().any(|link| usize::from(link.node) == node && asks(link))
    }

    /// The steps that members of a group can take now, observable or not.
    pub fn group_steps(&self, service: usize) -> SmallVec<[Choice; 4]> {
        let (mut steps, first) = (Steps::new(), self.first_of(service));
        self.services[service].steps(&mut steps);
        let steps = steps.into_iter().filter(|(_, step)| step.is_of_group());
        steps.map(|(at, step)| self.step_at(first, at, step)).collect()
    }

    /// True if this is a step of a member of a group.
    pub fn is_group_step(&self, choice: Choice) -> bool {
        let is_step = matches!(choice.act, Act::Take(step) if step.is_of_group());
        is_step && choice.at.node().is_some_and(|node| self.is_in_group(node.into()))
    }

    /// True if a member of a group can take this step now, observable or not.
    pub(super) fn allows_group_step(&self, choice: Choice) -> bool {
        let service = choice.at.node().map(|node| self.service_of(node.into()));
        let can = service.is_some_and(|service| self.group_steps(service).contains(&choice));
        can && self.violation.is_none() && !self.is_quiescent()
    }

    /// True if a group may give a member another role, which ends its clients' connections.
    pub fn may_change_roles(&self) -> bool {
        let groups = (0..self.services.len()).filter(|service| self.services[*service].is_group());
        let changes_roles = |choice: &Choice| matches!(choice.act, Act::Take(Step::FailOver | Step::Follow));
        groups.flat_map(|service| self.group_steps(service)).any(|choice| changes_roles(&choice))
    }

    /// Lets the members of groups take steps until none is left, after the clients have ended.
    pub(super) fn settle_groups(&mut self) {
        for service in 0..self.services.len() {
            if !self.services[service].is_group() {
                continue;
            }
            let first = self.first_of(service);
            for taken in 0.. {
                assert!(
                    taken < SETTLING_STEPS_MAX,
                    "a group takes more than {SETTLING_STEPS_MAX} steps to come to rest"
                );
                let mut steps = Steps::new();
                self.services[service].steps(&mut steps);
                let Some((at, step)) = steps.into_iter().find(|(_, step)| step.is_of_group()) else { break };
                let clocks = self.clocks_of(first);
                self.services[service].step(&clocks, at, step, &mut Vec::new());
            }
        }
    }
}
