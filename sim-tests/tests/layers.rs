//! Layers: which part of the library may know which.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// From the bottom up. A file knows its own layer and those below.
const LAYERS: [&str; 14] = [
    "base", "port", "lock", "flow", "history", "property", "world", "judge", "explore", "scenario", "trace", "shrink",
    "report", "cli",
];

fn files_in(folder: &Path, into: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).expect("the sources are there").map(|entry| entry.expect("a file").path()).collect();
    entries.sort();
    for path in entries {
        match path.is_dir() {
            true => files_in(&path, into),
            false if path.extension().is_some_and(|ext| ext == "rs") => into.push(path),
            false => {}
        }
    }
}

/// The layers that a text names with `crate::`, in code that is no comment and no test.
fn named(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let paths = lines.flat_map(|line| line.split("crate::").skip(1).map(str::to_owned).collect::<Vec<_>>());
    let first = |path: String| path.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
    paths.map(first).collect()
}

/// The imports upwards of these files.
fn upwards(files: &BTreeMap<String, String>) -> Vec<String> {
    let layer = |name: &str| LAYERS.iter().position(|layer| *layer == name);
    let mut wrong = Vec::new();
    for (path, text) in files {
        let own = path.split(['/', '.']).next().unwrap_or_default();
        let Some(own_layer) = layer(own) else { continue };
        let above = named(text).into_iter().filter(|name| layer(name).is_some_and(|layer| layer > own_layer));
        wrong.extend(above.map(|name| format!("{path} knows {name}")));
    }
    wrong
}

#[test]
fn no_part_knows_what_is_above_it() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src");
    let mut paths = Vec::new();
    files_in(&source, &mut paths);
    let name = |path: &PathBuf| path.strip_prefix(&source).expect("it is below").to_string_lossy().into_owned();
    let text = |path: &PathBuf| fs::read_to_string(path).expect("sources are text");
    let files: BTreeMap<String, String> = paths.iter().map(|path| (name(path), text(path))).collect();
    assert!(files.len() > 100, "only {} files", files.len());
    let known: Vec<&str> = files.keys().filter_map(|path| path.split(['/', '.']).next()).collect();
    let strange = known.iter().find(|name| !LAYERS.contains(*name) && !["lib", "main"].contains(*name));
    assert_eq!(strange, None, "a part that has no layer");
    assert_eq!(upwards(&files), Vec::<String>::new());
}

#[test]
fn an_import_upwards_is_seen() {
    let file = |text: &str| BTreeMap::from([("port/host.rs".to_owned(), text.to_owned())]);
    assert_eq!(upwards(&file("use crate::world::System;")), ["port/host.rs knows world"]);
    assert_eq!(upwards(&file("use crate::base::Blob;\n/// See [`crate::cli`].")), Vec::<String>::new());
}
