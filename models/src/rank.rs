//! Rank: numbers that grow without end and of which only the order counts.

use std::hash::Hasher;

/// The upper half of such a number where it is hashed; its lower 16 bits are the number's series. Drawn by lot.
pub(crate) const RANKED: u64 = 0x2E9B_7F14_C3D8_0000;

/// Hashes a number of a series. A fingerprint's hasher may take its rank among those that are alive in its place.
#[inline]
pub fn ranked(series: u16, number: u64, state: &mut impl Hasher) {
    state.write_u128(u128::from(RANKED | u64::from(series)) << 64 | u128::from(number));
}
