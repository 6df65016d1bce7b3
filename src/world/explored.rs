//! The explored world: clients run step by step, from any state.
//!
//! A future cannot be cloned, but the state of a [`System`] can, and it keeps what each client was told.
//! So going back to a state costs one clone. Nodes and other clients do not run again at all; the code of the client that acts
//! next runs only if its log does not hold what the code does after these inputs ([`inputs`](super::inputs)).

use super::choice::Choice;
use super::client::Status;
use super::footprint::Seen;
use super::inputs::{Did, Input, Logged, Ran, Wake};
use super::memories::Violation;
use super::moments::Moments;
use super::seat::{Outgoing, Seat, SeatPorts, Tasks, Told};
use super::setup::Setup;
use super::system::System;
use crate::property::NONDETERMINISM;
use crate::world::recorder::Recorder;
use smallvec::SmallVec;
use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

/// One in this many look-ups runs the code all the same and compares what it asks for: more often at first, so that a small
/// search tells nondeterministic code too.
const COMPARED_EVERY: u64 = 64;
const COMPARED_EVERY_AT_FIRST: u64 = 8;
const AT_FIRST: u64 = 4096;

/// How many inputs are kept beside those of the states to come back to.
const KEPT_MAX: usize = 1 << 14;

/// A digest of what a client's code asks for.
fn digest_of(outbox: &[Outgoing]) -> u64 {
    let mut hasher = rustc_hash::FxHasher::default();
    outbox.iter().for_each(|outgoing| outgoing.hash(&mut hasher));
    hasher.finish()
}

/// A client's code in mid-run.
struct Live {
    seat: Arc<Seat>,
    waker: Waker,
    tasks: Tasks,
    /// The last input that it was told, in worlds that go back.
    at: Option<Rc<Logged>>,
    /// How many things it was told.
    inputs: u32,
}

impl Live {
    fn new(setup: &Setup, client: usize, keep_digest: bool) -> Self {
        let seat = setup.seat(client, keep_digest);
        let task = setup.program.start(SeatPorts::new(&seat));
        Live { waker: Waker::from(Arc::clone(&seat)), seat, tasks: Tasks::of(task), at: None, inputs: 0 }
    }

    /// Tells the code something and runs it. True once it has come to its end.
    fn feed(&mut self, input: Input) -> bool {
        self.seat.tell(input.now, input.told);
        self.inputs += 1;
        self.seat.poll(self.inputs, &self.waker, &mut self.tasks)
    }

    /// The same of an input in a log.
    fn feed_logged(&mut self, logged: &Rc<Logged>) -> bool {
        self.at = Some(Rc::clone(logged));
        self.feed(logged.input().clone())
    }

    /// What came of telling it something.
    fn ran(&self, finished: bool) -> Ran {
        Ran {
            inputs: self.inputs,
            seen: self.seat.digest(),
            observed: self.seat.take_observed(),
            read_clock: self.seat.read_clock(),
            told_apart: self.seat.is_told_apart(),
            finished,
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.seat.kill();
    }
}

/// An execution that can be stepped, and set back to any state that it was in.
pub struct Explored {
    setup: Arc<Setup>,
    /// The state at the start.
    initial: System,
    /// The state. Only [`step`](Explored::step) and [`restore`](Explored::restore) may change it.
    system: System,
    live: Vec<Option<Live>>,
    /// How often a client was told something.
    runs: u64,
    /// Inputs that are kept for further look-ups.
    kept: Vec<Rc<Logged>>,
    outbox: Vec<Outgoing>,
    schedule: Vec<Choice>,
    recorder: Recorder,
    remember: Remember,
    tally: Tally,
    moments: Moments,
    stops: BTreeSet<u64>,
}

/// What all transitions of a world have shown, whatever it went back to.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Tally {
    /// What oracles have seen.
    pub seen: Seen,
    /// Clock readings left the port's types as bare numbers.
    pub escaped: bool,
    /// Clients' code can be told apart.
    pub told_apart: bool,
}

/// What a world keeps beside its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Remember {
    /// Nothing: it only goes on.
    Nothing,
    /// What clients were told: it can go back.
    Inputs,
    /// The same, and digests of it: states can be told apart.
    InputsAndDigests,
}

/// A state to come back to.
pub struct Snapshot {
    system: System,
    depth: usize,
}

impl Snapshot {
    /// What it takes in memory, roughly, in bytes: itself, and what it does not share with the state that it was taken of.
    pub fn bytes(&self) -> usize {
        size_of::<Snapshot>() + self.system.bytes()
    }
}

impl Explored {
    /// A world at its initial state.
    pub fn new(setup: Arc<Setup>, remember: Remember, recorder: Recorder) -> Self {
        // What this thread compared before is another world's.
        doublehold_models::take_names_compared();
        let initial = System::new(&setup, remember >= Remember::Inputs);
        Explored {
            system: initial.clone(),
            initial,
            live: std::iter::repeat_with(|| None).take(setup.clients).collect(),
            setup,
            runs: 0,
            kept: Vec::new(),
            outbox: Vec::new(),
            schedule: Vec::new(),
            recorder,
            remember,
            tally: Tally::default(),
            moments: Moments::default(),
            stops: BTreeSet::new(),
        }
    }

    /// Back to the initial state.
    pub fn reset(&mut self) {
        self.system.clone_from(&self.initial);
        self.live.iter_mut().for_each(|live| *live = None);
        self.schedule.clear();
        self.recorder.clear();
    }

    fn goes_back(&self) -> bool {
        self.remember >= Remember::Inputs
    }

    fn keeps_digests(&self) -> bool {
        self.remember == Remember::InputsAndDigests
    }

    /// The state.
    pub fn system(&self) -> &System {
        &self.system
    }

    /// The choices made so far.
    pub fn schedule(&self) -> &[Choice] {
        &self.schedule
    }

    /// What was recorded so far.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Makes a choice.
    ///
    /// # Panics
    /// If the choice is not enabled.
    pub fn step(&mut self, choice: Choice) {
        self.schedule.push(choice);
        if let Some(wake) = self.system.apply(choice, &mut self.recorder) {
            self.run(wake);
        }
        if let Some(client) = choice.kills() {
            self.live[client] = None;
        }
        self.take_tally();
    }

    fn take_tally(&mut self) {
        let footprint = &self.system.footprint;
        self.tally.seen.add(&footprint.seen);
        self.tally.escaped |= footprint.escaped;
        if footprint.escaped || footprint.server_clock {
            self.moments.note_escaped();
        }
        self.tally.told_apart |= footprint.told_apart | doublehold_models::take_names_compared();
    }

    /// What all transitions so far have shown.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Everything that can happen next, with the moments at which clients' code would do something else.
    pub fn enabled(&mut self, into: &mut Vec<Choice>) {
        self.system.enabled(into);
        if self.keeps_digests() && !into.is_empty() {
            self.moments.offer(&self.system, &mut self.stops);
            let fresh = self.stops.iter().map(|at| Choice::advance(*at)).filter(|stop| !into.contains(stop));
            let fresh: SmallVec<[Choice; 4]> = fresh.collect();
            into.extend(fresh);
        }
    }

    /// Ends a search of everything. True if clients' code has named moments that were not looked at: search again.
    pub fn learn_moments(&mut self) -> bool {
        self.moments.close()
    }

    /// How many moments of clients' code time stops at.
    pub fn moments(&self) -> usize {
        self.moments.count()
    }

    /// Judges the end of the execution.
    pub fn judge_end(&mut self) {
        // What the last step touched stays to be asked for; what it showed has been counted.
        self.system.footprint.seen = Seen::default();
        self.system.judge_end();
        self.take_tally();
    }

    /// Says what is wrong with an execution that nobody wants to follow any further.
    pub fn give_up(&mut self, violation: Option<crate::world::memories::Violation>) {
        if self.system.violation.is_none() {
            self.system.violation = violation;
        }
    }

    /// The state, to come back to.
    pub fn snapshot(&self) -> Rc<Snapshot> {
        Rc::new(Snapshot { system: self.system.clone(), depth: self.schedule.len() })
    }

    /// Goes back to a state that this world was in. The last to go back there does so for free.
    pub fn restore(&mut self, snapshot: Rc<Snapshot>) {
        assert!(self.goes_back(), "a world that does not keep inputs cannot go back");
        self.schedule.truncate(snapshot.depth);
        match Rc::try_unwrap(snapshot) {
            Ok(last) => self.system = last.system,
            Err(shared) => self.system.clone_from(&shared.system),
        }
    }

    /// Gives a client's code what it is told, and takes in what it does.
    fn run(&mut self, wake: Wake) {
        let client = wake.client;
        match wake.input {
            Some(input) => {
                let live = self.live[client].get_or_insert_with(|| Live::new(&self.setup, client, false));
                let finished = live.feed(input);
                live.seat.take_outbox(&mut self.outbox);
                let ran = live.ran(finished);
                self.system.absorb(client, &ran, self.outbox.drain(..), &mut self.recorder);
            }
            None => self.run_logged(client),
        }
        if self.system.clients[client].status == Status::Finished {
            self.live[client] = None;
        }
    }

    /// The same for a logged input: the code runs only if the log does not hold what it did.
    fn run_logged(&mut self, client: usize) {
        let logged = self.system.clients[client].inputs.last().cloned().expect("the client was told something");
        self.runs += 1;
        if logged.did().is_none() {
            self.keep(&logged);
            let did = self.run_code(client, &logged, false);
            logged.note(did);
        } else if self.keeps_digests() && self.is_to_be_compared() {
            self.run_code(client, &logged, true);
        }
        let did = logged.did().expect("the code has run");
        let before = Moments::code_state(&self.system, client);
        self.system.absorb(client, &did.ran, did.outbox.iter().cloned(), &mut self.recorder);
        if self.keeps_digests() {
            let after = Moments::code_state(&self.system, client);
            let began = logged.input().told == Told::Start;
            self.moments.note(before, after, began, &self.system.footprint.thresholds);
        }
    }

    /// Lets a client's code do what it does after an input. With `again` it runs from its very start.
    fn run_code(&mut self, client: usize, logged: &Rc<Logged>, again: bool) -> Did {
        let digests = self.keeps_digests();
        let live = self.live[client].take().filter(|_| !again);
        let behind = live.and_then(|live| Some((logged.since(live.at.as_ref()?)?, live)));
        let (inputs, mut live) = behind.unwrap_or_else(|| (logged.all(), Live::new(&self.setup, client, digests)));
        let (mut finished, mut same) = (false, true);
        for input in inputs {
            finished = live.feed_logged(input);
            live.seat.take_outbox(&mut self.outbox);
            if let Some(known) = input.did().filter(|_| digests) {
                same &= digest_of(&self.outbox) == known.asked;
            }
            if !Rc::ptr_eq(input, logged) {
                self.outbox.clear();
            }
        }
        if !same {
            self.tell_nondeterminism(client);
        }
        let outbox: Vec<Outgoing> = self.outbox.drain(..).collect();
        let asked = if digests { digest_of(&outbox) } else { 0 };
        let ran = live.ran(finished);
        self.live[client] = Some(live);
        Did { ran, outbox, asked }
    }

    /// True if this look-up is one of those that run the code all the same.
    fn is_to_be_compared(&self) -> bool {
        self.runs.is_multiple_of(if self.runs < AT_FIRST { COMPARED_EVERY_AT_FIRST } else { COMPARED_EVERY })
    }

    /// Keeps an input for further look-ups.
    fn keep(&mut self, logged: &Rc<Logged>) {
        if self.kept.len() == KEPT_MAX {
            self.kept.clear();
        }
        self.kept.push(Rc::clone(logged));
    }

    fn tell_nondeterminism(&mut self, client: usize) {
        let what = format!(
            "client-{client}'s code asks for something else when it is told the same again: it draws on something beside its \
             ports"
        );
        self.system.violation.get_or_insert(Violation { property: NONDETERMINISM.to_owned(), what });
    }
}
