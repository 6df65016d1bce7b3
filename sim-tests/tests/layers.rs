//! Layers: which part of the library may know which.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// From the bottom up. A file knows its own layer and those below.
const LAYERS: [&str; 14] = [
    "base", "port", "lock", "history", "property", "flow", "world", "judge", "explore", "scenario", "trace", "shrink",
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
    let files = texts_below("../src");
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

/// A module's path, without the crate.
type ModPath = Vec<String>;

/// The imports among the files of one crate, by their paths below its `src`.
struct Imports {
    modules: BTreeMap<ModPath, String>,
    /// What each file hands on (`pub use`): the name, and the path behind it.
    handed_on: BTreeMap<String, BTreeMap<String, ModPath>>,
    imported: BTreeMap<String, Vec<ModPath>>,
}

fn words(path: &str) -> ModPath {
    path.split("::").map(|word| word.trim().to_owned()).collect()
}

/// The module that a file is.
fn module_of(file: &str) -> ModPath {
    let stem = file.trim_end_matches(".rs");
    let parts = stem.split('/').filter(|part| !["mod", "lib"].contains(part));
    parts.map(str::to_owned).collect()
}

/// The paths of a `use`, with its braces resolved.
fn paths_in(tree: &str) -> Vec<String> {
    let Some((before, rest)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default().trim();
        return if path.is_empty() { Vec::new() } else { vec![path.to_owned()] };
    };
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    let (mut parts, mut depth, mut part) = (Vec::new(), 0, String::new());
    for letter in inner.chars() {
        depth += i32::from(letter == '{') - i32::from(letter == '}');
        if letter == ',' && depth == 0 {
            parts.push(std::mem::take(&mut part));
        } else {
            part.push(letter);
        }
    }
    parts.push(part);
    parts.iter().flat_map(|part| paths_in(part)).map(|path| format!("{}{path}", before.trim())).collect()
}

/// Each `use` of a text outside of comments and tests: whether it hands on what it names, and its tree.
fn uses_in(text: &str) -> Vec<(bool, String)> {
    let code = text.split("#[cfg(test)]\nmod").next().unwrap_or_default();
    let lines: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let mut uses = Vec::new();
    for statement in lines.join("\n").split(';') {
        let from = statement.rfind("\nuse ").or_else(|| statement.starts_with("use ").then_some(0));
        let handed =
            ["\npub use ", "\npub(crate) use ", "\npub(super) use "].iter().find_map(|word| statement.rfind(word));
        if let Some(at) = handed {
            let tree = statement[at..].split_once("use ").map(|(_, tree)| tree);
            uses.extend(tree.map(|tree| (true, tree.to_owned())));
        } else if let Some(at) = from {
            let tree = statement[at..].trim_start().trim_start_matches("use ");
            uses.push((false, tree.to_owned()));
        }
    }
    uses
}

impl Imports {
    fn of(files: &BTreeMap<String, String>) -> Imports {
        let modules = files.keys().map(|file| (module_of(file), file.clone())).collect();
        let mut imports = Imports { modules, handed_on: BTreeMap::new(), imported: BTreeMap::new() };
        for (file, text) in files {
            for (hands_on, tree) in uses_in(text) {
                for path in paths_in(&tree) {
                    let Some(path) = imports.absolute(file, words(&path)) else { continue };
                    let name = path.last().cloned().unwrap_or_default();
                    match hands_on {
                        true => drop(imports.handed_on.entry(file.clone()).or_default().insert(name, path)),
                        false => imports.imported.entry(file.clone()).or_default().push(path),
                    }
                }
            }
        }
        imports
    }

    /// A path from the crate's root; `None` if it leads out of the crate.
    fn absolute(&self, file: &str, path: ModPath) -> Option<ModPath> {
        let mut base = module_of(file);
        let up = path.iter().take_while(|word| *word == "super").count();
        let rest = || path[up.max(1)..].to_vec();
        match path.first()?.as_str() {
            "crate" => Some(rest()),
            "self" => Some([base, rest()].concat()),
            "super" => {
                base.truncate(base.len().saturating_sub(up));
                Some([base, rest()].concat())
            }
            first => {
                let inner = [base.clone(), vec![first.to_owned()]].concat();
                self.modules.contains_key(&inner).then(|| [base, path].concat())
            }
        }
    }

    /// The file in which what a path names is defined.
    fn file_of(&self, path: &[String]) -> Option<&String> {
        let known = (0..=path.len()).rev().find(|length| self.modules.contains_key(&path[..*length]))?;
        let file = &self.modules[&path[..known]];
        let behind = path.get(known).and_then(|name| self.handed_on.get(file)?.get(name));
        match behind {
            Some(target) if target != path => self.file_of(&[&target[..], &path[known + 1..]].concat()),
            _ => Some(file),
        }
    }

    /// The files that import each other in a circle, each with one of the files through which it comes back to itself.
    fn circles(&self) -> Vec<String> {
        let next = |file: &String| {
            let paths = self.imported.get(file).into_iter().flatten();
            let files = paths.filter_map(|path| self.file_of(path)).filter(|target| *target != file);
            files.cloned().collect::<Vec<String>>()
        };
        let reach = |from: &String| {
            let (mut seen, mut work) = (Vec::new(), next(from));
            while let Some(file) = work.pop() {
                if !seen.contains(&file) {
                    work.extend(next(&file));
                    seen.push(file);
                }
            }
            seen
        };
        let back = |file: &String| next(file).into_iter().find(|target| target == file || reach(target).contains(file));
        let circles = self.modules.values().filter_map(|file| Some(format!("{file} → {} → … → {file}", back(file)?)));
        circles.collect()
    }
}

/// The files below a folder, by their paths in it.
fn texts_below(folder: &str) -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths = Vec::new();
    files_in(&folder, &mut paths);
    let name = |path: &PathBuf| path.strip_prefix(&folder).expect("it is below").to_string_lossy().into_owned();
    let text = |path: &PathBuf| fs::read_to_string(path).expect("sources are text");
    paths.iter().map(|path| (name(path), text(path))).collect()
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    for (folder, imports_min) in [("../src", 750), ("../models/src", 180), ("src", 20)] {
        let imports = Imports::of(&texts_below(folder));
        let arrows: usize = imports.imported.values().map(Vec::len).sum();
        assert!(arrows > imports_min, "{folder}: only {arrows} imports seen");
        assert_eq!(imports.circles(), Vec::<String>::new(), "{folder}");
    }
}

#[test]
fn a_circle_is_seen_through_what_a_module_hands_on() {
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let circle = BTreeMap::from([
        file("lib.rs", "mod one;\nmod two;\n"),
        file("one.rs", "//! One.\n\nuse crate::two::{Two, deep::{\n    Deep,\n}};\n"),
        file("two/mod.rs", "pub mod deep;\n\npub use deep::Deep as Two;\n"),
        file("two/deep.rs", "use std::fmt;\nuse super::super::one;\n"),
    ]);
    assert_eq!(Imports::of(&circle).circles().len(), 2);
    let chain = [file("two/deep.rs", "use std::fmt;\n")].into_iter();
    let chain: BTreeMap<String, String> = circle.into_iter().chain(chain).collect();
    assert_eq!(Imports::of(&chain).circles(), Vec::<String>::new());
}
