//! Moments of a process's own clocks. None of them is true time, which no process knows.
//!
//! A comparison of two moments tells the explorer at which later moment it would come out otherwise, so that time can stop
//! there. A moment that leaves these types as a bare number ([`Instant::as_micros`]) cannot be followed further: the
//! explorer stops at it if it lies in the future, and says in the verdict that clock readings escaped.

use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment of a process's own monotonic clock, in microseconds since that clock's start.
#[expect(clippy::derived_hash_with_manual_eq, reason = "equality is that of the number; it is only watched")]
#[derive(Clone, Copy, Debug, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Instant(u64);

/// A moment of a process's own wall clock, in microseconds since the epoch.
#[expect(clippy::derived_hash_with_manual_eq, reason = "equality is that of the number; it is only watched")]
#[derive(Clone, Copy, Debug, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WallTime(i64);

/// How far a clock has moved between two readings. Comparisons with a [`Duration`] are followed, as those of moments.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Elapsed(u64);

/// What code did with moments while it was watched.
#[derive(Debug, Default)]
pub struct Observed {
    /// Some comparison would come out otherwise if its clock had moved on by so many microseconds.
    pub flips_in: Vec<u64>,
    /// Moments of the monotonic clock that left as bare numbers.
    pub leaked: Vec<u64>,
    /// Moments of the wall clock that left as bare numbers.
    pub leaked_wall: Vec<i64>,
    /// The distance between two readings left as a bare duration.
    pub escaped: bool,
}

thread_local! {
    static OBSERVED: RefCell<Option<Observed>> = const { RefCell::new(None) };
}

/// Watches what this thread's code does with moments, until [`observed`].
pub fn observe() {
    OBSERVED.with_borrow_mut(|observed| *observed = Some(Observed::default()));
}

/// What this thread's code has done with moments since [`observe`].
pub fn observed() -> Observed {
    OBSERVED.with_borrow_mut(Option::take).unwrap_or_default()
}

fn note(what: impl FnOnce(&mut Observed)) {
    OBSERVED.with_borrow_mut(|observed| {
        if let Some(observed) = observed {
            what(observed);
        }
    });
}

/// How two sides are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    /// `<` or `>=`: they tell whether the left side is below the right one.
    Below,
    /// `>` or `<=`: they tell whether the left side is above the right one.
    Above,
    /// `==` or a full order.
    Order,
}

/// Notes when the comparison would come out otherwise if the smaller side moved on.
fn note_comparison(order: Ordering, distance: u64, how: Comparison) {
    note(|observed| {
        let at_equality = how == Comparison::Order
            || (order == Ordering::Less && how == Comparison::Below)
            || (order == Ordering::Greater && how == Comparison::Above);
        let beyond = how == Comparison::Order || !at_equality;
        if at_equality && distance > 0 {
            observed.flips_in.push(distance);
        }
        if beyond {
            observed.flips_in.push(distance.saturating_add(1));
        }
    });
}

macro_rules! compared {
    ($moment:ty) => {
        impl PartialEq for $moment {
            fn eq(&self, other: &Self) -> bool {
                self.compared(other, Comparison::Order) == Ordering::Equal
            }
        }

        impl Eq for $moment {}

        impl PartialOrd for $moment {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
            fn lt(&self, other: &Self) -> bool {
                self.compared(other, Comparison::Below) == Ordering::Less
            }
            fn ge(&self, other: &Self) -> bool {
                self.compared(other, Comparison::Below) != Ordering::Less
            }
            fn gt(&self, other: &Self) -> bool {
                self.compared(other, Comparison::Above) == Ordering::Greater
            }
            fn le(&self, other: &Self) -> bool {
                self.compared(other, Comparison::Above) != Ordering::Greater
            }
        }

        impl Ord for $moment {
            fn cmp(&self, other: &Self) -> Ordering {
                self.compared(other, Comparison::Order)
            }
        }

        impl $moment {
            fn compared(&self, other: &Self, how: Comparison) -> Ordering {
                let order = self.0.cmp(&other.0);
                note_comparison(order, self.0.abs_diff(other.0), how);
                order
            }
        }
    };
}

compared!(Instant);
compared!(WallTime);

impl Instant {
    /// The moment so many microseconds after the clock's start.
    pub const fn from_micros(us: u64) -> Self {
        Instant(us)
    }

    /// Microseconds since the clock's start. As a bare number it cannot be followed: better compare moments.
    pub fn as_micros(self) -> u64 {
        note(|observed| observed.leaked.push(self.0));
        self.0
    }

    /// The time since `earlier`, zero if that is later.
    pub fn since(self, earlier: Instant) -> Elapsed {
        Elapsed(self.0.saturating_sub(earlier.0))
    }

    /// The time that is left until this moment when the clock shows `now`, zero if it has passed: for timers.
    pub fn left_at(self, now: Instant) -> Duration {
        Duration::from_micros(self.0.saturating_sub(now.0))
    }
}

impl WallTime {
    /// The moment so many microseconds after the epoch.
    pub const fn from_micros(us: i64) -> Self {
        WallTime(us)
    }

    /// Microseconds since the epoch. As a bare number it cannot be followed: better compare moments.
    pub fn as_micros(self) -> i64 {
        note(|observed| observed.leaked_wall.push(self.0));
        self.0
    }

    /// The time since `earlier`, zero if that is later.
    pub fn since(self, earlier: WallTime) -> Elapsed {
        Elapsed(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Elapsed {
    /// The same as a bare duration, which cannot be followed: better compare this.
    pub fn as_duration(self) -> Duration {
        note(|observed| observed.escaped = true);
        Duration::from_micros(self.0)
    }

    /// Only a distance that still grows towards `duration` will come out otherwise.
    fn compared(self, duration: &Duration, how: Comparison) -> Ordering {
        let limit = micros(*duration);
        let order = self.0.cmp(&limit);
        if order != Ordering::Greater {
            note_comparison(order, limit - self.0, how);
        }
        order
    }
}

impl PartialEq<Duration> for Elapsed {
    fn eq(&self, duration: &Duration) -> bool {
        self.compared(duration, Comparison::Order) == Ordering::Equal
    }
}

impl PartialOrd<Duration> for Elapsed {
    fn partial_cmp(&self, duration: &Duration) -> Option<Ordering> {
        Some(self.compared(duration, Comparison::Order))
    }
    fn lt(&self, duration: &Duration) -> bool {
        self.compared(duration, Comparison::Below) == Ordering::Less
    }
    fn ge(&self, duration: &Duration) -> bool {
        self.compared(duration, Comparison::Below) != Ordering::Less
    }
    fn gt(&self, duration: &Duration) -> bool {
        self.compared(duration, Comparison::Above) == Ordering::Greater
    }
    fn le(&self, duration: &Duration) -> bool {
        self.compared(duration, Comparison::Above) != Ordering::Greater
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, duration: Duration) -> Instant {
        Instant(self.0.saturating_add(micros(duration)))
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;
    fn sub(self, duration: Duration) -> Instant {
        Instant(self.0.saturating_sub(micros(duration)))
    }
}

impl Add<Duration> for WallTime {
    type Output = WallTime;
    fn add(self, duration: Duration) -> WallTime {
        WallTime(self.0.saturating_add(i64::try_from(micros(duration)).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for WallTime {
    type Output = WallTime;
    fn sub(self, duration: Duration) -> WallTime {
        WallTime(self.0.saturating_sub(i64::try_from(micros(duration)).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} ms", self.0 / 1000, self.0 % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The moments at which a comparison of `now` would come out otherwise.
    fn flips(compare: impl FnOnce()) -> Vec<u64> {
        observe();
        compare();
        observed().flips_in
    }

    #[test]
    fn a_comparison_tells_when_it_would_come_out_otherwise() {
        let (now, deadline) = (Instant::from_micros(20), Instant::from_micros(100));
        assert_eq!(flips(|| assert!(now < deadline)), [80]);
        assert_eq!(flips(|| assert!(now <= deadline)), [81]);
        assert_eq!(flips(|| assert!(deadline > now)), [80]);
        assert_eq!(flips(|| assert!(deadline >= now)), [81]);
        assert_eq!(flips(|| assert!(now != deadline)), [80, 81]);
        assert_eq!(flips(|| assert!(now >= deadline - Duration::from_micros(80))), [1]);
        let elapsed = deadline.since(now);
        assert_eq!(flips(|| assert!(elapsed < Duration::from_micros(90))), [10]);
        assert_eq!(flips(|| assert!(elapsed <= Duration::from_micros(90))), [11]);
        assert_eq!(flips(|| assert!(elapsed > Duration::from_micros(70))), [0; 0]);
    }

    #[test]
    fn bare_numbers_are_told() {
        observe();
        let _ = Instant::from_micros(7).as_micros();
        let _ = (WallTime::from_micros(3) + Duration::from_micros(4)).as_micros();
        let _ = Instant::from_micros(7).since(Instant::from_micros(2)).as_duration();
        let observed = observed();
        assert_eq!((observed.leaked, observed.leaked_wall, observed.escaped), (vec![7], vec![7], true));
    }
}
