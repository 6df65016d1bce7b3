//! `doublehold real order`: the order flow on a real Redis, MariaDB and ZooKeeper. A schedule kills servers and
//! customers and starts them again; then the jobs do their work, and the books are audited.

mod fleet;
mod lost;
mod report;
mod schedule;
pub(super) mod worker;

use super::args::RealOrderOptions;
use super::error::CliError;
use super::output::write_file;
use crate::flow::order::books::Books;
use crate::flow::order::oracle;
use crate::history::{Entry, Fact};
use crate::judge::judge;
use crate::port::Unanswered;
use crate::scenario::Workload;
use crate::scenario::keeper::Keeper;
use crate::scenario::locks::lock;
use fleet::Fleet;
use report::Report;
use schedule::{Kind, Planned};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use worker::Work;

/// How long a worker may take to end after its time is over.
const GRACE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub(super) fn run(options: &RealOrderOptions, stop: &AtomicBool) -> Result<u8, CliError> {
    let kept_by = lock(&options.lock).expect("clap knows the names").keeper;
    if !matches!(kept_by, Keeper::NoServer | Keeper::Redis | Keeper::ZooKeeper | Keeper::MySql) {
        let why = format!("--lock {} is kept by servers that the order flow does not have", options.lock);
        return Err(CliError::Usage(format!("{why}: it has one Redis, MariaDB and ZooKeeper")));
    }
    let fleet = Fleet::start(options)?;
    let control = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let control = control.map_err(|problem| CliError::Environment(format!("cannot start tokio: {problem}")))?;
    let auditor = fleet.job(Work::Jobs, Duration::ZERO);
    let unprepared = |problem: Unanswered| CliError::Environment(format!("the shop cannot be opened: {problem}"));
    control.block_on(async { auditor.orders().prepare(auditor.ports(0, None)?).await.map_err(unprepared) })?;
    let mut course = Course { fleet, incidents: Vec::new(), happened: Vec::new(), lost: Vec::new() };
    let started = Instant::now();
    let mut entries = course.run(options, stop)?;
    let seconds = started.elapsed().as_secs_f64();
    entries.sort_by_key(|entry| entry.at_us);
    let audited = control.block_on(async {
        let audit = auditor.orders().audit(auditor.ports(0, None)?).await;
        audit.map_err(|problem| CliError::Environment(format!("the books cannot be audited: {problem}")))
    })?;
    write_file(&options.history, &serde_json::to_string_pretty(&entries).expect("plain data"))?;
    let books: Books = audited.as_ref().and_then(Fact::get).expect("the order flow has books");
    let violations = judge(&entries, &"order".into(), Vec::new(), audited.as_ref(), &oracle::all());
    let never = Kind::ALL.into_iter().filter(|kind| fits(*kind, kept_by) && !course.happened.contains(kind)).collect();
    let interrupted = stop.load(Ordering::SeqCst);
    let Course { incidents, lost, .. } = course;
    let report = Report { entries, violations, books, incidents, lost, never, seconds, interrupted };
    report.print(options);
    Ok(report.exit_code())
}

/// True if there is something of this kind to be killed.
fn fits(kind: Kind, kept_by: Keeper) -> bool {
    kind != Kind::ZooKeeper || kept_by == Keeper::ZooKeeper
}

/// A run: what happens to its servers and workers.
struct Course {
    fleet: Fleet,
    /// What happened, in words.
    incidents: Vec<String>,
    /// The kinds of it.
    happened: Vec<Kind>,
    /// What Redis lost, by power loss.
    lost: Vec<lost::Lost>,
}

impl Course {
    fn run(&mut self, options: &RealOrderOptions, stop: &AtomicBool) -> Result<Vec<Entry>, CliError> {
        let kept_by = lock(&options.lock).expect("clap knows the names").keeper;
        let mut plan = schedule::plan(options, |kind| fits(kind, kept_by)).into_iter().peekable();
        let started = Instant::now();
        self.fleet.start_workers(options.time)?;
        while started.elapsed() < options.time {
            std::thread::sleep(LOOK_EVERY);
            if stop.load(Ordering::SeqCst) {
                self.incidents.push("interrupted: the customers end after the order that they are at".to_owned());
                break;
            }
            self.fleet.check()?;
            if let Some(planned) = plan.next_if(|planned| planned.at <= started.elapsed()) {
                self.happen(&planned, started, options.time)?;
            }
        }
        let hung = self.fleet.end_workers(GRACE);
        if hung > 0 {
            self.incidents.push(format!("{hung} processes did not end in time and were killed"));
        }
        Ok(self.fleet.histories())
    }

    /// Kills something, and starts it again.
    fn happen(&mut self, planned: &Planned, started: Instant, time: Duration) -> Result<(), CliError> {
        let at = started.elapsed();
        let what = match planned.kind {
            Kind::PowerLoss => {
                let lost = self.fleet.lose_power()?;
                let what = format!("Redis lost power; {lost}");
                self.lost.push(lost);
                what
            }
            kind => format!("killed {}", self.fleet.kill(kind, planned.pick)?),
        };
        std::thread::sleep(planned.away);
        self.fleet.restart(planned.kind, planned.pick, time.saturating_sub(started.elapsed()))?;
        self.happened.push(planned.kind);
        let (from, to) = (at.as_secs_f64(), started.elapsed().as_secs_f64());
        self.incidents.push(format!("{from:5.1} s: {what}; back at {to:.1} s"));
        Ok(())
    }
}
