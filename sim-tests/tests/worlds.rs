//! The same test bodies in the simulated arm and in the real arm, and what only one of them can show.

use doublehold::explore::follow::follow;
use doublehold::history::Event;
use doublehold::lock::redis::{Config, RedisLock, Tokens};
use doublehold::lock::redlock::{self, RedLock};
use doublehold::lock::{Acquire, Lock, NotAcquired};
use doublehold::port::{Command, Outcome, Ports, Redis, Subscription, Value};
use doublehold::property::{self, Property};
use doublehold::scenario::{Workload, program};
use doublehold::trace::Recorder;
use doublehold::world::fault::{Assumptions, Budgets};
use doublehold::world::real::servers::RedisServer;
use doublehold::world::real::{RealPorts, RedisOptions};
use doublehold::world::setup::{ArrivalTime, LockSpec, Probe, ServiceSpec, Setup};
use doublehold_models::ServiceConfig;
use doublehold_sim_tests::redis_server_or_skip;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

const SERVERS: usize = 3;

/// Runs a workload to its end on simulated servers; what it recorded.
fn simulated(workload: impl Workload, properties: Vec<Arc<dyn Property>>) -> Vec<Event> {
    let redis =
        |number| ServiceSpec { name: format!("redis-{number}"), config: ServiceConfig::Redis(Default::default()) };
    let setup = Setup {
        services: (0..SERVERS).map(redis).collect(),
        clients: 1,
        program: program(workload),
        symmetric: false,
        arrival: ArrivalTime::AtStart,
        partitions: doublehold::world::cut::Partitions::Any,
        budgets: Budgets::NONE,
        assumptions: Assumptions { delay_us_max: Some(0), ..Assumptions::default() },
        locks: vec![LockSpec {
            name: "lock".into(),
            services: (0..SERVERS).collect(),
            quorum: 2,
            probe: Probe::at("lock"),
        }],
        resources: Vec::new(),
        properties,
        seed: 1,
    };
    let world = follow(&Arc::new(setup), &[], Recorder::on());
    assert_eq!(world.system().violation, None);
    assert!(world.system().is_quiescent(), "the workload came to its end");
    world.recorder().history.iter().map(|entry| entry.event.clone()).collect()
}

/// Runs a workload to its end on real servers.
fn real(workload: impl Workload, what: &str) {
    if !redis_server_or_skip(what) {
        return;
    }
    let servers: Vec<RedisServer> =
        (0..SERVERS).map(|_| RedisServer::start().unwrap_or_else(|problem| panic!("{problem}"))).collect();
    let urls: Vec<String> = servers.iter().map(RedisServer::url).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio starts");
    runtime.block_on(async {
        let ports = RealPorts::new(0, &urls, RedisOptions::default(), None).expect("the URLs are right");
        tokio::time::timeout(Duration::from_secs(30), workload.run(ports)).await.expect("it ends");
    });
}

/// Takes, contends, extends and releases, with every answer checked.
#[derive(Clone)]
struct TakeAndGive;

impl TakeAndGive {
    async fn exercise<L: Lock>(&self, lock: &L) {
        let mut guard = lock.try_acquire().await.unwrap_or_else(|why| panic!("a free lock: {why}"));
        let refused = lock.try_acquire().await.err().expect("a held lock is refused");
        assert!(matches!(refused, NotAcquired::Held | NotAcquired::NoQuorum { .. }), "{refused}");
        guard.extend().await.expect("our own lease can be extended");
        assert!(guard.is_valid());
        assert_eq!(guard.release().await, Outcome::Ok(true));
        let guard = lock.acquire(Duration::from_secs(5)).await.unwrap_or_else(|why| panic!("free again: {why}"));
        assert_eq!(guard.release().await, Outcome::Ok(true));
    }
}

impl Workload for TakeAndGive {
    async fn run<P: Ports>(&self, ports: P) {
        let ttl = Duration::from_secs(5);
        let servers = (0..SERVERS).map(|server| ports.redis(server)).collect();
        self.exercise(&RedLock::new(&ports, servers, "lock", redlock::Config::new(ttl))).await;
        self.exercise(&RedisLock::new(&ports, ports.redis(0), "single", Config::new(ttl))).await;
        let fenced = Config { fencing: Some(Tokens::WithTheLock), ..Config::new(ttl) };
        self.exercise(&RedisLock::new(&ports, ports.redis(0), "fenced", fenced)).await;
    }
}

#[test]
fn locks_take_and_give_on_simulated_servers() {
    simulated(TakeAndGive, vec![Arc::new(property::Leak), Arc::new(property::Deadlock)]);
}

#[test]
fn locks_take_and_give_on_real_servers() {
    real(TakeAndGive, "the locks on real servers");
}

/// Drops an acquisition half-way, at each of its awaits in turn, and a guard that was never released.
#[derive(Clone)]
struct Cancel {
    polls: usize,
}

impl Workload for Cancel {
    async fn run<P: Ports>(&self, ports: P) {
        let servers = (0..SERVERS).map(|server| ports.redis(server)).collect();
        let lock = RedLock::new(&ports, servers, "lock", redlock::Config::new(Duration::from_secs(5)));
        {
            let mut attempt = pin!(lock.try_acquire());
            let mut left = self.polls;
            let guard = std::future::poll_fn(|cx| {
                if left == 0 {
                    return std::task::Poll::Ready(None);
                }
                left -= 1;
                attempt.as_mut().poll(cx).map(Some)
            })
            .await;
            drop(guard);
        }
        // What was dropped is given back in the background; nothing is left to wait for but that.
        ports.sleep(Duration::from_millis(500)).await;
        for server in 0..SERVERS {
            let left = ports.redis(server).call(Command::new("GET").arg("lock")).await;
            assert_eq!(left, Outcome::Ok(Value::Nil), "server {server} after {} polls", self.polls);
        }
    }
}

#[test]
fn a_dropped_acquisition_leaks_nothing() {
    for polls in 1..8 {
        simulated(Cancel { polls }, vec![Arc::new(property::Leak)]);
    }
}

#[test]
fn a_dropped_acquisition_leaks_nothing_on_real_servers() {
    real(Cancel { polls: 2 }, "cancellation on real servers");
}

/// Listens to a channel and hears what is published on it.
#[derive(Clone)]
struct Listen;

impl Workload for Listen {
    async fn run<P: Ports>(&self, ports: P) {
        let redis = ports.redis(0);
        let mut channel = redis.subscribe("news".into()).await.ok().expect("it subscribes");
        let heard = redis.call(Command::new("PUBLISH").arg("news").arg("hello")).await;
        assert_eq!(heard, Outcome::Ok(Value::Int(1)));
        assert_eq!(channel.next().await.as_deref(), Some(&b"hello"[..]));
    }
}

#[test]
fn subscriptions_hear_what_is_published() {
    simulated(Listen, Vec::new());
    real(Listen, "subscriptions on a real server");
}

/// A request to a server that is not there did not happen.
#[test]
fn a_refused_connection_is_a_fail() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio starts");
    let outcome = runtime.block_on(async {
        let urls = ["redis://127.0.0.1:1".to_owned()];
        let ports = RealPorts::new(0, &urls, RedisOptions::default(), None).expect("the URL is right");
        ports.redis(0).call(Command::new("PING")).await
    });
    assert!(matches!(outcome, Outcome::Fail(_)), "{outcome:?}");
}
