//! Faults: what is done to the servers while clients contend for the lock, and when.

use super::super::args::RealOptions;
use super::super::error::CliError;
use super::servers::Fleet;
use std::time::{Duration, Instant};

/// How long to wait, at the longest, until the lock is taken anew: then the fault comes all the same.
const TAKEN_WAIT: Duration = Duration::from_secs(30);

/// The faults that were asked for, and how far they have come.
pub(super) struct Faults<'a> {
    options: &'a RealOptions,
    started: Instant,
    stage: Stage,
}

/// How far they have come.
enum Stage {
    /// Nothing has happened yet, or nothing will.
    Before,
    /// The replica has been stopped.
    Lagging(Instant),
    /// A server has been killed.
    Killed(Instant),
    /// The servers without which a majority is left have been killed.
    MajorityLeft(Instant),
    /// All that was asked for has happened.
    Over,
}

impl<'a> Faults<'a> {
    pub(super) fn new(options: &'a RealOptions) -> Self {
        Faults { options, started: Instant::now(), stage: Stage::Before }
    }

    /// True if a fault was asked for and its moment never came.
    pub(super) fn missed(&self) -> bool {
        let asked = self.options.kill || self.options.clock_step;
        asked && matches!(self.stage, Stage::Before | Stage::Lagging(_) | Stage::MajorityLeft(_))
    }

    /// Does what is due now, and tells of it.
    pub(super) fn go_on(&mut self, fleet: &mut Fleet) -> Result<Vec<String>, CliError> {
        let options = self.options;
        let (next, done) = match self.stage {
            Stage::Before if self.started.elapsed() <= options.time / 3 => return Ok(Vec::new()),
            Stage::Before if options.lag => (Stage::Lagging(Instant::now()), vec![fleet.fall_behind()?]),
            Stage::Before if options.kill => self.kill(fleet)?,
            Stage::Before if options.clock_step => {
                let killed = fleet.kill_minority()?;
                let done = killed.iter().map(|name| format!("killed {name}{}", self.after())).collect();
                (Stage::MajorityLeft(Instant::now()), done)
            }
            Stage::Lagging(since) if is_taken(fleet, options.ttl, since) => self.kill(fleet)?,
            Stage::Killed(at) if at.elapsed() > self.away() => {
                let victim = fleet.restart_it()?;
                (Stage::Over, vec![format!("restarted {victim}{}", self.after())])
            }
            Stage::MajorityLeft(since) if is_taken(fleet, options.ttl, since) => {
                let back = fleet.restart_minority()?;
                let mut done: Vec<String> =
                    back.iter().map(|name| format!("restarted {name}{}", self.after())).collect();
                let ahead = fleet.step_clock(options.ttl)?;
                done.push(format!("stepped the wall clock of {ahead} by {:?}{}", options.ttl, self.after()));
                (Stage::Over, done)
            }
            Stage::Before | Stage::Lagging(_) | Stage::Killed(_) | Stage::MajorityLeft(_) | Stage::Over => {
                return Ok(Vec::new());
            }
        };
        self.stage = next;
        Ok(done)
    }

    fn kill(&self, fleet: &mut Fleet) -> Result<(Stage, Vec<String>), CliError> {
        let victim = fleet.kill_one()?;
        Ok((Stage::Killed(Instant::now()), vec![format!("killed {victim}{}", self.after())]))
    }

    /// How long a killed server stays away. Back before its replica has been promoted, it would still have the lock.
    fn away(&self) -> Duration {
        if self.options.lag { self.options.ttl } else { self.options.ttl.min(self.options.time / 3) }
    }

    fn after(&self) -> String {
        format!(" after {:.1} s", self.started.elapsed().as_secs_f64())
    }
}

/// True if the lock has been taken since then, a moment ago.
fn is_taken(fleet: &Fleet, ttl: Duration, since: Instant) -> bool {
    fleet.was_just_taken(ttl, since.elapsed()) || since.elapsed() > TAKEN_WAIT
}
