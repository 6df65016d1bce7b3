//! Sentinel: its view of each server, and its configuration.
//!
//! A Sentinel pings each server once a second and finds it down when it has not answered for `down-after-milliseconds`.
//! The count begins with the first unanswered ping, up to a second after the failure. The model counts from the
//! failure; the failover step that follows has no bound in time and covers the rest.

use super::state::State;
use super::topology::Sentinels;

/// A Sentinel's view of a server; moments are of its own monotonic clock, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum View {
    /// It answers and has the expected role.
    Fine,
    /// It has not answered since this moment.
    Silent(u64),
    /// Subjectively down.
    Down,
    /// Since this moment it reports itself as primary while another one is.
    WrongRole(u64),
    /// It has done so for four hello periods: the Sentinel reconfigures it.
    WrongRoleForLong,
}

/// A Sentinel.
#[derive(Clone, Hash)]
pub(super) struct Sentinel {
    pub up: bool,
    pub paused: bool,
    /// The primary in its configuration.
    pub primary: u8,
    /// The epoch of its configuration.
    pub epoch: u32,
    /// Its view of each server.
    pub views: Vec<View>,
    /// Its connections: it serves PING and subscriptions as a Redis does.
    pub state: State,
}

impl Sentinel {
    pub(super) fn is_running(&self) -> bool {
        self.up && !self.paused
    }

    /// Updates its view of a server.
    pub(super) fn see(&mut self, server: u8, answers: bool, has_wrong_role: bool, now_us: u64) {
        let views = &mut self.views[usize::from(server)];
        *views = match (*views, answers, has_wrong_role) {
            (old @ (View::Silent(_) | View::Down), false, _) => old,
            (_, false, _) => View::Silent(now_us),
            (_, true, false) => View::Fine,
            (old @ (View::WrongRole(_) | View::WrongRoleForLong), true, true) => old,
            (_, true, true) => View::WrongRole(now_us),
        };
    }

    /// When this view changes with time alone.
    fn due(views: View, config: &Sentinels) -> Option<u64> {
        match views {
            View::Silent(since) => Some(since + u64::from(config.down_after_ms) * 1000),
            View::WrongRole(since) => Some(since + 4 * u64::from(config.hello_ms) * 1000),
            View::Fine | View::Down | View::WrongRoleForLong => None,
        }
    }

    /// When its next view changes with time alone.
    pub(super) fn next_due(&self, config: &Sentinels) -> Option<u64> {
        self.views.iter().filter_map(|views| Sentinel::due(*views, config)).min()
    }

    /// Changes the views whose time has come.
    pub(super) fn tick(&mut self, config: &Sentinels, now_us: u64) {
        for views in &mut self.views {
            if Sentinel::due(*views, config).is_some_and(|at| at <= now_us) {
                *views = if let View::Silent(_) = views { View::Down } else { View::WrongRoleForLong };
            }
        }
    }

    pub(super) fn finds_down(&self, server: u8) -> bool {
        self.views[usize::from(server)] == View::Down
    }

    pub(super) fn sees(&self, server: u8) -> bool {
        matches!(self.views[usize::from(server)], View::Fine | View::WrongRole(_) | View::WrongRoleForLong)
    }
}
