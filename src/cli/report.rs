//! `doublehold report`.

use super::args::ReportOptions;
use super::error::{CliError, INTERRUPTED};
use super::output::{complain, write_file};
use crate::explore::Limits;
use crate::report::catalogue::{examine, index, scenarios, trace_file};
use crate::scenario::Registry;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) fn run(options: &ReportOptions, registry: &Registry, stop: &AtomicBool) -> Result<u8, CliError> {
    let mut files = Vec::new();
    let mut findings = Vec::new();
    let mut missed = 0;
    for scenario in scenarios(registry) {
        let finding = examine(scenario.as_ref(), &Limits::default(), stop);
        if stop.load(Ordering::Relaxed) {
            return interrupted();
        }
        let mark = if finding.as_expected() { "as expected" } else { "NOT AS EXPECTED" };
        complain(format_args!("{}: {} ({mark})", finding.about.name, finding.report.verdict.name()));
        missed += usize::from(!finding.as_expected());
        if let Some(trace) = &finding.trace {
            let bytes = String::from_utf8(trace.to_bytes()).expect("JSON is text");
            files.push((options.output.join(trace_file(&finding.about.name)), bytes));
        }
        findings.push(finding);
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

/// Half a report would be taken for one.
fn interrupted() -> Result<u8, CliError> {
    complain!("interrupted: nothing is written");
    Ok(INTERRUPTED)
}
