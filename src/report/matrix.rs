//! The table of the matrix: what each lock lets through under each fault.

use super::catalogue::{Finding, examine};
use super::count;
use crate::explore::{Limits, Verdict};
use crate::property::CONVERGENCE;
use crate::scenario::locks::Pair;
use crate::scenario::matrix::{COLUMNS, Column, Stock, cell, cell_name, rows};
use crate::scenario::{SIMULATED, Scenario, setup_for};
use crate::trace::Recorder;
use crate::world::simulated::run;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How much of a cell is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Distinct states; a cell with more is sampled instead.
    pub states: u64,
    /// Seeds of the simulated world, where not all states were seen.
    pub seeds: u64,
}

impl Default for Effort {
    fn default() -> Self {
        Effort { states: 60_000, seeds: 200 }
    }
}

/// What a cell shows.
pub struct Cell {
    /// The scenario's name.
    pub name: String,
    /// What was found.
    pub shows: Shows,
}

/// What was found.
pub enum Shows {
    /// Nothing sells too much: so many states are all there are.
    Holds(u64),
    /// Nothing was found in so many states and seeds.
    Nothing(u64, u64),
    /// More was sold than there was.
    Oversold(Box<Finding>),
    /// The simulated world found it, at this seed.
    OversoldAt(u64),
    /// It oversells without any fault: the others are not looked at.
    OversoldAnyway,
    /// The work was interrupted.
    Interrupted,
    /// There is nothing that this fault could hit.
    Impossible,
}

/// Looks at a cell.
pub fn look(scenario: &dyn Scenario, effort: Effort, stop: &AtomicBool) -> Cell {
    let name = scenario.about().name;
    let setup = scenario.setup(&scenario.defaults(), 1);
    if setup.budgets.iter().any(|(fault, count)| count > 0 && !setup.can_suffer(fault)) {
        return Cell { name, shows: Shows::Impossible };
    }
    let limits = Limits { states_max: Some(effort.states), ..Limits::default() };
    let finding = examine(scenario, &limits, stop);
    let states = finding.report.progress.states.unwrap_or_default();
    let shows = match &finding.report.verdict {
        Verdict::Holds => Shows::Holds(states),
        Verdict::Violated(_) => Shows::Oversold(Box::new(finding)),
        Verdict::Unknown { .. } => sample(scenario, states, effort.seeds, stop),
    };
    Cell { name, shows }
}

fn sample(scenario: &dyn Scenario, states: u64, seeds: u64, stop: &AtomicBool) -> Shows {
    let simulation = scenario.simulation();
    let parameters = scenario.defaults().simulated(&simulation);
    for seed in 0..seeds {
        if stop.load(Ordering::Relaxed) {
            return Shows::Interrupted;
        }
        let setup = Arc::new(setup_for(scenario, &parameters, seed, SIMULATED));
        let ran = run(&setup, &simulation, &[], Recorder::off());
        let violation = ran.ok().and_then(|ran| ran.violation);
        // That some request never ends is another question.
        if violation.is_some_and(|violation| violation.property != CONVERGENCE) {
            return Shows::OversoldAt(seed);
        }
    }
    Shows::Nothing(states, seeds)
}

/// The file of a cell's trace, within the report's folder.
pub fn trace_file(name: &str) -> String {
    format!("matrix/{name}.json")
}

impl Cell {
    /// The cell in the table; with `links` to the files of the traces.
    pub fn text(&self, links: bool) -> String {
        match &self.shows {
            Shows::Holds(states) => format!("holds ({})", count(*states, "state")),
            Shows::Nothing(states, seeds) => {
                format!("nothing in {} and {}", count(*states, "state"), count(*seeds, "seed"))
            }
            Shows::Oversold(finding) => {
                let steps = finding.trace.as_ref().map_or(0, |trace| trace.schedule.len());
                let steps = count(steps as u64, "step");
                let steps = if links { format!("[{steps}]({})", trace_file(&self.name)) } else { steps };
                format!("**oversells** ({steps})")
            }
            Shows::OversoldAt(seed) => format!("**oversells** (seed {seed})"),
            Shows::OversoldAnyway => "**oversells**".to_owned(),
            Shows::Interrupted => "interrupted".to_owned(),
            Shows::Impossible => "–".to_owned(),
        }
    }
}

/// The cells of a row in these columns, one after the other; the first is without a fault.
pub fn row(stock: Stock, row: &Pair, columns: &[Column], effort: Effort, stop: &AtomicBool) -> Vec<Cell> {
    let mut cells: Vec<Cell> = Vec::new();
    for column in columns.iter().copied() {
        let anyway = cells.first().is_some_and(|first| matches!(first.shows, Shows::Oversold(_)));
        let without = |shows| Cell { name: cell_name(stock, row, column), shows };
        cells.push(match cell(stock, row, column) {
            None => without(Shows::Impossible),
            Some(_) if anyway => without(Shows::OversoldAnyway),
            Some(cell) => look(&cell, effort, stop),
        });
    }
    cells
}

/// A row's line in the table.
pub fn line(row: &Pair, cells: &[Cell], links: bool) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| cell.text(links)).collect();
    format!("| {} | {} |", row.name(), cells.join(" | "))
}

/// The table's head.
pub fn head(stock: Stock) -> String {
    let names: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
    let rule = "---|".repeat(COLUMNS.len() + 1);
    format!("## The stock in {}\n\n| | {} |\n|{rule}\n", title(stock), names.join(" | "))
}

fn title(stock: Stock) -> &'static str {
    match stock {
        Stock::MySql => "MySQL",
        Stock::Redis => "Redis",
    }
}

/// What stands above the tables.
pub fn preface(effort: Effort) -> String {
    let mut text = String::from(
        "# Which lock oversells under which fault\n\nWritten by `doublehold matrix --output reports`; do not edit.\n\n",
    );
    let _ = write!(
        text,
        "The shop of article oversell has one piece, and two clients want it: check the stock, deduct, insert the order. Rows: what guards the \
         stock; with `+`, the lock first and a check at the write behind it. Columns: what goes wrong, once, at any moment. *Holds*: these are all states that \
         there are, with messages that take no time. *Nothing*: no oversell in the first {} states, nor in {} runs of the simulated world with four clients and \
         five requests each. *Oversells*: a minimal trace, which `doublehold replay` follows; or a seed, for \
         `doublehold sim`. What oversells without a fault is not tried with one.\n\n\
         The servers of a Redis lock keep nothing when they crash (their default keeps minutes-old snapshots); the stock's Redis and the database lose \
         nothing, but in the last column: there the database fails over to a replica that may lack what was answered, \
         which no lock can mend. In the three columns before it the lock's Redis is a primary with Sentinels, or a \
         Cluster, and the shop works for seven tenths of the TTL between its check and its write, since a failover \
         takes time: a node crashes while replicas fall behind, or a partition leaves a primary with clients.\n",
        effort.states, effort.seeds
    );
    text
}

/// The rows that a name selects: all if it is empty.
pub fn selected(stock: Stock, names: &[String]) -> Vec<Pair> {
    rows(stock).into_iter().filter(|row| names.is_empty() || names.iter().any(|name| *name == row.name())).collect()
}
