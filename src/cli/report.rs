//! `doublehold report`.

use super::args::ReportOptions;
use super::error::{CliError, INTERRUPTED};
use super::output::{complain, write_file};
use crate::explore::Limits;
use crate::report::catalogue::{Finding, examine, index, scenarios, trace_file};
use crate::scenario::{Registry, Scenario};
use rayon::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) fn run(options: &ReportOptions, registry: &Registry, stop: &AtomicBool) -> Result<u8, CliError> {
    let all: Vec<&Arc<dyn Scenario>> = scenarios(registry).collect();
    let findings: Vec<Finding> = all.par_iter().with_max_len(1).map(|scenario| search(scenario, stop)).collect();
    if stop.load(Ordering::Relaxed) {
        return interrupted();
    }
    let missed = findings.iter().filter(|finding| !finding.as_expected()).count();
    let mut files = Vec::new();
    for finding in &findings {
        if let Some(trace) = &finding.trace {
            let bytes = String::from_utf8(trace.to_bytes()).expect("JSON is text");
            files.push((options.output.join(trace_file(&finding.about.name)), bytes));
        }
    }
    files.push((options.output.join("README.md"), index(&findings)));
    let coverage = crate::report::coverage::text(registry);
    let coverage = coverage.map_err(|problem| CliError::Environment(problem.to_string()))?;
    files.push((options.output.join("coverage.md"), coverage));
    files.extend(super::numbers::tables(registry)?.files(&options.output, "numbers.md"));
    if stop.load(Ordering::Relaxed) {
        return interrupted();
    }
    for (path, text) in &files {
        if !options.check {
            write_file(path, text)?;
        } else if std::fs::read_to_string(path).ok().as_ref() != Some(text) {
            return Err(CliError::Nondeterminism(format!("{} is not what this build writes", path.display())));
        }
    }
    Ok(u8::from(missed > 0))
}

/// Searches a scenario and says what came of it. The searches of a report share nothing, so they run side by side.
fn search(scenario: &Arc<dyn Scenario>, stop: &AtomicBool) -> Finding {
    let finding = examine(scenario.as_ref(), &Limits::default(), stop);
    if !stop.load(Ordering::Relaxed) {
        let mark = if finding.as_expected() { "as expected" } else { "NOT AS EXPECTED" };
        complain(format_args!("{}: {} ({mark})", finding.about.name, finding.report.verdict.name()));
    }
    finding
}

/// Half a report would be taken for one.
fn interrupted() -> Result<u8, CliError> {
    complain!("interrupted: nothing is written");
    Ok(INTERRUPTED)
}
