//! Fault coverage of the flows: between which steps a client crash was tried, and how often each kind of fault struck.
//!
//! A step is a request that a server has served. A client handles a reply and sends the next request at once, so a
//! crash between two steps is one after the first was served and before its reply came. Each seed runs twice: with
//! client crashes and no other fault, and without faults. Up to the first crash both runs are the same, so the second
//! one shows the step that would have come next.

use crate::scenario::{Expectation, Registry, SIMULATED, Scenario, setup_for};
use crate::trace::{Recorder, TraceEvent};
use crate::world::fault::{Budgets, Fault};
use crate::world::simulated::{NotSimulated, Run, run};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

/// Seeds of each scenario, for the kinds of fault.
const SEEDS: u64 = 300;
/// Seeds of each scenario in which a client crash is tried, and the mean time to it, in turn: it comes early and late.
const CRASH_SEEDS: u64 = 900;
const CRASH_EVERY_US: [u64; 3] = [2_000, 8_000, 32_000];

/// A flow: its name, what the names of its scenarios begin with, and those in which client crashes are tried.
type FlowOf = (&'static str, &'static str, &'static [&'static str]);

const FLOWS: [FlowOf; 5] = [
    (
        "order flow",
        "order-",
        &["order-client-crash", "order-cold", "order-coupon", "order-cancelled", "order-restocked"],
    ),
    (
        "flash sale",
        "flash-",
        &["flash-optimistic", "flash-limited", "flash-cached", "flash-queued", "flash-kafka-crash"],
    ),
    ("call ranking", "ranking", &["ranking", "ranking-locked"]),
    ("cache-aside", "cache-aside-", &["cache-aside-stale-set-versioned", "cache-aside-writer-crash-announced"]),
    ("one-time draw", "draw-", &["draw-twice-unique-key"]),
];

/// The report.
pub fn text(registry: &Registry) -> Result<String, NotSimulated> {
    let mut text = format!(
        "# Fault coverage of the flows\n\nMade by `doublehold report`, in the simulated world: {CRASH_SEEDS} seeds of each scenario for client crashes, \
         {SEEDS} for the kinds of fault. A step is a request that a server has served; a crash between two steps is one after the first \
         was served and before its reply came.\n"
    );
    for (name, prefix, crashed) in FLOWS {
        let _ = writeln!(text, "\n## {name}\n");
        let scenarios: Vec<_> = crashed.iter().map(|name| registry.find(name).expect("it is built in")).collect();
        let mut pairs = Pairs::default();
        for scenario in &scenarios {
            (0..CRASH_SEEDS).try_for_each(|seed| pairs.try_crash(scenario.as_ref(), seed))?;
        }
        pairs.tell(crashed, &mut text);
        tell_faults(registry, prefix, &mut text)?;
    }
    Ok(text)
}

fn simulate(scenario: &dyn Scenario, seed: u64, budgets: Option<Budgets>) -> Result<Run, NotSimulated> {
    let mut simulation = scenario.simulation();
    let mut parameters = scenario.defaults().simulated(&simulation);
    let recorder = match budgets {
        Some(budgets) => {
            (parameters.budgets, simulation.faults) = (budgets, Budgets::NONE);
            simulation.fault_every_us = CRASH_EVERY_US[seed as usize % CRASH_EVERY_US.len()];
            Recorder::on()
        }
        None => Recorder::off(),
    };
    let setup = Arc::new(setup_for(scenario, &parameters, seed, SIMULATED));
    run(&setup, &simulation, &[], recorder)
}

/// The steps of each client from its start to its end: what prepares the servers, and the auditor, go by a client's
/// name as well.
fn steps(events: &[TraceEvent]) -> BTreeMap<String, Vec<String>> {
    let mut steps: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut running: BTreeSet<&str> = BTreeSet::new();
    for event in events {
        match event.what.as_str() {
            "start" => _ = running.insert(&event.who),
            "ends" => _ = running.remove(event.who.as_str()),
            _ => {}
        }
        if let Some((client, step)) = step_of(event).filter(|(client, _)| running.contains(client.as_str())) {
            steps.entry(client).or_default().push(step);
        }
    }
    steps
}

/// A name without the numbers in it.
fn without_numbers(name: &str) -> String {
    let mut text = String::new();
    for letter in name.trim_matches(|letter: char| !letter.is_alphanumeric() && !"{}".contains(letter)).chars() {
        match letter {
            digit if digit.is_ascii_digit() && text.ends_with('#') => {}
            digit if digit.is_ascii_digit() => text.push('#'),
            other => text.push(other),
        }
    }
    text
}

/// A request of a client that a server has served, without its values.
fn step_of(event: &TraceEvent) -> Option<(String, String)> {
    let (client, request) = event.what.split_once(": ")?;
    if event.who.starts_with("client-") || !client.starts_with("client-") {
        return None;
    }
    let (request, _) = request.split_once(" → ")?;
    let script = request.split_once('⟨').and_then(|(_, script)| script.split_once(':')).map(|(name, _)| name);
    let words: Vec<&str> = request.split(' ').collect();
    let behind = |word: &str| words.iter().position(|other| *other == word).and_then(|at| words.get(at + 1)).copied();
    let step = match (script, words[0]) {
        (Some(script), _) => format!("script {script}"),
        (None, "SELECT") if request.contains(" FOR UPDATE") => format!("SELECT {} FOR UPDATE", behind("FROM")?),
        (None, "SELECT" | "DELETE") => format!("{} {}", words[0], behind("FROM")?),
        (None, "INSERT") => format!("INSERT {}", behind("INTO")?),
        (None, "UPDATE") => format!("UPDATE {}", words.get(1)?),
        (None, "BEGIN" | "COMMIT" | "ROLLBACK") => words[0].to_owned(),
        // A statement that has waited for a row's lock gets its reply.
        (None, "goes") => return None,
        (None, command) => format!("{command} {}", without_numbers(words.get(1).copied().unwrap_or_default())),
    };
    Some((client.to_owned(), step))
}

/// Which steps follow each other, and how often a client crashed between them.
#[derive(Default)]
struct Pairs(BTreeMap<(String, String), u64>);

impl Pairs {
    /// Runs a seed with client crashes and without.
    fn try_crash(&mut self, scenario: &dyn Scenario, seed: u64) -> Result<(), NotSimulated> {
        let whole = simulate(scenario, seed, Some(Budgets::NONE))?;
        let whole = steps(&whole.recorder.events);
        for client in whole.values() {
            for pair in client.windows(2) {
                self.0.entry((pair[0].clone(), pair[1].clone())).or_default();
            }
        }
        let crashed = simulate(scenario, seed, Some(Budgets::NONE.with(Fault::ClientCrash, u8::MAX)))?;
        let events = &crashed.recorder.events;
        let is_crash = |event: &TraceEvent| event.who.starts_with("client-") && event.what == "crash";
        let Some(at) = events.iter().position(is_crash) else { return Ok(()) };
        let victim = &events[at].who;
        let before = steps(&events[..at]).remove(victim).unwrap_or_default();
        let Some(last) = before.last() else { return Ok(()) };
        let after = whole.get(victim).map(Vec::as_slice).unwrap_or_default();
        assert!(
            after.starts_with(&before),
            "{}, seed {seed}: the run without crashes goes another way",
            scenario.about().name
        );
        if let Some(next) = after.get(before.len()) {
            *self.0.entry((last.clone(), next.clone())).or_default() += 1;
        }
        Ok(())
    }

    fn tell(&self, scenarios: &[&str], text: &mut String) {
        let tried = self.0.values().filter(|count| **count > 0).count();
        let all = self.0.len();
        let names: Vec<String> = scenarios.iter().map(|name| format!("`{name}`")).collect();
        let _ =
            writeln!(text, "A client crashed between {tried} of the {all} pairs of steps, in {}.\n", names.join(", "));
        text.push_str("| step | next step | crashes between |\n|---|---|---|\n");
        for ((step, next), count) in &self.0 {
            let count = if *count == 0 { "**never**".to_owned() } else { count.to_string() };
            let _ = writeln!(text, "| {step} | {next} | {count} |");
        }
        text.push('\n');
    }
}

/// How often each kind of fault struck in the sound scenarios of a flow, each with the kinds that it has in the
/// simulated world.
fn tell_faults(registry: &Registry, prefix: &str, text: &mut String) -> Result<(), NotSimulated> {
    let mut strikes: BTreeMap<Fault, (BTreeSet<String>, u64)> = BTreeMap::new();
    let sound = registry.iter().filter(|scenario| {
        let about = scenario.about();
        about.name.starts_with(prefix) && about.expects == Expectation::Holds
    });
    for scenario in sound {
        let name = scenario.about().name;
        for (fault, _) in scenario.defaults().simulated(&scenario.simulation()).budgets.iter() {
            strikes.entry(fault).or_default().0.insert(name.clone());
        }
        for seed in 0..SEEDS {
            for (fault, count) in simulate(scenario.as_ref(), seed, None)?.strikes {
                strikes.entry(fault).or_default().1 += count;
            }
        }
    }
    text.push_str("| fault | scenarios that have it | struck |\n|---|---|---|\n");
    for (fault, (scenarios, count)) in &strikes {
        let count = if *count == 0 { "**never**".to_owned() } else { count.to_string() };
        let _ = writeln!(text, "| {fault} | {} | {count} |", scenarios.len());
    }
    if strikes.is_empty() {
        text.push_str("| none | 0 | 0 |\n");
    }
    let missing: Vec<&str> =
        Fault::ALL.into_iter().filter(|fault| !strikes.contains_key(fault)).map(Fault::name).collect();
    let _ = writeln!(text, "\nNo scenario of this flow has: {}.", missing.join(", "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_named_without_their_values() {
        fn check(what: &str, expected: Option<&str>) {
            let event =
                TraceEvent { at_us: 0, who: "redis".into(), own_us: None, what: what.into(), holders: Vec::new() };
            assert_eq!(step_of(&event), expected.map(|step| ("client-0".to_owned(), step.to_owned())), "{what}");
        }
        check(
            "client-0: SELECT status FROM orders WHERE id = ? FOR UPDATE ['a'] → 1 rows",
            Some("SELECT orders FOR UPDATE"),
        );
        check(
            "client-0: INSERT INTO inventory_log (order_id) VALUES (?) ['a'] → 1 changed",
            Some("INSERT inventory_log"),
        );
        check("client-0: EVAL ⟨deduct: takes pieces⟩ 4 {sku-0}:stock → \"deducted\"", Some("script deduct"));
        check("client-0: GET {sku-0}:epoch → \"2\"", Some("GET {sku-#}:epoch"));
        check("client-0: goes on → 1 changed", None);
        check("client-0: COMMIT → 0 changed", Some("COMMIT"));
        check("restart", None);
    }
}
