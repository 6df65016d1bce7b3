//! Follow: runs a given schedule, strictly or as far as it goes.

use crate::base::millis;
use crate::world::choice::{Act, Choice};
use crate::world::explored::{Explored, Remember};
use crate::world::recorder::Recorder;
use crate::world::setup::Setup;
use crate::world::system::System;
use std::sync::Arc;

/// An execution that does not end within this many steps after its schedule is left where it is.
const STEPS_TO_END_MAX: usize = 10_000;

/// Makes the choices that are possible and skips the others, then whatever comes first until nothing is left to do or
/// something is wrong. The world that it ends in.
pub fn follow(setup: &Arc<Setup>, schedule: &[Choice], recorder: Recorder) -> Explored {
    let mut world = Explored::new(Arc::clone(setup), Remember::Nothing, recorder);
    let mut scratch = Vec::new();
    for choice in schedule {
        if world.system().violation.is_some() {
            break;
        }
        if let Some(choice) = possible(world.system(), *choice, &mut scratch) {
            world.step(choice);
        }
    }
    finish(&mut world, &mut scratch);
    world
}

/// The choice if it is possible; of a timer that has another number here, the one that is due.
fn possible(system: &System, choice: Choice, scratch: &mut Vec<Choice>) -> Option<Choice> {
    if system.allows(choice, scratch) {
        return Some(choice);
    }
    let Act::Fire(_) = choice.act else { return None };
    scratch.iter().copied().find(|other| other.at == choice.at && matches!(other.act, Act::Fire(_)))
}

/// Goes on without further faults, always with the first choice, until nothing is left to do.
fn finish(world: &mut Explored, scratch: &mut Vec<Choice>) {
    for _ in 0..STEPS_TO_END_MAX {
        world.system().enabled(scratch);
        let Some(choice) = scratch.iter().find(|choice| !choice.is_fault()).copied() else {
            return world.judge_end();
        };
        world.step(choice);
    }
}

/// The code does not do any more what a schedule says.
#[derive(Debug, thiserror::Error)]
#[error("at step {step}: it says '{expected}', possible here: {possible}")]
pub struct Diverged {
    /// The place in the schedule, from 1.
    pub step: usize,
    /// The choice that it names.
    pub expected: String,
    /// The choices that there are.
    pub possible: String,
}

/// Makes exactly the choices with these names.
pub fn follow_names(setup: &Arc<Setup>, names: &[String], recorder: Recorder) -> Result<Explored, Diverged> {
    let mut world = Explored::new(Arc::clone(setup), Remember::Nothing, recorder);
    let mut enabled = Vec::new();
    for (at, name) in names.iter().enumerate() {
        world.system().enabled(&mut enabled);
        let choice = enabled.iter().find(|choice| choice.name(world.system()) == *name).copied();
        let choice = choice.or_else(|| time_named(name).filter(|choice| world.system().allows(*choice, &mut enabled)));
        let Some(choice) = choice else {
            world.system().enabled(&mut enabled);
            let possible: Vec<String> = enabled.iter().map(|choice| choice.name(world.system())).collect();
            let possible = if possible.is_empty() { "nothing".to_owned() } else { possible.join("; ") };
            return Err(Diverged { step: at + 1, expected: name.clone(), possible });
        };
        world.step(choice);
    }
    world.system().enabled(&mut enabled);
    if enabled.iter().all(Choice::is_fault) {
        world.judge_end();
    }
    Ok(world)
}

/// The passing of time that a name spells.
fn time_named(name: &str) -> Option<Choice> {
    let ms = name.strip_prefix("time: passes to ")?.strip_suffix(" ms")?;
    let (whole, part) = ms.split_once('.').unwrap_or((ms, "0"));
    let us = whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(format!("{part:0<3}").parse().ok()?)?;
    debug_assert!(name.ends_with(&millis(us)));
    Some(Choice::advance(us))
}
