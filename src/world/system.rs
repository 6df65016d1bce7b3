//! System: the state of an execution, and what each choice does to it.
//!
//! It knows no executor. A choice that gives a client something to do returns it as a [`Wake`]; the host
//! runs the client's code and hands what the code asked for to [`System::absorb`]. So the explored and the simulated
//! world share every transition, and a schedule found in one can be followed in the other.
//!
//! The transitions are beside what they change: `clients`, `network`, `nodes`; what oracles are told is in `oracles`.

use super::choice::{Act, Choice, LinkName, Target};
use super::client::{ClientState, Status};
use super::clock::{Clock, Reading};
use super::cut::Partition;
use super::fault::{Budgets, Fault};
use super::footprint::Footprint;
use super::inputs::{Inputs, Wake};
use super::link::{Link, Links};
use super::memories::{Memories, Placed, Violation};
use super::node::NodeState;
use super::pushed::Pushed;
use super::seat::Told;
use super::setup::{ServiceSpec, Setup};
use crate::base::shared::Shared;
use crate::history::{HoldOrder, Holds};
use crate::world::recorder::Recorder;
use doublehold_models::{Service, Step};
use smallvec::SmallVec;
use std::sync::Arc;

/// The state of an execution.
#[derive(Clone)]
pub struct System {
    pub(super) setup: Arc<Setup>,
    /// True time since the start, microseconds.
    pub now_us: u64,
    /// The clients.
    pub clients: Shared<ClientState>,
    /// The states of the services.
    pub services: Shared<Service>,
    /// The servers, those of one service side by side.
    pub nodes: SmallVec<[NodeState; 3]>,
    /// The connections that there are, ordered by client, node and lane.
    pub links: Links,
    /// The partition that has not healed yet.
    pub cut: Option<Partition>,
    /// The faults that may still happen.
    pub budgets: Budgets,
    /// How often time may still pass the end of a lease.
    pub expiries_left: Option<u8>,
    pub(super) holds: Holds,
    /// The latest hold that each resource has served.
    pub(super) latest: SmallVec<[HoldOrder; 2]>,
    /// Which client put the token there that a service shows for a lock.
    pub(super) placed: SmallVec<[Placed; 2]>,
    /// What the properties remember.
    pub(super) memories: Memories,
    /// How many processes' clocks have been set, clients first.
    pub clocks_set: u8,
    /// The first violation.
    pub violation: Option<Violation>,
    /// What the last transition did.
    pub footprint: Footprint,
    /// Keep what clients are told, so that their code can be run again.
    pub(super) keep_inputs: bool,
    /// What was put on its way since the last look, where there is a queue of events.
    pub(super) pushed: Option<Vec<Pushed>>,
}

impl System {
    /// The initial state. `keep_inputs`: clients' code will have to be run again.
    pub fn new(setup: &Arc<Setup>, keep_inputs: bool) -> Self {
        let services = setup.services.iter().map(|spec| Service::new(&spec.config));
        let members = |(service, spec): (usize, &ServiceSpec)| {
            (0..spec.config.members()).map(move |member| NodeState::new(service as u8, member))
        };
        let client = || ClientState {
            inputs: if keep_inputs { Inputs::none() } else { Inputs::default() },
            ..ClientState::default()
        };
        let mut system = System {
            setup: Arc::clone(setup),
            now_us: 0,
            clients: std::iter::repeat_with(client).take(setup.clients).collect(),
            services: services.collect(),
            nodes: setup.services.iter().enumerate().flat_map(members).collect(),
            links: Links::default(),
            cut: None,
            budgets: setup.budgets,
            expiries_left: setup.assumptions.expiries_max,
            holds: Holds::default(),
            latest: std::iter::repeat_n(HoldOrder::default(), setup.resources.len()).collect(),
            placed: SmallVec::new(),
            memories: Memories::new(&setup.properties),
            clocks_set: 0,
            violation: None,
            footprint: Footprint::default(),
            keep_inputs,
            pushed: None,
        };
        system.prepare();
        system
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

    /// What a client's clocks show now.
    pub fn client_clock(&self, client: usize) -> Reading {
        self.clients[client].clock.read(self.now_us)
    }

    /// What a node's clocks show now.
    pub fn node_clock(&self, node: usize) -> Reading {
        self.nodes[node].clock.read(self.now_us)
    }

    /// The clients that are neither finished nor crashed.
    pub fn waiting_clients(&self) -> impl Iterator<Item = usize> {
        self.clients.iter().enumerate().filter(|(_, client)| client.status.is_live()).map(|(number, _)| number)
    }

    /// True once every client has ended and nothing is in flight.
    pub fn is_quiescent(&self) -> bool {
        let settled = |link: &Link| link.requests.is_empty() && link.gone.is_none_or(|gone| gone.silent);
        self.waiting_clients().next().is_none() && self.links.iter().all(settled)
    }

    /// Makes a choice. The caller runs the client that is returned, if any, and then calls [`absorb`](System::absorb).
    ///
    /// # Panics
    /// If the choice is not enabled.
    pub fn apply(&mut self, choice: Choice, recorder: &mut Recorder) -> Option<Wake> {
        self.footprint = Footprint::default();
        recorder.choice(self, choice);
        if let Some(fault) = choice.fault() {
            self.budgets.spend(fault);
            self.footprint.seen.faults = 1 << fault as u32;
        }
        match choice.at {
            Target::Time => self.apply_to_time(choice.act),
            Target::Client(client) => return self.apply_to_client(usize::from(client), choice.act),
            Target::Node(node) => self.apply_to_node(usize::from(node), choice.act),
            Target::Link(link) => return self.apply_to_link(link, choice.act, recorder),
            Target::Network => match choice.act {
                Act::Cut(cut) => self.cut_off_from(cut),
                Act::Heal => self.heal(),
                other => panic!("the network cannot suffer this: {other}"),
            },
        }
        None
    }

    fn apply_to_time(&mut self, act: Act) {
        match act {
            Act::Advance(to_us) => self.advance(to_us),
            other => panic!("time cannot suffer this: {other}"),
        }
    }

    fn apply_to_client(&mut self, client: usize, act: Act) -> Option<Wake> {
        match act {
            Act::SetClock { drift_ppm, offset_us } => {
                self.clocks_set += 1;
                self.clients[client].clock = Clock { drift_ppm, offset_us };
            }
            Act::Start => {
                self.clients[client].status = Status::Running;
                return Some(self.wake(client, Told::Start));
            }
            Act::Fire(id) => {
                self.clients[client].timers.retain(|(timer, _)| *timer != id);
                self.footprint.timed = true;
                return Some(self.wake(client, Told::Fired(id)));
            }
            Act::Pause => self.pause_client(client),
            Act::Resume => self.resume_client(client),
            Act::Crash => self.crash_client(client),
            Act::PowerLoss => self.power_client_off(client),
            Act::Step(us) => self.clients[client].clock.offset_us += us,
            other => panic!("a client cannot suffer this: {other}"),
        }
        None
    }

    fn apply_to_node(&mut self, node: usize, act: Act) {
        match act {
            Act::SetClock { drift_ppm, offset_us } => {
                self.clocks_set += 1;
                self.nodes[node].clock = Clock { drift_ppm, offset_us };
            }
            Act::Pause => self.pause_node(node),
            Act::Resume => self.resume_node(node),
            Act::Crash => self.crash_node(node),
            Act::PowerLoss => self.power_node_off(node),
            Act::Restart => self.restart_node(node),
            Act::Take(step) => self.take_step(node, step),
            Act::Step(us) => {
                self.nodes[node].clock.offset_us += us;
                self.tick(node);
            }
            other => panic!("a node cannot suffer this: {other}"),
        }
    }

    fn apply_to_link(&mut self, link: LinkName, act: Act, recorder: &mut Recorder) -> Option<Wake> {
        let at =
            self.find_link(link).unwrap_or_else(|| panic!("a choice names a connection that is not there: {link:?}"));
        match act {
            Act::Serve => self.serve(at, recorder),
            Act::Take(Step::Grant) => self.grant(at, recorder),
            Act::Deliver => return Some(self.deliver(at)),
            Act::DeliverEnd(told) => return Some(self.deliver_end(at, told)),
            Act::HangUp => self.hang_up(at),
            Act::Break => self.break_link(at),
            Act::Stall => self.stall(at),
            Act::Delay => self.delay(at),
            other => panic!("a connection cannot suffer this: {other}"),
        }
        None
    }

    /// True if a fault of this kind may still happen.
    pub fn may_suffer(&self, fault: Fault) -> bool {
        self.budgets.left(fault) > 0
    }

    /// True if identical clients may change places: they draw the same random numbers, and neither servers nor properties
    /// tell them apart.
    pub fn is_symmetric(&self) -> bool {
        let numbered = self.services.iter().any(|service| service.numbers_clients());
        self.setup.symmetric && !numbered && !self.memories.tell_apart()
    }

    /// What it takes in memory beyond its own size, roughly, in bytes.
    pub fn bytes(&self) -> usize {
        let clients = self.clients.len() * size_of::<ClientState>();
        let flights: usize = self.links.iter().map(|link| size_of_val(link) + 64 * link.requests.len()).sum();
        clients + flights + self.services.len() * SERVICE_BYTES
    }
}

/// What a service takes in memory, roughly, in bytes.
const SERVICE_BYTES: usize = 1024;
