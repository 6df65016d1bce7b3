//! Events: the queue of what will happen when.

use super::streams::Stream;
use crate::world::choice::{Act, Choice, LinkName};
use crate::world::pushed::Pushed;
use crate::world::simulation::Simulation;
use crate::world::system::System;
use doublehold_models::Step;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// A request that may be granted what it waits for is, within this time, in microseconds.
const GRANT_US_MAX: u64 = 50;

/// What falls due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// A choice of the system.
    Choice(Choice),
    /// A fault is to be picked.
    Fault(usize),
    /// A fault that the user planned.
    Planned(usize),
    /// Faults stop.
    Healthy,
}

/// Everything that is to happen, the earliest first; at the same moment in the order in which it was put there.
#[derive(Default)]
pub(super) struct EventQueue {
    heap: BinaryHeap<Reverse<(u64, u64)>>,
    due: BTreeMap<u64, Due>,
    count: u64,
    /// The moment at which the last message on each connection comes, by direction: messages do not overtake.
    last: BTreeMap<(LinkName, bool), u64>,
    /// When a node has done what it works on.
    free_at: BTreeMap<u8, u64>,
    /// The steps that members of groups will take, and when.
    steps: BTreeMap<Choice, u64>,
    pushed: Vec<Pushed>,
}

impl EventQueue {
    pub(super) fn put(&mut self, at_us: u64, due: Due) {
        self.heap.push(Reverse((at_us, self.count)));
        self.due.insert(self.count, due);
        self.count += 1;
    }

    /// Puts a step of a member of a group, at this moment and at no other.
    pub(super) fn put_step(&mut self, at_us: u64, step: Choice) {
        self.steps.insert(step, at_us);
        self.put(at_us, Due::Choice(step));
    }

    /// True if a step of a member of a group is to be taken at this moment.
    pub(super) fn takes_step(&mut self, at_us: u64, step: Choice) -> bool {
        let due = self.steps.get(&step) == Some(&at_us);
        if due {
            self.steps.remove(&step);
        }
        due
    }

    /// When the next thing happens.
    pub(super) fn next_at(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((at_us, _))| *at_us)
    }

    pub(super) fn next(&mut self) -> Option<(u64, Due)> {
        let Reverse((at_us, number)) = self.heap.pop()?;
        let due = self.due.remove(&number).expect("each entry is put once");
        Some((at_us, due))
    }

    /// Starts to serve a request at a node that serves one at a time. False if the node is busy: the request is put
    /// back to the moment at which the node is free.
    pub(super) fn begin(&mut self, at_us: u64, request: Choice, node: u8, serving_us: u64) -> bool {
        if serving_us == 0 {
            return true;
        }
        let free_at = self.free_at.entry(node).or_default();
        if *free_at > at_us {
            let again = *free_at;
            self.put(again, Due::Choice(request));
            return false;
        }
        *free_at = at_us + serving_us;
        true
    }

    /// Takes in what the system has put on its way, with sampled latencies.
    pub(super) fn take_from(&mut self, system: &mut System, network: &mut Stream, simulation: &Simulation) {
        let mut pushed = std::mem::take(&mut self.pushed);
        system.take_pushed(&mut pushed);
        for entry in pushed.drain(..) {
            match entry {
                Pushed::Fire { client, id, at_us } => {
                    self.put(at_us, Due::Choice(Choice::client(client.into(), Act::Fire(id))));
                }
                Pushed::Silence(at, at_us) => self.put(at_us, Due::Choice(Choice::link(at, Act::Deliver))),
                // Which of the threads that may run does so first is open.
                Pushed::Grant(at) => {
                    let at_us = system.now_us + network.below(GRANT_US_MAX);
                    self.put(at_us, Due::Choice(Choice::link(at, Act::Take(Step::Grant))));
                }
                Pushed::Steps(service) => {
                    for step in system.group_steps(service.into()) {
                        if !self.steps.contains_key(&step) {
                            let at_us = system.now_us + step_delay(step, network, simulation);
                            self.put_step(at_us, step);
                        }
                    }
                }
                Pushed::Serve(at) => self.send(system, at, true, network, simulation),
                Pushed::Deliver(at) => self.send(system, at, false, network, simulation),
                Pushed::HangUp(at, lossy) => self.hang_up(system, (at, lossy), network, simulation),
            }
        }
        self.pushed = pushed;
    }

    /// The node learns of the end of a connection behind all that was sent on it; but a break overtakes that.
    fn hang_up(
        &mut self,
        system: &System,
        (at, lossy): (LinkName, bool),
        network: &mut Stream,
        simulation: &Simulation,
    ) {
        let latency = simulation.latency_us_min + network.exponential(simulation.latency_us_mean);
        let sent = self.last.get(&(at, true)).copied().filter(|_| !lossy).unwrap_or(0);
        self.put((system.now_us + latency).max(sent), Due::Choice(Choice::link(at, Act::HangUp)));
    }

    fn send(&mut self, system: &System, at: LinkName, to_node: bool, network: &mut Stream, simulation: &Simulation) {
        let slow = system.is_slow(at);
        let extra = if slow { network.below(simulation.slow_us_max + 1) } else { 0 };
        let latency = simulation.latency_us_min + network.exponential(simulation.latency_us_mean) + extra;
        let last = self.last.entry((at, to_node)).or_default();
        *last = (system.now_us + latency).max(*last);
        let choice = Choice::link(at, if to_node { Act::Serve } else { Act::Deliver });
        let due = *last;
        self.put(due, Due::Choice(choice));
    }
}

/// After what time a member of a group takes a step: what comes from another, as messages do; what follows from what it
/// finds, some time later.
fn step_delay(step: Choice, network: &mut Stream, simulation: &Simulation) -> u64 {
    match step.act {
        Act::Take(Step::CatchUp) => simulation.latency_us_min + network.exponential(simulation.latency_us_mean),
        _ => 1 + network.below(simulation.lag_us_max),
    }
}
