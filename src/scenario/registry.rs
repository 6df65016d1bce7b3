//! Registry: scenarios by name.

use super::Scenario;
use std::sync::Arc;

/// What the names of the matrix's cells begin with.
const CELL: &str = "matrix-";

/// The scenarios that a command knows.
#[derive(Clone, Default)]
pub struct Registry {
    scenarios: Vec<Arc<dyn Scenario>>,
    /// Found by their names, but no part of the catalogue: the cells of the matrix, and what takes minutes to search.
    apart: Vec<Arc<dyn Scenario>>,
}

impl Registry {
    /// Those of doublehold.
    pub fn standard() -> Self {
        let apart = super::matrix::cells().chain(super::catalogue::long());
        let apart = apart.map(|scenario| Arc::new(scenario) as Arc<dyn Scenario>).collect();
        Registry { scenarios: super::catalogue::all(), apart }
    }

    /// Adds a scenario.
    pub fn add(&mut self, scenario: Arc<dyn Scenario>) {
        self.scenarios.push(scenario);
    }

    /// All of them, in the order of the catalogue.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Scenario>> {
        self.scenarios.iter()
    }

    /// Those that no pattern selects, as their searches take minutes.
    pub fn long(&self) -> impl Iterator<Item = &Arc<dyn Scenario>> {
        self.apart.iter().filter(|scenario| !scenario.about().name.starts_with(CELL))
    }

    /// The scenario with this name.
    pub fn find(&self, name: &str) -> Option<&Arc<dyn Scenario>> {
        self.iter().chain(&self.apart).find(|scenario| scenario.about().name == name)
    }

    /// The scenarios whose names match a pattern with `*` in it, or the one with exactly this name.
    pub fn select(&self, pattern: &str) -> Vec<&Arc<dyn Scenario>> {
        let named = pattern.starts_with(CELL) || !pattern.contains('*');
        let all = self.iter().chain(if named { &self.apart[..] } else { &[] });
        all.filter(|scenario| matches(pattern.as_bytes(), scenario.about().name.as_bytes())).collect()
    }

    /// The name most like this one, if any is.
    pub fn nearest(&self, name: &str) -> Option<String> {
        let names = self.iter().chain(&self.apart).map(|scenario| scenario.about().name);
        let scored = names.map(|candidate| (strsim::jaro_winkler(name, &candidate), candidate));
        let best = scored.max_by(|(left, _), (right, _)| left.total_cmp(right))?;
        (best.0 > 0.75).then_some(best.1)
    }
}

fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match pattern {
        [] => name.is_empty(),
        [b'*', rest @ ..] => (0..=name.len()).any(|skip| matches(rest, &name[skip..])),
        [byte, rest @ ..] => name.first() == Some(byte) && matches(rest, &name[1..]),
    }
}
