//! Random schedules: each choice alike, faults seldom.

use super::choice::Choice;
use super::strategy::{Coverage, Strategy};
use crate::world::explored::Explored;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// One choice in this many is a fault, where there is one.
const FAULT_ODDS: u64 = 12;

/// The strategy.
pub struct Random {
    random: ChaCha8Rng,
}

impl Random {
    /// Schedules drawn from this seed.
    pub fn new(seed: u64) -> Self {
        Random { random: ChaCha8Rng::seed_from_u64(seed) }
    }
}

/// A number below `below`.
pub(super) fn draw(random: &mut ChaCha8Rng, below: usize) -> usize {
    // The high half of a product: uniform to within 2^-32, without a division.
    ((u64::from(random.next_u32()) * below as u64) >> 32) as usize
}

impl Strategy for Random {
    fn begin(&mut self, world: &mut Explored) -> bool {
        world.reset();
        true
    }

    fn choose(&mut self, _world: &mut Explored, enabled: &[Choice]) -> Option<usize> {
        let faults = enabled.iter().filter(|choice| choice.is_fault()).count();
        if faults == 0 || faults == enabled.len() {
            return Some(draw(&mut self.random, enabled.len()));
        }
        let want_fault = u64::from(self.random.next_u32()) % FAULT_ODDS == 0;
        let among = if want_fault { faults } else { enabled.len() - faults };
        let nth = draw(&mut self.random, among);
        enabled.iter().enumerate().filter(|(_, choice)| choice.is_fault() == want_fault).nth(nth).map(|(at, _)| at)
    }

    fn coverage(&self) -> Coverage {
        Coverage::default()
    }
}
