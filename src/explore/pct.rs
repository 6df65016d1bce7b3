//! PCT: priorities that change at few random moments.
//!
//! Burckhardt et al., "A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs" (ASPLOS 2010): each
//! actor gets a random priority, the enabled choice of the highest one goes first, and at `depth − 1` random
//! steps the actor that would go is put last. A bug of depth d among n actors and k steps is found with probability
//! at least 1/(n·k^(d−1)) in each execution.

use super::random::draw;
use super::strategy::{Begin, Coverage, Strategy};
use crate::world::choice::{Act, Choice, Target};
use crate::world::explored::{Explored, Remember};
use doublehold_models::Step;
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
    priorities: BTreeMap<Actor, i64>,
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

/// What makes a choice: a client, a node, time, each direction of each connection, each kind of fault that may hit it.
type Actor = (Target, u8);

fn actor(choice: &Choice) -> Actor {
    let kind = match choice.act {
        Act::Serve | Act::Take(Step::Grant) | Act::HangUp => 1,
        Act::Deliver | Act::DeliverEnd(_) => 2,
        Act::Resume | Act::Restart | Act::Heal | Act::Take(Step::CatchUp | Step::Synced) => 3,
        // Clocks are set in one order: what they are set to has a priority of its own.
        Act::SetClock { drift_ppm, offset_us } => {
            4 + (3 * (1 + drift_ppm.signum()) as u8 + (1 + offset_us.signum()) as u8)
        }
        _ => choice.fault().map_or(0, |fault| 16 + fault as u8),
    };
    (choice.at, kind)
}

impl Strategy for Pct {
    fn begin(&mut self, _world: &Explored, _executions_left: u64) -> Option<Begin> {
        self.steps = self.steps.max(self.step);
        self.step = 0;
        self.lowest = 0;
        self.priorities.clear();
        self.changes = (1..self.depth).map(|_| draw(&mut self.random, self.steps)).collect();
        Some(Begin::Start)
    }

    fn choose(&mut self, _world: &Explored, enabled: &mut Vec<Choice>) -> Option<usize> {
        for choice in enabled.iter() {
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

    fn remembers(&self) -> Remember {
        Remember::Inputs
    }

    fn coverage(&self) -> Coverage {
        Coverage::default()
    }
}
