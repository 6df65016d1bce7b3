//! Patience: how many clients wait, and what they hold, when a holder dies and they wait long or briefly.

use super::{bar, simulate};
use crate::cli::error::CliError;
use crate::history::{Entry, Event};
use crate::lock::zookeeper::Config;
use crate::scenario::merchants::DeadHolder;
use std::fmt::Write;
use std::time::Duration;

/// The acquisition time-outs of the article.
pub(super) const WAITS: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(6)];
/// The dead holder's session: the longest that ZooKeeper's default tick allows.
const SESSION: Duration = Duration::from_secs(40);
/// Clients that come, one every fifth of a second.
const CLIENTS: usize = 250;
const EVERY: Duration = Duration::from_millis(200);
/// The plot's moments are this far apart.
const PLOT_STEP_US: u64 = 4_000_000;

pub(super) fn tables(text: &mut String) -> Result<(), CliError> {
    text.push_str("## Acquisition time-out (article crm)\n\nA holder dies; its session lasts 40 s. Five clients a second come for the lock. Each that waits holds a thread or task, a session, a node and a watch:\n\n");
    text.push_str("| time-out | most waiting at once | waited in all, client-seconds | gave up |\n|---|---|---|---|\n");
    let mut plots = Vec::new();
    for wait in WAITS {
        let lock = Config::new(SESSION);
        let run = simulate(DeadHolder { lock, servers: 3, every: EVERY, wait }, CLIENTS)?;
        let history = &run.recorder.history;
        let steps = waiting(history);
        let most = steps.iter().map(|(_, count)| *count).max().unwrap_or_default();
        let pairs = steps.windows(2).map(|pair| (pair[1].0 - pair[0].0) as f64 / 1e6 * pair[0].1 as f64);
        let gave_up = history.iter().filter(|entry| matches!(entry.event, Event::NotAcquired { .. })).count();
        let _ = writeln!(text, "| {} s | {most} | {:.0} | {gave_up} |", wait.as_secs(), pairs.sum::<f64>());
        plots.push((wait, steps, most));
    }
    let most = plots.iter().map(|(_, _, most)| *most).max().unwrap_or(1) as f64;
    text.push_str("\nClients that wait, every four seconds:\n\n```text\n");
    for (wait, steps, _) in plots {
        let _ = writeln!(text, "time-out {} s", wait.as_secs());
        for at_us in (0..=48_000_000).step_by(PLOT_STEP_US as usize) {
            let count = steps.iter().take_while(|(moment, _)| *moment <= at_us).last().map_or(0, |(_, count)| *count);
            let _ = writeln!(text, "{:>4} s {} {count}", at_us / 1_000_000, bar(count as f64, most));
        }
    }
    text.push_str("```\n\nWith the short time-out as many wait as come within it; with the long one everybody who came since the holder died.\n");
    Ok(())
}

/// How many clients wait, from each moment at which that changes.
fn waiting(history: &[Entry]) -> Vec<(u64, usize)> {
    let mut count = 0;
    let mut steps = Vec::new();
    for Entry { at_us, event, .. } in history {
        match event {
            Event::Acquiring { .. } => count += 1,
            Event::Acquired { .. } | Event::NotAcquired { .. } => count -= 1,
            _ => continue,
        }
        steps.push((*at_us, count));
    }
    steps
}
