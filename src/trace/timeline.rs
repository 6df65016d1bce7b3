//! Timeline: a trace as a person reads it.

use super::{Trace, TraceEvent};
use std::fmt::Write;

const WALL_START_US: i64 = 1_700_000_000_000_000;

/// Who does what, when by true time and by the own clock, who believes to hold the lock, and where it breaks.
pub fn timeline(trace: &Trace) -> String {
    let mut text = String::new();
    let widest = trace.events.iter().map(|event| event.who.chars().count()).max().unwrap_or(8).max(8);
    let _ = writeln!(text, "{:>12}  {:<widest$}  {:>12}  {:<9}  what", "true time", "who", "own clock", "holders");
    for event in &trace.events {
        let holders = holders(event);
        let mark = if event.holders.len() > 1 { " ⚡" } else { "" };
        let own = event.own_us.map_or(String::new(), |own_us| {
            // A node shows its wall clock: what matters is how far it is from the start.
            ms(if own_us >= WALL_START_US / 2 { own_us - WALL_START_US } else { own_us })
        });
        let at = ms(event.at_us as i64);
        let _ = writeln!(text, "{at:>12}  {:<widest$}  {own:>12}  {holders:<9}  {}{mark}", event.who, event.what);
    }
    match &trace.violation {
        Some(violation) => {
            let _ = writeln!(text, "\nVIOLATED {}: {}", violation.property, violation.what);
        }
        None => text.push_str("\nno violation\n"),
    }
    text
}

fn holders(event: &TraceEvent) -> String {
    let names: Vec<String> = event.holders.iter().map(|client| format!("c{client}")).collect();
    if names.is_empty() { "–".to_owned() } else { names.join("+") }
}

fn ms(us: i64) -> String {
    let sign = if us < 0 { "-" } else { "" };
    format!("{sign}{}.{:03} ms", us.unsigned_abs() / 1000, us.unsigned_abs() % 1000)
}
