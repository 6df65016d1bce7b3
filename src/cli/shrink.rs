//! `doublehold shrink`.

use super::args::ShrinkOptions;
use super::error::CliError;
use super::output::{Meter, save};
use crate::property::CONVERGENCE;
use crate::report::{counterexample_of, trace_of};
use crate::scenario::Registry;
use crate::shrink::shrink;
use crate::trace::{Trace, TraceError, timeline};
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) fn run(options: &ShrinkOptions, registry: &Registry, stop: &AtomicBool) -> Result<u8, CliError> {
    let trace = Trace::read(&options.trace)?;
    let Some(found) = counterexample_of(registry, &trace)? else {
        let why = match &trace.violation {
            Some(violation) if violation.property == CONVERGENCE => {
                "only the simulated world can say that a client has not ended: it cannot be shrunk"
            }
            _ => "it breaks nothing: there is nothing to shrink",
        };
        return Err(CliError::Usage(format!("{}: {why}", options.trace.display())));
    };
    let scenario = registry.find(&trace.scenario).ok_or_else(|| TraceError::UnknownScenario(trace.scenario.clone()))?;
    let before = found.schedule.len();
    let mut meter = Meter::new(None, false);
    let small = shrink(scenario.as_ref(), found, &mut |left| {
        meter.show(left as u64, || format!("{left} steps left"));
        !stop.load(Ordering::Relaxed)
    });
    meter.clear();
    if stop.load(Ordering::Relaxed) {
        complain!("interrupted; this is the smallest counterexample so far, perhaps not the smallest");
    }
    let trace = trace_of(scenario.as_ref(), &small);
    say!("{before} steps → {}\n\n{}", small.schedule.len(), timeline(&trace));
    let output = options.output.clone().unwrap_or_else(|| options.trace.with_extension("min.json"));
    save(&trace, &output, false)?;
    Ok(1)
}
