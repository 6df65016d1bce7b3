//! `doublehold matrix`.

use super::args::MatrixOptions;
use super::error::CliError;
use super::output::{Meter, write_file};
use crate::report::matrix::{Cell, Effort, Shows, head, line, preface, row, selected, trace_file};
use crate::scenario::locks::Pair;
use crate::scenario::matrix::{COLUMNS, Stock, rows};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) fn run(options: &MatrixOptions, stop: &AtomicBool) -> Result<u8, CliError> {
    check_names(options)?;
    if options.output.is_some() {
        // What cannot be written in the end is told before the work, not after.
        let folder = options.folder();
        let failed = |source| CliError::Write { path: folder.display().to_string(), source };
        std::fs::create_dir_all(&folder).map_err(failed)?;
    }
    let effort = Effort { states: options.states, seeds: options.seeds };
    let whole: usize = Stock::ALL.iter().map(|stock| selected(*stock, &options.locks).len()).sum();
    let meter = &mut Meter::new(Some(whole as u64), false);
    let mut text = preface(effort);
    let mut files: Vec<(PathBuf, String)> = Vec::new();
    let mut done = 0;
    for stock in Stock::ALL {
        let mut table = String::new();
        for one in selected(stock, &options.locks) {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let name = format!("{} in front of {}", one.name(), stock.name());
            meter.show(done, || name);
            let cells = row(stock, &one, &COLUMNS, effort, stop);
            files.extend(cells.iter().filter_map(trace_of).map(|(file, text)| (options.folder().join(file), text)));
            table += &line(&one, &cells, options.output.is_some());
            table.push('\n');
            done += 1;
        }
        if !table.is_empty() {
            text += &format!("\n{}{table}", head(stock));
        }
    }
    meter.clear();
    if stop.load(Ordering::Relaxed) {
        say!("{text}");
        say!("interrupted: the tables are not whole, and nothing is written");
        return Ok(3);
    }
    if options.output.is_none() {
        say!("{text}");
        return Ok(0);
    }
    files.push((options.folder().join("matrix.md"), text));
    files.iter().try_for_each(|(path, text)| write_file(path, text))?;
    say!("{} files in {}", files.len(), options.folder().display());
    Ok(0)
}

/// A lock that is no row is a mistake of the user's.
fn check_names(options: &MatrixOptions) -> Result<(), CliError> {
    let known: Vec<String> = rows(Stock::MySql).iter().map(Pair::name).collect();
    match options.locks.iter().find(|name| !known.contains(name)) {
        Some(unknown) => {
            Err(CliError::Usage(format!("there is no lock '{unknown}' in the matrix: {}", known.join(", "))))
        }
        None => Ok(()),
    }
}

fn trace_of(cell: &Cell) -> Option<(String, String)> {
    let Shows::Oversold(finding) = &cell.shows else { return None };
    let bytes = finding.trace.as_ref()?.to_bytes();
    Some((trace_file(&cell.name), String::from_utf8(bytes).expect("JSON is text")))
}
