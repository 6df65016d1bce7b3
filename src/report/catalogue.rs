//! The committed report of the catalogue: a minimal trace for each failure, and an index to read.

use super::{sentence, trace_of};
use crate::explore::exhaustive::{Exhaustive, Reduction};
use crate::explore::{Limits, Report, Verdict, check};
use crate::scenario::{About, EXPLORED, Expectation, Parameters, Registry, Scenario};
use crate::shrink::{Counterexample, shrink};
use crate::trace::{Trace, timeline};
use crate::world::setup::Setup;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The seed of everything in the report.
const SEED: u64 = 1;

/// One scenario's result.
pub struct Finding {
    /// What the scenario is about.
    pub about: About,
    /// How it was set up.
    pub parameters: Parameters,
    /// What had to hold.
    pub properties: Vec<&'static str>,
    /// What the search found.
    pub report: Report,
    /// The minimal counterexample.
    pub trace: Option<Trace>,
}

impl Finding {
    /// What a search found, its counterexample made minimal.
    pub fn new(scenario: &dyn Scenario, setup: &Setup, parameters: Parameters, seed: u64, report: Report) -> Self {
        let trace = minimal(scenario, &parameters, seed, &report);
        let mut finding = Finding { about: scenario.about(), parameters, properties: names(setup), report, trace };
        if let Some(violation) = finding.trace.as_ref().and_then(|trace| trace.violation.clone()) {
            // The verdict names what the trace shows: the same property, perhaps broken by others.
            finding.report.verdict = Verdict::Violated(violation);
        }
        finding
    }

    /// True if the search found what the scenario is there to show.
    pub fn as_expected(&self) -> bool {
        match (&self.report.verdict, self.about.expects) {
            (Verdict::Holds, Expectation::Holds) => true,
            (Verdict::Violated(violation), Expectation::Violated(property)) => violation.property == property,
            _ => false,
        }
    }
}

/// Searches one scenario exhaustively and makes what it finds minimal.
pub fn examine(scenario: &dyn Scenario, limits: &Limits, stop: &AtomicBool) -> Finding {
    let parameters = scenario.defaults();
    let setup = Arc::new(scenario.setup(&parameters, SEED));
    let report = check(&setup, &mut Exhaustive::new(Reduction::ALL), limits, stop, &mut |_| ());
    Finding::new(scenario, &setup, parameters, SEED, report)
}

/// The names of what must hold.
fn names(setup: &Setup) -> Vec<&'static str> {
    setup.properties.iter().map(|property| property.name()).collect()
}

/// The minimal trace of what a search found.
pub fn minimal(scenario: &dyn Scenario, parameters: &Parameters, seed: u64, report: &Report) -> Option<Trace> {
    let (Verdict::Violated(violation), Some(schedule)) = (&report.verdict, &report.counterexample) else { return None };
    let found = Counterexample {
        parameters: parameters.clone(),
        world: EXPLORED,
        seed,
        schedule: schedule.clone(),
        violation: violation.clone(),
    };
    Some(trace_of(scenario, &shrink(scenario, found, &mut |_| true)))
}

/// The scenarios that the report holds: those with a row in the catalogue, and the known-bad and sound locks.
pub fn scenarios(registry: &Registry) -> impl Iterator<Item = &Arc<dyn Scenario>> {
    registry.iter().filter(|scenario| scenario.about().name != "ttl-lock")
}

/// The file of a scenario's trace, within the report's folder.
pub fn trace_file(name: &str) -> String {
    format!("traces/{name}.json")
}

/// The index that people read.
pub fn index(findings: &[Finding]) -> String {
    let mut text = String::from(
        "# Catalogue of failures\n\n\
         Written by `doublehold report`; do not edit. Each counterexample is minimal and replays with\n\
         `doublehold replay reports/traces/NAME.json`. *Holds* means: everything within the limits of its line was seen.\n\n\
         | scenario | row | verdict | steps | what was covered |\n|---|---|---|---|---|\n",
    );
    for finding in findings {
        let About { name, row, .. } = &finding.about;
        let (name, steps) = match &finding.trace {
            Some(trace) => (format!("[{name}]({})", trace_file(name)), trace.schedule.len().to_string()),
            None => (name.clone(), "–".to_owned()),
        };
        let covered = super::coverage(&finding.parameters, &finding.report.progress);
        let row = row.unwrap_or("–");
        let _ = writeln!(text, "| {name} | {row} | {} | {steps} | {covered} |", finding.report.verdict.name());
    }
    for finding in findings.iter().filter(|finding| finding.about.row.is_some()) {
        describe(&mut text, finding);
    }
    text
}

fn describe(text: &mut String, finding: &Finding) {
    let About { name, row, summary, source, fix, .. } = &finding.about;
    let _ = write!(text, "\n## {} {name}\n\n{summary}. Source: {source}.\n\n", row.unwrap_or_default());
    if let Some(fix) = fix {
        let _ = write!(text, "Fix: {fix}.\n\n");
    }
    match &finding.trace {
        Some(trace) => {
            let _ = write!(text, "```text\n{}```\n", timeline(trace));
        }
        None => {
            let covered = super::coverage(&finding.parameters, &finding.report.progress);
            let _ = writeln!(text, "{}: {covered}.", sentence(&finding.report.verdict));
        }
    }
}
