//! `doublehold replay`.

use super::args::ReplayOptions;
use super::error::CliError;
use crate::scenario::Registry;
use crate::trace::{Trace, timeline};

pub(super) fn run(options: &ReplayOptions, registry: &Registry) -> Result<u8, CliError> {
    let trace = Trace::read(&options.trace)?;
    // Until the replay agrees, what the file says is a claim.
    crate::report::replay(registry, &trace)?;
    if !options.quiet {
        say!("{} in the {} world, seed {}\n", trace.scenario, trace.world, trace.seed);
        say!("{}", timeline(&trace));
    }
    say!("replayed {} steps: every line is the same", trace.schedule.len());
    Ok(u8::from(trace.violation.is_some()))
}
