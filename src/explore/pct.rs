//! PCT: priorities that change at few random moments.
//!
//! Burckhardt et al., "A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs" (ASPLOS 2010): each
//! actor gets a random priority, the enabled choice of the highest one goes first, and at `depth − 1` random
//! steps the actor that would go is put last. A bug of depth d among n actors and k steps is found with probability
//! at least 1/(n·k^(d−1)) in each execution.

use super::choice::{Choice, LinkName, Process};
use super::random::draw;
use super::strategy::{Coverage, Strategy};
use crate::world::explored::Explored;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::collections::BTreeMap;

/// The strategy.
pub struct Pct {
    random: ChaCha8Rng,
    depth: usize,
    /// The length of the longest execution so far: where priorities may change.
    steps: usize,
    step: usize,
    changes: Vec<usize>,
    priorities: BTreeMap<(u8, u8, u8), i64>,
    lowest: i64,
}

impl Pct {
    /// Schedules drawn from this seed, for bugs that need `depth` ordering constraints.
    pub fn new(seed: u64, depth: usize) -> Self {
        Pct {
            random: ChaCha8Rng::seed_from_u64(seed),
            depth: depth.max(1),
            steps: 32,
            step: 0,
            changes: Vec::new(),
            priorities: BTreeMap::new(),
            lowest: 0,
        }
    }
}

/// Who makes a choice: a client, each direction of a connection, time, each kind of fault.
fn actor(choice: &Choice) -> (u8, u8, u8) {
    let link = |kind, at: &LinkName| (kind, at.client, at.node);
    match choice {
        Choice::Start { client } | Choice::Fire { client, .. } => (0, *client, 0),
        Choice::Deliver(at) => link(1, at),
        Choice::Serve(at) => link(2, at),
        Choice::GoOn(at) => link(13, at),
        Choice::Advance { .. } => (3, 0, 0),
        Choice::Break(at) | Choice::Stall(at) | Choice::Delay(at) => link(4, at),
        Choice::Pause { client } | Choice::CrashClient { client } | Choice::StepClient { client, .. } => {
            (5, *client, 0)
        }
        Choice::Resume { client } => (6, *client, 0),
        Choice::CrashNode { node } | Choice::StepNode { node, .. } | Choice::Lag { node } => (7, *node, 0),
        Choice::RestartNode { node } => (8, *node, 0),
        Choice::Expire { node, client } => (12, *node, *client),
        Choice::CatchUp { node } => (11, *node, 0),
        Choice::SetClock { process: Process::Client(client), drift_ppm, .. } => (9, *client, u8::from(*drift_ppm > 0)),
        Choice::SetClock { process: Process::Node(node), drift_ppm, .. } => (10, *node, u8::from(*drift_ppm > 0)),
    }
}

impl Strategy for Pct {
    fn begin(&mut self, world: &mut Explored, _executions_left: u64) -> bool {
        self.steps = self.steps.max(self.step);
        self.step = 0;
        self.lowest = 0;
        self.priorities.clear();
        self.changes = (1..self.depth).map(|_| draw(&mut self.random, self.steps)).collect();
        world.reset();
        true
    }

    fn choose(&mut self, _world: &mut Explored, enabled: &[Choice]) -> Option<usize> {
        for choice in enabled {
            if let std::collections::btree_map::Entry::Vacant(vacant) = self.priorities.entry(actor(choice)) {
                vacant.insert(1 + draw(&mut self.random, 1 << 20) as i64);
            }
        }
        let highest = |priorities: &BTreeMap<_, i64>| {
            let best = enabled
                .iter()
                .enumerate()
                .max_by_key(|(at, choice)| (priorities[&actor(choice)], std::cmp::Reverse(*at)));
            best.map(|(at, _)| at)
        };
        let mut picked = highest(&self.priorities)?;
        if self.changes.contains(&self.step) {
            self.lowest -= 1;
            self.priorities.insert(actor(&enabled[picked]), self.lowest);
            picked = highest(&self.priorities)?;
        }
        self.step += 1;
        Some(picked)
    }

    fn coverage(&self) -> Coverage {
        Coverage::default()
    }
}
