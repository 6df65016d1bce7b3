//! Cancellation: every operation of every lock is dropped at each of its awaits, in every interleaving, and nothing may leak.
//!
//! An await is a poll that does not complete. The operation is dropped in the place of its k-th poll, when the answer that it waits
//! for is there, and right after it, when its request has just been sent; for k = 0, 1, 2, … until it completes in every execution.
//! Each is an exhaustive search of its own. One more drops it at any moment at all, between two polls too.

use doublehold::explore::exhaustive::{Exhaustive, Reduction};
use doublehold::explore::{Cause, Limits, Verdict, check};
use doublehold::history::Event;
use doublehold::lock::auto_extended::{self, AutoExtended};
use doublehold::lock::in_process::InProcessLock;
use doublehold::lock::multi::{self, MultiLock};
use doublehold::lock::mysql::{LockTable, UserLock, table};
use doublehold::lock::redis::{self, RedisLock};
use doublehold::lock::redisson::{self, KeepAlive, OnInterrupt, RedissonLock};
use doublehold::lock::redlock::{self, Contact, RedLock};
use doublehold::lock::reentrant::{Record, Reentrant, Reentry};
use doublehold::lock::segmented::{Segmented, Segments};
use doublehold::lock::zookeeper::{self, Client, Kind, ZkLock};
use doublehold::lock::{Acquire as _, Guard, Lease, Lock, NotAcquired, etcd};
use doublehold::port::mysql::{MySql, Session};
use doublehold::port::{Blob, Command, Outcome, Ports, Redis};
use doublehold::port::{Unanswered, answered};
use doublehold::property::{self, Judged, Memory, Moment, Property, View};
use doublehold::scenario::{Workload, program};
use doublehold::world::cut::Partitions;
use doublehold::world::fault::{Assumptions, Budgets, Fault};
use doublehold::world::setup::{ArrivalTime, LockSpec, Probe, ServiceSpec, Setup};
use doublehold_models::ServiceConfig;
use doublehold_models::etcd::Config as Cluster;
use doublehold_models::mysql::Config as Database;
use doublehold_models::redis::Config as RedisServer;
use doublehold_models::zookeeper::Config as Ensemble;
use doublehold_sim_tests::programs::host::mark;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

const LOCK: &str = "lock";
/// What a client tells that does not get the lock after a cancelled operation.
const NOT_USABLE: &str = "not usable";
const ZK_PATH: &str = "/lock";
const ETCD_PREFIX: &str = "lock/";
/// The keys of the segmented lock.
const SEGMENTS: [&str; 2] = ["lock-a", "lock-b"];
const TTL: Duration = Duration::from_secs(2);
/// How long to wait for the lock; longer than any lease.
const WAIT: Duration = Duration::from_secs(10);
/// How long to wait for it afterwards: what leaks is still there then.
const WAIT_AFTER: Duration = Duration::from_secs(1);
/// How long the owner of a stale hold has it before it takes the lock again.
const STALE_AFTER: Duration = Duration::from_millis(1500);
/// No operation here has more polls than this.
const POLLS_MAX: usize = 64;

/// The locks of the project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kinds {
    InProcess,
    Redis,
    RedisFenced,
    /// Every lease is over when it is granted, so every attempt gives it back.
    RedisExpired,
    /// Three servers, one after the other.
    RedLock,
    /// Three servers at once.
    RedLockParallel,
    /// The same as the one on Redis, on three servers.
    RedLockExpired,
    /// RedLock on one server, extended while it is held.
    Extended,
    Zk(Kind),
    Etcd,
    LockTable,
    /// With messages that may take longer than a lease lasts.
    LockTableSlow,
    UserLock,
    Redisson(redisson::Kind),
    /// A mistake: an attempt goes on when nothing waits for it any more.
    WatchdogGoesOn,
    /// Three locks as one.
    Multi,
    ReentrantRedis,
    ReentrantZk,
    Segmented,
    /// A mistake: it gives a lease back with nothing armed.
    DisarmsEarly,
}

/// When an operation is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// In the place of this poll, from 0.
    InsteadOf(usize),
    /// When this poll has not completed it.
    After(usize),
    /// When a server of its own has answered, which may be at any moment.
    Rung,
}

/// What is dropped half-way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Attempt,
    /// An attempt while another session of the same client has the lock.
    Refused,
    Acquire,
    Extend,
    Release,
    /// The owner takes the lock once more.
    Reenter,
    /// The same, after its hold has ended by its own clock.
    ReenterStale,
}

use Operation::{Acquire, Attempt, Extend, Reenter, ReenterStale, Refused, Release};

/// Client 0 drops an operation, and takes the lock afterwards; client 1, if there is one, just takes the lock.
#[derive(Clone)]
struct Cancelled {
    kind: Kinds,
    operation: Operation,
    /// When it is dropped.
    when: When,
    /// Whether any execution has dropped it: otherwise it was complete before.
    dropped: Arc<AtomicBool>,
}

impl Workload for Cancelled {
    async fn prepare<P: Ports>(&self, ports: P) -> Result<(), Unanswered> {
        if !matches!(self.kind, Kinds::LockTable | Kinds::LockTableSlow) {
            return Ok(());
        }
        let mut session = ports.mysql(0).session();
        answered(table::TABLE, session.run(table::TABLE, Vec::new()).await).map(drop)
    }

    async fn run<P: Ports>(&self, ports: P) {
        let client = ports.client();
        let redis = redis::Config::new(TTL);
        let on_redis = |config| RedisLock::new(&ports, ports.redis(0), LOCK, config);
        let redlock = redlock::Config::new(TTL);
        let on_all = |config| {
            let servers = (0..3).map(|server| ports.redis(server)).collect();
            RedLock::new(&ports, servers, LOCK, config)
        };
        match self.kind {
            Kinds::InProcess => {
                let lock = InProcessLock::new(&ports, LOCK, Duration::from_millis(10));
                self.go(&ports, client, || lock.clone()).await;
            }
            Kinds::Redis => self.go(&ports, client, || on_redis(redis.clone())).await,
            Kinds::RedisFenced => {
                self.go(&ports, client, || {
                    on_redis(redis::Config { fencing: Some(redis::Tokens::WithTheLock), ..redis.clone() })
                })
                .await;
            }
            Kinds::RedisExpired => {
                self.go(&ports, client, || on_redis(redis::Config { drift: TTL, ..redis.clone() })).await;
            }
            Kinds::RedLock => self.go(&ports, client, || on_all(redlock.clone())).await,
            Kinds::RedLockParallel => {
                let config = redlock::Config { contact: Contact::Parallel, ..redlock };
                self.go(&ports, client, || on_all(config.clone())).await;
            }
            Kinds::RedLockExpired => {
                let config = redlock::Config { drift_permille: 1000, ..redlock };
                self.go(&ports, client, || on_all(config.clone())).await;
            }
            Kinds::Extended => {
                let extended = auto_extended::Config::new(TTL);
                let one = |config| RedLock::new(&ports, vec![ports.redis(0)], LOCK, config);
                self.go(&ports, client, || AutoExtended::new(one(redlock.clone()), extended)).await;
            }
            Kinds::Redisson(kind) => {
                let config = redisson::Config { kind, ..redisson::Config::new(TTL) };
                self.go(&ports, client, || RedissonLock::new(&ports, ports.redis(0), LOCK, config.clone())).await;
            }
            Kinds::WatchdogGoesOn => {
                let config = redisson::Config { on_interrupt: OnInterrupt::GoOn, ..redisson::Config::new(TTL) };
                self.go(&ports, client, || RedissonLock::new(&ports, ports.redis(0), LOCK, config.clone())).await;
            }
            Kinds::Multi => self.go(&ports, client, || multi(&ports)).await,
            Kinds::Zk(kind) => {
                let config = zookeeper::Config { kind, ..zookeeper::Config::new(TTL) };
                self.go(&ports, client, || on_zookeeper(&ports, config)).await;
            }
            Kinds::Etcd => self.go(&ports, client, || on_etcd(&ports)).await,
            Kinds::LockTable | Kinds::LockTableSlow => {
                let table = || LockTable::new(&ports, ports.mysql(0), LOCK, table::Config::new(TTL));
                self.go(&ports, client, table).await;
            }
            Kinds::UserLock => self.go(&ports, client, || UserLock::new(&ports, ports.mysql(0), LOCK)).await,
            Kinds::ReentrantRedis => {
                self.go(&ports, client, || reentrant(&on_redis(redis_that_ends_early()))).await;
            }
            Kinds::ReentrantZk => {
                let config = zookeeper::Config::new(TTL);
                self.go(&ports, client, || reentrant(&on_zookeeper(&ports, config))).await;
            }
            Kinds::Segmented => self.go_for_all(&ports, client).await,
            Kinds::DisarmsEarly => self.go(&ports, client, || DisarmsEarly(on_redis(redis.clone()))).await,
        }
    }
}

fn on_zookeeper<P: Ports>(ports: &P, config: zookeeper::Config) -> ZkLock<P> {
    ZkLock::new(&Client::new(ports, ports.zookeeper(0..1), config.client), ZK_PATH, config)
}

/// Three locks that nothing keeps alive, as one.
fn multi<P: Ports>(ports: &P) -> MultiLock<RedissonLock<P>> {
    let config = redisson::Config { keep_alive: KeepAlive::Nothing, ..redisson::Config::new(TTL) };
    let owner = ports.unique_id();
    let one = |server| RedissonLock::owned(ports, ports.redis(server), LOCK, owner.clone(), config.clone());
    MultiLock::new((0..3).map(one).collect(), multi::Config::new(TTL / 4))
}

fn on_etcd<P: Ports>(ports: &P) -> etcd::EtcdLock<P> {
    let config = etcd::Config::new(TTL);
    etcd::EtcdLock::new(&etcd::Client::new(ports, ports.etcd(0..1), config.client), ETCD_PREFIX, config)
}

fn reentrant<L: Lock>(lock: &L) -> Reentrant<L> {
    Reentrant::new(lock, &Arc::new(Record::default()), 0, Reentry::IfHeld)
}

/// Its holder stops to believe in it while the key is still there.
fn redis_that_ends_early() -> redis::Config {
    redis::Config { drift: TTL / 2, ..redis::Config::new(TTL) }
}

impl Cancelled {
    async fn go<P: Ports, L: Lock>(&self, ports: &P, client: usize, make: impl Fn() -> L + Send + Sync) {
        let lock = make();
        if client == 0 {
            self.cancel(ports, &lock, &make).await;
        }
        if self.kind == Kinds::LockTableSlow {
            // Slow answers to a client that tries again and again are too many histories; what is left behind is looked at.
            return;
        }
        // The next enrolment with the same lease would clear away what is left of the last.
        let lock = if self.kind == Kinds::Etcd && self.operation == Refused { make() } else { lock };
        match lock.acquire(WAIT_AFTER).await {
            Ok(guard) => drop(guard.release().await),
            Err(_) => ports.record(mark(NOT_USABLE)),
        }
    }

    async fn cancel<P: Ports, L: Lock>(&self, ports: &P, lock: &L, make: impl Fn() -> L + Send + Sync) {
        match self.operation {
            Refused => {
                let Ok(other) = make().acquire(WAIT).await else { return };
                release(self.drop_it(ports, lock.try_acquire()).await).await;
                drop(other.release().await);
            }
            Attempt => release(self.drop_it(ports, lock.try_acquire()).await).await,
            Acquire => release(self.drop_it(ports, lock.acquire(WAIT)).await).await,
            Extend => {
                let Ok(mut guard) = lock.acquire(WAIT).await else { return };
                let _extended = self.drop_it(ports, guard.extend()).await;
                drop(guard.release().await);
            }
            Release => {
                let Ok(guard) = lock.acquire(WAIT).await else { return };
                let _released = self.drop_it(ports, guard.release()).await;
            }
            Reenter | ReenterStale => {
                let Ok(guard) = lock.acquire(WAIT).await else { return };
                if self.operation == ReenterStale {
                    ports.sleep(STALE_AFTER).await;
                }
                release(self.drop_it(ports, lock.acquire(WAIT)).await).await;
                drop(guard.release().await);
            }
        }
    }

    /// Takes two locks at once.
    async fn go_for_all<P: Ports>(&self, ports: &P, client: usize) {
        let (host, server) = (ports.clone(), ports.redis(0));
        let make = move |key: &Blob| RedisLock::new(&host, server.clone(), key.clone(), redis::Config::new(TTL));
        let locks = Segmented::new(Segments::PerKey, make);
        let keys = SEGMENTS.map(Blob::from);
        // The first is taken and the second is not, where another client has it: then the first is given back.
        let wait = if self.operation == Attempt { Duration::ZERO } else { WAIT };
        let acquired = if client == 0 {
            self.drop_it(ports, locks.acquire_all(&keys, wait)).await
        } else {
            Some(locks.acquire_all(&keys[1..], wait).await)
        };
        for guard in acquired.and_then(Result::ok).into_iter().flatten() {
            drop(guard.release().await);
        }
    }

    /// Runs a future, and drops it when it is time.
    async fn drop_it<T>(&self, ports: &impl Ports, future: impl Future<Output = T> + Send) -> Option<T> {
        let mut polls = 0;
        let mut future = pin!(future);
        let bell = ports.redis(servers(self.kind));
        let mut bell = pin!(bell.call(Command::new("PING")));
        std::future::poll_fn(|cx| {
            if self.when == When::Rung {
                let rung = bell.as_mut().poll(cx).map(|_| None);
                return if rung.is_ready() { rung } else { future.as_mut().poll(cx).map(Some) };
            }
            // How often a future was polled is part of this client's state: the draws are counted in its fingerprint.
            let _draw = ports.random();
            polls += 1;
            let done = match self.when {
                When::InsteadOf(poll) if polls > poll => Poll::Pending,
                _ => future.as_mut().poll(cx).map(Some),
            };
            let last = matches!(self.when, When::InsteadOf(poll) | When::After(poll) if polls > poll);
            if last && done.is_pending() {
                self.dropped.store(true, Ordering::Relaxed);
                return Poll::Ready(None);
            }
            done
        })
        .await
    }
}

async fn release<L: Lock>(acquired: Option<Result<Guard<L>, NotAcquired>>) {
    if let Some(Ok(guard)) = acquired {
        drop(guard.release().await);
    }
}

/// A lock that gives back at once what it was granted, with nothing armed while it waits for that.
#[derive(Clone)]
struct DisarmsEarly<P: Ports>(RedisLock<P>);

impl<P: Ports> Lock for DisarmsEarly<P> {
    type Host = P;

    fn host(&self) -> &P {
        self.0.host()
    }

    fn name(&self) -> &Blob {
        self.0.name()
    }

    async fn attempt(&self) -> Result<Lease, NotAcquired> {
        let lease = self.0.attempt().await?;
        drop(self.0.unlock(lease).await);
        Err(NotAcquired::Expired)
    }

    async fn unlock(&self, lease: Lease) -> Outcome<bool> {
        self.0.unlock(lease).await
    }

    async fn prolong(&self, lease: &Lease) -> Result<Lease, NotAcquired> {
        self.0.prolong(lease).await
    }

    fn retry_delay(&self) -> Duration {
        WAIT
    }
}

/// After a cancelled operation the lock is to be had again.
#[derive(Debug)]
struct Usable;

impl Property for Usable {
    fn name(&self) -> &'static str {
        "usable"
    }

    fn demands(&self) -> &'static str {
        "a lock whose operation was cancelled can be taken again"
    }

    fn check(&self, _memory: &mut Memory, _view: &dyn View, moment: &Moment) -> Judged {
        match moment {
            Moment::Recorded { client, event } if **event == mark(NOT_USABLE) => {
                Judged::Broken(format!("client-{client} does not get the lock"))
            }
            Moment::Recorded { event: Event::Acquired { .. }, .. } => Judged::Fine,
            _ => Judged::Silent,
        }
    }
}

/// What may go on beside the cancelled operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beside {
    /// Nothing.
    Nothing,
    /// One connection breaks, at any moment.
    OneBreak,
    /// Another client takes the lock.
    AnotherClient,
}

/// How many servers keep the lock.
fn servers(kind: Kinds) -> usize {
    let three = matches!(kind, Kinds::RedLock | Kinds::RedLockParallel | Kinds::RedLockExpired | Kinds::Multi);
    if three { 3 } else { 1 }
}

fn services(kind: Kinds) -> Vec<ServiceSpec> {
    let redis = |number: usize| ServiceSpec {
        name: format!("redis-{number}"),
        config: ServiceConfig::Redis(RedisServer::default()),
    };
    let one = |name: &str, config| vec![ServiceSpec { name: name.to_owned(), config }];
    match kind {
        Kinds::Zk(_) | Kinds::ReentrantZk => {
            one("zk", ServiceConfig::ZooKeeper(Ensemble { servers: 1, tick_ms: 1000, ..Ensemble::default() }))
        }
        Kinds::Etcd => one("etcd", ServiceConfig::Etcd(Cluster { servers: 1, ..Cluster::default() })),
        Kinds::LockTable | Kinds::LockTableSlow | Kinds::UserLock => {
            one("mysql", ServiceConfig::MySql(Database::default()))
        }
        _ => (0..servers(kind)).map(redis).collect(),
    }
}

fn locks(kind: Kinds) -> Vec<LockSpec> {
    let on = |name: &str, probe| LockSpec {
        name: Blob::from(name.to_owned()),
        services: (0..servers(kind)).collect(),
        quorum: servers(kind) / 2 + 1,
        probe,
    };
    match kind {
        Kinds::InProcess => Vec::new(),
        Kinds::Zk(_) | Kinds::ReentrantZk => vec![on(ZK_PATH, Probe::at(ZK_PATH))],
        Kinds::Etcd => vec![on(ETCD_PREFIX, Probe::at(ETCD_PREFIX))],
        Kinds::LockTable | Kinds::LockTableSlow => vec![on(LOCK, Probe::at(LOCK))],
        Kinds::UserLock => vec![on(LOCK, Probe::at(LOCK))],
        Kinds::Redisson(kind) => vec![on(LOCK, Probe::at(kind.shown_at(&LOCK.into())))],
        Kinds::Segmented => SEGMENTS.map(|key| on(key, Probe::at(key))).into(),
        _ => vec![on(LOCK, Probe::at(LOCK))],
    }
}

fn setup(workload: Cancelled, beside: Beside) -> Setup {
    let kind = workload.kind;
    let slow = kind == Kinds::LockTableSlow;
    let delay_us_max = Some(if slow { 3 * TTL.as_micros() as u64 / 2 } else { 0 });
    let mut properties: Vec<Arc<dyn Property>> = vec![Arc::new(property::Leak), Arc::new(property::Deadlock)];
    let expires = matches!(kind, Kinds::RedisExpired | Kinds::RedLockExpired | Kinds::DisarmsEarly);
    if beside == Beside::Nothing && !slow && !expires {
        properties.push(Arc::new(Usable));
    }
    let bell = ServiceSpec { name: "bell".to_owned(), config: ServiceConfig::Redis(RedisServer::default()) };
    let bell = (workload.when == When::Rung).then_some(bell);
    Setup {
        services: services(kind).into_iter().chain(bell).collect(),
        clients: if beside == Beside::AnotherClient { 2 } else { 1 },
        program: program(workload),
        symmetric: false,
        arrival: ArrivalTime::AtStart,
        partitions: Partitions::Any,
        budgets: Budgets::NONE.with(Fault::Break, u8::from(beside == Beside::OneBreak)),
        assumptions: Assumptions { delay_us_max, ..Assumptions::default() },
        locks: locks(kind),
        resources: Vec::new(),
        properties,
        seed: 1,
    }
}

/// Drops an operation at each of its polls, and at any moment: the first verdict that is not *holds*.
fn explore(kind: Kinds, operation: Operation, beside: Beside) -> Verdict {
    let polls = (0..POLLS_MAX).flat_map(|poll| [When::InsteadOf(poll), When::After(poll)]);
    for when in polls {
        let (verdict, dropped) = explore_one(kind, operation, when, beside);
        if verdict != Verdict::Holds {
            return verdict;
        }
        if !dropped {
            return explore_one(kind, operation, When::Rung, beside).0;
        }
    }
    panic!("{kind:?} {operation:?} {beside:?} has more than {POLLS_MAX} polls");
}

/// The verdict, and whether any execution dropped the operation at its poll.
fn explore_one(kind: Kinds, operation: Operation, when: When, beside: Beside) -> (Verdict, bool) {
    let workload = Cancelled { kind, operation, when, dropped: Arc::default() };
    let dropped = Arc::clone(&workload.dropped);
    let setup = Arc::new(setup(workload, beside));
    let mut strategy = Exhaustive::new(Reduction::ALL);
    let report = check(&setup, &mut strategy, &Limits::default(), &AtomicBool::new(false), &mut |_| ());
    println!("{kind:?} {operation:?} {beside:?} {when:?}: {} states", report.progress.states.unwrap_or_default());
    // Clients tell only of what they do not get: what is judged is what is left on the servers.
    let verdict = match report.verdict {
        Verdict::Unknown { cause: Cause::NoAcquisition | Cause::NoContention } => Verdict::Holds,
        verdict => verdict,
    };
    (verdict, dropped.load(Ordering::Relaxed))
}

fn holds(kind: Kinds, operations: &[Operation], beside: &[Beside]) {
    for operation in operations {
        for beside in beside {
            assert_eq!(explore(kind, *operation, *beside), Verdict::Holds, "{kind:?} {operation:?} {beside:?}");
        }
    }
}

/// The operations of a lock.
const ALL: [Operation; 5] = [Attempt, Refused, Acquire, Extend, Release];
/// Without another client.
const ALONE: [Beside; 2] = [Beside::Nothing, Beside::OneBreak];
const EVERYTHING: [Beside; 3] = [Beside::Nothing, Beside::OneBreak, Beside::AnotherClient];

#[test]
fn a_lock_in_memory() {
    holds(Kinds::InProcess, &ALL, &[Beside::Nothing]);
}

#[test]
fn a_lock_on_one_redis_server() {
    holds(Kinds::Redis, &ALL, &EVERYTHING);
    holds(Kinds::RedisFenced, &ALL, &EVERYTHING);
    holds(Kinds::RedisExpired, &[Attempt], &EVERYTHING);
}

#[test]
fn redlock() {
    holds(Kinds::RedLock, &ALL, &ALONE);
    holds(Kinds::RedLock, &[Attempt], &[Beside::AnotherClient]);
    holds(Kinds::RedLockParallel, &ALL, &[Beside::Nothing]);
    holds(Kinds::RedLockExpired, &[Attempt], &ALONE);
}

#[test]
fn a_lock_that_is_extended() {
    holds(Kinds::Extended, &ALL, &EVERYTHING);
}

#[test]
fn the_watchdog_lock() {
    holds(Kinds::Redisson(redisson::Kind::Mutex), &[Attempt, Refused, Acquire, Extend, Release, Reenter], &EVERYTHING);
}

#[test]
fn the_other_locks_of_redisson() {
    let fair = redisson::Kind::Fair(redisson::Queue::new(TTL));
    let one = redisson::Kind::Semaphore(redisson::Permits::new(1));
    for kind in [redisson::Kind::Fenced, fair, redisson::Kind::Writer, one] {
        holds(Kinds::Redisson(kind), &ALL, &EVERYTHING);
    }
    // A reader is refused by no reader.
    holds(Kinds::Redisson(redisson::Kind::Reader), &[Attempt, Acquire, Extend, Release], &EVERYTHING);
}

#[test]
fn an_attempt_that_goes_on_is_caught() {
    let verdict = explore(Kinds::WatchdogGoesOn, Acquire, Beside::Nothing);
    assert!(matches!(&verdict, Verdict::Violated(violation) if violation.property == "leak"), "{verdict:?}");
}

#[test]
fn several_locks_as_one() {
    holds(Kinds::Multi, &ALL, &ALONE);
    holds(Kinds::Multi, &[Attempt], &[Beside::AnotherClient]);
}

#[test]
fn the_sequential_lock() {
    holds(Kinds::Zk(Kind::Mutex), &[Refused], &ALONE);
    holds(Kinds::Zk(Kind::Mutex), &[Attempt, Acquire, Extend, Release], &EVERYTHING);
}

#[test]
fn the_semaphore_and_the_read_write_lock() {
    for kind in [Kind::Semaphore(1), Kind::Semaphore(2), Kind::Reader, Kind::Writer] {
        holds(Kinds::Zk(kind), &[Attempt, Acquire, Extend, Release], &ALONE);
        holds(Kinds::Zk(kind), &[Attempt, Release], &[Beside::AnotherClient]);
    }
    holds(Kinds::Zk(Kind::Semaphore(1)), &[Refused], &ALONE);
    holds(Kinds::Zk(Kind::Writer), &[Refused], &ALONE);
}

#[test]
fn the_etcd_mutex() {
    holds(Kinds::Etcd, &[Refused], &ALONE);
    holds(Kinds::Etcd, &[Attempt, Acquire, Extend, Release], &EVERYTHING);
}

#[test]
fn the_lock_table() {
    holds(Kinds::LockTable, &ALL, &EVERYTHING);
    holds(Kinds::LockTableSlow, &[Attempt], &[Beside::Nothing]);
}

#[test]
fn the_user_lock() {
    holds(Kinds::UserLock, &ALL, &EVERYTHING);
}

#[test]
fn reentrancy() {
    let operations = [Attempt, Acquire, Release, Reenter, ReenterStale];
    holds(Kinds::ReentrantRedis, &operations, &EVERYTHING);
    holds(Kinds::ReentrantZk, &operations, &ALONE);
}

#[test]
fn segmentation() {
    holds(Kinds::Segmented, &[Attempt, Acquire], &EVERYTHING);
}

#[test]
fn a_lock_that_disarms_too_early_is_caught() {
    // The request that gives it back is on its way when its sender is dropped: only a break loses it.
    let verdict = explore(Kinds::DisarmsEarly, Attempt, Beside::OneBreak);
    assert!(matches!(&verdict, Verdict::Violated(violation) if violation.property == "leak"), "{verdict:?}");
}
