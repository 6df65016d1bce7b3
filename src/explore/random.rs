//! Random schedules: each choice alike, faults seldom.
//!
//! Executions are drawn in batches. Each sample of a batch draws its own choices, independently of the others, and so
//! goes as it would alone; but as long as several stand in one state, what they do is run once. Where that spares
//! too little to pay for going back to where they parted, samples go alone.
//!
//! Alone, and on demand, time also stops at random moments, and clocks are off by random amounts within their ranges.
//! This samples what the exhaustive search does not visit.

use super::strategy::{Begin, Coverage, Strategy};
use crate::world::choice::{Act, Choice};
use crate::world::explored::{Explored, Remember, Snapshot};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use smallvec::SmallVec;
use std::rc::Rc;

/// One choice in this many is a fault, where there is one.
const FAULT_ODDS: u64 = 12;
/// One choice in this many is preceded by a stop of time, where time may pass.
const STOP_ODDS: usize = 8;
/// Where nothing is due, time stops within an hour.
const FAR_US: u64 = 3_600_000_000;
/// How many executions are drawn together.
const BATCH: u64 = 1024;
/// A batch must take this many times the steps that it runs.
const SHARING_MIN: u64 = 2;

/// A choice, and how many samples drew it.
type Drawn = (Choice, u64);

/// A state that samples left by several choices: those that were not followed yet.
struct BranchPoint {
    snapshot: Rc<Snapshot>,
    drawn: SmallVec<[Drawn; 4]>,
}

/// The strategy.
pub struct Random {
    random: ChaCha8Rng,
    branch_points: Vec<BranchPoint>,
    /// How many samples stand in the state.
    samples: u64,
    /// How many start together.
    batch: u64,
    /// The steps that this batch has run, and those that its samples have taken.
    steps: (u64, u64),
    /// Whether time also stops at random moments, and clocks are off by random amounts.
    stops: bool,
    remember: Remember,
}

impl Random {
    /// Schedules drawn from this seed.
    pub fn new(seed: u64) -> Self {
        let random = ChaCha8Rng::seed_from_u64(seed);
        let (branch_points, remember) = (Vec::new(), Remember::Inputs);
        Random { random, branch_points, samples: 0, batch: BATCH, steps: (0, 0), stops: false, remember }
    }

    /// The same, each execution run alone from its start.
    pub fn alone(seed: u64) -> Self {
        Random { batch: 1, ..Random::new(seed) }
    }

    /// The same, and clients' code runs anew each time: no execution knows anything of another.
    pub fn afresh(seed: u64) -> Self {
        Random { remember: Remember::Nothing, ..Random::alone(seed) }
    }

    /// The same; time also stops at random moments, and clocks are off by random amounts within their ranges.
    pub fn stopping(seed: u64) -> Self {
        Random { stops: true, ..Random::afresh(seed) }
    }

    /// A moment at which time may stop, if it may pass at all: near or far, each order of magnitude alike.
    fn stop(&mut self, world: &Explored, enabled: &[Choice]) -> Option<Choice> {
        let system = world.system();
        if !draw(&mut self.random, STOP_ODDS).is_multiple_of(STOP_ODDS)
            || !system.waiting_clients().any(|client| system.is_held_up(client))
        {
            return None;
        }
        let next =
            enabled.iter().find_map(|choice| if let Act::Advance(to_us) = choice.act { Some(to_us) } else { None });
        let width = next.map_or(FAR_US, |next| next - system.now_us);
        let magnitude = 1 + draw(&mut self.random, width.max(2).ilog2() as usize + 1) as u32;
        let ahead_us = 1 + self.random.next_u64() % (1 << magnitude).min(width.max(1));
        let to_us = system.now_us + ahead_us;
        system.allows_time(to_us).then(|| Choice::advance(to_us))
    }

    /// How far the next clock is off: every second time a random amount within its range.
    fn clock(&mut self, world: &Explored, enabled: &[Choice]) -> Option<Choice> {
        let Some(Choice { at, act: Act::SetClock { .. } }) = enabled.first() else { return None };
        if draw(&mut self.random, 2) == 0 {
            return None;
        }
        let assumptions = &world.system().setup().assumptions;
        let mut within = |limit: u64| (self.random.next_u64() % (2 * limit + 1)) as i64 - limit as i64;
        let (drift, offset_us) = (within(assumptions.drift_ppm_max.into()), within(assumptions.offset_us_max));
        Some(Choice { at: *at, act: Act::SetClock { drift_ppm: drift as i32, offset_us } })
    }

    /// One sample's choice, by its place.
    fn draw(&mut self, enabled: &[Choice], faults: usize) -> usize {
        if faults == 0 || faults == enabled.len() {
            return draw(&mut self.random, enabled.len());
        }
        let want_fault = u64::from(self.random.next_u32()).is_multiple_of(FAULT_ODDS);
        let among = if want_fault { faults } else { enabled.len() - faults };
        let nth = draw(&mut self.random, among);
        let mut wanted = enabled.iter().enumerate().filter(|(_, choice)| choice.is_fault() == want_fault);
        wanted.nth(nth).expect("counted above").0
    }
}

/// A number below `below`.
pub(super) fn draw(random: &mut ChaCha8Rng, below: usize) -> usize {
    // The high half of a product: uniform to within 2^-32, without a division.
    ((u64::from(random.next_u32()) * below as u64) >> 32) as usize
}

impl Strategy for Random {
    fn begin(&mut self, _world: &Explored, executions_left: u64) -> Option<Begin> {
        let Some(mut branch_point) = self.branch_points.pop() else {
            let (run, taken) = std::mem::take(&mut self.steps);
            if taken < run * SHARING_MIN {
                self.batch = 1;
            }
            self.samples = executions_left.min(self.batch);
            return Some(Begin::Start);
        };
        let (choice, samples) = branch_point.drawn.pop().expect("a branch point without anybody left is dropped");
        self.samples = samples;
        if branch_point.drawn.is_empty() {
            return Some(Begin::GoOn { from: branch_point.snapshot, choice });
        }
        let from = Rc::clone(&branch_point.snapshot);
        self.branch_points.push(branch_point);
        Some(Begin::GoOn { from, choice })
    }

    fn choose(&mut self, world: &Explored, enabled: &mut Vec<Choice>) -> Option<usize> {
        if self.stops
            && let Some(choice) = self.clock(world, enabled).or_else(|| self.stop(world, enabled))
        {
            enabled.push(choice);
            return Some(enabled.len() - 1);
        }
        self.steps.0 += 1;
        self.steps.1 += self.samples;
        if enabled.len() == 1 {
            return Some(0);
        }
        let faults = enabled.iter().filter(|choice| choice.is_fault()).count();
        let first = self.draw(enabled, faults);
        let mut together = 1;
        let mut drawn: SmallVec<[Drawn; 4]> = SmallVec::new();
        for _ in 1..self.samples {
            let at = self.draw(enabled, faults);
            match drawn.iter_mut().find(|(choice, _)| *choice == enabled[at]) {
                _ if at == first => together += 1,
                Some((_, samples)) => *samples += 1,
                None => drawn.push((enabled[at], 1)),
            }
        }
        if !drawn.is_empty() {
            self.branch_points.push(BranchPoint { snapshot: world.snapshot(), drawn });
        }
        self.samples = together;
        Some(first)
    }

    fn executions(&self) -> u64 {
        self.samples
    }

    fn remembers(&self) -> Remember {
        self.remember
    }

    fn coverage(&self) -> Coverage {
        Coverage {
            memory_bytes: self.branch_points.iter().map(|point| point.snapshot.bytes() as u64).sum(),
            ..Coverage::default()
        }
    }
}
