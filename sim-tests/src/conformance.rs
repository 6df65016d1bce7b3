//! Conformance: the same sequence on a model and on a real server of its kind, reply by reply, made small where they differ.

use doublehold_models::{At, ConnId, NodeClock, Output, Request, Response, Service, ServiceConfig};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A divergence counts once this many runs in a row have shown it: the real server has a clock of its own.
const CONFIRMATIONS: usize = 3;
/// How often a sequence is run again to make it smaller.
const SHRINKING_RUNS_MAX: usize = 300;
/// The characters of a reply that tell one divergence from another.
const KIND_CHARS_MAX: usize = 40;

/// One step of a sequence.
#[derive(Clone, Debug)]
pub enum Step {
    /// Sends a request and waits for everything that the model says must follow from it.
    Send(ConnId, Request),
    /// Lets time pass for both.
    Sleep(Duration),
    /// Ends a connection, and waits until the real server has noticed.
    Close(ConnId),
}

/// What is particular to one kind of server: its wire, and when two replies are the same.
pub trait Dialect {
    /// How the model is set up.
    fn config(&self) -> ServiceConfig;
    /// Ends all connections to the real server and empties it.
    fn reset(&mut self);
    /// Sends a request to the real server, over a new connection if there is none of this name.
    fn send(&mut self, conn: ConnId, request: &Request);
    /// The next message on a connection of the real server; `None` if nothing came in time.
    fn receive(&mut self, conn: ConnId) -> Option<Response>;
    /// Ends a connection to the real server, which has noticed on return.
    fn close(&mut self, conn: ConnId);
    /// Waits until the real servers have told each other what they had to, if there are several.
    fn settle(&mut self) {}
    /// True if the model does in time what it does by itself; false if the real server leaves it open when that is.
    fn ticks(&self) -> bool {
        true
    }
    /// What a real server says that should wait.
    fn unexpected(&mut self, _conn: ConnId) -> Option<Response> {
        None
    }
    /// Compares all messages that followed from one request, or from the end of a connection: the number of the first that differs. May
    /// reorder `real` where the real server promises no order.
    fn difference(
        &mut self,
        conn: ConnId,
        request: Option<&Request>,
        model: &[Output],
        real: &mut [Option<Response>],
    ) -> Option<usize>;
    /// A request whose reply shows that nothing else was on its way.
    fn probe(&self) -> Request;
    /// A request in full, for a report.
    fn show_request(&self, request: &Request) -> String;
    /// A response in full, for a report.
    fn show_response(&self, response: &Response) -> String;
}

/// How many times more sequences than usual `DOUBLEHOLD_CONFORMANCE_SEQUENCES` asks for; 1 if it is not set.
///
/// # Panics
/// If it is no number.
pub fn sequences_factor() -> u64 {
    match std::env::var("DOUBLEHOLD_CONFORMANCE_SEQUENCES") {
        Ok(text) => text.parse().expect("DOUBLEHOLD_CONFORMANCE_SEQUENCES is a number"),
        Err(_) => 1,
    }
}

/// Where the two differ.
#[derive(Clone, Debug)]
pub struct Divergence {
    /// The number of the step; the number of steps if it came after the last.
    pub at: usize,
    /// What the real server said.
    pub real: String,
    /// What the model said.
    pub model: String,
}

impl Divergence {
    /// What stays the same while a sequence shrinks.
    fn kind(&self) -> (String, String) {
        let kind = |text: &str| text.chars().filter(|char| !char.is_ascii_digit()).take(KIND_CHARS_MAX).collect();
        (kind(&self.real), kind(&self.model))
    }
}

/// How a run ended.
#[derive(Clone, Debug)]
pub enum End {
    /// With its last step, all replies being the same.
    Agreed,
    /// Before its last step, as the model refused one.
    NotModelled(String),
    /// With two replies that differ.
    Diverged(Divergence),
}

/// A sequence of one family, made from a seed: at least as many steps as asked for.
pub type Generate = fn(family: usize, seed: u64, steps: usize) -> Vec<Step>;

/// What a sweep makes and demands.
pub struct Sweep<'a> {
    /// The families by name; their number is what `generate` is given.
    pub families: &'a [&'a str],
    /// Makes the sequences.
    pub generate: Generate,
    /// Sequences of each family, times `DOUBLEHOLD_CONFORMANCE_SEQUENCES`.
    pub sequences: u64,
    /// Steps of each sequence.
    pub steps: usize,
    /// The share of a family's sequences that must run to their end.
    pub complete_percent_min: u64,
}

/// What was compared.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Sequences run.
    pub sequences: u64,
    /// Those that ran to their end with all replies the same.
    pub complete: u64,
    /// Requests whose replies were compared.
    pub compared: u64,
    /// Sequences whose divergence did not show again; their first run is what was counted.
    pub unrepeated: u64,
    /// How many sequences ended at what is not modelled, by what it was.
    pub not_modelled: BTreeMap<String, u64>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut: u64 = self.not_modelled.values().sum();
        write!(f, "{} sequences, {} commands compared; ", self.sequences, self.compared)?;
        write!(f, "{cut} ended at what is not modelled, {} at a divergence that did not repeat", self.unrepeated)
    }
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.sequences += other.sequences;
        self.complete += other.complete;
        self.compared += other.compared;
        self.unrepeated += other.unrepeated;
        for (what, count) in other.not_modelled {
            *self.not_modelled.entry(what).or_default() += count;
        }
    }

    /// Runs one more sequence.
    ///
    /// # Panics
    /// If the two differ, with the smallest sequence found that shows it.
    pub fn compare(&mut self, dialect: &mut impl Dialect, name: &str, steps: &[Step]) {
        let (compared, end) = run(dialect, steps);
        self.sequences += 1;
        self.compared += compared;
        match end {
            End::Agreed => self.complete += 1,
            End::NotModelled(what) => *self.not_modelled.entry(what).or_default() += 1,
            End::Diverged(found) if is_confirmed(dialect, steps, &found) => {
                let (steps, found) = shrink(dialect, steps, found);
                panic!("{}", report(dialect, name, &steps, &found));
            }
            End::Diverged(found) => {
                eprintln!("{name}: did not repeat: real {} model {}", found.real, found.model);
                self.unrepeated += 1;
            }
        }
    }
}

/// Compares sequences of all families.
///
/// # Panics
/// If the two differ, if too many sequences of a family end early, or if more than one in a hundred
/// shows a divergence that does not repeat.
pub fn sweep(dialect: &mut impl Dialect, plan: &Sweep<'_>) -> Tally {
    let factor = sequences_factor();
    let mut all = Tally::default();
    for (family, name) in plan.families.iter().enumerate() {
        let mut tally = Tally::default();
        for seed in 0..plan.sequences * factor {
            tally.compare(dialect, &format!("{name}, seed {seed}"), &(plan.generate)(family, seed, plan.steps));
        }
        let Tally { complete, sequences, not_modelled, .. } = &tally;
        assert!(
            complete * 100 >= sequences * plan.complete_percent_min,
            "{name}: only {complete} of {sequences} sequences ran to their end; not modelled: {not_modelled:?}"
        );
        all.add(tally);
    }
    assert!(all.unrepeated * 100 <= all.sequences, "too many divergences that do not repeat: {all}");
    all
}

/// Runs a sequence on a new model and on the emptied server. Returns how many requests were compared.
pub fn run(dialect: &mut impl Dialect, steps: &[Step]) -> (u64, End) {
    dialect.reset();
    let config = dialect.config();
    let (model, members) = (Service::new(&config), usize::from(config.members()));
    let mut pair = Pair { dialect, model, members, open: BTreeSet::new(), compared: 0 };
    let outcome = steps.iter().enumerate().try_for_each(|(at, step)| pair.step(at, step));
    let outcome = outcome.and_then(|()| pair.nothing_is_left(steps.len()));
    (pair.compared, outcome.err().unwrap_or(End::Agreed))
}

struct Pair<'a, D> {
    dialect: &'a mut D,
    model: Service,
    /// How many nodes the model has.
    members: usize,
    open: BTreeSet<ConnId>,
    compared: u64,
}

impl<D: Dialect> Pair<'_, D> {
    fn step(&mut self, at: usize, step: &Step) -> Result<(), End> {
        match step {
            Step::Sleep(duration) => {
                std::thread::sleep(*duration);
                self.tick(at)?;
            }
            Step::Close(conn) => {
                if self.open.remove(conn) {
                    let mut out = Vec::new();
                    let clocks = self.clocks();
                    self.model.disconnect(&clocks, *conn);
                    let raced = self.go_on(&mut out);
                    is_modelled(&out)?;
                    self.dialect.close(*conn);
                    self.follow(at, *conn, None, &out, raced)?;
                }
            }
            Step::Send(conn, request) => self.send(at, *conn, request)?,
        }
        Ok(())
    }

    /// Asks the model first: what it does not model may be the end of the real server.
    fn send(&mut self, at: usize, conn: ConnId, request: &Request) -> Result<(), End> {
        if self.model.is_waiting(conn) {
            // Whoever waits for an answer sends nothing.
            return Ok(());
        }
        self.open.insert(conn);
        let clocks = self.clocks();
        let mut out = Vec::new();
        let handled = catch_unwind(AssertUnwindSafe(|| {
            self.model.handle(&clocks, conn, request, &mut out);
            self.go_on(&mut out)
        }));
        is_modelled(&out)?;
        self.dialect.send(conn, request);
        let Ok(raced) = handled else {
            let real = self.dialect.receive(conn);
            let real = self.show(real.as_ref());
            return Err(End::Diverged(Divergence { at, real, model: "(it panicked)".to_owned() }));
        };
        self.follow(at, conn, Some(request), &out, raced)
    }

    /// Lets the model do what has fallen due meanwhile.
    fn tick(&mut self, at: usize) -> Result<(), End> {
        let clocks = self.clocks();
        // What clients only see when they ask is done by the real server in its own time.
        if !self.dialect.ticks() || !self.model.wakes_clients() || !self.model.is_due(clocks[0], 0) {
            return Ok(());
        }
        let mut out = Vec::new();
        self.model.tick(&clocks, 0, &mut out);
        let raced = self.go_on(&mut out);
        is_modelled(&out)?;
        out.first().map(|first| first.conn).map_or(Ok(()), |conn| self.follow(at, conn, None, &out, raced))
    }

    /// Lets all go on that can. True if at some time there were several: a real server leaves their order open.
    fn go_on(&mut self, out: &mut Vec<Output>) -> bool {
        let mut raced = false;
        while let [first, others @ ..] = &self.model.ready()[..] {
            raced |= !others.is_empty();
            let clocks = self.clocks();
            self.model.step(&clocks, At::Conn(*first), doublehold_models::Step::Grant, out);
        }
        for member in 0..self.members as u8 {
            while self.model.in_flight(member) > 0 {
                let clocks = self.clocks();
                self.model.step(&clocks, At::Member(member), doublehold_models::Step::CatchUp, out);
            }
        }
        raced
    }

    /// What the clocks of all members show: this machine's.
    fn clocks(&self) -> Vec<NodeClock> {
        vec![now(); self.members]
    }

    /// Compares what has followed from a request on a connection, or from its end.
    fn follow(
        &mut self,
        at: usize,
        conn: ConnId,
        request: Option<&Request>,
        out: &[Output],
        raced: bool,
    ) -> Result<(), End> {
        self.dialect.settle();
        let mut real: Vec<_> = out.iter().map(|one| self.dialect.receive(one.conn)).collect();
        if let Some(which) = self.dialect.difference(conn, request, out, &mut real) {
            if raced {
                return Err(End::NotModelled("the order of those who go on at once".to_owned()));
            }
            let (real, model) = (self.show(real[which].as_ref()), self.show(out[which].response()));
            return Err(End::Diverged(Divergence { at, real, model }));
        }
        if self.model.is_waiting(conn)
            && let Some(real) = self.dialect.unexpected(conn)
        {
            let real = self.show(Some(&real));
            return Err(End::Diverged(Divergence { at, real, model: "(it waits)".to_owned() }));
        }
        self.compared += 1;
        Ok(())
    }

    fn nothing_is_left(&mut self, at: usize) -> Result<(), End> {
        let probe = self.dialect.probe();
        // Those who wait have nothing coming to them.
        let open: Vec<ConnId> = self.open.iter().copied().filter(|conn| !self.model.is_waiting(*conn)).collect();
        open.into_iter().try_for_each(|conn| self.send(at, conn, &probe))
    }

    fn show(&self, response: Option<&Response>) -> String {
        response.map_or("(nothing came in time)".to_owned(), |response| self.dialect.show_response(response))
    }
}

/// Fails where the model says that it does not have something.
fn is_modelled(out: &[Output]) -> Result<(), End> {
    out.iter().find_map(Output::as_not_modelled).map_or(Ok(()), |what| Err(End::NotModelled(what.to_owned())))
}

fn now() -> NodeClock {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970").as_micros();
    let micros = u64::try_from(since).expect("the clock is before the year 500000");
    NodeClock { wall_us: micros.cast_signed(), mono_us: micros }
}

/// The divergence of a run, if it is one of the same kind.
fn again(dialect: &mut impl Dialect, steps: &[Step], found: &Divergence) -> Option<Divergence> {
    match run(dialect, steps).1 {
        End::Diverged(other) if other.kind() == found.kind() => Some(other),
        _ => None,
    }
}

fn is_confirmed(dialect: &mut impl Dialect, steps: &[Step], found: &Divergence) -> bool {
    (1..CONFIRMATIONS).all(|_| again(dialect, steps, found).is_some())
}

/// Drops steps, many at a time and then fewer, as long as the same divergence remains.
fn shrink(dialect: &mut impl Dialect, steps: &[Step], mut found: Divergence) -> (Vec<Step>, Divergence) {
    let mut best = steps[..(found.at + 1).min(steps.len())].to_vec();
    let mut runs = 0;
    let mut size = best.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < best.len() && runs < SHRINKING_RUNS_MAX {
            let mut shorter = best.clone();
            shorter.drain(at..(at + size).min(best.len()));
            runs += 1;
            match again(dialect, &shorter, &found) {
                Some(other) => (best, found) = (shorter, other),
                None => at += size,
            }
        }
        size /= 2;
    }
    (best, found)
}

fn report(dialect: &impl Dialect, name: &str, steps: &[Step], found: &Divergence) -> String {
    let mut text = format!("{name}: the model differs from the real server\n");
    for step in steps {
        text += &match step {
            Step::Send(conn, request) => format!("  {}> {}\n", conn.client, dialect.show_request(request)),
            Step::Sleep(duration) => format!("  (sleep {duration:?})\n"),
            Step::Close(conn) => format!("  {}> (close)\n", conn.client),
        };
    }
    text + &format!("  real:  {}\n  model: {}", found.real, found.model)
}
