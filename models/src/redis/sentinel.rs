//! Sentinel: what one of them sees of the servers, and which it takes for the primary.
//!
//! A Sentinel pings each server once a second. One that has not answered for `down-after-milliseconds` it finds down;
//! the first ping after a failure may come a second later, and so may this. When a failover begins after that is open
//! in any case.

use super::state::State;
use super::topology::Sentinels;

/// How a Sentinel finds a server, with moments by its own monotonic clock, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Sight {
    /// It answers, and is what it should be.
    Fine,
    /// It does not answer since then.
    Silent(u64),
    /// It has not answered for so long that it counts as down.
    Down,
    /// Since then it answers as a primary, though another one is.
    Stray(u64),
    /// It has done so for so long that it is to be set right.
    StrayForLong,
}

/// A Sentinel.
#[derive(Clone, Hash)]
pub(super) struct Sentinel {
    pub up: bool,
    pub paused: bool,
    /// The server that it takes for the primary.
    pub primary: u8,
    /// The epoch of the failover that made that the primary.
    pub epoch: u32,
    /// How it finds each server.
    pub sight: Vec<Sight>,
    /// Its connections: it serves PING and subscriptions as a Redis does.
    pub state: State,
}

impl Sentinel {
    pub(super) fn is_running(&self) -> bool {
        self.up && !self.paused
    }

    /// Takes note of whether a server answers, and as a primary though it should be none.
    pub(super) fn see(&mut self, server: u8, answers: bool, strays: bool, now_us: u64) {
        let sight = &mut self.sight[usize::from(server)];
        *sight = match (*sight, answers, strays) {
            (old @ (Sight::Silent(_) | Sight::Down), false, _) => old,
            (_, false, _) => Sight::Silent(now_us),
            (_, true, false) => Sight::Fine,
            (old @ (Sight::Stray(_) | Sight::StrayForLong), true, true) => old,
            (_, true, true) => Sight::Stray(now_us),
        };
    }

    /// When it changes its mind about a server by its clock alone.
    fn due(sight: Sight, config: &Sentinels) -> Option<u64> {
        match sight {
            Sight::Silent(since) => Some(since + u64::from(config.down_after_ms) * 1000),
            Sight::Stray(since) => Some(since + 4 * u64::from(config.hello_ms) * 1000),
            Sight::Fine | Sight::Down | Sight::StrayForLong => None,
        }
    }

    /// When it changes its mind about some server by its clock alone.
    pub(super) fn next_due(&self, config: &Sentinels) -> Option<u64> {
        self.sight.iter().filter_map(|sight| Sentinel::due(*sight, config)).min()
    }

    /// Changes its mind where that is due.
    pub(super) fn tick(&mut self, config: &Sentinels, now_us: u64) {
        for sight in &mut self.sight {
            if Sentinel::due(*sight, config).is_some_and(|at| at <= now_us) {
                *sight = if let Sight::Silent(_) = sight { Sight::Down } else { Sight::StrayForLong };
            }
        }
    }

    pub(super) fn finds_down(&self, server: u8) -> bool {
        self.sight[usize::from(server)] == Sight::Down
    }

    pub(super) fn sees(&self, server: u8) -> bool {
        matches!(self.sight[usize::from(server)], Sight::Fine | Sight::Stray(_) | Sight::StrayForLong)
    }
}
