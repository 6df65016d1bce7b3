//! Random schedules: each choice alike, faults seldom.
//!
//! Executions are drawn in flocks. Each walker of a flock draws its own choices, independently of the others, and so
//! walks as it would alone; but as long as several stand in one state, what they do is run once. Where that spares
//! too little to pay for going back to where they parted, walkers go alone.

use super::choice::Choice;
use super::strategy::{Coverage, Strategy};
use crate::world::explored::{Explored, Remember, Snapshot};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use smallvec::SmallVec;

/// One choice in this many is a fault, where there is one.
const FAULT_ODDS: u64 = 12;
/// How many executions are drawn together.
const FLOCK: u64 = 1024;
/// A flock must walk this many times the steps that it runs.
const SHARING_MIN: u64 = 2;

/// A choice, and how many walkers drew it.
type Drawn = (Choice, u64);

/// A state that walkers left by several choices: those that were not followed yet.
struct Parting {
    snapshot: Box<Snapshot>,
    drawn: SmallVec<[Drawn; 4]>,
}

/// The strategy.
pub struct Random {
    random: ChaCha8Rng,
    partings: Vec<Parting>,
    /// How many walkers stand in the state.
    walkers: u64,
    /// How many start together.
    flock: u64,
    /// The steps that this flock has run, and those that its walkers have walked.
    steps: (u64, u64),
}

impl Random {
    /// Schedules drawn from this seed.
    pub fn new(seed: u64) -> Self {
        let random = ChaCha8Rng::seed_from_u64(seed);
        Random { random, partings: Vec::new(), walkers: 0, flock: FLOCK, steps: (0, 0) }
    }

    /// The same, each execution run alone from its start.
    pub fn alone(seed: u64) -> Self {
        Random { flock: 1, ..Random::new(seed) }
    }

    /// One walker's choice, by its place.
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
    fn begin(&mut self, world: &mut Explored, executions_left: u64) -> bool {
        let Some(parting) = self.partings.last_mut() else {
            world.reset();
            let (run, walked) = std::mem::take(&mut self.steps);
            if walked < run * SHARING_MIN {
                self.flock = 1;
            }
            self.walkers = executions_left.min(self.flock);
            return true;
        };
        let (choice, walkers) = parting.drawn.pop().expect("a parting without anybody left is dropped");
        self.walkers = walkers;
        if parting.drawn.is_empty() {
            world.restore_last(*self.partings.pop().expect("seen above").snapshot);
        } else {
            world.restore(&parting.snapshot);
        }
        world.step(choice);
        true
    }

    fn choose(&mut self, world: &mut Explored, enabled: &[Choice]) -> Option<usize> {
        self.steps.0 += 1;
        self.steps.1 += self.walkers;
        if enabled.len() == 1 {
            return Some(0);
        }
        let faults = enabled.iter().filter(|choice| choice.is_fault()).count();
        let first = self.draw(enabled, faults);
        let mut together = 1;
        let mut drawn: SmallVec<[Drawn; 4]> = SmallVec::new();
        for _ in 1..self.walkers {
            let at = self.draw(enabled, faults);
            match drawn.iter_mut().find(|(choice, _)| *choice == enabled[at]) {
                _ if at == first => together += 1,
                Some((_, walkers)) => *walkers += 1,
                None => drawn.push((enabled[at], 1)),
            }
        }
        if !drawn.is_empty() {
            self.partings.push(Parting { snapshot: Box::new(world.snapshot()), drawn });
        }
        self.walkers = together;
        Some(first)
    }

    fn executions(&self) -> u64 {
        self.walkers
    }

    fn remembers(&self) -> Remember {
        Remember::Inputs
    }

    fn coverage(&self) -> Coverage {
        Coverage { memory_bytes: (self.partings.len() * Snapshot::BYTES) as u64, ..Coverage::default() }
    }
}
