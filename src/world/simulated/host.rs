//! Host: runs clients as madsim tasks, each on a madsim node of its own.

use super::Run;
use super::events::{Due, EventQueue};
use super::nemesis::{Planned, pick, plan, recovery};
use super::streams::Streams;
use crate::world::choice::{Act, Choice, LinkName, Target};
use crate::world::fault::Fault;
use crate::world::inputs::{Ran, Wake};
use crate::world::recorder::Recorder;
use crate::world::seat::{Outgoing, Seat, SeatPorts, Task, Tasks};
use crate::world::setup::Setup;
use crate::world::simulation::Simulation;
use crate::world::system::System;
use doublehold_models::Step;
use madsim::runtime::{Handle, NodeHandle, Runtime};
use madsim::time;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

/// Clients begin within this time of each other.
const STAGGER_US: u64 = 5_000;

pub(super) fn run(setup: &Arc<Setup>, simulation: &Simulation, planned: &[Planned], recorder: Recorder) -> Run {
    let runtime = Runtime::with_seed_and_config(setup.seed, madsim::Config::default());
    let mut host = Host::new(setup, *simulation, recorder);
    runtime.block_on(host.drive(planned));
    let mut system = host.system;
    if system.violation.is_none() {
        system.judge_end();
    }
    Run {
        violation: system.violation.take(),
        steps: host.steps,
        virtual_us: system.now_us,
        recorder: host.recorder,
        struck: host.struck,
        wake_ups: host.wake_ups,
        looked: host.looked | system.footprint.seen.looked,
        strikes: host.strikes,
    }
}

/// A client's process.
struct Process {
    seat: Arc<Seat>,
    turn: Arc<Turn>,
    node: NodeHandle,
}

/// Whose turn it is: the client's, after it was told something, or the driver's.
#[derive(Default)]
struct Turn {
    client_is_on: AtomicBool,
    ended: AtomicBool,
    client: Mutex<Option<Waker>>,
    driver: Mutex<Option<Waker>>,
}

impl Turn {
    fn wake(slot: &Mutex<Option<Waker>>) {
        let waker = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn wait_on(slot: &Mutex<Option<Waker>>, waker: &Waker) {
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
    }

    /// The driver's side: lets the client run until it waits again.
    async fn give(&self) {
        self.client_is_on.store(true, Ordering::Relaxed);
        Turn::wake(&self.client);
        poll_fn(|cx| {
            if !self.client_is_on.load(Ordering::Relaxed) {
                return Poll::Ready(());
            }
            Turn::wait_on(&self.driver, cx.waker());
            Poll::Pending
        })
        .await;
    }
}

/// The client's side: polls its tasks each time it is its turn.
fn process(seat: Arc<Seat>, turn: Arc<Turn>, first: Task) -> impl Future<Output = ()> + Send {
    let mut tasks = Tasks::of(first);
    let own = Waker::from(Arc::clone(&seat));
    poll_fn(move |cx| {
        Turn::wait_on(&turn.client, cx.waker());
        if !turn.client_is_on.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        let ended = seat.poll(0, &own, &mut tasks);
        turn.ended.store(ended, Ordering::Relaxed);
        turn.client_is_on.store(false, Ordering::Relaxed);
        Turn::wake(&turn.driver);
        if ended { Poll::Ready(()) } else { Poll::Pending }
    })
}

struct Host {
    system: System,
    setup: Arc<Setup>,
    simulation: Simulation,
    events: EventQueue,
    streams: Streams,
    processes: Vec<Option<Process>>,
    recorder: Recorder,
    outbox: Vec<Outgoing>,
    enabled: Vec<Choice>,
    healthy: bool,
    steps: u64,
    /// Which of the planned faults have hit something.
    struck: Vec<bool>,
    wake_ups: u64,
    /// How often each kind of fault has hit something.
    /// The properties that found something to judge, a bit each.
    looked: u64,
    strikes: BTreeMap<Fault, u64>,
}

impl Host {
    fn new(setup: &Arc<Setup>, simulation: Simulation, recorder: Recorder) -> Self {
        let mut system = System::new(setup, false);
        system.keep_pushed();
        Host {
            system,
            simulation,
            events: EventQueue::default(),
            streams: Streams::new(setup.seed),
            processes: Vec::new(),
            recorder,
            outbox: Vec::new(),
            enabled: Vec::new(),
            healthy: false,
            steps: 0,
            struck: Vec::new(),
            wake_ups: 0,
            looked: 0,
            strikes: BTreeMap::new(),
            setup: Arc::clone(setup),
        }
    }

    async fn drive(&mut self, planned: &[Planned]) {
        self.processes = (0..self.setup.clients).map(|client| Some(self.process(client))).collect();
        self.set_clocks();
        for client in 0..self.setup.clients {
            let at_us = self.streams.network.below(STAGGER_US);
            self.events.put(at_us, Due::Choice(Choice::client(client, Act::Start)));
        }
        self.struck = vec![false; planned.len()];
        plan(&mut self.events, &self.system, &self.simulation, planned, &mut self.streams.faults);
        let start = time::Instant::now();
        while self.system.violation.is_none() && !self.system.is_quiescent() {
            let wakes_at = self.system.next_wake();
            let is_over = wakes_at.is_some_and(|at_us| at_us < self.system.now_us);
            assert!(!is_over, "a service wants to be woken at a moment that is over");
            let own = wakes_at.filter(|wakes| self.events.next_at().is_none_or(|due| *wakes < due));
            let next = own.map(|at_us| (at_us, None)).or_else(|| self.events.next().map(|(at, due)| (at, Some(due))));
            let Some((at_us, due)) = next else { break };
            if at_us > self.simulation.horizon_us {
                // The trace shows the time that went by: whoever follows it comes to the horizon as well.
                self.pass(self.simulation.horizon_us);
                self.system.violation = self.system.violation.take().or(self.simulation.not_converged(&self.system));
                break;
            }
            time::sleep_until(start + Duration::from_micros(at_us)).await;
            match due {
                Some(due) => self.happen(at_us, due, planned).await,
                None => self.pass(at_us),
            }
        }
        // A madsim runtime that is dropped with live nodes leaks them.
        self.processes.drain(..).flatten().for_each(end);
    }

    fn process(&self, client: usize) -> Process {
        let seat = self.setup.seat(client, false);
        let turn = Arc::new(Turn::default());
        let node = Handle::current().create_node().build();
        let task = self.setup.program.start(SeatPorts::new(&seat));
        node.spawn(process(Arc::clone(&seat), Arc::clone(&turn), task));
        Process { seat, turn, node }
    }

    /// How far each clock is off: one of the extremes, each as likely.
    fn set_clocks(&mut self) {
        let processes = self.setup.clients + self.system.nodes.len();
        for _ in 0..processes {
            self.system.enabled(&mut self.enabled);
            if !matches!(self.enabled.first(), Some(Choice { act: Act::SetClock { .. }, .. })) {
                return;
            }
            let at = self.streams.clocks.below(self.enabled.len() as u64) as usize;
            let choice = self.enabled[at];
            let run = self.system.apply(choice, &mut self.recorder);
            debug_assert!(run.is_none(), "setting a clock runs no client");
        }
    }

    async fn happen(&mut self, at_us: u64, due: Due, planned: &[Planned]) {
        let choice = match due {
            Due::Healthy => {
                self.healthy = true;
                return;
            }
            Due::Choice(choice @ Choice { at: Target::Link(LinkName { node, .. }), act: Act::Serve })
                if !self.begin(at_us, choice, node) =>
            {
                return;
            }
            Due::Choice(choice) if self.system.is_group_step(choice) => {
                if !self.events.takes_step(at_us, choice) {
                    return;
                }
                self.pass(at_us);
                self.system.allows(choice, &mut self.enabled).then_some(choice)
            }
            Due::Choice(choice) => {
                if matches!(choice, Choice { at: Target::Link(at), act: Act::Deliver } if self.system.is_silent(at)) {
                    // Whether the client has borne the silence for too long is told by its clock.
                    self.pass(at_us);
                }
                let choice = self.how_it_ends(choice);
                let recovers = matches!(
                    choice.act,
                    Act::Resume | Act::Restart | Act::Heal | Act::Start | Act::Take(Step::CatchUp | Step::Synced)
                );
                if recovers || self.system.can_come(choice) { Some(choice) } else { None }
            }
            Due::Fault(kind) => {
                let next_us = at_us + 1 + self.streams.faults.exponential(self.simulation.fault_every_us);
                if !self.healthy {
                    self.events.put(next_us, Due::Fault(kind));
                }
                let faults = &mut self.streams.faults;
                let mut pick = |enabled: &mut Vec<Choice>| pick(&self.system, Fault::ALL[kind], None, faults, enabled);
                if self.healthy { None } else { pick(&mut self.enabled) }
            }
            Due::Planned(number) => {
                let Planned { fault, target, .. } = &planned[number];
                let picked = pick(&self.system, *fault, Some(*target), &mut self.streams.faults, &mut self.enabled);
                self.struck[number] |= picked.is_some();
                picked
            }
        };
        if let Some(choice) = choice {
            self.make(at_us, choice).await;
        }
    }

    /// A delivery on a connection that has ended: in half of all cases what was in flight is lost if it can be, and of
    /// what else may come of it each is as likely.
    fn how_it_ends(&mut self, choice: Choice) -> Choice {
        let Choice { at: Target::Link(at), act: Act::Deliver } = choice else { return choice };
        let ends = self.system.ends_of(at);
        if ends.is_empty() {
            return choice;
        }
        let drawn = self.streams.network.below(2 * ends.len() as u64) as usize;
        match ends.get(drawn) {
            Some(end) => Choice::link(at, *end),
            None if ends[0] == Act::DeliverEnd(0) => Choice::link(at, ends[0]),
            None => choice,
        }
    }

    /// Begins with a request, unless the node works on another one.
    fn begin(&mut self, at_us: u64, request: Choice, node: u8) -> bool {
        let service = self.system.service_of(node.into());
        let serving_us = self.simulation.serving_us(&self.setup.services[service].config);
        self.events.begin(at_us, request, node, serving_us)
    }

    /// Lets time pass; servers do what falls due.
    fn pass(&mut self, at_us: u64) {
        if at_us > self.system.now_us {
            let passed = self.system.apply(Choice::advance(at_us), &mut self.recorder);
            debug_assert!(passed.is_none(), "time alone runs no client");
            self.looked |= self.system.footprint.seen.looked;
            self.events.take_from(&mut self.system, &mut self.streams.network, &self.simulation);
        }
    }

    /// Lets time pass, and then makes the choice.
    async fn make(&mut self, at_us: u64, choice: Choice) {
        self.pass(at_us);
        let is_group_step = self.system.is_group_step(choice);
        if matches!(choice.act, Act::Resume | Act::Take(Step::CatchUp | Step::Synced)) && !is_group_step {
            self.system.enabled(&mut self.enabled);
            if !self.enabled.contains(&choice) {
                return;
            }
        }
        if (choice.is_fault() || (choice.act == Act::Take(Step::CatchUp) && !is_group_step))
            && let Some((at_us, heal)) = recovery(&self.system, choice, &self.simulation, &mut self.streams.faults)
        {
            match self.system.is_group_step(heal) {
                true => self.events.put_step(at_us, heal),
                false => self.events.put(at_us, Due::Choice(heal)),
            }
        }
        self.steps += 1;
        if let Some(fault) = choice.fault() {
            *self.strikes.entry(fault).or_default() += 1;
        }
        self.wake_ups += u64::from(brings_message(&self.system, choice));
        if let Some(wake) = self.system.apply(choice, &mut self.recorder) {
            self.run(wake).await;
        }
        self.looked |= self.system.footprint.seen.looked;
        if let Some(client) = choice.kills()
            && let Some(process) = self.processes[client].take()
        {
            end(process);
        }
        self.events.take_from(&mut self.system, &mut self.streams.network, &self.simulation);
    }

    async fn run(&mut self, wake: Wake) {
        let client = wake.client;
        let Some(process) = &self.processes[client] else { return };
        let input = wake.input.expect("where nobody goes back no log has it");
        process.seat.tell(input.now, input.told);
        process.turn.give().await;
        process.seat.take_outbox(&mut self.outbox);
        let finished = process.turn.ended.load(Ordering::Relaxed);
        // Nobody asks for fingerprints here.
        let ran = Ran { finished, ..Ran::default() };
        self.system.absorb(client, &ran, self.outbox.drain(..), &mut self.recorder);
    }
}

/// Ends a client's process: nothing that its code does on the way out counts.
fn end(process: Process) {
    process.seat.kill();
    Handle::current().kill(process.node.id());
}

/// True if a choice tells a client something that a server pushed.
fn brings_message(system: &System, choice: Choice) -> bool {
    matches!(choice, Choice { at: Target::Link(at), act: Act::Deliver } if system.brings_message(at))
}
