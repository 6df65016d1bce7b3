//! Inputs: what a client was told, oldest first, and what its code did each time.
//!
//! A client's code is a function of what it was told. Histories that begin alike share their beginning, in which each input
//! keeps what the code then did: the code runs only for a history that is new.

use super::clock::Reading;
use super::seat::{Outgoing, Told};
use crate::base::time::Observed;
use smallvec::SmallVec;
use std::cell::{OnceCell, RefCell};
use std::hash::{Hash, Hasher};
use std::rc::{Rc, Weak};

/// What a client was told once, with the reading of its clocks: enough to run its code again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Its clocks.
    pub now: Reading,
    /// What it was told.
    pub told: Told,
}

/// Everything that a client was told; nothing in worlds that never go back.
#[derive(Clone, Default)]
pub struct Inputs(Option<Rc<Logged>>);

/// A client's code has something to do.
#[derive(Clone, Debug)]
pub struct Wake {
    /// The client.
    pub client: usize,
    /// What it is told; `None` where its log has it.
    pub input: Option<Input>,
}

/// What running a client's code gave, beside what it asked for.
#[derive(Debug, Default)]
pub struct Ran {
    /// How many inputs its code has had.
    pub inputs: u32,
    /// The digest of what its code has seen.
    pub seen: u128,
    /// Whether its code read a clock.
    pub read_clock: bool,
    /// Whether its code was told another client's name, or asked for its own number.
    pub told_apart: bool,
    /// What its code did with moments.
    pub observed: Observed,
    /// Whether its code has come to its end.
    pub finished: bool,
}

/// What a client's code did after an input.
pub struct Did {
    /// What came of it.
    pub ran: Ran,
    /// What it asked for.
    pub outbox: Vec<Outgoing>,
    /// A digest of that.
    pub asked: u64,
}

/// An input in its place.
pub struct Logged {
    /// `None` before the first.
    input: Option<Input>,
    before: Inputs,
    did: OnceCell<Did>,
    /// The inputs that have followed it, as long as a state or a list of kept inputs holds them.
    next: RefCell<SmallVec<[Weak<Logged>; 1]>>,
}

/// Inputs one after the other.
pub type Path<'a> = SmallVec<[&'a Rc<Logged>; 32]>;

/// After an input with more successors than this, further ones are not found again.
const SUCCESSORS_MAX: usize = 32;

impl Logged {
    fn new(input: Option<Input>, before: Inputs) -> Rc<Logged> {
        Rc::new(Logged { input, before, did: OnceCell::new(), next: RefCell::default() })
    }

    /// What the code did after it, once that is recorded.
    pub fn did(&self) -> Option<&Did> {
        self.did.get()
    }

    /// Records what the code did after it, unless that is recorded already.
    pub fn note(&self, did: Did) -> &Did {
        self.did.get_or_init(|| did)
    }

    /// What was told.
    ///
    /// # Panics
    /// Before the first input.
    pub fn input(&self) -> &Input {
        self.input.as_ref().expect("something was told")
    }

    /// The inputs from the very first up to this one.
    pub fn all(self: &Rc<Self>) -> Path<'_> {
        self.until(|_| false).0
    }

    /// The inputs behind `start` up to this one; `None` if `start` is not before it.
    pub fn since(self: &Rc<Self>, start: &Rc<Logged>) -> Option<Path<'_>> {
        let (path, met) = self.until(|logged| Rc::ptr_eq(logged, start));
        (met && !path.is_empty()).then_some(path)
    }

    /// The inputs behind the last of which this is true, or all, and whether there is such a one.
    fn until(self: &Rc<Self>, is_start: impl Fn(&Rc<Logged>) -> bool) -> (Path<'_>, bool) {
        let mut path = Path::new();
        let mut at = self;
        let met = loop {
            if is_start(at) {
                break true;
            }
            let Some(before) = &at.before.0 else { break false };
            path.push(at);
            at = before;
        };
        path.reverse();
        (path, met)
    }
}

impl Inputs {
    /// What a client was told that was told nothing yet.
    pub fn none() -> Inputs {
        Inputs(Some(Logged::new(None, Inputs::default())))
    }

    /// The last one.
    pub fn last(&self) -> Option<&Rc<Logged>> {
        self.0.as_ref()
    }

    /// Adds an input: the one that is known already, if the same has once been told before in this place.
    pub fn push(&mut self, input: Input) {
        let Some(last) = self.0.take() else { return };
        let mut next = last.next.borrow_mut();
        let is_same = |logged: &Rc<Logged>| logged.input.as_ref() == Some(&input);
        if let Some(known) = next.iter().filter_map(Weak::upgrade).find(is_same) {
            self.0 = Some(known);
            return;
        }
        if next.len() == SUCCESSORS_MAX {
            next.retain(|logged| logged.strong_count() > 0);
        }
        let fresh = Logged::new(Some(input), Inputs(Some(Rc::clone(&last))));
        if next.len() < SUCCESSORS_MAX {
            next.push(Rc::downgrade(&fresh));
        }
        self.0 = Some(fresh);
    }
}

impl Drop for Inputs {
    /// One after the other: a log of any length is dropped without recursion.
    fn drop(&mut self) {
        let mut next = self.0.take();
        while let Some(Ok(mut logged)) = next.map(Rc::try_unwrap) {
            next = logged.before.0.take();
        }
    }
}

impl Hash for Inputs {
    /// The digest of what the code has seen stands for them.
    fn hash<H: Hasher>(&self, _hasher: &mut H) {}
}
