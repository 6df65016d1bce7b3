//! Segmentation: orders per second under one lock for all merchants, and under a lock each.

use super::{bar, simulate};
use crate::cli::error::CliError;
use crate::history::Event;
use crate::lock::segmented::Segments;
use crate::lock::zookeeper::Config;
use crate::scenario::merchants::Orders;
use std::fmt::Write;
use std::time::Duration;

/// The numbers of merchants.
pub(super) const MERCHANTS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
/// Clients that handle orders, whatever the number of merchants.
pub(super) const CLIENTS: usize = 64;
/// Long enough for everybody to wait for everybody.
const WAIT: Duration = Duration::from_secs(60);

/// The workload.
pub(super) fn orders(merchants: usize, segments: Segments, orders: usize) -> Orders {
    Orders {
        lock: Config::new(Duration::from_secs(20)),
        servers: 3,
        merchants,
        segments,
        orders,
        work: Duration::from_millis(5),
        wait: WAIT,
    }
}

pub(super) fn tables(text: &mut String) -> Result<(), CliError> {
    text.push_str("## Segmentation (article crm)\n\nOrders per second of virtual time: 64 clients, each with ten orders of one merchant that take 5 ms under the lock, on a ZooKeeper ensemble of three:\n\n");
    text.push_str("| merchants | one lock for all | a lock for each | times |\n|---|---|---|---|\n");
    let mut rows = Vec::new();
    for merchants in MERCHANTS {
        let one = per_second(orders(merchants, Segments::Hashed(1), 10))?;
        let each = per_second(orders(merchants, Segments::PerKey, 10))?;
        let _ = writeln!(text, "| {merchants} | {one:.0} | {each:.0} | {:.1} |", each / one);
        rows.push((merchants, each));
    }
    let most = rows.iter().map(|(_, each)| *each).fold(1.0, f64::max);
    text.push_str("\n```text\n");
    for (merchants, each) in rows {
        let _ = writeln!(text, "{merchants:>3} {} {each:.0}", bar(each, most));
    }
    text.push_str("```\n\nUnder one lock the number of merchants changes nothing; a lock for each lets them work side by side until every client has its own.\n\n");
    Ok(())
}

/// Orders per second, from the first that holds its lock to the last that has released it.
fn per_second(orders: Orders) -> Result<f64, CliError> {
    let run = simulate(orders, CLIENTS)?;
    let history = &run.recorder.history;
    let held = history.iter().filter(|entry| matches!(entry.event, Event::Acquired { .. }));
    let released = history.iter().filter(|entry| matches!(entry.event, Event::Releasing { .. }));
    let (count, first) = (held.clone().count(), held.map(|entry| entry.at_us).min().unwrap_or_default());
    let last = released.map(|entry| entry.at_us).max().unwrap_or_default();
    Ok(count as f64 / ((last - first).max(1) as f64 / 1e6))
}
