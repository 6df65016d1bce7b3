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
        stop_on_the_way(&mut world, *choice, &mut scratch);
        if let Some(choice) = possible(world.system(), *choice, &mut scratch) {
            world.step(choice);
        }
    }
    finish(&mut world, &mut scratch);
    world
}

/// Where a schedule lets time pass over moments at which something changes: stops at each of them, as every search
/// does.
fn stop_on_the_way(world: &mut Explored, choice: Choice, scratch: &mut Vec<Choice>) {
    let Act::Advance(to_us) = choice.act else { return };
    loop {
        world.system().enabled(scratch);
        let next = |choice: &Choice| matches!(choice.act, Act::Advance(next_us) if next_us < to_us);
        let Some(next) = scratch.iter().copied().find(next) else { return };
        world.step(next);
    }
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

/// How far time may pass at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strides {
    /// To the next moment at which something changes, as in every search.
    Short,
    /// Over what changes by itself as well, as in the simulated world.
    Long,
}

/// Makes exactly the choices with these names.
pub fn follow_names(
    setup: &Arc<Setup>,
    names: &[String],
    strides: Strides,
    recorder: Recorder,
) -> Result<Explored, Diverged> {
    let mut world = Explored::new(Arc::clone(setup), Remember::Nothing, recorder);
    let mut enabled = Vec::new();
    for (at, name) in names.iter().enumerate() {
        world.system().enabled(&mut enabled);
        let choice = enabled.iter().find(|choice| choice.name(world.system()) == *name).copied();
        let choice = choice.or_else(|| {
            let system = world.system();
            let named = time_named(name).or_else(|| clock_named(name, &enabled, system));
            let named = named.or_else(|| group_step_named(name, system))?;
            let allowed = match named.act {
                Act::Advance(to_us) if strides == Strides::Long => system.allows_stride(to_us),
                _ => system.allows(named, &mut enabled),
            };
            allowed.then_some(named)
        });
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
    let (ms, us) = name.strip_prefix("time: passes to ").and_then(|ms| Some((ms, micros(ms)?)))?;
    (millis(us) == ms).then(|| Choice::advance(us))
}

/// The setting of a clock that a name spells, of the process whose clock is the next to be set.
fn clock_named(name: &str, enabled: &[Choice], system: &System) -> Option<Choice> {
    let next = enabled.iter().find(|choice| matches!(choice.act, Act::SetClock { .. }))?;
    let (_, off) = name.split_once(": clock drifts ")?;
    let (ppm, offset) = off.split_once(" ppm, offset ")?;
    let us = micros(offset.strip_prefix(['+', '-'])?)?.min(i64::MAX as u64) as i64;
    let offset_us = if offset.starts_with('-') { -us } else { us };
    let choice = Choice { at: next.at, act: Act::SetClock { drift_ppm: ppm.parse().ok()?, offset_us } };
    (choice.name(system) == name).then_some(choice)
}

/// The step of a member of a group that a name spells: in the simulated world it is taken whether anybody can tell or
/// not.
fn group_step_named(name: &str, system: &System) -> Option<Choice> {
    let groups = (0..system.services.len()).filter(|service| system.services[*service].is_group());
    groups.flat_map(|service| system.group_steps(service)).find(|choice| choice.name(system) == name)
}

/// The number of microseconds that a time in milliseconds spells.
fn micros(ms: &str) -> Option<u64> {
    let ms = ms.strip_suffix(" ms")?;
    let (whole, part) = ms.split_once('.').unwrap_or((ms, "0"));
    whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(format!("{part:0<3}").parse().ok()?)
}
