//! The catalogue: published failures, each broken and fixed; known-bad locks; sound ones; toys.

mod zookeeper;

use super::guarded::{Guarded, GuardedScenario, LockKind, Work};
use super::mutation::Mutation;
use super::{About, Expectation, Parameters, Scenario, Simulation};
use crate::lock::redis::{AfterLostReply, Release, Take};
use crate::lock::redlock::{Contact, GiveBack, LateQuorum};
use crate::lock::{redis, redlock};
use crate::property::{self, Property};
use crate::world::fault::{Assumptions, Budgets, ClockSteps, Fault};
use crate::world::setup::ArrivalTime;
use doublehold_models::redis::{Fsync, Persistence};
use doublehold_models::zookeeper::Config as Ensemble;
use std::sync::Arc;
use std::time::Duration;

const DOCS: &str = "Redis docs, \"Distributed Locks with Redis\"";
/// The TTL of all leases here.
const TTL: Duration = Duration::from_millis(100);
const TTL_US: u64 = 100_000;

/// All scenarios.
pub fn all() -> Vec<Arc<dyn Scenario>> {
    let mut all = Vec::new();
    all.extend(sound());
    all.extend(failures());
    all.extend(mutants());
    all.extend(zookeeper::scenarios());
    all.push(ttl_lock());
    all.into_iter().map(|scenario| Arc::new(scenario) as Arc<dyn Scenario>).collect()
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The document's single-instance lock, with retries at fixed times.
fn redis_lock() -> redis::Config {
    redis::Config { retry_delay: (ms(60), ms(60)), drift: ms(3), ..redis::Config::new(TTL) }
}

/// The document's RedLock, with retries at fixed times and a time-out that healthy servers never reach.
fn redlock_config() -> redlock::Config {
    redlock::Config { retry_delay: (ms(60), ms(60)), node_timeout: ms(30), ..redlock::Config::new(TTL) }
}

fn about(name: &str, row: Option<&'static str>, summary: &'static str, source: &'static str) -> About {
    About { name: name.to_owned(), row, summary, source, fix: None, expects: Expectation::Holds }
}

fn workload(lock: LockKind, servers: usize, work: Work) -> Guarded {
    Guarded {
        lock,
        servers,
        work,
        operations: 1,
        think: Duration::ZERO,
        wait: ms(200),
        interrupt: None,
        tries: 1,
        mutation: None,
    }
}

/// Two clients, one operation each, no faults, messages that take no time.
fn base(about: About, workload: Guarded) -> GuardedScenario {
    GuardedScenario {
        about,
        workload,
        persistence: Persistence::Durable,
        ensemble: Ensemble::default(),
        parameters: Parameters {
            clients: 2,
            operations: 1,
            think_us_max: 0,
            budgets: Budgets::NONE,
            assumptions: Assumptions { delay_us_max: Some(0), ..Assumptions::default() },
        },
        simulation: Simulation { clients: 4, ..Simulation::default() },
        properties: everything(2 * TTL_US),
        arrival: ArrivalTime::AtStart,
    }
}

/// What a lock must keep where nothing is wrong with its assumptions.
fn everything(slack_us: u64) -> Vec<Arc<dyn Property>> {
    vec![
        Arc::new(property::Grant),
        Arc::new(property::Belief),
        Arc::new(property::Effect),
        Arc::new(property::ForeignRelease),
        Arc::new(property::FencingOrder),
        Arc::new(property::Leak),
        Arc::new(property::Deadlock),
        Arc::new(property::BoundedWait { slack_us }),
    ]
}

impl GuardedScenario {
    fn violating(mut self, property: &'static str) -> Self {
        self.about.expects = Expectation::Violated(property);
        self
    }

    fn only(mut self, property: impl Property + 'static) -> Self {
        self.properties = vec![Arc::new(property)];
        self
    }

    fn faults(mut self, fault: Fault, count: u8) -> Self {
        self.parameters.budgets = self.parameters.budgets.with(fault, count);
        self
    }

    fn assume(mut self, change: impl FnOnce(&mut Assumptions)) -> Self {
        change(&mut self.parameters.assumptions);
        self
    }

    fn keeps(mut self, persistence: Persistence) -> Self {
        self.persistence = persistence;
        self
    }

    fn fixed(mut self, suffix: &str, fix: &'static str) -> Self {
        self.about.name = format!("{}-{suffix}", self.about.name);
        self.about.fix = Some(fix);
        self.about.expects = Expectation::Holds;
        self
    }

    fn lock(mut self, lock: LockKind) -> Self {
        self.workload.lock = lock;
        self
    }

    fn work(mut self, work: Work) -> Self {
        self.workload.work = work;
        self
    }

    fn mutated(mut self, mutation: Mutation) -> Self {
        self.workload.mutation = Some(mutation);
        self
    }
}

/// Locks as their documents say, under their assumptions.
fn sound() -> Vec<GuardedScenario> {
    let redis = about("redis-lock", None, "the single-instance lock, messages within 10 ms", DOCS);
    let redlock = about("redlock", None, "RedLock on three servers, messages within 10 ms", DOCS);
    let within = |assumptions: &mut Assumptions| assumptions.delay_us_max = Some(10_000);
    let parallel = redlock::Config { contact: Contact::Parallel, ..redlock_config() };
    vec![
        base(redis, workload(LockKind::Redis(redis_lock()), 1, Work::Plain)).assume(within),
        base(redlock, workload(LockKind::RedLock(redlock_config()), 3, Work::Hold(ms(20)))).assume(within),
        base(
            about("redlock-parallel", None, "RedLock that asks its three servers at once", DOCS),
            workload(LockKind::RedLock(parallel), 3, Work::Hold(ms(20))),
        ),
        base(
            about(
                "redlock-five",
                None,
                "RedLock on five servers, one of which may crash for longer than the TTL",
                DOCS,
            ),
            workload(LockKind::RedLock(redlock_config()), 5, Work::Hold(ms(20))),
        )
        .faults(Fault::NodeCrash, 1)
        .keeps(Persistence::None)
        .assume(|assumptions| assumptions.restart_us_min = TTL_US + 2000),
        base(
            about("redis-lock-break", None, "the single-instance lock while a connection breaks", DOCS),
            workload(LockKind::Redis(redis_lock()), 1, Work::Plain),
        )
        .faults(Fault::Break, 1),
        drifting(base(
            about("redlock-drift", None, "RedLock on clocks that run up to 1 % too fast or too slow", DOCS),
            workload(LockKind::RedLock(redlock_config()), 3, Work::Hold(ms(20))),
        )),
    ]
}

/// Clocks that drift, holders that hold for longer than the TTL, and clients that come at any time.
fn drifting(scenario: GuardedScenario) -> GuardedScenario {
    let mut scenario = scenario
        .work(Work::Hold(ms(200)))
        .assume(|assumptions| assumptions.drift_ppm_max = 10_000)
        .only(property::Belief);
    scenario.arrival = ArrivalTime::AnyTime;
    scenario.workload.wait = Duration::ZERO;
    scenario
}

fn failures() -> Vec<GuardedScenario> {
    [r1(), r2(), r3(), r4(), r9(), r10(), r12(), r24(), s13()].concat()
}

fn r1() -> Vec<GuardedScenario> {
    let source = "Kleppmann, \"How to do distributed locking\"; antirez.com/news/101; redisson#2665";
    let about = about("pause-past-expiry", Some("R1"), "a holder pauses past its TTL and then writes", source);
    let broken = base(about, workload(LockKind::Redis(redis_lock()), 1, Work::Plain))
        .only(property::Effect)
        .faults(Fault::Pause, 1)
        .violating("effect");
    let fencing = redis::Config { fencing: true, ..redis_lock() };
    let fixed = broken
        .clone()
        .lock(LockKind::Redis(fencing))
        .work(Work::Fenced)
        .fixed("fixed", "the resource checks fencing tokens; belief still overlaps, as it must");
    vec![broken, fixed]
}

fn r2() -> Vec<GuardedScenario> {
    let source = "Redis docs, \"Distributed Locks with Redis\", disclaimer about consistency; Kleppmann";
    let about = about("redlock-clock-step", Some("R2"), "one server's wall clock jumps forward", source);
    let broken = base(about, workload(LockKind::RedLock(redlock_config()), 3, Work::Hold(ms(20))))
        .only(property::Belief)
        .faults(Fault::ClockStep, 1)
        .assume(|assumptions| assumptions.clock_steps_us = ClockSteps([TTL_US as i64 + 1000, 0]))
        .violating("belief");
    let mut fixed = broken
        .clone()
        .assume(|assumptions| assumptions.drift_ppm_max = 500)
        .fixed("fixed", "deployment: clocks are slewed by at most 500 ppm, never stepped");
    fixed.parameters.budgets = Budgets::NONE;
    vec![broken, fixed]
}

fn r3() -> Vec<GuardedScenario> {
    let source = "Redis docs, \"Distributed Locks with Redis\", Performance, crash recovery and fsync";
    let about =
        about("redlock-crash-restart", Some("R3"), "a server restarts without a key that it had not synced", source);
    let broken = base(about, workload(LockKind::RedLock(redlock_config()), 3, Work::Hold(ms(20))))
        .only(property::Belief)
        .faults(Fault::NodeCrash, 1)
        .keeps(Persistence::Aof { fsync: Fsync::Everysec })
        .violating("belief");
    let synced = broken
        .clone()
        .keeps(Persistence::Aof { fsync: Fsync::Always })
        .fixed("fixed", "deployment: appendfsync always");
    let delayed = broken
        .clone()
        .assume(|assumptions| assumptions.restart_us_min = TTL_US + 2000)
        .fixed("delayed", "deployment: a restarted server stays out for longer than the longest TTL");
    vec![broken, synced, delayed]
}

/// RedLock without a per-server time-out to speak of, and one round trip that may take longer than the TTL.
fn late_replies(name: &str, row: &'static str, summary: &'static str, source: &'static str) -> GuardedScenario {
    let lock = redlock::Config { node_timeout: ms(1000), ..redlock_config() };
    base(about(name, Some(row), summary, source), workload(LockKind::RedLock(lock), 3, Work::Hold(ms(20))))
        .faults(Fault::Delay, 1)
}

fn with_late_quorum(scenario: GuardedScenario, late_quorum: LateQuorum) -> GuardedScenario {
    let LockKind::RedLock(config) = scenario.workload.lock.clone() else { unreachable!("a RedLock scenario") };
    scenario.lock(LockKind::RedLock(redlock::Config { late_quorum, ..config }))
}

fn r4() -> Vec<GuardedScenario> {
    let source = "node-redlock#296, #369; redsync#72";
    let sound = late_replies("redlock-late-quorum", "R4", "a quorum counts although it came after the TTL", source)
        .only(property::Belief);
    let broken = with_late_quorum(sound.clone(), LateQuorum::Accept).violating("belief");
    let fixed = sound.fixed("fixed", "the lock computes the validity after the quorum, by the monotonic clock");
    vec![broken, fixed]
}

fn r9() -> Vec<GuardedScenario> {
    let about = about("delete-without-owner-check", Some("R9"), "a late release deletes another client's lock", DOCS);
    let lock = redis::Config { release: Release::Del, ..redis_lock() };
    let broken = base(about, workload(LockKind::Redis(lock), 1, Work::Hold(ms(20))))
        .only(property::ForeignRelease)
        .faults(Fault::Pause, 1)
        .violating("foreign-release");
    let fixed = broken
        .clone()
        .lock(LockKind::Redis(redis_lock()))
        .fixed("fixed", "the lock compares and deletes in one script");
    vec![broken, fixed]
}

fn r10() -> Vec<GuardedScenario> {
    let about = about(
        "setnx-then-expire",
        Some("R10"),
        "a crash between SETNX and EXPIRE locks for ever",
        "redis-py#554, #818",
    );
    let lock = redis::Config { take: Take::SetnxThenExpire, ..redis_lock() };
    let broken = base(about, workload(LockKind::Redis(lock), 1, Work::Hold(ms(20))))
        .only(property::Leak)
        .faults(Fault::ClientCrash, 1)
        .violating("leak");
    let fixed =
        broken.clone().lock(LockKind::Redis(redis_lock())).fixed("fixed", "the lock sets key and TTL in one command");
    vec![broken, fixed]
}

fn r12() -> Vec<GuardedScenario> {
    let source = "derived from client code: a SET NX sent again after its reply was lost finds its own key";
    let about = about("ambiguous-set", Some("R12"), "a lost reply is taken for a no, and the key stays", source);
    let lock = redis::Config { after_lost_reply: AfterLostReply::NilIsNo, ..redis_lock() };
    let mut broken = base(about, workload(LockKind::Redis(lock), 1, Work::Hold(ms(20))))
        .only(property::Leak)
        .faults(Fault::Break, 1)
        .violating("leak");
    broken.workload.wait = Duration::ZERO;
    let fixed = broken
        .clone()
        .lock(LockKind::Redis(redis_lock()))
        .fixed("fixed", "the lock takes its own token for a yes, and deletes on error");
    vec![broken, fixed]
}

fn r24() -> Vec<GuardedScenario> {
    let source = "derived from rslock: the TtlExceeded path returns without unlocking";
    let sound = late_replies("late-quorum-leaks", "R24", "an attempt that took too long leaves its keys", source)
        .only(property::Leak);
    let broken = with_late_quorum(sound.clone(), LateQuorum::Leave).violating("leak");
    let fixed = sound.fixed("fixed", "the lock gives back what it did not use");
    vec![broken, fixed]
}

fn s13() -> Vec<GuardedScenario> {
    let about = about(
        "in-process-two-machines",
        Some("S13"),
        "a lock in the memory of each process, on two machines",
        "article oversell",
    );
    let broken = base(about, workload(LockKind::InProcess, 0, Work::Plain)).only(property::Belief).violating("belief");
    let fixed = broken.clone().lock(LockKind::Redis(redis_lock()));
    let mut fixed = fixed.fixed("fixed", "a lock that both machines can see");
    fixed.workload.servers = 1;
    vec![broken, fixed]
}

/// Right locks with one deliberate mistake each, and what must catch it.
fn mutants() -> Vec<GuardedScenario> {
    let redis = || workload(LockKind::Redis(redis_lock()), 1, Work::Plain);
    let redlock = || workload(LockKind::RedLock(redlock_config()), 3, Work::Hold(ms(20)));
    let redlock_with = |change: fn(&mut redlock::Config)| {
        let mut config = redlock_config();
        change(&mut config);
        workload(LockKind::RedLock(config), 3, Work::Hold(ms(20)))
    };
    let redis_with = |change: fn(&mut redis::Config)| {
        let mut config = redis_lock();
        change(&mut config);
        workload(LockKind::Redis(config), 1, Work::Plain)
    };
    let mutant = |name: &str, summary: &'static str, workload: Guarded| {
        base(about(&format!("mutant-{name}"), None, summary, "deliberate mistake"), workload)
    };
    let mut even = mutant("quorum-half", "a quorum of N/2 on four servers", redlock());
    even.workload.servers = 4;
    let LockKind::RedLock(config) = &mut even.workload.lock else { unreachable!("a RedLock scenario") };
    config.quorum = Some(2);
    let no_validity = mutant(
        "no-validity-check",
        "a quorum that came after the TTL counts",
        redlock_with(|config| {
            config.late_quorum = LateQuorum::Accept;
            config.node_timeout = ms(1000);
        }),
    )
    .faults(Fault::Delay, 1)
    .violating("belief")
    .only(property::Belief);
    let owner_check = mutant(
        "owner-check-outside-script",
        "GET, compare, then DEL",
        redis_with(|config| {
            config.release = Release::GetThenDel;
        }),
    );
    let drift = mutant(
        "drift-ignored",
        "validity without allowance for drift",
        redlock_with(|config| {
            config.drift_permille = 0;
            config.drift_extra = Duration::ZERO;
        }),
    );
    let mut granted_only = mutant(
        "unlock-only-where-acquired",
        "a yes whose reply was lost is not given back",
        redlock_with(|config| {
            config.give_back = GiveBack::GrantedOnly;
        }),
    );
    granted_only.workload.wait = Duration::ZERO;
    let mut extend =
        mutant("extend-unowned", "the extension does not look whose the key is", redis()).work(Work::ExtendThenPlain);
    extend.workload.mutation = Some(Mutation::ExtendUnowned);
    let fenced = redis_with(|config| config.fencing = true);
    let drift = drifting(drift);
    vec![
        even.violating("grant"),
        no_validity,
        owner_check.faults(Fault::Pause, 1).only(property::ForeignRelease).violating("foreign-release"),
        drift.violating("belief"),
        granted_only.faults(Fault::Break, 1).only(property::Leak).violating("leak"),
        mutant("ttl-in-seconds", "the TTL is sent in seconds", redlock())
            .work(Work::Hold(ms(80)))
            .mutated(Mutation::TtlInSeconds)
            .violating("belief"),
        mutant("token-reused", "every acquisition uses the same token", redis())
            .mutated(Mutation::TokenReused)
            .faults(Fault::Pause, 1)
            .only(property::ForeignRelease)
            .violating("foreign-release"),
        mutant("wall-clock-for-elapsed", "elapsed time is measured by the wall clock", redlock())
            .work(Work::Hold(ms(200)))
            .mutated(Mutation::WallClockForElapsed)
            .faults(Fault::ClientClockStep, 1)
            .assume(|assumptions| assumptions.clock_steps_us = ClockSteps([-(TTL_US as i64), 0]))
            .violating("belief"),
        mutant("no-nx", "the key is set whether it is there or not", redis())
            .mutated(Mutation::NoNx)
            .violating("foreign-release"),
        mutant("no-ttl", "the key is set without a TTL", redis())
            .mutated(Mutation::NoTtl)
            .faults(Fault::ClientCrash, 1)
            .only(property::Leak)
            .violating("leak"),
        mutant("no-release", "the release is never sent", redis()).mutated(Mutation::NoRelease).violating("leak"),
        mutant("constant-fence", "the fencing token sent to the resource never changes", fenced)
            .work(Work::Fenced)
            .mutated(Mutation::ConstantFence)
            .faults(Fault::Pause, 1)
            .only(property::Effect)
            .violating("effect"),
        extend.faults(Fault::Pause, 1).only(property::Effect).violating("effect"),
    ]
}

/// The toy of the benchmarks: SET NX with one retry, GET stock, SET stock, release; the key may expire once.
fn ttl_lock() -> GuardedScenario {
    let about = about(
        "ttl-lock",
        None,
        "benchmark: SET NX with one retry, GET, SET, release; the key may expire once",
        "shared design",
    );
    let lock = redis::Config { report_validity: false, ..redis_lock() };
    let mut scenario = base(about, workload(LockKind::Redis(lock), 1, Work::Plain)).assume(|assumptions| {
        assumptions.delay_us_max = None;
        assumptions.expiries_max = Some(0);
    });
    scenario.workload.wait = Duration::ZERO;
    scenario.workload.tries = 2;
    scenario.parameters.clients = 3;
    scenario.properties = Vec::new();
    scenario
}
