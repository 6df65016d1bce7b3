//! Moments of a process's own clocks. None of them is true time, which no process knows.
//!
//! A comparison of two moments tells the explorer at which reading of the clock it would come out otherwise, so that time can
//! stop there. For this a moment remembers which input of its client's its clock was read after: only what held the client up
//! between the two readings could change how they compare. A moment that leaves these types as a bare number
//! ([`Instant::as_micros`]) cannot be followed further: the explorer stops at it if it lies in the future, and says in the
//! verdict that clock readings escaped.

use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Add, Sub};
use std::time::Duration;

/// Of a moment that no reading of a clock stands behind: before all inputs.
const NO_INPUT: u32 = 0;

/// A moment of a process's own monotonic clock, in microseconds since that clock's start.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(from = "u64", into = "u64")]
pub struct Instant {
    us: u64,
    /// How many inputs the client had had when the clock was read.
    input: u32,
}

/// A moment of a process's own wall clock, in microseconds since the epoch.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(from = "i64", into = "i64")]
pub struct WallTime {
    us: i64,
    input: u32,
}

/// How far a clock has moved between two readings. Comparisons with a [`Duration`] are followed, as those of moments.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Elapsed {
    us: u64,
    /// The later reading; the input behind the earlier one.
    end: Reading,
    since: u32,
}

/// A reading of one of a client's clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reading {
    /// Of its monotonic clock.
    Monotonic(u64),
    /// Of its wall clock.
    Wall(i64),
}

impl Reading {
    fn plus(self, us: u64) -> Self {
        match self {
            Reading::Monotonic(at) => Reading::Monotonic(at.saturating_add(us)),
            Reading::Wall(at) => Reading::Wall(at.saturating_add_unsigned(us)),
        }
    }
}

/// A comparison that would have come out otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flip {
    /// If its clock had shown this, or more.
    pub at: Reading,
    /// Because something held the client up after so many inputs, or more.
    pub since: u32,
}

/// What code did with moments while it was watched.
#[derive(Debug, Default)]
pub struct Observed {
    inputs: u32,
    /// Comparisons that would have come out otherwise.
    pub flips: Vec<Flip>,
    /// Moments that left as bare numbers.
    pub leaked: Vec<Reading>,
    /// The distance between two readings left as a bare duration.
    pub escaped: bool,
}

thread_local! {
    static OBSERVED: RefCell<Option<Observed>> = const { RefCell::new(None) };
}

/// Watches what this thread's code, which has had so many inputs, does with moments, until [`observed`].
pub fn observe(inputs: u32) {
    OBSERVED.with_borrow_mut(|observed| *observed = Some(Observed { inputs, ..Observed::default() }));
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

/// How many inputs the watched code has had.
fn inputs() -> u32 {
    OBSERVED.with_borrow(|observed| observed.as_ref().map_or(NO_INPUT, |observed| observed.inputs))
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

impl Comparison {
    /// The same with its sides exchanged.
    fn turned(self) -> Self {
        match self {
            Comparison::Below => Comparison::Above,
            Comparison::Above => Comparison::Below,
            Comparison::Order => Comparison::Order,
        }
    }
}

/// Notes when a comparison of a reading with a limit that lies `left` ahead would come out otherwise.
fn note_comparison(reading: Reading, left: u64, how: Comparison, since: u32) {
    note(|observed| {
        if how != Comparison::Above && left > 0 {
            observed.flips.push(Flip { at: reading.plus(left), since });
        }
        if how != Comparison::Below {
            observed.flips.push(Flip { at: reading.plus(left).plus(1), since });
        }
    });
}

macro_rules! moment {
    ($moment:ident, $us:ty, $reading:path) => {
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

        impl Hash for $moment {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.us.hash(state);
            }
        }

        impl From<$us> for $moment {
            fn from(us: $us) -> Self {
                $moment::from_micros(us)
            }
        }

        impl From<$moment> for $us {
            fn from(moment: $moment) -> $us {
                moment.us
            }
        }

        impl $moment {
            /// The moment so many microseconds after the clock's zero, which no reading of this process's stands behind.
            pub const fn from_micros(us: $us) -> Self {
                $moment { us, input: NO_INPUT }
            }

            /// A reading of the clock, now: what [`Host`](crate::port::Host)s give.
            pub fn read(us: $us) -> Self {
                $moment { us, input: inputs() }
            }

            /// Microseconds since the clock's zero. As a bare number it cannot be followed: better compare moments.
            pub fn as_micros(self) -> $us {
                note(|observed| observed.leaked.push($reading(self.us)));
                self.us
            }

            /// The time since `earlier`, zero if that is later.
            pub fn since(self, earlier: $moment) -> Elapsed {
                let us = if self.us > earlier.us { self.us.abs_diff(earlier.us) } else { 0 };
                Elapsed { us, end: $reading(self.us), since: earlier.input }
            }

            /// Only the side whose clock was read later moves if the client is held up between the readings.
            fn compared(&self, other: &Self, how: Comparison) -> Ordering {
                let order = self.us.cmp(&other.us);
                match self.input.cmp(&other.input) {
                    Ordering::Greater if order != Ordering::Greater => {
                        note_comparison($reading(self.us), other.us.abs_diff(self.us), how, other.input);
                    }
                    Ordering::Less if order != Ordering::Less => {
                        note_comparison($reading(other.us), self.us.abs_diff(other.us), how.turned(), self.input);
                    }
                    _ => {}
                }
                order
            }
        }
    };
}

moment!(Instant, u64, Reading::Monotonic);
moment!(WallTime, i64, Reading::Wall);

impl Instant {
    /// The time that is left until this moment when the clock shows `now`, zero if it has passed: for timers.
    pub fn left_at(self, now: Instant) -> Duration {
        Duration::from_micros(self.us.saturating_sub(now.us))
    }
}

impl Elapsed {
    /// The same as a bare duration, which cannot be followed: better compare this.
    pub fn as_duration(self) -> Duration {
        note(|observed| observed.escaped = true);
        Duration::from_micros(self.us)
    }

    /// Only a distance that still grows towards `duration` will come out otherwise.
    fn compared(self, duration: &Duration, how: Comparison) -> Ordering {
        let limit = micros(*duration);
        let order = self.us.cmp(&limit);
        if order != Ordering::Greater && self.since < inputs() {
            note_comparison(self.end, limit - self.us, how, self.since);
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

macro_rules! moved {
    ($moment:ident, $distance:expr) => {
        impl Add<Duration> for $moment {
            type Output = $moment;
            fn add(self, duration: Duration) -> $moment {
                $moment { us: self.us.saturating_add($distance(duration)), ..self }
            }
        }

        impl Sub<Duration> for $moment {
            type Output = $moment;
            fn sub(self, duration: Duration) -> $moment {
                $moment { us: self.us.saturating_sub($distance(duration)), ..self }
            }
        }
    };
}

moved!(Instant, micros);
moved!(WallTime, |duration| i64::try_from(micros(duration)).unwrap_or(i64::MAX));

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} ms", self.us / 1000, self.us % 1000)
    }
}

/// Microseconds as milliseconds.
#[cfg(feature = "check")]
pub(crate) fn millis(us: u64) -> String {
    if us.is_multiple_of(1000) { format!("{} ms", us / 1000) } else { format!("{}.{:03} ms", us / 1000, us % 1000) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The readings at which a comparison would come out otherwise, and since which input.
    fn flips(compare: impl FnOnce()) -> Vec<(Reading, u32)> {
        observe(9);
        compare();
        observed().flips.iter().map(|flip| (flip.at, flip.since)).collect()
    }

    fn at(us: u64, input: u32) -> Instant {
        Instant { us, input }
    }

    #[test]
    fn a_comparison_tells_when_it_would_come_out_otherwise() {
        let (now, deadline) = (at(20, 5), at(100, 3));
        let flip = |us| (Reading::Monotonic(us), 3);
        assert_eq!(flips(|| assert!(now < deadline)), [flip(100)]);
        assert_eq!(flips(|| assert!(now <= deadline)), [flip(101)]);
        assert_eq!(flips(|| assert!(deadline > now)), [flip(100)]);
        assert_eq!(flips(|| assert!(deadline >= now)), [flip(101)]);
        assert_eq!(flips(|| assert!(now != deadline)), [flip(100), flip(101)]);
        assert_eq!(flips(|| assert!(now >= deadline - Duration::from_micros(80))), []);
        assert_eq!(flips(|| assert!(now <= deadline - Duration::from_micros(80))), [flip(21)]);
        let elapsed = at(100, 5).since(at(20, 3));
        assert_eq!(flips(|| assert!(elapsed < Duration::from_micros(90))), [flip(110)]);
        assert_eq!(flips(|| assert!(elapsed <= Duration::from_micros(90))), [flip(111)]);
        assert_eq!(flips(|| assert!(elapsed > Duration::from_micros(70))), []);
    }

    #[test]
    fn what_is_computed_from_one_reading_compares_in_one_way_only() {
        let now = at(20, 5);
        assert_eq!(flips(|| assert!(now < now + Duration::from_micros(7))), []);
        // A deadline that was computed later moves away with its reading.
        assert_eq!(flips(|| assert!(at(20, 3) < at(100, 5))), []);
    }

    #[test]
    fn bare_numbers_are_told() {
        observe(1);
        let _ = Instant::from_micros(7).as_micros();
        let _ = (WallTime::from_micros(3) + Duration::from_micros(4)).as_micros();
        let _ = Instant::from_micros(7).since(Instant::from_micros(2)).as_duration();
        let observed = observed();
        assert_eq!((observed.leaked, observed.escaped), (vec![Reading::Monotonic(7), Reading::Wall(7)], true));
    }
}
