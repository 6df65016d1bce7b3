//! The one place where the attackers of the checker meet its API.

pub use doublehold::history::{Ended, Event, Fact, Mode, Tells};
pub use doublehold::port::mysql::{MySql, Session as MySqlSession, Value as SqlValue};
pub use doublehold::port::zookeeper::{
    Answer as ZkAnswer, CreateMode, Request as ZkRequest, Session as ZkSession, Watch as ZkWatch, ZooKeeper,
};
pub use doublehold::port::{
    Blob, Command, Host, Instant, Outcome, Ports, Redis, Script, Subscription, Value, WallTime, etcd,
};
pub use doublehold::port::{Unanswered, answered};
pub use doublehold::scenario::Workload;
pub use doublehold::world::fault::Fault;

use doublehold::explore::exhaustive::{Exhaustive, Reduction};
use doublehold::explore::follow::{Strides, follow_names};
use doublehold::explore::random::Random;
use doublehold::explore::{Limits, Strategy, Verdict, check};
use doublehold::flow::oracle;
use doublehold::property::{self, Judged as Looked, Memory, Moment, Property, View};
use doublehold::scenario::program;
use doublehold::trace::Recorder;
use doublehold::world::cut::Partitions;
use doublehold::world::explored::{Explored, Remember};
use doublehold::world::fault::{Assumptions, Budgets};
use doublehold::world::setup::{ArrivalTime, LockSpec, Probe, ResourceSpec, ServiceSpec, Setup};
use doublehold_models::{ServiceConfig, etcd as etcd_model, mysql, redis, zookeeper};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

/// Which reductions a search uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduce {
    /// All of them.
    All,
    /// The partial order alone.
    PartialOrder,
    /// The symmetry of clients alone.
    Symmetry,
    /// None of them.
    Nothing,
}

impl Reduce {
    pub(super) fn reduction(self) -> Reduction {
        Reduction {
            partial_order: matches!(self, Reduce::All | Reduce::PartialOrder),
            symmetry: matches!(self, Reduce::All | Reduce::Symmetry),
        }
    }
}

/// What a search says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// Nothing is wrong.
    Holds,
    /// The property with this name is broken.
    Violated(String),
    /// The search saw everything, and nothing that its property is about.
    Vacuous(String),
    /// The search says neither, for this reason.
    Unknown(String),
}

impl Judged {
    /// This property is broken.
    pub fn violated(property: &str) -> Judged {
        Judged::Violated(property.to_owned())
    }

    pub(super) fn of(verdict: Verdict) -> Judged {
        match verdict {
            Verdict::Holds => Judged::Holds,
            Verdict::Violated(violation) => Judged::Violated(violation.property),
            Verdict::Unknown { cause } if cause.is_vacuous() => Judged::Vacuous(cause.to_string()),
            Verdict::Unknown { cause } => Judged::Unknown(cause.to_string()),
        }
    }
}

/// The properties, by their names.
pub fn named(name: &str) -> Arc<dyn Property> {
    let named = property::all().into_iter().chain(oracle::all()).find(|property| property.name() == name);
    named.unwrap_or_else(|| panic!("there is no property {name}"))
}

/// Is broken where a client records [`mark`] with this label: the search then says that it is reached.
#[derive(Debug)]
struct Reached(Blob);

/// The name of what is broken where a mark is reached.
pub const REACHED: &str = "reached";

impl Property for Reached {
    fn name(&self) -> &'static str {
        REACHED
    }

    fn demands(&self) -> &'static str {
        "the mark is never reached"
    }

    fn check(&self, _memory: &mut Memory, _view: &dyn View, moment: &Moment) -> Looked {
        match moment {
            Moment::Recorded { event, .. } => {
                let reached = event.fact::<Mark>().filter(|mark| mark.0 == self.0);
                Looked::broken(reached.map(|mark| format!("{} is reached", mark.0)))
            }
            Moment::Quiescent | Moment::Stuck => Looked::Fine,
            _ => Looked::Silent,
        }
    }
}

/// The lock that stands for what a client has observed: the token is its log.
pub(super) const LOG: &str = "log";

/// The outcomes of executions: for each, everything that clients have observed, and what is left on the servers.
pub type Outcomes = BTreeSet<String>;

/// Is never broken: collects the outcome of each execution that comes to its end.
#[derive(Clone, Debug, Default)]
pub(super) struct Collect(Arc<Mutex<Outcomes>>);

impl Collect {
    /// What was collected.
    pub(super) fn take(&self) -> Outcomes {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Property for Collect {
    fn name(&self) -> &'static str {
        "collect"
    }

    fn demands(&self) -> &'static str {
        "nothing"
    }

    fn check(&self, _memory: &mut Memory, view: &dyn View, moment: &Moment) -> Looked {
        let mut lines: Vec<String> = match moment {
            Moment::Audited(_) => moment.audited::<Contents>().unwrap_or_default().0,
            Moment::Stuck => {
                let log = Blob::from(LOG);
                let logs = view.holds().iter().filter(|(_, hold)| hold.lock == log);
                let told = logs.map(|(client, hold)| format!("client-{client}: {}", hold.token.to_text()));
                let waiting = view.waiting_clients().into_iter().map(|client| format!("client-{client} waits"));
                told.chain(waiting).collect()
            }
            _ => return Looked::Silent,
        };
        lines.sort();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(lines.join("\n"));
        Looked::Fine
    }
}

/// A place in a client's code was reached.
#[derive(Serialize, Deserialize)]
struct Mark(Blob);

impl Tells for Mark {
    const KIND: &'static str = "mark";
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reaches {}", self.0)
    }
}

/// What is on the servers in the end, a line each.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Contents(pub(super) Vec<String>);

impl Tells for Contents {
    const KIND: &'static str = "contents";
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

/// An event that says that a place in a client's code was reached.
pub fn mark(label: impl Into<Blob>) -> Event {
    Event::told(&Mark(label.into()))
}

/// A client begins to acquire a lock.
pub fn acquiring(lock: &'static str) -> Event {
    Event::Acquiring { lock: lock.into(), wait_us_max: 60_000_000 }
}

/// A client holds a lock until it says otherwise.
pub fn acquired(lock: &'static str, token: &Blob) -> Event {
    acquired_until(lock, token, None, None)
}

/// A client holds a lock, until a moment of its own clock, under a fencing token.
pub fn acquired_until(lock: &'static str, token: &Blob, until: Option<Instant>, fence: Option<u64>) -> Event {
    Event::Acquired { lock: lock.into(), token: token.clone(), fence, valid_until: until, mode: Mode::Exclusive }
}

/// A client does not get a lock.
pub fn not_acquired(lock: &'static str) -> Event {
    Event::NotAcquired { lock: lock.into(), why: "held".into() }
}

/// A client is told that a lock is held.
pub fn refused(lock: &'static str) -> Event {
    let why = doublehold::lock::NotAcquired::Held.to_string();
    Event::NotAcquired { lock: lock.into(), why }
}

/// A client's lease goes on until a moment of its own clock.
pub fn extended(lock: &'static str, token: &Blob, until: Instant) -> Event {
    Event::Extended { lock: lock.into(), token: token.clone(), valid_until: Some(until) }
}

/// A client begins to release a lock.
pub fn releasing(lock: &'static str, token: &Blob) -> Event {
    Event::Releasing { lock: lock.into(), token: token.clone() }
}

/// A client has released a lock.
pub fn released(lock: &'static str) -> Event {
    Event::Released { lock: lock.into(), outcome: Ended::Ok }
}

/// Servers, clients, faults, assumptions, and what is judged.
#[derive(Clone)]
pub struct World(pub(super) Setup);

impl World {
    /// These clients on one Redis server; no faults, Δ = 0, π = ∞.
    pub fn redis(workload: impl Workload, clients: usize) -> World {
        World::on(vec![ServiceConfig::Redis(redis::Config::default())], workload, clients)
    }

    /// The same, and a crash of the server loses everything.
    pub fn forgetful_redis(workload: impl Workload, clients: usize) -> World {
        let config = redis::Config { persistence: redis::Persistence::None, ..redis::Config::default() };
        World::on(vec![ServiceConfig::Redis(config)], workload, clients)
    }

    /// The same on one MySQL server.
    pub fn mysql(workload: impl Workload, clients: usize) -> World {
        World::on(vec![mysql_config()], workload, clients)
    }

    /// The same on one MySQL server and one Redis server, in this order.
    pub fn mysql_and_redis(workload: impl Workload, clients: usize) -> World {
        World::on(vec![mysql_config(), ServiceConfig::Redis(redis::Config::default())], workload, clients)
    }

    /// The same on one ZooKeeper server.
    pub fn zookeeper(workload: impl Workload, clients: usize) -> World {
        let config = zookeeper::Config { servers: 1, ..zookeeper::Config::default() };
        World::on(vec![ServiceConfig::ZooKeeper(config)], workload, clients)
    }

    /// The same on any servers.
    pub fn on(configs: Vec<ServiceConfig>, workload: impl Workload, clients: usize) -> World {
        let spec = |(at, config)| ServiceSpec { name: format!("server-{at}"), config };
        World(Setup {
            services: configs.into_iter().enumerate().map(spec).collect(),
            clients,
            program: program(workload),
            symmetric: false,
            arrival: ArrivalTime::AtStart,
            partitions: Partitions::Any,
            budgets: Budgets::NONE,
            assumptions: Assumptions { delay_us_max: Some(0), ..Assumptions::default() },
            locks: Vec::new(),
            resources: Vec::new(),
            properties: Vec::new(),
            seed: 1,
        })
    }

    /// The same without anything to be judged, and what collects its outcomes.
    pub(super) fn collecting(&self) -> (World, Collect) {
        let (mut world, collect) = (self.clone(), Collect::default());
        world.0.properties = vec![Arc::new(collect.clone())];
        (world, collect)
    }

    /// Who is who does not matter.
    #[must_use]
    pub fn symmetric(mut self) -> World {
        self.0.symmetric = true;
        self
    }

    /// Clients begin at any time.
    #[must_use]
    pub fn any_time(mut self) -> World {
        self.0.arrival = ArrivalTime::AnyTime;
        self
    }

    /// So many faults of this kind.
    #[must_use]
    pub fn faults(mut self, fault: Fault, count: u8) -> World {
        self.0.budgets = self.0.budgets.with(fault, count);
        self
    }

    /// Δ, in milliseconds; for ever if `None`.
    #[must_use]
    pub fn delay_ms(mut self, delay: Option<u64>) -> World {
        self.0.assumptions.delay_us_max = delay.map(|ms| ms * 1000);
        self
    }

    /// π, in milliseconds; for ever if `None`.
    #[must_use]
    pub fn pause_ms(mut self, pause: Option<u64>) -> World {
        self.0.assumptions.pause_us_max = pause.map(|ms| ms * 1000);
        self
    }

    /// ε, in milliseconds.
    #[must_use]
    pub fn offset_ms(mut self, offset: u64) -> World {
        self.0.assumptions.offset_us_max = offset * 1000;
        self
    }

    /// What must hold.
    #[must_use]
    pub fn judged_by(mut self, properties: &[&str]) -> World {
        self.0.properties = properties.iter().map(|name| named(name)).collect();
        self
    }

    /// A lock that a Redis key keeps on the first server.
    #[must_use]
    pub fn redis_lock(self, key: &'static str) -> World {
        self.lock(key, Probe::at(key))
    }

    /// A lock that the children of a ZooKeeper path keep on the first server.
    #[must_use]
    pub fn zookeeper_lock(self, path: &'static str) -> World {
        self.lock(path, Probe::at(path))
    }

    fn lock(mut self, name: &'static str, probe: Probe) -> World {
        self.0.locks.push(LockSpec { name: name.into(), services: vec![0], quorum: 1, probe });
        self
    }

    /// A key of a service that a lock guards.
    #[must_use]
    pub fn guarded(mut self, resource: &'static str, service: usize, lock: &'static str) -> World {
        self.0.resources.push(ResourceSpec { name: resource.into(), service, lock: lock.into() });
        self
    }

    /// What is assumed about time, in words.
    pub fn assumed(&self) -> String {
        self.0.assumptions.to_string()
    }

    /// Searches everything.
    pub fn exhaust(&self, reduce: Reduce) -> Judged {
        let mut strategy = Exhaustive::new(reduce.reduction());
        self.search(&mut strategy, Limits { states_max: Some(2_000_000), ..Limits::default() })
    }

    /// Draws so many random executions.
    pub fn sample(&self, seed: u64, executions: u64) -> Judged {
        let limits = Limits { executions_max: Some(executions), steps_max: 400, ..Limits::default() };
        self.search(&mut Random::new(seed), limits)
    }

    /// True if an exhaustive search finds an execution in which a client records this mark.
    pub fn reaches(&self, label: &'static str, reduce: Reduce) -> bool {
        self.judged_by_mark(label).exhaust(reduce) == Judged::violated(REACHED)
    }

    /// True if one of so many random executions is one in which a client records this mark.
    pub fn reaches_by_chance(&self, label: &'static str, seed: u64, executions: u64) -> bool {
        self.judged_by_mark(label).sample(seed, executions) == Judged::violated(REACHED)
    }

    /// The same, where time stops anywhere and clocks are off by random amounts. Gives the schedule as a trace has
    /// it, after a replay from that text.
    pub fn reaches_freely(&self, label: &'static str, seed: u64, executions: u64) -> Option<Vec<String>> {
        let setup = Arc::new(self.judged_by_mark(label).0);
        let limits = Limits { executions_max: Some(executions), steps_max: 400, ..Limits::default() };
        let found = check(&setup, &mut Random::stopping(seed), &limits, &AtomicBool::new(false), &mut |_| ());
        let schedule = found.counterexample?;
        let mut world = Explored::new(Arc::clone(&setup), Remember::Nothing, Recorder::off());
        let mut names = Vec::new();
        for choice in &schedule {
            names.push(choice.name(world.system()));
            world.step(*choice);
        }
        let followed =
            follow_names(&setup, &names, Strides::Short, Recorder::off()).expect("the names say what was done");
        assert_eq!(followed.schedule(), schedule, "the names spell the schedule");
        Some(names)
    }

    fn judged_by_mark(&self, label: &'static str) -> World {
        let mut world = self.clone();
        world.0.properties = vec![Arc::new(Reached(label.into()))];
        world
    }

    pub(super) fn search(&self, strategy: &mut dyn Strategy, limits: Limits) -> Judged {
        let setup = Arc::new(self.0.clone());
        Judged::of(check(&setup, strategy, &limits, &AtomicBool::new(false), &mut |_| ()).verdict)
    }
}

/// An etcd cluster of so many servers.
pub fn etcd_cluster(servers: u8) -> ServiceConfig {
    ServiceConfig::Etcd(etcd_model::Config { servers, ..Default::default() })
}

/// A MySQL server that flushes each commit.
pub(super) fn mysql_config() -> ServiceConfig {
    ServiceConfig::MySql(mysql::Config {
        dialect: mysql::Dialect::default(),
        lock_wait_timeout_s: 50,
        flush: mysql::Flush::EachCommit,
        replication: None,
    })
}

/// Releases a Redis lock whose token is the argument.
pub static RELEASE: Script = Script {
    body: "-- release if it is ours
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0",
};
