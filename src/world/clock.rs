//! Clocks: what a process reads, as a function of true time.

use crate::port::{Instant, WallTime};
use doublehold_models::NodeClock;
use serde::{Deserialize, Serialize};

/// What every wall clock shows at true time zero, but for its offset: microseconds since 1970.
const WALL_START_US: i64 = 1_700_000_000_000_000;
const PPM: i128 = 1_000_000;

/// A process's two clocks. Both drift alike; only the wall clock has an offset and can be stepped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Clock {
    /// How much faster than true time it runs, in parts per million.
    pub drift_ppm: i32,
    /// What the wall clock is ahead of true time at the start and through steps, in microseconds.
    pub offset_us: i64,
}

/// What a process reads at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Its monotonic clock, microseconds.
    pub mono_us: u64,
    /// Its wall clock, microseconds since 1970.
    pub wall_us: i64,
}

impl Clock {
    /// What the clocks show at true time `now_us`.
    pub fn read(&self, now_us: u64) -> Reading {
        let mono_us = self.monotonic_us(now_us);
        Reading { mono_us, wall_us: WALL_START_US + self.offset_us + mono_us as i64 }
    }

    fn monotonic_us(&self, now_us: u64) -> u64 {
        if self.drift_ppm == 0 {
            return now_us;
        }
        let drift = i128::from(now_us) * i128::from(self.drift_ppm) / PPM;
        (i128::from(now_us) + drift) as u64
    }

    /// The first moment of true time at which the monotonic clock shows `mono_us` or more.
    pub fn true_at_monotonic(&self, mono_us: u64) -> u64 {
        if self.drift_ppm == 0 {
            return mono_us;
        }
        let guess = i128::from(mono_us) * PPM / (PPM + i128::from(self.drift_ppm));
        let mut at = (guess as u64).saturating_sub(2);
        while self.monotonic_us(at) < mono_us {
            at += 1;
        }
        at
    }

    /// The first moment of true time at which the wall clock shows `wall_us` or more.
    pub fn true_at_wall(&self, wall_us: i64) -> u64 {
        let mono = wall_us - WALL_START_US - self.offset_us;
        self.true_at_monotonic(u64::try_from(mono).unwrap_or(0))
    }
}

impl Reading {
    /// The monotonic clock as the ports give it.
    pub fn instant(&self) -> Instant {
        Instant::read(self.mono_us)
    }

    /// The wall clock as the ports give it.
    pub fn wall(&self) -> WallTime {
        WallTime::read(self.wall_us)
    }

    /// The reading as a node gets it.
    pub fn for_node(&self) -> NodeClock {
        NodeClock { wall_us: self.wall_us, mono_us: self.mono_us }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_inverse_is_the_first_moment(drift_ppm in -50_000i32..50_000, mono_us in 0u64..1 << 40) {
            let clock = Clock { drift_ppm, offset_us: 0 };
            let at = clock.true_at_monotonic(mono_us);
            prop_assert!(clock.read(at).mono_us >= mono_us);
            prop_assert!(at == 0 || clock.read(at - 1).mono_us < mono_us);
        }
    }
}
