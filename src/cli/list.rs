//! `doublehold list`.

use super::args::ListOptions;
use super::error::CliError;
use crate::scenario::{Expectation, Registry};

pub(super) fn run(options: &ListOptions, registry: &Registry) -> Result<u8, CliError> {
    let abouts: Vec<_> = registry.iter().map(|scenario| scenario.about()).collect();
    if options.json {
        say!("{}", serde_json::to_string_pretty(&abouts).expect("plain data"));
        return Ok(0);
    }
    let widest = abouts.iter().map(|about| about.name.len()).max().unwrap_or(0);
    for about in &abouts {
        let expects = match about.expects {
            Expectation::Holds => "holds".to_owned(),
            Expectation::Violated(property) => format!("breaks {property}"),
        };
        say!("{:<widest$}  {:<4} {:<22} {}", about.name, about.row.unwrap_or("–"), expects, about.summary);
        let indent = " ".repeat(widest + 2);
        say!("{indent}source: {}", about.source);
        if let Some(fix) = about.fix {
            say!("{indent}fix: {fix}");
        }
    }
    let long: Vec<String> = registry.long().map(|scenario| scenario.about().name).collect();
    say!("\nFound by their names only, as their searches take minutes: {}", long.join(", "));
    Ok(0)
}
