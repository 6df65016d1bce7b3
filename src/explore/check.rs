//! The search: lets a strategy drive executions until something is wrong, all is seen, or a limit is reached.

use super::choice::Choice;
use super::strategy::Strategy;
use super::verdict::{Cause, Verdict};
use crate::trace::Recorder;
use crate::world::explored::Explored;
use crate::world::setup::Setup;
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Bounds of a search. Reaching one makes the verdict unknown, never holds.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Steps in one execution.
    pub steps_max: usize,
    /// Executions.
    pub executions_max: Option<u64>,
    /// Distinct states.
    pub states_max: Option<u64>,
    /// Memory of the search, in bytes.
    pub memory_bytes_max: Option<u64>,
    /// Time on the wall.
    pub time_max: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            steps_max: 10_000,
            executions_max: None,
            states_max: None,
            memory_bytes_max: Some(4 << 30),
            time_max: None,
        }
    }
}

/// How far a search is.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Progress {
    /// Executions made.
    pub executions: u64,
    /// Steps made.
    pub steps: u64,
    /// Distinct states seen, if the strategy tells them apart.
    pub states: Option<u64>,
    /// The longest execution.
    pub depth: usize,
    /// The memory of the search, roughly, in bytes.
    pub memory_bytes: u64,
}

/// What a search found.
#[derive(Clone, Debug)]
pub struct Report {
    /// What it found.
    pub verdict: Verdict,
    /// How much it saw.
    pub progress: Progress,
    /// The schedule that breaks a property.
    pub counterexample: Option<Vec<Choice>>,
}

/// How many executions pass between two looks at the clock.
const LOOK_EVERY: u64 = 1024;

/// Searches.
///
/// `watch` is called now and then with the progress; `stop` ends the search from outside.
pub fn check(
    setup: &Arc<Setup>,
    strategy: &mut dyn Strategy,
    limits: &Limits,
    stop: &AtomicBool,
    watch: &mut dyn FnMut(&Progress),
) -> Report {
    let mut search = Search {
        world: Explored::new(Arc::clone(setup), strategy.remembers(), Recorder::off()),
        enabled: Vec::new(),
        progress: Progress::default(),
        cut: None,
        started: Instant::now(),
    };
    let verdict = search.run(strategy, limits, stop, watch);
    search.look(strategy, watch);
    let counterexample = matches!(verdict, Verdict::Violated(_)).then(|| search.world.schedule().to_vec());
    Report { verdict, progress: search.progress, counterexample }
}

struct Search {
    world: Explored,
    enabled: Vec<Choice>,
    progress: Progress,
    /// The first limit that cut an execution, or the search.
    cut: Option<Cause>,
    started: Instant,
}

impl Search {
    fn run(
        &mut self,
        strategy: &mut dyn Strategy,
        limits: &Limits,
        stop: &AtomicBool,
        watch: &mut dyn FnMut(&Progress),
    ) -> Verdict {
        let left = |done: u64| limits.executions_max.map_or(u64::MAX, |limit| limit.saturating_sub(done));
        while strategy.begin(&mut self.world, left(self.progress.executions)) {
            let before = self.progress.executions;
            self.execute(strategy, limits);
            if let Some(violation) = &self.world.system().violation {
                return Verdict::Violated(violation.clone());
            }
            self.progress.executions += strategy.executions();
            let look = before / LOOK_EVERY != self.progress.executions / LOOK_EVERY;
            if look {
                self.look(strategy, watch);
            }
            if let Some(cause) = self.reached(strategy, limits, look.then_some(stop)) {
                return Verdict::Unknown { cause };
            }
        }
        match (self.cut, strategy.coverage().exhaustive) {
            (Some(cause), _) => Verdict::Unknown { cause },
            (None, true) => Verdict::Holds,
            (None, false) => Verdict::Unknown { cause: Cause::Sampled },
        }
    }

    /// One execution, to its end or to where the strategy leaves it.
    fn execute(&mut self, strategy: &mut dyn Strategy, limits: &Limits) {
        loop {
            self.world.system().enabled(&mut self.enabled);
            if self.enabled.iter().all(Choice::is_fault) {
                // Nothing but a fault can happen any more: whoever waits now would wait for ever without it.
                self.world.judge_end();
                if self.enabled.is_empty() || self.world.system().violation.is_some() {
                    break;
                }
            }
            if self.world.schedule().len() >= limits.steps_max {
                self.cut.get_or_insert(Cause::Steps);
                break;
            }
            let Some(at) = strategy.choose(&mut self.world, &self.enabled) else { break };
            self.world.step(self.enabled[at]);
            self.progress.steps += 1;
        }
        self.progress.depth = self.progress.depth.max(self.world.schedule().len());
    }

    fn look(&mut self, strategy: &dyn Strategy, watch: &mut dyn FnMut(&Progress)) {
        let coverage = strategy.coverage();
        self.progress.states = coverage.states;
        self.progress.memory_bytes = coverage.memory_bytes;
        watch(&self.progress);
    }

    /// The limit that the search has reached; what lies outside is looked at only where `stop` is given.
    fn reached(&self, strategy: &dyn Strategy, limits: &Limits, stop: Option<&AtomicBool>) -> Option<Cause> {
        let coverage = strategy.coverage();
        if limits.states_max.zip(coverage.states).is_some_and(|(limit, states)| states >= limit) {
            return Some(Cause::States);
        }
        if limits.memory_bytes_max.is_some_and(|limit| coverage.memory_bytes >= limit) {
            return Some(Cause::Memory);
        }
        if limits.executions_max.is_some_and(|limit| self.progress.executions >= limit) {
            return Some(Cause::Executions);
        }
        if stop?.load(Ordering::Relaxed) {
            return Some(Cause::Interrupted);
        }
        limits.time_max.is_some_and(|limit| self.started.elapsed() >= limit).then_some(Cause::Time)
    }
}
