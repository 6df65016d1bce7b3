//! Moments: at which moments a client's code would do something else, as far as the search has learnt.
//!
//! Time passes by choice, to moments at which something changes by itself. A client's code has moments of its own: it
//! compares its clock with a deadline, and does something else from there on. The comparison tells the moment
//! ([`port::time`](crate::port::time)), but only to the execution that has come to it. So the search notes each such
//! moment with the state of the client's code before its last input, and each step from one state of the code to the
//! next. When it has seen everything, it closes the table (a moment goes back over the steps as far as the deadline had
//! been computed) and searches again, now stopping just before and at each of them wherever a client is held up for an
//! unknown time. It ends when a search learns nothing new.
//!
//! Readings that leave the port's types as bare numbers, and those that servers compare with their own clocks, tell no
//! moment. Where there are such and nothing is due, time may pass once to a moment behind all of them.

use super::client::Status;
use super::clock::Clock;
use super::footprint::Threshold;
use super::link::Link;
use super::seat::Purpose;
use super::system::System;
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// A state of a client's code, and the clocks by which it judges.
type CodeState = (u128, i32, i64);

/// Code that has named nothing in so many steps is taken to compare no clocks, until it does.
const IDLE_AFTER: u64 = 256;
/// Later than any lease ends and any deadline lies that an execution begins with: a day.
const FAR_US: u64 = 86_400 * 1_000_000;

/// Moments of true time, and over how many steps of the code each goes back.
type Known = BTreeMap<u64, u32>;

/// Stretches of time that do not touch, earliest first, without their ends.
#[derive(Default)]
struct Stretches(SmallVec<[Range<u64>; 2]>);

impl Stretches {
    fn add(&mut self, mut range: Range<u64>) {
        if self.0.iter().any(|known| known.start <= range.start && range.end <= known.end) {
            return;
        }
        self.0.retain(|known| {
            let apart = known.end < range.start || range.end < known.start;
            if !apart {
                range = range.start.min(known.start)..range.end.max(known.end);
            }
            apart
        });
        self.0.push(range);
        self.0.sort_unstable_by_key(|range| range.start);
    }

    fn contains(&self, at_us: u64) -> bool {
        self.0.iter().any(|range| range.contains(&at_us))
    }
}

/// The table.
#[derive(Default)]
pub(super) struct Moments {
    /// Where time stops for the client.
    known: FxHashMap<CodeState, Known>,
    /// What this search has noted so far.
    named: FxHashMap<CodeState, Known>,
    steps: FxHashSet<(CodeState, CodeState)>,
    /// At which time has stopped.
    offered: BTreeSet<u64>,
    /// In some state nothing was due, and something might have taken any time.
    endless: bool,
    /// Code has readings of clocks as bare numbers, or a server was asked by its clock: whatever they are compared with
    /// may lie far ahead.
    escaped: bool,
    /// Time may pass to `FAR_US` where nothing is due.
    far: bool,
    /// How many steps of code have been noted, and whether some were not, as nothing had been named in many.
    noted: u64,
    incomplete: bool,
    /// The stretches of time in which a client was held up for an unknown time: where moments would have mattered.
    open: FxHashMap<CodeState, Stretches>,
}

/// Takes moments in. True if there was something new.
fn grow(known: &mut Known, moments: impl Iterator<Item = (u64, u32)>) -> bool {
    let mut grown = false;
    for (at_us, steps_back) in moments {
        let before = known.get(&at_us).copied();
        if before.is_none_or(|before| before < steps_back) {
            known.insert(at_us, steps_back);
            grown = true;
        }
    }
    grown
}

impl Moments {
    /// At how many moments time has stopped.
    pub(super) fn count(&self) -> usize {
        self.offered.len()
    }

    /// The state of a client's code.
    pub(super) fn code_state(system: &System, client: usize) -> CodeState {
        let state = &system.clients[client];
        let Clock { drift_ppm, offset_us } = state.clock;
        (state.seen, drift_ppm, offset_us)
    }

    /// Notes that moments may matter that no comparison tells.
    pub(super) fn note_escaped(&mut self) {
        self.escaped = true;
    }

    /// True as long as it is not worth while to note anything.
    fn is_idle(&mut self) -> bool {
        let idle = self.noted > IDLE_AFTER && self.named.is_empty() && self.known.is_empty() && !self.escaped;
        self.incomplete |= idle;
        idle
    }

    /// Notes what one step of a client's code has named. `began`: it was its first, before which it had computed no
    /// deadline. (That could also be told from the number of steps, if all ways to a state of the code were equally
    /// long. Rounds make them differ.)
    pub(super) fn note(&mut self, before: CodeState, after: CodeState, began: bool, thresholds: &[Threshold]) {
        self.noted += 1;
        if thresholds.is_empty() && self.is_idle() {
            return;
        }
        if !thresholds.is_empty() {
            let moments = thresholds.iter().map(|threshold| (threshold.at_us, threshold.steps_back));
            grow(self.named.entry(before).or_default(), moments);
        }
        if before != after && !began {
            self.steps.insert((before, after));
        }
    }

    /// The moments, beyond those at which something changes by itself, at which time may stop in a state.
    pub(super) fn offer(&mut self, system: &System, into: &mut BTreeSet<u64>) {
        into.clear();
        if self.is_idle() {
            return;
        }
        let until = system.next_moment();
        if until.is_some_and(|until| until <= system.now_us + 1) || !system.is_time_open() {
            return;
        }
        let ahead = system.now_us + 1..until.unwrap_or(u64::MAX);
        for client in system.waiting_clients().filter(|client| system.is_held_up(*client)) {
            let code = Moments::code_state(system, client);
            self.open.entry(code).or_default().add(ahead.clone());
            let known = self.known.get(&code);
            into.extend(known.iter().flat_map(|known| known.range(ahead.clone())).map(|(at_us, _)| *at_us));
            into.extend(system.clients[client].leaked.iter().filter(|at_us| ahead.contains(at_us)));
        }
        if until.is_none() && system.allows_time(FAR_US) {
            self.endless = true;
            into.extend(self.far.then_some(FAR_US));
        }
        into.retain(|at| system.allows_time(*at));
        self.offered.extend(&*into);
    }

    /// Closes the table at the end of a search. True if there is something new to look at.
    pub(super) fn close(&mut self) -> bool {
        let mut closed = self.named.clone();
        for (state, known) in &self.known {
            grow(closed.entry(*state).or_default(), known.iter().map(|(at_us, steps)| (*at_us, *steps)));
        }
        let mut back: FxHashMap<CodeState, Vec<CodeState>> = FxHashMap::default();
        for (before, after) in &self.steps {
            back.entry(*after).or_default().push(*before);
        }
        let mut work: Vec<CodeState> = closed.keys().copied().collect();
        while let Some(after) = work.pop() {
            let moments = closed.get(&after).into_iter().flatten();
            let earlier: Vec<(u64, u32)> =
                moments.filter_map(|(at_us, steps)| Some((*at_us, steps.checked_sub(1)?))).collect();
            for before in back.get(&after).into_iter().flatten().filter(|_| !earlier.is_empty()) {
                if grow(closed.entry(*before).or_default(), earlier.iter().copied()) {
                    work.push(*before);
                }
            }
        }
        let is_news = |(state, moments): (&CodeState, &Known)| {
            let (known, open) = (self.known.get(state), self.open.get(state));
            let is_new = |at_us: &u64| known.is_none_or(|known| !known.contains_key(at_us));
            let matters = |at_us: &u64| open.is_some_and(|open| open.contains(*at_us));
            moments.keys().any(|at_us| is_new(at_us) && matters(at_us))
        };
        let missed = self.incomplete && (self.escaped || !self.named.is_empty());
        self.incomplete = false;
        let far = (self.endless || missed) && self.escaped;
        let news = missed || closed.iter().any(is_news) || far && !self.far;
        self.far = far;
        self.known = closed;
        news
    }
}

impl System {
    /// True if something goes on at a moment that nobody's clock decides: what time passes to makes a difference.
    fn is_time_open(&self) -> bool {
        let timed = self.setup.assumptions.delay_us_max == Some(0);
        let clients = self.clients.iter().any(|client| matches!(client.status, Status::NotStarted | Status::Paused(_)));
        let is_open = |node: usize| {
            let state = &self.nodes[node];
            state.down_since.is_some() || state.paused_since.is_some() || self.is_behind(node)
        };
        let nodes = (0..self.nodes.len()).any(is_open);
        let delayed = |link: &Link| {
            let cut = self.is_cut_to_node(link) || self.is_cut_to_client(link);
            link.slow || link.stalled || link.connecting || cut
        };
        let on_its_way = |link: &Link| (!timed || delayed(link)) && !(link.is_quiet() && link.open.is_empty());
        clients || nodes || self.links.iter().any(on_its_way)
    }

    /// True if a client goes on at a moment that not its own timer decides: it has not begun, it is paused, or waits
    /// for a message.
    pub fn is_held_up(&self, client: usize) -> bool {
        let waits = |link: &Link| {
            usize::from(link.client) == client
                && link.gone.is_none()
                && (link.purpose == Purpose::Push || !link.open.is_empty() || !link.arrivals.is_empty())
        };
        match self.clients[client].status {
            Status::NotStarted | Status::Paused(_) => true,
            Status::Running => self.links.iter().any(waits),
            Status::Finished | Status::Crashed => false,
        }
    }
}
