//! Named random streams: a change in one concern does not reshuffle the others.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The streams of one run. Clients have streams of their own in their seats (the workload).
pub(super) struct Streams {
    pub network: Stream,
    pub faults: Stream,
    pub clocks: Stream,
}

/// One stream.
pub(super) struct Stream(ChaCha8Rng);

impl Streams {
    pub(super) fn new(seed: u64) -> Self {
        let stream = |name: &[u8; 8]| {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&seed.to_le_bytes());
            key[16..24].copy_from_slice(name);
            Stream(ChaCha8Rng::from_seed(key))
        };
        Streams { network: stream(b"network "), faults: stream(b"faults  "), clocks: stream(b"clocks  ") }
    }
}

impl Stream {
    /// A number below `below`; 0 if that is 0.
    pub(super) fn below(&mut self, below: u64) -> u64 {
        ((u128::from(self.0.next_u64()) * u128::from(below)) >> 64) as u64
    }

    /// An exponentially distributed number with this mean, at the most ten times the mean. By integers only: floating
    /// point is not the same on every machine.
    pub(super) fn exponential(&mut self, mean: u64) -> u64 {
        // −ln(u) for u in (0, 1]: whole halvings, and the rest from a table of −ln(1 − i/16) in 1/1024.
        const FRACTION: [u64; 16] = [0, 66, 137, 213, 295, 384, 481, 588, 710, 848, 1004, 1190, 1420, 1719, 2129, 2839];
        const LN_2: u64 = 710;
        let bits = self.0.next_u64();
        let halvings = u64::from((bits >> 8).leading_zeros().saturating_sub(8)).min(14);
        let fraction = FRACTION[(bits & 0x0F) as usize] * LN_2 / 2839;
        (mean * (halvings * LN_2 + fraction) / 1024).min(10 * mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_has_about_its_mean() {
        let mut stream = Streams::new(1).network;
        let draws = 20_000;
        let sum: u64 = (0..draws).map(|_| stream.exponential(1000)).sum();
        let mean = sum / draws;
        assert!((800..1200).contains(&mean), "{mean}");
    }

    #[test]
    fn streams_are_apart() {
        let mut one = Streams::new(7);
        let mut other = Streams::new(7);
        let _ = other.faults.below(10);
        assert_eq!(one.network.below(1 << 40), other.network.below(1 << 40));
    }
}
