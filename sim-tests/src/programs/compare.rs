//! Which searches must agree about a program.

use super::ast::{Program, Time};
use super::host::{Judged, Outcomes, Reduce, World};
use super::search::{Budget, Defect, Found, How, Stops, outcomes, verdict};
use std::collections::BTreeSet;

/// Two searches, or two programs, that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pair {
    /// Without visited states, and with them: the same outcomes.
    Blind,
    /// With the partial-order reduction, and without: the same outcomes.
    PartialOrder,
    /// With symmetry, and without: the same outcomes but for who is who.
    Symmetry,
    /// With all reductions, and without: the same outcomes but for who is who.
    AllReductions,
    /// What random schedules find is found.
    Random,
    /// What uniform walks find is found.
    Walks,
    /// What walks find in which time stops at any moment is found.
    FreeTime,
    /// With a fault less nothing comes in addition.
    FewerFaults,
    /// With a smaller Δ nothing comes in addition.
    SmallerDelay,
    /// With a smaller π nothing comes in addition.
    SmallerPause,
    /// With a smaller ρ or ε nothing comes in addition.
    BetterClocks,
    /// Every reduction says the same about the property.
    Verdicts,
    /// What is violated without visited states is violated with them, and the other way round.
    BlindVerdict,
    /// What is violated at random is violated.
    RandomVerdict,
    /// An exhaustive search with a mistake finds the same outcomes: that it does not shows that it would be caught.
    Wrong(Defect),
}

impl Pair {
    /// Those that must agree.
    pub const ALL: [Pair; 14] = [
        Pair::Blind,
        Pair::PartialOrder,
        Pair::Symmetry,
        Pair::AllReductions,
        Pair::Random,
        Pair::Walks,
        Pair::FreeTime,
        Pair::FewerFaults,
        Pair::SmallerDelay,
        Pair::SmallerPause,
        Pair::BetterClocks,
        Pair::Verdicts,
        Pair::BlindVerdict,
        Pair::RandomVerdict,
    ];
}

/// What a comparison shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compared {
    /// They agree.
    Agree,
    /// There is nothing to compare.
    Beside,
    /// A search went beyond its budget.
    Skipped,
    /// They do not; this is the difference, in words.
    Disagree(String),
}

/// A program, with what its unreduced search finds.
pub struct Subject<'a> {
    program: &'a Program,
    world: World,
    full: Found,
    seed: u64,
    budget: Budget,
}

impl<'a> Subject<'a> {
    /// Searches the program without any reduction. `seed` is that of its random schedules.
    pub fn new(program: &'a Program, seed: u64, budget: Budget) -> Self {
        let world = World::of(program);
        let full = outcomes(&world, How::Exhaustive(Reduce::Nothing), budget);
        Subject { program, world, full, seed, budget }
    }

    /// The number of states, if the search came to its end.
    pub fn states(&self) -> Option<u64> {
        self.full.complete.then_some(self.full.work)
    }

    /// True if the program breaks its property, as the unreduced search says.
    pub fn is_violated(&self) -> bool {
        matches!(self.judge(How::Exhaustive(Reduce::Nothing)), Judged::Violated(_))
    }

    /// Compares.
    pub fn compare(&self, pair: Pair) -> Compared {
        if !self.full.complete {
            return Compared::Skipped;
        }
        let find = |how| outcomes(&self.world, how, self.budget);
        let alike = self.program.is_alike() && self.program.clients > 1;
        match pair {
            // A blind search does not learn moments.
            Pair::Blind if self.full.moments > 0 => {
                let blind = find(How::Blind);
                if blind.complete { self.found(&blind.outcomes) } else { Compared::Skipped }
            }
            Pair::Blind => self.same(&find(How::Blind)),
            Pair::PartialOrder => self.same(&find(How::Exhaustive(Reduce::PartialOrder))),
            Pair::Symmetry if !alike => Compared::Beside,
            Pair::Symmetry => self.same_but_for_names(&find(How::Exhaustive(Reduce::Symmetry))),
            Pair::AllReductions => self.same_but_for_names(&find(How::Exhaustive(Reduce::All))),
            Pair::Random => self.found(&find(How::Random(self.seed)).outcomes),
            Pair::Walks => self.found(&find(How::Walk(self.seed, Stops::Offered)).outcomes),
            Pair::FreeTime | Pair::SmallerDelay | Pair::SmallerPause if self.full.escaped => Compared::Beside,
            Pair::FreeTime => self.found(&find(How::Walk(self.seed, Stops::Free)).outcomes),
            Pair::FewerFaults | Pair::SmallerDelay | Pair::SmallerPause | Pair::BetterClocks => self.monotone(pair),
            Pair::Verdicts => self.verdicts(),
            Pair::BlindVerdict => match (self.judge(How::Blind), self.judge(How::Exhaustive(Reduce::Nothing))) {
                (Judged::Unknown(_), _) | (_, Judged::Unknown(_)) => Compared::Skipped,
                (blind, full) if self.full.moments == 0 => said(&[("blind", blind), ("full", full)]),
                (blind @ Judged::Violated(_), full) => said(&[("blind", blind), ("full", full)]),
                _ => Compared::Agree,
            },
            Pair::RandomVerdict => match (self.judge(How::Random(self.seed)), self.judge(How::Exhaustive(Reduce::All)))
            {
                (_, Judged::Unknown(_)) => Compared::Skipped,
                (random @ Judged::Violated(_), all) => said(&[("random", random), ("exhaustive", all)]),
                _ => Compared::Agree,
            },
            Pair::Wrong(_) if self.full.moments > 0 => Compared::Skipped,
            Pair::Wrong(Defect::SwapsUnlike) if alike => Compared::Beside,
            Pair::Wrong(Defect::SwapsUnlike) => self.same_but_for_names(&find(How::Wrong(Defect::SwapsUnlike))),
            Pair::Wrong(defect) => self.same(&find(How::Wrong(defect))),
        }
    }

    fn judge(&self, how: How) -> Judged {
        verdict(&self.world, how, self.budget)
    }

    fn same(&self, other: &Found) -> Compared {
        if !other.complete {
            return Compared::Skipped;
        }
        difference(&other.outcomes, &self.full.outcomes)
    }

    fn same_but_for_names(&self, other: &Found) -> Compared {
        if !other.complete {
            return Compared::Skipped;
        }
        let canonical =
            |outcomes: &Outcomes| outcomes.iter().map(|text| canonical(text, self.program.clients)).collect();
        difference(&canonical(&other.outcomes), &canonical(&self.full.outcomes))
    }

    /// What was sampled is among what was found.
    fn found(&self, sampled: &Outcomes) -> Compared {
        let beyond: Outcomes = sampled.difference(&self.full.outcomes).cloned().collect();
        difference(&beyond, &Outcomes::new())
    }

    fn monotone(&self, pair: Pair) -> Compared {
        let smaller = smaller(self.program, pair);
        if smaller.is_empty() {
            return Compared::Beside;
        }
        for program in smaller {
            let less = outcomes(&World::of(&program), How::Exhaustive(Reduce::Nothing), self.budget);
            if !less.complete {
                return Compared::Skipped;
            }
            if let Compared::Disagree(text) = self.found(&less.outcomes) {
                let (time, faults) = (program.time, &program.faults);
                return Compared::Disagree(format!("with {time:?}, {faults:?} there is in addition\n{text}"));
            }
        }
        Compared::Agree
    }

    fn verdicts(&self) -> Compared {
        let reductions = [Reduce::Nothing, Reduce::PartialOrder, Reduce::Symmetry, Reduce::All];
        let names = ["no reduction", "partial order", "symmetry", "all"];
        let judged = reductions.map(|reduce| self.judge(How::Exhaustive(reduce)));
        if judged.iter().any(|judged| matches!(judged, Judged::Unknown(_))) {
            return Compared::Skipped;
        }
        said(&names.into_iter().zip(judged).collect::<Vec<_>>())
    }
}

fn said(verdicts: &[(&str, Judged)]) -> Compared {
    let violated: BTreeSet<bool> = verdicts.iter().map(|(_, judged)| matches!(judged, Judged::Violated(_))).collect();
    if violated.len() < 2 { Compared::Agree } else { Compared::Disagree(format!("{verdicts:?}")) }
}

/// The same program under stronger assumptions, one at a time.
fn smaller(program: &Program, pair: Pair) -> Vec<Program> {
    let with = |time| Program { time, ..program.clone() };
    let time = program.time;
    match pair {
        Pair::FewerFaults => {
            let without = |at: usize| {
                let mut program = program.clone();
                program.faults.remove(at);
                program
            };
            (0..program.faults.len()).map(without).collect()
        }
        Pair::SmallerDelay => {
            let smaller = [0, 2].into_iter().filter(|ms| time.delay_ms.is_none_or(|delay| *ms < delay));
            smaller.map(|ms| with(Time { delay_ms: Some(ms), ..time })).collect()
        }
        Pair::SmallerPause if program.faults.contains(&super::ast::Fault::Pause) => {
            let smaller = [2, 4].into_iter().filter(|ms| time.pause_ms.is_none_or(|pause| *ms < pause));
            smaller.map(|ms| with(Time { pause_ms: Some(ms), ..time })).collect()
        }
        Pair::BetterClocks => {
            let drift = (time.drift_ppm > 0).then(|| with(Time { drift_ppm: 0, ..time }));
            let offset = (time.offset_ms > 0).then(|| with(Time { offset_ms: 0, ..time }));
            drift.into_iter().chain(offset).collect()
        }
        _ => Vec::new(),
    }
}

/// How many outcomes of a difference are told.
const TOLD_MAX: usize = 3;

fn difference(found: &Outcomes, expected: &Outcomes) -> Compared {
    let tell = |title: &str, outcomes: Vec<&String>| {
        let told = outcomes.iter().take(TOLD_MAX).map(|text| format!("    {}\n", text.replace('\n', " | ")));
        format!("  {title}, {}:\n{}", outcomes.len(), told.collect::<String>())
    };
    let (extra, missing): (Vec<_>, Vec<_>) =
        (found.difference(expected).collect(), expected.difference(found).collect());
    match (extra.is_empty(), missing.is_empty()) {
        (true, true) => Compared::Agree,
        (false, true) => Compared::Disagree(tell("beyond", extra)),
        (true, false) => Compared::Disagree(tell("missing", missing)),
        (false, false) => Compared::Disagree(tell("beyond", extra) + &tell("missing", missing)),
    }
}

/// The first, in the order of texts, of an outcome with its clients' names changed in any way.
fn canonical(text: &str, clients: usize) -> String {
    let renamed = permutations(clients).into_iter().map(|names| {
        let mut lines: Vec<String> = text.split('\n').map(|line| rename(line, &names)).collect();
        lines.sort();
        lines.join("\n")
    });
    renamed.min().unwrap_or_default()
}

fn permutations(clients: usize) -> Vec<Vec<usize>> {
    let Some(last) = clients.checked_sub(1) else { return vec![Vec::new()] };
    let insert = |shorter: &Vec<usize>| {
        let shorter = shorter.clone();
        (0..=shorter.len()).map(move |at| {
            let mut longer = shorter.clone();
            longer.insert(at, last);
            longer
        })
    };
    permutations(last).iter().flat_map(insert).collect()
}

fn rename(line: &str, names: &[usize]) -> String {
    const MARK: &str = "client-";
    let mut parts = line.split(MARK);
    let mut renamed = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let number = part[..digits].parse::<usize>().ok().and_then(|client| names.get(client));
        let name = number.map_or_else(|| part[..digits].to_owned(), usize::to_string);
        renamed += &format!("{MARK}{name}{}", &part[digits..]);
    }
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_changed_in_whole_outcomes() {
        assert_eq!(permutations(3).len(), 6);
        let (one, other) = ("a = client-1/1\nclient-0 waits", "a = client-0/1\nclient-1 waits");
        assert_eq!(canonical(one, 2), canonical(other, 2));
        assert_ne!(canonical(one, 2), canonical("a = client-0/1\nclient-0 waits", 2));
    }
}
