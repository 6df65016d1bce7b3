//! Schedule: what is killed when, for how long. The same seed gives the same schedule.

use super::super::args::RealOrderOptions;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::fmt;
use std::time::Duration;

/// How long something stays away.
const AWAY_MS: (u64, u64) = (100, 700);

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Redis, whose operating system keeps what it has appended.
    Redis,
    /// Redis, with what it has appended since its last sync.
    PowerLoss,
    /// MariaDB.
    MySql,
    /// The leader of the ZooKeeper ensemble.
    ZooKeeper,
    /// A process of customers.
    Customers,
    /// The process of the jobs.
    Jobs,
}

impl Kind {
    pub(super) const ALL: [Kind; 6] =
        [Kind::PowerLoss, Kind::Redis, Kind::MySql, Kind::ZooKeeper, Kind::Customers, Kind::Jobs];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Redis => "Redis killed",
            Kind::PowerLoss => "Redis without power",
            Kind::MySql => "MariaDB killed",
            Kind::ZooKeeper => "the ZooKeeper leader killed",
            Kind::Customers => "customers killed",
            Kind::Jobs => "the jobs killed",
        })
    }
}

/// One thing that is killed.
pub(super) struct Planned {
    /// When, from the beginning.
    pub at: Duration,
    pub kind: Kind,
    /// How long it stays away.
    pub away: Duration,
    /// Which one of several.
    pub pick: u64,
}

/// What is killed when: each kind that fits once, in an order that the seed decides, and again in another. The last
/// fifth of the time is quiet.
pub(super) fn plan(options: &RealOrderOptions, fits: impl Fn(Kind) -> bool) -> Vec<Planned> {
    let mut random = ChaCha8Rng::seed_from_u64(options.seed);
    let mut below = |limit: u64| ((u128::from(random.next_u64()) * u128::from(limit)) >> 64) as u64;
    let (time_ms, every_ms) = (options.time.as_millis() as u64, (options.every.as_millis() as u64).max(1));
    let mut plan = Vec::new();
    let mut left: Vec<Kind> = Vec::new();
    let mut at_ms = every_ms;
    while at_ms < time_ms * 4 / 5 {
        if left.is_empty() {
            left = Kind::ALL.into_iter().filter(|kind| fits(*kind)).collect();
        }
        let kind = left.swap_remove(below(left.len() as u64) as usize);
        let away = Duration::from_millis(AWAY_MS.0 + below(AWAY_MS.1 - AWAY_MS.0));
        plan.push(Planned { at: Duration::from_millis(at_ms), kind, away, pick: below(u64::MAX) });
        at_ms += every_ms / 2 + below(every_ms);
    }
    plan
}
