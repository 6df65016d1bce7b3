//! What a run of `doublehold real` gave: judged, counted, printed.

use super::super::args::RealOptions;
use super::super::guarded_by::GuardedBy;
use super::look::{Left, STOCK_AT_START};
use crate::flow::oracle;
use crate::flow::sale::{Audit, NotSold, Sale};
use crate::history::{Ended, Entry, Event, Fact};
use crate::judge::judge;
use crate::property::{self, Property};
use crate::scenario::locks::Timing;
use crate::world::memories::Violation;
use crate::world::real::monotonic_us;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What is told of clients that did not end by themselves.
pub(super) const HUNG: &str = "some clients did not end in time and were killed";
/// What is told of a run in which a fault that was asked for did not happen.
pub(super) const NO_FAULT: &str = "the fault did not happen: the clients ended before its moment came";
/// How many violations of one property are printed.
const SHOWN_MAX: usize = 3;

/// What the clients did, counted.
struct Counts {
    acquired: u64,
    refused: u64,
    /// Writes that were accepted, or requests of the shop that got what they wanted.
    accepted: i64,
    unknown: i64,
    latency: Histogram<u64>,
    hold: Histogram<u64>,
}

/// What the run gave.
pub(super) struct RealReport {
    pub entries: Vec<Entry>,
    violations: Vec<(u64, Violation)>,
    counts: Counts,
    /// How far the counter, or the stock, fell.
    fell: Option<i64>,
    seconds: f64,
    incidents: Vec<String>,
    died: bool,
    /// It saw less than was asked for: the user ended it, or a fault did not happen.
    pub cut_short: bool,
}

impl RealReport {
    pub(super) fn exit_code(&self) -> u8 {
        let tried = self.counts.acquired > 0 || self.counts.accepted > 0;
        match (self.violations.is_empty(), self.died, tried && !self.cut_short) {
            (false, ..) => 1,
            (true, true, _) => super::super::error::ENVIRONMENT,
            // Nothing was tried, or not all that was asked for: that is no pass.
            (true, false, false) => 3,
            (true, false, true) => 0,
        }
    }
}

/// What must hold in a history from real servers.
fn properties(options: &RealOptions) -> Vec<Arc<dyn Property>> {
    let slack = options.ttl + Duration::from_secs(2) * 5;
    vec![
        Arc::new(property::Belief),
        Arc::new(property::Effect),
        Arc::new(property::FencingOrder),
        Arc::new(property::QueueOrder),
        Arc::new(property::Leak),
        Arc::new(property::BoundedWait { slack_us: u64::try_from(slack.as_micros()).unwrap_or(u64::MAX) }),
        Arc::new(oracle::Oversell),
        Arc::new(oracle::Acknowledged),
        Arc::new(oracle::Undersell),
        Arc::new(oracle::LostUpdate),
        Arc::new(oracle::Duplicates),
        Arc::new(oracle::Progress),
    ]
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("fixed bounds are valid")
}

fn count(entries: &[Entry]) -> Counts {
    let mut counts =
        Counts { acquired: 0, refused: 0, accepted: 0, unknown: 0, latency: histogram(), hold: histogram() };
    let mut since: BTreeMap<usize, u64> = BTreeMap::new();
    for Entry { at_us, client, event } in entries {
        let mut note = |histogram: &mut Histogram<u64>| {
            let started = since.insert(*client, *at_us).unwrap_or(*at_us);
            histogram.saturating_record((at_us - started).max(1));
        };
        match event {
            Event::Acquiring { .. } => drop(since.insert(*client, *at_us)),
            Event::Acquired { .. } => {
                counts.acquired += 1;
                note(&mut counts.latency);
            }
            Event::NotAcquired { .. } => counts.refused += 1,
            Event::Releasing { .. } => note(&mut counts.hold),
            Event::Wrote { outcome: Ended::Ok, .. } => counts.accepted += 1,
            Event::Wrote { outcome: Ended::Indeterminate, .. } => counts.unknown += 1,
            Event::Told(fact) => match fact.get() {
                Some(Sale::Sold { .. }) => counts.accepted += 1,
                Some(Sale::NotSold { why: NotSold::Unknown, .. }) => counts.unknown += 1,
                _ => {}
            },
            _ => {}
        }
    }
    counts
}

pub(super) fn summarize(
    options: &RealOptions,
    chosen: &GuardedBy,
    entries: Vec<Entry>,
    left: Left,
    audit: Option<Fact>,
    seconds: f64,
    incidents: Vec<String>,
) -> RealReport {
    let died = incidents.iter().any(|incident| incident.contains("ended by itself"));
    // A server that was away may have missed its releases: a key that stays until its TTL is what the algorithm allows.
    let holders = if incidents.is_empty() { left.holders } else { Vec::new() };
    let place = chosen.pair.kind(&Timing::real(options.ttl)).place();
    let mut violations = judge(&entries, &place.into(), holders, audit.as_ref(), &properties(options));
    if incidents.iter().any(|incident| incident == HUNG) {
        // What their last requests were told nobody has heard.
        violations.retain(|(_, violation)| violation.property != oracle::Acknowledged.name());
    }
    let counts = count(&entries);
    let stock = audit.as_ref().and_then(|audit| audit.get::<Audit>()?.stock).map(|(_, left)| left);
    let fell = stock.or(left.stock.filter(|_| audit.is_none())).map(|stock| STOCK_AT_START - stock);
    let Counts { accepted, unknown, .. } = counts;
    if let Some(fell) = fell.filter(|fell| audit.is_none() && !(accepted..=accepted + unknown).contains(fell)) {
        let what = format!("{accepted} writes were accepted ({unknown} unknown), but the counter fell by {fell}");
        violations.push((monotonic_us(), Violation { property: "effect".to_owned(), what }));
    }
    let cut_short = incidents.iter().any(|incident| incident == NO_FAULT);
    RealReport { entries, violations, counts, fell, seconds, incidents, died, cut_short }
}

pub(super) fn print(report: &RealReport, chosen: &GuardedBy, options: &RealOptions) {
    let quantiles = |histogram: &Histogram<u64>| {
        [0.5, 0.9, 0.99, 1.0].map(|quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0)
    };
    let Counts { acquired, refused, accepted, unknown, latency, hold } = &report.counts;
    let (latency, hold) = (quantiles(latency), quantiles(hold));
    let clients = usize::from(options.processes) * usize::from(options.clients);
    let rate = |count: f64| count / report.seconds;
    let verdict = match report.exit_code() {
        0 => "holds in this history",
        1 => "VIOLATED",
        _ => "unknown",
    };
    let locked = *acquired > 0 || *refused > 0;
    let per_second = if locked { *acquired as f64 } else { *accepted as f64 };
    if options.json {
        let line = serde_json::json!({
            "lock": chosen.pair.name(), "verdict": verdict, "violations": report.violations, "clients": clients,
            "processes": options.processes, "acquired": acquired, "not_acquired": refused, "per_second": rate(per_second),
            "acquire_ms": locked.then_some(latency), "hold_ms": locked.then_some(hold), "incidents": report.incidents, "entries": report.entries.len(),
            "writes": { "accepted": accepted, "unknown": unknown }, "fell": report.fell,
        });
        say!("{line}");
        return;
    }
    say!("{}: {verdict}", chosen.pair.name());
    for incident in &report.incidents {
        say!("  {incident}");
    }
    print_violations(&report.violations);
    let processes = options.processes;
    say!("  {clients} clients in {processes} processes, {:.1} s", report.seconds);
    if locked {
        say!("  lock: {acquired} acquired ({:.0}/s), {refused} not", rate(*acquired as f64));
        let line = |name: &str, [p50, p90, p99, max]: [f64; 4]| {
            say!("  {name} ms: p50 {p50:.2}, p90 {p90:.2}, p99 {p99:.2}, max {max:.2}");
        };
        line("acquire", latency);
        line("hold   ", hold);
    }
    say!("  history: {} entries in {}", report.entries.len(), options.history.display());
    if options.hold.is_some() {
        return;
    }
    let fell = report.fell.map_or("could not be read".to_owned(), |fell| format!("fell by {fell}"));
    let (what, done) = if chosen.sells { ("stock", "sold") } else { ("counter", "writes accepted") };
    say!("  {what}: {fell}, {accepted} {done} ({:.0}/s), {unknown} unknown", rate(*accepted as f64));
}

/// The first violations of each property.
fn print_violations(violations: &[(u64, Violation)]) {
    let mut shown: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, Violation { property, what }) in violations {
        let count = shown.entry(property).or_default();
        *count += 1;
        if *count <= SHOWN_MAX {
            say!("  VIOLATED {property}: {what}");
        }
    }
    for (property, count) in shown.iter().filter(|(_, count)| **count > SHOWN_MAX) {
        say!("  … and {property} {} times more", count - SHOWN_MAX);
    }
}
