//! What an explorer must not miss: each test is a small program whose violation, or whose second outcome, is easily lost.

use doublehold::explore::exhaustive::{Exhaustive, Reduction};
use doublehold::explore::{Cause, Limits, Verdict, check};
use doublehold::history::{Event, Mode};
use doublehold::port::{Command, Outcome, Ports, Redis, Value};
use doublehold::property::{self, Judged, Memory, Moment, Property, View};
use doublehold::scenario::{Workload, program};
use doublehold::world::cut::Partitions;
use doublehold::world::fault::{Assumptions, Budgets, Fault};
use doublehold::world::setup::{ArrivalTime, ResourceSpec, ServiceSpec, Setup};
use doublehold_models::ServiceConfig;
use doublehold_models::redis::Config;
use doublehold_sim_tests::scenario;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::Poll;

fn setup(workload: impl Workload, clients: usize, properties: Vec<Arc<dyn Property>>) -> Setup {
    Setup {
        services: vec![ServiceSpec { name: "store".into(), config: ServiceConfig::Redis(Config::default()) }],
        clients,
        program: program(workload),
        symmetric: false,
        arrival: ArrivalTime::AtStart,
        partitions: Partitions::Any,
        budgets: Budgets::NONE,
        assumptions: Assumptions { delay_us_max: Some(0), ..Assumptions::default() },
        locks: Vec::new(),
        resources: vec![ResourceSpec { name: "stock".into(), service: 0, lock: "lock".into() }],
        properties,
        seed: 1,
    }
}

/// How a client writes the stock under its hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Write {
    /// In a transaction: the SET is only queued, the EXEC writes.
    Transaction,
    /// After it has begun to release.
    AfterRelease,
    /// Without waiting for the reply: the client ends with the request in flight.
    AndEnd,
    /// As it should be: only with a hold that nobody has overtaken.
    Fenced,
}

/// Two clients that both believe that they hold a lock, with tokens 1 and 2.
#[derive(Clone)]
struct TwoHolders(Write);

impl Workload for TwoHolders {
    async fn run<P: Ports>(&self, ports: P) {
        let client = ports.client();
        let (store, fence) = (ports.redis(0), client as u64 + 1);
        let token = ports.unique_id();
        ports.record(Event::Acquired {
            lock: "lock".into(),
            token: token.clone(),
            fence: Some(fence),
            valid_until: None,
            mode: Mode::Exclusive,
        });
        let set = || Command::new("SET").arg("stock").arg(fence);
        match self.0 {
            Write::Transaction => {
                for command in [Command::new("MULTI"), set(), Command::new("EXEC")] {
                    drop(store.call(command).await);
                }
            }
            Write::AfterRelease => {
                ports.record(Event::Releasing { lock: "lock".into(), token: token.clone() });
                drop(store.call(set()).await);
            }
            Write::AndEnd => send_only(store.call(set())).await,
            Write::Fenced => {
                static SCRIPT: doublehold::port::Script = doublehold::port::Script {
                    body: "-- write unless a later one has
if tonumber(redis.call('GET', KEYS[1]) or '0') > tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1]) return 1",
                };
                drop(store.eval(&SCRIPT, &["stock".into()], &[fence.into()]).await);
            }
        }
    }
}

/// Sends a request and gives up on it at once.
async fn send_only<T>(request: impl Future<Output = T>) {
    let mut request = pin!(request);
    std::future::poll_fn(|cx| {
        let sent = request.as_mut().poll(cx);
        drop(sent);
        Poll::Ready(())
    })
    .await;
}

fn explore(setup: Setup, reduction: Reduction) -> (Verdict, Vec<u128>) {
    let mut strategy = Exhaustive::new(reduction);
    strategy.collect_finals();
    let stop = AtomicBool::new(false);
    let report = check(&Arc::new(setup), &mut strategy, &Limits::default(), &stop, &mut |_| ());
    (report.verdict, strategy.finals())
}

#[test]
fn a_stale_write_is_seen_however_it_is_made() {
    let verdict = |write, reduction| {
        let setup = setup(TwoHolders(write), 2, vec![Arc::new(property::Effect)]);
        explore(setup, reduction).0
    };
    for reduction in [Reduction::ALL, Reduction::NONE] {
        for write in [Write::Transaction, Write::AfterRelease, Write::AndEnd] {
            let verdict = verdict(write, reduction);
            assert!(matches!(&verdict, Verdict::Violated(violation) if violation.property == "effect"), "{write:?}");
        }
        assert_eq!(verdict(Write::Fenced, reduction), Verdict::Holds);
    }
}

/// Sends two requests, and looks at the second answer after the first: until then the second is only told.
#[derive(Clone)]
struct LooksLater;

impl Workload for LooksLater {
    async fn run<P: Ports>(&self, ports: P) {
        let client = ports.client();
        let (store, key) = (ports.redis(0), "flag");
        if client == 1 {
            drop(store.call(Command::new("SET").arg(key).arg("up")).await);
            return;
        }
        // A connection of its own, so that the answers can come in any order.
        let other = ports.redis(1);
        let mut first = pin!(other.call(Command::new("PING")));
        let mut second = pin!(store.call(Command::new("GET").arg(key)));
        let mut early = None;
        std::future::poll_fn(|cx| {
            if early.is_none() && first.as_mut().poll(cx).is_ready() {
                early = Some(());
            }
            // The second is polled once, to be sent, and then left alone until the first is there.
            let _sent = second.as_mut().poll(cx).is_pending();
            Poll::Ready(())
        })
        .await;
        if early.is_none() {
            drop(first.await);
        }
        let seen = match second.await {
            Outcome::Ok(Value::Bulk(_)) => "up",
            Outcome::Ok(_) | Outcome::Fail(_) | Outcome::Indeterminate(_) => "down",
        };
        drop(store.call(Command::new("SET").arg("seen").arg(seen)).await);
    }
}

#[test]
fn an_answer_that_was_not_looked_at_still_counts() {
    let finals = |reduction| {
        let mut setup = setup(LooksLater, 2, Vec::new());
        setup.services.push(ServiceSpec { name: "other".into(), config: ServiceConfig::Redis(Config::default()) });
        let (verdict, finals) = explore(setup, reduction);
        assert_eq!(verdict, Verdict::Unknown { cause: Cause::NothingJudged });
        finals
    };
    let all = finals(Reduction::NONE);
    assert_eq!(all.len(), 2, "the flag was seen up, or down");
    assert_eq!(finals(Reduction { partial_order: true, symmetry: false }), all);
}

/// A holder is never told that its hold is lost.
#[derive(Debug)]
struct NeverLost;

impl Property for NeverLost {
    fn name(&self) -> &'static str {
        "never-lost"
    }

    fn demands(&self) -> &'static str {
        "no holder is told that its hold is lost"
    }

    fn check(&self, _memory: &mut Memory, _view: &dyn View, moment: &Moment) -> Judged {
        let lost = matches!(moment, Moment::Recorded { event: Event::Lost { .. }, .. });
        Judged::broken(lost.then(|| "a hold is lost".to_owned()))
    }
}

/// A ZooKeeper client hears nothing while it is paused: past two thirds of the session time-out, here 4 s, it gives its connection up,
/// whatever the server thinks of the session.
#[test]
fn a_pause_beyond_the_read_time_out_suspends_the_session() {
    fn check_pause(pause_us_max: u64, suspends: bool) {
        let scenario = scenario("zk-sequential-partition");
        let mut parameters = scenario.defaults();
        parameters.clients = 1;
        parameters.budgets = Budgets::NONE.with(Fault::Pause, 1);
        parameters.assumptions.pause_us_max = Some(pause_us_max);
        let mut setup = scenario.setup(&parameters, 1);
        setup.properties = vec![Arc::new(NeverLost)];
        let mut strategy = Exhaustive::new(Reduction::ALL);
        let report = check(&Arc::new(setup), &mut strategy, &Limits::default(), &AtomicBool::new(false), &mut |_| ());
        let violated = matches!(report.verdict, Verdict::Violated(_));
        assert_eq!(violated, suspends, "pauses up to {pause_us_max} µs: {:?}", report.verdict);
    }
    check_pause(2_500_000, false);
    check_pause(2_700_000, true);
}
