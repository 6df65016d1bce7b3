//! What a run of `doublehold real order` gave: judged, counted, printed.

use super::super::args::RealOrderOptions;
use super::lost::Lost;
use super::schedule::Kind;
use crate::flow::order::books::Books;
use crate::flow::order::oracle;
use crate::flow::order::told::{Answer, NotPlaced, Path, Told};
use crate::history::Entry;
use crate::property::Property;
use crate::world::memories::Violation;

/// What a run gave.
pub(super) struct Report {
    pub entries: Vec<Entry>,
    pub violations: Vec<(u64, Violation)>,
    pub books: Books,
    pub incidents: Vec<String>,
    /// What Redis lost, by power loss.
    pub lost: Vec<Lost>,
    /// What was never killed.
    pub never: Vec<Kind>,
    pub seconds: f64,
    pub interrupted: bool,
}

/// What customers were told, counted.
struct Counts {
    hot: usize,
    cold: usize,
    paid: usize,
    sold_out: usize,
    cancelled: usize,
    busy: usize,
    unknown: usize,
}

impl Report {
    pub(super) fn exit_code(&self) -> u8 {
        let counts = self.counts();
        match (self.violations.is_empty(), counts.hot + counts.cold > 0 && !self.interrupted) {
            (false, _) => 1,
            // Nothing was tried, or not all that was asked for: that is no pass.
            (true, false) => 3,
            (true, true) => 0,
        }
    }

    fn verdict(&self) -> &'static str {
        match self.exit_code() {
            0 => "holds in this history",
            1 => "VIOLATED",
            _ => "unknown",
        }
    }

    fn counts(&self) -> Counts {
        let answers = self.entries.iter().filter_map(|entry| entry.event.fact::<Told>());
        let answers: Vec<Answer> = answers.map(|told| told.answer).collect();
        let count = |wanted: &dyn Fn(&Answer) -> bool| answers.iter().filter(|answer| wanted(answer)).count();
        let not = |why: NotPlaced| count(&|answer| *answer == Answer::NotPlaced(why));
        Counts {
            hot: count(&|answer| *answer == Answer::Placed { from: Path::Hot }),
            cold: count(&|answer| *answer == Answer::Placed { from: Path::Cold }),
            paid: count(&|answer| *answer == Answer::Paid),
            sold_out: not(NotPlaced::SoldOut),
            cancelled: not(NotPlaced::Cancelled),
            busy: not(NotPlaced::Busy),
            unknown: not(NotPlaced::Unknown) + count(&|answer| *answer == Answer::PaymentUnknown),
        }
    }

    /// The deductions that Redis lost, and how many of them MySQL had confirmed.
    fn lost(&self) -> (usize, usize) {
        let lost = || self.lost.iter().flat_map(|lost| &lost.orders);
        let confirmed =
            |order: &&crate::port::Blob| self.books.orders.iter().any(|row| row.id == **order && row.log.is_some());
        (lost().count(), lost().filter(confirmed).count())
    }

    pub(super) fn print(&self, options: &RealOrderOptions) {
        if options.json {
            return say!("{}", self.json(options));
        }
        say!("order flow: {}", self.verdict());
        for incident in &self.incidents {
            say!("  {incident}");
        }
        for kind in &self.never {
            say!("  never happened: {kind}; a longer --time or a shorter --every makes room for it");
        }
        for (_, Violation { property, what }) in &self.violations {
            say!("  VIOLATED {property}: {what}");
        }
        let Counts { hot, cold, paid, sold_out, cancelled, busy, unknown } = self.counts();
        let customers = usize::from(options.processes) * usize::from(options.customers);
        say!(
            "  {customers} customers in {} processes, {:.1} s, seed {}",
            options.processes,
            self.seconds,
            options.seed
        );
        say!(
            "  told: {hot} placed from Redis, {cold} from MySQL, {paid} paid; not placed: {sold_out} sold out, {cancelled} cancelled, {busy} busy; {unknown} unknown, sent again"
        );
        let (status, unsent) = (|status: &str| self.with_status(status), self.books.unsent);
        say!(
            "  books: {} paid, {} cancelled, {} refused, {unsent} messages unsent",
            status("PAID"),
            status("CANCELLED"),
            status("REFUSED")
        );
        self.print_lost();
        say!("  judged: {}", oracle::all().iter().map(|property| property.name()).collect::<Vec<_>>().join(", "));
        say!("  history: {} entries in {}", self.entries.len(), options.history.display());
    }

    fn with_status(&self, status: &str) -> usize {
        self.books.orders.iter().filter(|order| order.status == status).count()
    }

    fn print_lost(&self) {
        let (lost, confirmed) = self.lost();
        if lost == 0 {
            return;
        }
        let oversold = self.violations.iter().any(|(_, violation)| violation.property == oracle::OrderOversell.name());
        let then = if oversold {
            "some of their pieces were sold again: no order had come to MySQL while Redis was away, and so its epoch was still the row's. `--fsync always` loses nothing"
        } else {
            "none of their pieces was sold again, as the stock was rebuilt from MySQL's log"
        };
        say!(
            "  lost (S4, everysec): Redis came back without {lost} deductions, of which MySQL had {confirmed}; {then}"
        );
    }

    fn json(&self, options: &RealOrderOptions) -> serde_json::Value {
        let Counts { hot, cold, paid, sold_out, cancelled, busy, unknown } = self.counts();
        let (lost, confirmed) = self.lost();
        serde_json::json!({
            "flow": "order", "verdict": self.verdict(), "violations": self.violations, "seed": options.seed,
            "incidents": self.incidents, "never_happened": self.never.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "placed": { "hot": hot, "cold": cold }, "paid": paid,
            "not_placed": { "sold_out": sold_out, "cancelled": cancelled, "busy": busy }, "unknown": unknown,
            "lost": { "deductions": lost, "confirmed": confirmed }, "entries": self.entries.len(),
        })
    }
}
