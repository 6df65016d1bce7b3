//! System: the state of an execution, and what each choice does to it.
//!
//! It knows no executor. A choice that gives a client something to do returns it as a [`Run`]; the host
//! runs the client's code and hands what the code asked for to [`System::absorb`]. So the explored and the simulated
//! world share every transition, and a schedule found in one can be followed in the other.

use super::clock::{Clock, Reading};
use super::fault::{Budgets, Fault};
use super::link::{Arrival, Link};
use super::seat::{Outgoing, Told, WaitId};
use super::setup::{ArrivalTime, Holder, ServiceSpec, Setup};
use crate::explore::choice::{Choice, LinkName, Process};
use crate::history::{Audit, Event, HoldOrder, Holds};
use crate::port::Blob;
use crate::property::Moment;
use crate::trace::Recorder;
use doublehold_models::{Request, Service};
use smallvec::SmallVec;
use std::rc::Rc;
use std::sync::Arc;

/// Where a client is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Its code has not begun.
    NotStarted,
    /// Its code runs, or waits.
    Running,
    /// Its process stands still since this moment of true time.
    Paused(u64),
    /// Its code has come to its end.
    Finished,
    /// Its process has ended before that.
    Crashed,
}

/// What a client was told once, with the reading of its clocks: enough to run its code again.
#[derive(Clone, Debug)]
pub struct Input {
    /// Its clocks.
    pub now: Reading,
    /// What it was told.
    pub told: Told,
    /// A number that no other input of the same world has; 0 until the world gives one.
    pub stamp: u64,
}

/// A client.
#[derive(Clone)]
pub struct ClientState {
    /// Where it is in its life.
    pub status: Status,
    /// Its clocks.
    pub clock: Clock,
    /// Everything that it was told; empty in worlds that never go back.
    pub inputs: Rc<Vec<Input>>,
    /// Its timers: what for, and when by its own monotonic clock.
    pub timers: SmallVec<[(WaitId, u64); 2]>,
    /// The digest of what its code has seen.
    pub seen: u64,
    /// Other clients whose names its code has seen, a bit each.
    pub mentioned: u32,
}

/// A server.
#[derive(Clone, Debug)]
pub struct NodeState {
    /// The service whose state it keeps.
    pub service: u8,
    /// Its place among the nodes of that service.
    pub member: u8,
    /// Its clocks.
    pub clock: Clock,
    /// When it went down, true time; `None` while it is up.
    pub down_since: Option<u64>,
}

/// A client's code has something to do.
#[derive(Clone, Debug)]
pub struct Run {
    /// The client.
    pub client: usize,
    /// What it is told.
    pub input: Input,
}

/// What running a client's code gave.
pub struct Ran<'a> {
    /// The client.
    pub client: usize,
    /// What its code asked for.
    pub outbox: &'a mut Vec<Outgoing>,
    /// The digest of what its code has seen, and the other clients that were named.
    pub seen: (u64, u32),
    /// Whether its code read a clock.
    pub read_clock: bool,
    /// Whether its code has come to its end.
    pub finished: bool,
}

/// A broken property.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Violation {
    /// The property's name.
    pub property: String,
    /// What is wrong.
    pub what: String,
}

/// What the last transition did that a reduction needs to know.
#[derive(Clone, Copy, Debug, Default)]
pub struct Footprint {
    /// An oracle may have seen it: an event was recorded.
    pub visible: bool,
    /// The client's code read a clock, or set, cancelled or was woken by a timer.
    pub timed: bool,
}

/// The state of an execution.
#[derive(Clone)]
pub struct System {
    setup: Arc<Setup>,
    /// True time since the start, microseconds.
    pub now_us: u64,
    /// The clients.
    pub clients: SmallVec<[ClientState; 3]>,
    /// The states of the services.
    pub services: SmallVec<[Rc<Service>; 3]>,
    /// The servers, those of one service side by side.
    pub nodes: SmallVec<[NodeState; 3]>,
    /// The connections that were ever used, ordered by client, node and lane.
    pub links: SmallVec<[Link; 6]>,
    /// The faults that may still happen.
    pub budgets: Budgets,
    /// How often time may still pass the end of a lease.
    pub expiries_left: Option<u8>,
    pub(super) holds: Holds,
    /// The latest hold that each resource has served.
    pub(super) latest: SmallVec<[HoldOrder; 2]>,
    /// How many processes' clocks have been set, clients first.
    pub clocks_set: u8,
    /// The first violation.
    pub violation: Option<Violation>,
    /// What the last transition did.
    pub footprint: Footprint,
    /// Keep what clients are told, so that their code can be run again.
    keep_inputs: bool,
    /// What was put on its way since somebody last looked, where somebody looks.
    agenda: Option<Vec<Agenda>>,
}

/// Something that was put on its way and will have to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agenda {
    /// A request was sent on this connection.
    Serve(LinkName),
    /// Something was sent to the client on this connection.
    Deliver(LinkName),
    /// A request on this connection had to wait and may go on.
    GoOn(LinkName),
    /// The client on this connection will have found it silent for too long at this moment of true time.
    Silence(LinkName, u64),
    /// A client's timer will be due at this moment of true time.
    Fire {
        /// The client.
        client: u8,
        /// The timer.
        id: WaitId,
        /// When.
        at_us: u64,
    },
}

impl System {
    /// The initial state. `keep_inputs`: clients' code will have to be run again.
    pub fn new(setup: &Arc<Setup>, keep_inputs: bool) -> Self {
        let client = ClientState {
            status: Status::NotStarted,
            clock: Clock::default(),
            inputs: Rc::default(),
            timers: SmallVec::new(),
            seen: 0,
            mentioned: 0,
        };
        let services = setup.services.iter().map(|spec| Rc::new(Service::new(&spec.config)));
        let members = |(service, spec): (usize, &ServiceSpec)| {
            (0..spec.config.members()).map(move |member| NodeState {
                service: service as u8,
                member,
                clock: Clock::default(),
                down_since: None,
            })
        };
        let mut system = System {
            setup: Arc::clone(setup),
            now_us: 0,
            clients: std::iter::repeat_n(client, setup.clients).collect(),
            services: services.collect(),
            nodes: setup.services.iter().enumerate().flat_map(members).collect(),
            links: SmallVec::new(),
            budgets: setup.budgets,
            expiries_left: setup.assumptions.expiries_max,
            holds: Holds::default(),
            latest: std::iter::repeat_n(0, setup.resources.len()).collect(),
            clocks_set: 0,
            violation: None,
            footprint: Footprint::default(),
            keep_inputs,
            agenda: None,
        };
        system.prepare();
        system
    }

    /// Lets the program put on the servers what must be there before the clients begin.
    fn prepare(&mut self) {
        let setup = Arc::clone(&self.setup);
        self.run_errand(|ports| {
            let errand = setup.program.prepare(ports);
            async move {
                if let Some(errand) = errand {
                    errand.await;
                }
            }
        });
        self.services.iter_mut().for_each(|service| Rc::make_mut(service).flush());
    }

    /// What an auditor finds on the servers, all of whose nodes have started again; nothing if there is nothing to audit, or if the
    /// auditor asks for what a model does not have.
    fn audit(&mut self) -> Option<Audit> {
        let mut after = self.clone();
        (after.agenda, after.links) = (None, SmallVec::new());
        for node in 0..after.nodes.len() {
            if after.nodes[node].down_since.is_some() {
                after.restart_node(node);
            }
        }
        let setup = Arc::clone(&self.setup);
        let audit = after.run_errand(|ports| {
            let errand = setup.program.audit(ports);
            async move { errand?.await }
        });
        self.violation = after.violation;
        audit.flatten()
    }

    /// Keeps an agenda from now on, for [`take_agenda`](System::take_agenda).
    pub fn keep_agenda(&mut self) {
        self.agenda = Some(Vec::new());
    }

    /// What was put on its way since the last call.
    pub fn take_agenda(&mut self, into: &mut Vec<Agenda>) {
        into.append(self.agenda.as_mut().expect("an agenda is kept"));
    }

    pub(super) fn note(&mut self, agenda: Agenda) {
        if let Some(kept) = &mut self.agenda {
            kept.push(agenda);
        }
    }

    /// Puts on the agenda that the client will have found a connection silent for too long.
    pub(super) fn note_silence(&mut self, at: usize, name: LinkName) {
        let link = &self.links[at];
        if let Some(at_mono_us) = link.given_up_at() {
            let clock = &self.clients[usize::from(link.client)].clock;
            self.note(Agenda::Silence(name, clock.true_at_monotonic(at_mono_us).max(self.now_us)));
        }
    }

    /// True if a connection has been silent for longer than its client bears.
    pub(super) fn is_given_up(&self, link: &Link) -> bool {
        link.is_given_up(self.client_clock(link.client.into()).mono_us)
    }

    /// Everything that waits for a client is on its way again: it was paused.
    fn note_waiting(&mut self, client: usize) {
        for at in 0..self.links.len() {
            let link = &self.links[at];
            if usize::from(link.client) == client {
                let (name, requests, arrivals) = (link.name(), link.requests.len(), link.arrivals.len());
                (0..requests).for_each(|_| self.note(Agenda::Serve(name)));
                (0..arrivals).for_each(|_| self.note(Agenda::Deliver(name)));
                self.note_silence(at, name);
            }
        }
        for (id, at_mono_us) in self.clients[client].timers.clone() {
            let at_us = self.clients[client].clock.true_at_monotonic(at_mono_us).max(self.now_us);
            self.note(Agenda::Fire { client: client as u8, id, at_us });
        }
    }

    /// True if a message or a timer can still come: it was not lost, and its client is not paused.
    pub fn can_come(&self, choice: Choice) -> bool {
        match choice {
            Choice::Serve(at) | Choice::Deliver(at) => self.find_link(at).is_some_and(|place| {
                let link = &self.links[place];
                let paused = matches!(self.clients[usize::from(at.client)].status, Status::Paused(_));
                let waits = match choice {
                    Choice::Serve(_) => !link.requests.is_empty(),
                    _ => !link.arrivals.is_empty() || self.is_given_up(link),
                };
                !paused && waits
            }),
            Choice::GoOn(at) => self.ready().any(|ready| ready == at),
            Choice::Fire { client, id } => {
                let client = &self.clients[usize::from(client)];
                client.status == Status::Running && client.timers.iter().any(|(timer, _)| *timer == id)
            }
            _ => false,
        }
    }

    /// What stays the same throughout the execution.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// A node's name.
    pub fn node_name(&self, node: usize) -> String {
        let state = &self.nodes[node];
        self.setup.services[usize::from(state.service)].node_name(state.member)
    }

    // What the oracles ask.

    /// What a client's clocks show now.
    pub fn client_clock(&self, client: usize) -> Reading {
        self.clients[client].clock.read(self.now_us)
    }

    /// What a node's clocks show now.
    pub fn node_clock(&self, node: usize) -> Reading {
        self.nodes[node].clock.read(self.now_us)
    }

    /// Who holds a lock by the state of one service; nobody if all its nodes are down.
    pub fn holder_on(&self, lock: usize, service: usize) -> Option<Holder> {
        let node = self.first_of(service);
        let mut members = self.nodes[node..].iter().take_while(|state| usize::from(state.service) == service);
        if members.all(|state| state.down_since.is_some()) {
            return None;
        }
        self.setup.locks[lock].probe.holder(&self.services[service], &self.clocks_of(node))
    }

    /// The tokens that have a lock's quorum.
    pub fn owners(&self, lock: usize) -> SmallVec<[Blob; 2]> {
        let spec = &self.setup.locks[lock];
        let tokens: SmallVec<[Blob; 5]> =
            spec.services.iter().filter_map(|service| Some(self.holder_on(lock, *service)?.token)).collect();
        let mut owners = SmallVec::new();
        for token in &tokens {
            let count = tokens.iter().filter(|other| *other == token).count();
            if count >= spec.quorum && !owners.contains(token) {
                owners.push(token.clone());
            }
        }
        owners
    }

    /// The clients that are neither finished nor crashed.
    pub fn waiting_clients(&self) -> impl Iterator<Item = usize> {
        let waits = |client: &ClientState| !matches!(client.status, Status::Finished | Status::Crashed);
        self.clients.iter().enumerate().filter(move |(_, client)| waits(client)).map(|(number, _)| number)
    }

    /// True if whatever a client is told next is what comes next on this connection: nothing can come on another, no timer
    /// is due, and it is not the end of the connection. What is sent to it meanwhile queues up behind.
    pub fn hears_only(&self, at: LinkName) -> bool {
        let Some(place) = self.find_link(at) else { return false };
        let link = &self.links[place];
        let ends = link.slow || link.arrivals.first().is_none_or(|next| matches!(next.what, Arrival::Broken(_)));
        let theirs = self.links.iter().enumerate().filter(|(_, other)| other.client == link.client);
        // A subscription or a session may bring something at any time.
        let quiet =
            |other: &Link| (other.lane == 0 || other.stateful) && other.open.is_empty() && other.arrivals.is_empty();
        let client = usize::from(link.client);
        let clock = self.client_clock(client).mono_us;
        let timers = &self.clients[client].timers;
        let waits = self.setup.assumptions.delay_us_max == Some(0);
        !ends
            && theirs.into_iter().all(|(other, link)| other == place || quiet(link))
            && if waits { timers.iter().all(|(_, at)| *at > clock) } else { timers.is_empty() }
    }

    /// True if a client's process stands still.
    pub fn is_paused(&self, client: usize) -> bool {
        matches!(self.clients[client].status, Status::Paused(_))
    }

    /// True if a connection is slow.
    pub fn is_slow(&self, at: LinkName) -> bool {
        self.find_link(at).is_some_and(|place| self.links[place].slow)
    }

    /// True if a connection has gone silent.
    pub fn is_silent(&self, at: LinkName) -> bool {
        self.find_link(at).is_some_and(|place| self.links[place].stalled)
    }

    /// True once every client has ended and no request is in flight.
    pub fn is_quiescent(&self) -> bool {
        self.waiting_clients().next().is_none() && self.links.iter().all(|link| link.requests.is_empty())
    }

    // Transitions.

    /// Makes a choice. The caller runs the client that is returned, if any, and then calls [`absorb`](System::absorb).
    ///
    /// # Panics
    /// If the choice is not enabled.
    pub fn apply(&mut self, choice: Choice, recorder: &mut Recorder) -> Option<Run> {
        self.footprint = Footprint::default();
        recorder.choice(self, choice);
        match choice {
            Choice::SetClock { process, drift_ppm, offset_us } => {
                self.set_clock(process, Clock { drift_ppm, offset_us })
            }
            Choice::Start { client } => {
                self.clients[usize::from(client)].status = Status::Running;
                return Some(self.run(client.into(), Told::Start));
            }
            Choice::Serve(at) => self.serve(self.place_of(at), recorder),
            Choice::GoOn(at) => self.go_on(self.place_of(at), recorder),
            Choice::Deliver(at) => return self.deliver(self.place_of(at)),
            Choice::Fire { client, id } => {
                let client = usize::from(client);
                self.clients[client].timers.retain(|(timer, _)| *timer != id);
                self.footprint.timed = true;
                return Some(self.run(client, Told::Fired(id)));
            }
            Choice::Advance { to_us } => self.advance(to_us),
            Choice::Break(at) => {
                self.budgets.spend(Fault::Break);
                self.break_link(self.place_of(at));
            }
            Choice::Stall(at) => {
                self.budgets.spend(Fault::Stall);
                self.stall(self.place_of(at));
            }
            Choice::Delay(at) => {
                self.budgets.spend(Fault::Delay);
                let at = self.place_of(at);
                self.links[at].slow = true;
            }
            Choice::Pause { client } => {
                self.budgets.spend(Fault::Pause);
                self.hear(client.into(), false);
                self.clients[usize::from(client)].status = Status::Paused(self.now_us);
            }
            Choice::Resume { client } => self.resume(client.into()),
            Choice::CrashClient { client } => self.crash_client(client.into()),
            Choice::CrashNode { node } => self.crash_node(node.into()),
            Choice::RestartNode { node } => self.restart_node(node.into()),
            Choice::Lag { node } => self.lag(node.into()),
            Choice::CatchUp { node } => self.catch_up(node.into()),
            Choice::Expire { node, client } => self.expire(node.into(), client.into()),
            Choice::StepNode { node, us } => {
                self.budgets.spend(Fault::ClockStep);
                self.nodes[usize::from(node)].clock.offset_us += us;
                self.tick(node.into());
            }
            Choice::StepClient { client, us } => {
                self.budgets.spend(Fault::ClientClockStep);
                self.clients[usize::from(client)].clock.offset_us += us;
            }
        }
        None
    }

    /// Takes in what a client's code asked for.
    pub fn absorb(&mut self, ran: Ran<'_>, recorder: &mut Recorder) {
        let client = ran.client;
        self.footprint.timed |= ran.read_clock;
        for outgoing in ran.outbox.drain(..) {
            match outgoing {
                Outgoing::Request { id, node, lane, request } => self.send(client, id, node, lane, request),
                Outgoing::Timer { id, at_mono_us } => {
                    self.footprint.timed = true;
                    self.clients[client].timers.push((id, at_mono_us));
                    let at_us = self.clients[client].clock.true_at_monotonic(at_mono_us).max(self.now_us);
                    self.note(Agenda::Fire { client: client as u8, id, at_us });
                }
                Outgoing::Forget(id) => self.forget(client, id),
                Outgoing::Close { node, lane } => self.close(client, node, lane),
                Outgoing::KeepAlive { node, lane, silence_us_max } => {
                    self.keep_alive(client, node, lane, silence_us_max);
                }
                Outgoing::Record(event) => self.record(client, event, recorder),
            }
        }
        let state = &mut self.clients[client];
        (state.seen, state.mentioned) = ran.seen;
        if ran.finished {
            state.status = Status::Finished;
            state.timers.clear();
            // Nobody asks again what the code of a client that has ended had seen.
            (state.seen, state.mentioned) = (0, 0);
            state.inputs = Rc::default();
            // That it has gone may let others on: not something to be done ahead of them.
            self.footprint.visible = true;
            recorder.finished(self.now_us, client);
            self.leave(client);
        }
    }

    /// Judges the end of an execution.
    pub fn judge_end(&mut self) {
        if self.violation.is_some() {
            return;
        }
        // A lease whose end the toy's bound hides would end in truth, and let somebody on.
        let hidden = self.expiries_left == Some(0) && self.next_node_timer().is_some();
        if self.is_quiescent() {
            if let Some(audit) = self.audit() {
                self.check(&Moment::Audited(&audit));
            }
            self.check(&Moment::Quiescent);
        } else if !hidden && self.waiting_clients().next().is_some() {
            self.check(&Moment::Stuck);
        }
    }

    fn check(&mut self, moment: &Moment) {
        if self.violation.is_some() {
            return;
        }
        for property in &self.setup.properties {
            if let Some(what) = property.check(self, moment) {
                self.violation = Some(Violation { property: property.name().to_owned(), what });
                return;
            }
        }
    }

    pub(super) fn run(&mut self, client: usize, told: Told) -> Run {
        let input = Input { now: self.client_clock(client), told, stamp: 0 };
        if self.keep_inputs {
            Rc::make_mut(&mut self.clients[client].inputs).push(input.clone());
        }
        Run { client, input }
    }

    /// Gives the last input of a client its stamp.
    pub(super) fn stamp_last_input(&mut self, client: usize, stamp: u64) {
        if let Some(input) = Rc::make_mut(&mut self.clients[client].inputs).last_mut() {
            input.stamp = stamp;
        }
    }

    fn set_clock(&mut self, process: Process, clock: Clock) {
        self.clocks_set += 1;
        match process {
            Process::Client(client) => self.clients[usize::from(client)].clock = clock,
            Process::Node(node) => self.nodes[usize::from(node)].clock = clock,
        }
    }

    fn resume(&mut self, client: usize) {
        let Status::Paused(since_us) = self.clients[client].status else { panic!("client-{client} is not paused") };
        self.clients[client].status = Status::Running;
        let since_mono_us = self.clients[client].clock.read(since_us).mono_us;
        let now_mono_us = self.client_clock(client).mono_us;
        let now_us = self.now_us;
        for link in self.links.iter_mut().filter(|link| usize::from(link.client) == client) {
            // What it had handed to its network card only now leaves the machine.
            link.requests.iter_mut().for_each(|flight| flight.sent_us = now_us);
            link.arrivals.iter_mut().for_each(|arriving| arriving.sent_us = now_us);
            // By its clock it has heard nothing for so long: it gives the connection up before it reads from it. What else
            // its code does it may do before that.
            link.unheard_since(since_mono_us, now_mono_us);
        }
        self.note_waiting(client);
        self.hear(client, true);
    }

    fn crash_client(&mut self, client: usize) {
        self.budgets.spend(Fault::ClientCrash);
        let state = &mut self.clients[client];
        state.status = Status::Crashed;
        state.timers.clear();
        state.inputs = Rc::default();
        (state.seen, state.mentioned) = (0, 0);
        self.holds.crashed(client);
        self.disconnect(client);
    }

    // What the oracles need to know.

    fn record(&mut self, client: usize, event: Event, recorder: &mut Recorder) {
        self.footprint.visible = true;
        self.check(&Moment::Recorded { client, event: &event });
        recorder.event(self, client, &event);
        let mono_us = self.client_clock(client).mono_us;
        self.holds.take(client, mono_us, &event);
    }

    /// What a request may change that oracles watch: holders and resource values of this node's service.
    pub(super) fn watch(&self, node: usize) -> Watched {
        let service = self.service_of(node);
        let locks = self.setup.locks.iter().enumerate().filter(|(_, spec)| spec.services.contains(&service));
        let resources = self.setup.resources.iter().enumerate().filter(|(_, spec)| spec.service == service);
        Watched {
            locks: locks.map(|(number, _)| (number, self.holder_on(number, service))).collect(),
            resources: resources.map(|(number, spec)| (number, self.value_of(node, &spec.name))).collect(),
        }
    }

    fn value_of(&self, node: usize, key: &Blob) -> Option<Blob> {
        let service = &self.services[self.service_of(node)];
        service.value(&self.clocks_of(node), key)
    }

    /// Judges what a request has changed, or what went on with it later (then without the request).
    pub(super) fn judge_service(
        &mut self,
        client: usize,
        node: usize,
        hold: Option<HoldOrder>,
        request: Option<&Request>,
        before: Watched,
    ) {
        let service = self.service_of(node);
        for (lock, before) in before.locks {
            let after = self.holder_on(lock, service);
            if before != after {
                self.check(&Moment::LockServed { client, service, lock, before: &before, after: &after });
            }
        }
        let Some(hold) = hold else { return };
        for (resource, old) in before.resources {
            let spec = self.setup.resources[resource].clone();
            let new = self.value_of(node, &spec.name);
            let latest = self.latest[resource];
            let changed = new != old;
            if changed {
                let text =
                    |value: Option<Blob>| value.map_or("nothing".to_owned(), |value| value.to_text().into_owned());
                let change = (text(old), text(new));
                self.check(&Moment::ResourceWritten { client, hold, latest, change });
            }
            if changed || request.is_some_and(|request| request.mentions(&spec.name)) {
                self.latest[resource] = latest.max(hold);
            }
        }
    }

    /// True if clients begin by themselves, not all at once.
    pub(super) fn starts_any_time(&self) -> bool {
        self.setup.arrival == ArrivalTime::AnyTime
    }
}

/// What oracles watch on a node, as it was before a request.
pub(super) struct Watched {
    locks: SmallVec<[(usize, Option<Holder>); 1]>,
    resources: SmallVec<[(usize, Option<Blob>); 1]>,
}
