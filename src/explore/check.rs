//! The search: lets a strategy drive executions until something is wrong, all is seen, or a limit is reached.

use super::strategy::{Begin, Strategy};
use super::verdict::{Cause, Verdict};
use crate::property::{NONDETERMINISM, NOT_MODELLED, Property, silent};
use crate::world::choice::Choice;
use crate::world::explored::{Explored, Tally};
use crate::world::fault::Fault;
use crate::world::memories::Violation;
use crate::world::recorder::Recorder;
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
    /// Broken properties: the search goes on for the others until so many have been found.
    pub violations_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            steps_max: 10_000,
            executions_max: None,
            states_max: None,
            memory_bytes_max: Some(4 << 30),
            time_max: None,
            violations_max: 1,
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
    /// What it found first.
    pub verdict: Verdict,
    /// How much it saw.
    pub progress: Progress,
    /// What happened in what it saw.
    pub tally: Tally,
    /// How many moments of clients' code time stopped at.
    pub moments: usize,
    /// The properties that never found anything to judge.
    pub not_looked_at: Vec<&'static str>,
    /// What must happen sometimes and never did: its name, and what it demands.
    pub never_happened: Vec<(&'static str, &'static str)>,
    /// The schedule that breaks a property.
    pub counterexample: Option<Vec<Choice>>,
    /// The properties that are broken besides, each with the schedule that breaks it.
    pub others: Vec<(Violation, Vec<Choice>)>,
    /// Whether the search for further broken properties saw everything.
    pub others_exhausted: bool,
}

/// How many steps pass between two looks at the clock and the memory.
const LOOK_EVERY: u64 = 256;

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
    let mut outside = Outside { stop, started: Instant::now(), memory: Memory::start(), steps: 0 };
    Search::new(setup, strategy).run(strategy, limits, &mut outside, watch)
}

/// The same for several properties: a broken one does not end the search for the others. `strategy` makes a fresh strategy.
pub fn check_all(
    setup: &Arc<Setup>,
    strategy: &dyn Fn() -> Box<dyn Strategy>,
    limits: &Limits,
    stop: &AtomicBool,
    watch: &mut dyn FnMut(&Progress),
) -> Report {
    let mut outside = Outside { stop, started: Instant::now(), memory: Memory::start(), steps: 0 };
    let mut left = Setup::clone(setup);
    let mut first: Option<Report> = None;
    loop {
        let setup = Arc::new(left.clone());
        let mut strategy = strategy();
        let report = Search::new(&setup, &*strategy).run(&mut *strategy, limits, &mut outside, watch);
        let (Verdict::Violated(violation), Some(schedule)) = (&report.verdict, &report.counterexample) else {
            return match first {
                Some(first) => Report { others_exhausted: report.verdict == Verdict::Holds, ..first },
                None => report,
            };
        };
        left.properties.retain(|property| property.name() != violation.property);
        let found = (violation.clone(), schedule.clone());
        // What must happen sometimes can't be broken.
        let all_broken = left.properties.iter().all(|property| property.must_be_seen());
        let ends = all_broken || [NOT_MODELLED, NONDETERMINISM].contains(&found.0.property.as_str());
        let first = first.get_or_insert_with(|| report.clone());
        if first.verdict != report.verdict {
            first.others.push(found);
        }
        if ends || first.others.len() + 1 >= limits.violations_max {
            return Report { others_exhausted: ends, ..first.clone() };
        }
    }
}

/// What lies outside of a search: it is looked at now and then.
struct Outside<'a> {
    stop: &'a AtomicBool,
    started: Instant,
    memory: Memory,
    steps: u64,
}

/// The memory of the process when the search began.
struct Memory {
    resident_at_start: u64,
}

impl Memory {
    fn start() -> Self {
        Memory { resident_at_start: Memory::resident().unwrap_or(0) }
    }

    /// The resident memory of this process, in bytes, where the system tells it.
    fn resident() -> Option<u64> {
        const PAGE_BYTES: u64 = 4096;
        let text = std::fs::read_to_string("/proc/self/statm").ok()?;
        text.split(' ').nth(1)?.parse::<u64>().ok()?.checked_mul(PAGE_BYTES)
    }

    fn grown(&self) -> u64 {
        Memory::resident().unwrap_or(0).saturating_sub(self.resident_at_start)
    }
}

struct Search {
    setup: Arc<Setup>,
    world: Explored,
    enabled: Vec<Choice>,
    progress: Progress,
    /// The first limit that cut an execution, or the search.
    cut: Option<Cause>,
    /// How often everything was looked at.
    passes: u32,
    /// Clients' code went on to name moments when the search was given up.
    unsettled: bool,
}

/// A search that still learns moments after so many passes is given up.
const PASSES_MAX: u32 = 12;

impl Search {
    fn new(setup: &Arc<Setup>, strategy: &dyn Strategy) -> Self {
        Search {
            setup: Arc::clone(setup),
            world: Explored::new(Arc::clone(setup), strategy.remembers(), Recorder::off()),
            enabled: Vec::new(),
            progress: Progress::default(),
            cut: None,
            passes: 0,
            unsettled: false,
        }
    }

    fn run(
        mut self,
        strategy: &mut dyn Strategy,
        limits: &Limits,
        outside: &mut Outside<'_>,
        watch: &mut dyn FnMut(&Progress),
    ) -> Report {
        let verdict = self.search(strategy, limits, outside, watch);
        self.look(strategy, watch);
        let counterexample = matches!(verdict, Verdict::Violated(_)).then(|| self.world.schedule().to_vec());
        let not_looked_at = self.silent(false).map(|property| property.name()).collect();
        let never_happened = self.silent(true).map(|property| (property.name(), property.demands())).collect();
        Report {
            verdict,
            progress: self.progress,
            tally: self.world.tally().clone(),
            moments: self.world.moments(),
            not_looked_at,
            never_happened,
            counterexample,
            others: Vec::new(),
            others_exhausted: false,
        }
    }

    fn search(
        &mut self,
        strategy: &mut dyn Strategy,
        limits: &Limits,
        outside: &mut Outside<'_>,
        watch: &mut dyn FnMut(&Progress),
    ) -> Verdict {
        // What is put on the servers first may ask for what is not modelled.
        if let Some(violation) = &self.world.system().violation {
            return Verdict::Violated(violation.clone());
        }
        let left = |done: u64| limits.executions_max.map_or(u64::MAX, |limit| limit.saturating_sub(done));
        while self.begin(strategy, left(self.progress.executions)) {
            let ended = self.execute(strategy, limits, outside, watch);
            if let Some(violation) = &self.world.system().violation {
                return Verdict::Violated(violation.clone());
            }
            self.progress.executions += strategy.executions();
            if let Some(cause) = ended.or_else(|| self.reached(strategy, limits)) {
                return Verdict::Unknown { cause };
            }
        }
        let coverage = strategy.coverage();
        match (self.cut, coverage.exhaustive) {
            (Some(cause), _) => Verdict::Unknown { cause },
            (None, true) if self.unsettled => Verdict::Unknown { cause: Cause::Moments },
            (None, true) => self.vacuous().map_or(Verdict::Holds, |cause| Verdict::Unknown { cause }),
            (None, false) => Verdict::Unknown { cause: Cause::Sampled },
        }
    }

    /// Puts the world where the strategy wants to go on; false if it has nothing left to look at.
    fn begin(&mut self, strategy: &mut dyn Strategy, executions_left: u64) -> bool {
        loop {
            match strategy.begin(&self.world, executions_left) {
                Some(Begin::Start) => self.world.reset(),
                Some(Begin::GoOn { from, choice }) => {
                    self.world.restore(from);
                    self.world.step(choice);
                }
                None => {
                    self.passes += 1;
                    let news = self.world.learn_moments();
                    self.unsettled = news && self.passes >= PASSES_MAX;
                    if news && !self.unsettled && strategy.forget() {
                        continue;
                    }
                    return false;
                }
            }
            return true;
        }
    }

    /// Why a verdict would say nothing, although nothing is wrong.
    fn vacuous(&self) -> Option<Cause> {
        let seen = &self.world.tally().seen;
        let all = (1_u64 << self.setup.locks.len().min(63)) - 1;
        let judged = self.setup.properties.iter().filter(|property| !property.must_be_seen()).count();
        if self.silent(false).count() == judged {
            return Some(Cause::NothingJudged);
        }
        let about_locks = |property: &Arc<dyn Property>| property.is_about_locks();
        if self.setup.properties.iter().any(about_locks) {
            if seen.acquisitions == 0 {
                return Some(Cause::NoAcquisition);
            }
            if self.setup.clients > 1 && seen.contended == 0 {
                return Some(Cause::NoContention);
            }
        }
        if seen.held & all != all {
            return Some(Cause::NoHolder);
        }
        let never_struck = |(fault, left): (Fault, u8)| left > 0 && !seen.struck(fault);
        let never = self.silent(true).next().is_some() || self.setup.budgets.iter().any(never_struck);
        never.then_some(Cause::NeverHappened)
    }

    /// The properties that never said anything: those that judge, or those that must be seen.
    fn silent(&self, must_be_seen: bool) -> impl Iterator<Item = &Arc<dyn Property>> {
        silent(&self.setup.properties, self.world.tally().seen.looked, must_be_seen)
    }

    /// One execution, to its end or to where the strategy leaves it; what ends the search, if anything outside does.
    fn execute(
        &mut self,
        strategy: &mut dyn Strategy,
        limits: &Limits,
        outside: &mut Outside<'_>,
        watch: &mut dyn FnMut(&Progress),
    ) -> Option<Cause> {
        loop {
            self.world.enabled(&mut self.enabled);
            if self.enabled.iter().all(Choice::is_fault) {
                // Nothing but a fault can happen any more: without it every client that waits now would wait for ever.
                self.world.judge_end();
                if self.enabled.is_empty() || self.world.system().violation.is_some() {
                    break;
                }
            }
            if self.world.schedule().len() >= limits.steps_max {
                self.cut.get_or_insert(Cause::Steps);
                break;
            }
            let Some(at) = strategy.choose(&self.world, &mut self.enabled) else { break };
            self.world.step(self.enabled[at]);
            self.progress.steps += 1;
            outside.steps += 1;
            if outside.steps.is_multiple_of(LOOK_EVERY)
                && let Some(cause) = self.look_outside(strategy, limits, outside, watch)
                && self.world.system().violation.is_none()
            {
                return Some(cause);
            }
        }
        self.progress.depth = self.progress.depth.max(self.world.schedule().len());
        // A search of few steps looks outside too.
        outside.stop.load(Ordering::Relaxed).then_some(Cause::Interrupted)
    }

    fn look(&mut self, strategy: &dyn Strategy, watch: &mut dyn FnMut(&Progress)) {
        let coverage = strategy.coverage();
        self.progress.states = coverage.states;
        self.progress.memory_bytes = coverage.memory_bytes.max(self.progress.memory_bytes);
        watch(&self.progress);
    }

    /// The limit of time or memory that the search has reached, or the user's wish to end it.
    fn look_outside(
        &mut self,
        strategy: &dyn Strategy,
        limits: &Limits,
        outside: &Outside<'_>,
        watch: &mut dyn FnMut(&Progress),
    ) -> Option<Cause> {
        if outside.stop.load(Ordering::Relaxed) {
            return Some(Cause::Interrupted);
        }
        if limits.time_max.is_some_and(|limit| outside.started.elapsed() >= limit) {
            return Some(Cause::Time);
        }
        if outside.steps.is_multiple_of(LOOK_EVERY * 16) {
            self.progress.memory_bytes = outside.memory.grown();
            self.look(strategy, watch);
            if limits.memory_bytes_max.is_some_and(|limit| self.progress.memory_bytes >= limit) {
                return Some(Cause::Memory);
            }
        }
        None
    }

    /// The limit of states, memory or executions that the search has reached.
    fn reached(&self, strategy: &dyn Strategy, limits: &Limits) -> Option<Cause> {
        let coverage = strategy.coverage();
        if limits.states_max.zip(coverage.states).is_some_and(|(limit, states)| states >= limit) {
            return Some(Cause::States);
        }
        if limits.memory_bytes_max.is_some_and(|limit| coverage.memory_bytes >= limit) {
            return Some(Cause::Memory);
        }
        limits.executions_max.is_some_and(|limit| self.progress.executions >= limit).then_some(Cause::Executions)
    }
}
