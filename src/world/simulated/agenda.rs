//! Agenda: what will happen when.

use super::streams::Stream;
use crate::explore::choice::{Choice, LinkName};
use crate::scenario::Simulation;
use crate::world::system::{Agenda as Noted, System};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// A request that may go on does so within this time.
const GO_ON_US_MAX: u64 = 50;

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
pub(super) struct Agenda {
    heap: BinaryHeap<Reverse<(u64, u64)>>,
    due: BTreeMap<u64, Due>,
    count: u64,
    /// The moment at which the last message on each connection comes, by direction: messages do not overtake.
    last: BTreeMap<(LinkName, bool), u64>,
    noted: Vec<Noted>,
}

impl Agenda {
    pub(super) fn put(&mut self, at_us: u64, due: Due) {
        self.heap.push(Reverse((at_us, self.count)));
        self.due.insert(self.count, due);
        self.count += 1;
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

    /// Puts on the agenda what the system has put on its way, with sampled latencies.
    pub(super) fn take_from(&mut self, system: &mut System, network: &mut Stream, simulation: &Simulation) {
        let mut noted = std::mem::take(&mut self.noted);
        system.take_agenda(&mut noted);
        for entry in noted.drain(..) {
            match entry {
                Noted::Fire { client, id, at_us } => self.put(at_us, Due::Choice(Choice::Fire { client, id })),
                Noted::Silence(at, at_us) => self.put(at_us, Due::Choice(Choice::Deliver(at))),
                // Which of the threads that may run does so first is anybody's guess.
                Noted::GoOn(at) => {
                    let at_us = system.now_us + network.below(GO_ON_US_MAX);
                    self.put(at_us, Due::Choice(Choice::GoOn(at)));
                }
                Noted::Serve(at) => self.send(system, at, true, network, simulation),
                Noted::Deliver(at) => self.send(system, at, false, network, simulation),
            }
        }
        self.noted = noted;
    }

    fn send(&mut self, system: &System, at: LinkName, to_node: bool, network: &mut Stream, simulation: &Simulation) {
        let slow = system.is_slow(at);
        let extra = if slow { network.below(simulation.slow_us_max + 1) } else { 0 };
        let latency = simulation.latency_us_min + network.exponential(simulation.latency_us_mean) + extra;
        let last = self.last.entry((at, to_node)).or_default();
        *last = (system.now_us + latency).max(*last);
        let choice = if to_node { Choice::Serve(at) } else { Choice::Deliver(at) };
        let due = *last;
        self.put(due, Due::Choice(choice));
    }
}
