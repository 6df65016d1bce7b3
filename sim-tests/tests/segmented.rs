//! Segmentation over two kinds of lock: several segments at once without waiting for each other, and the mistake of taking them in the
//! order in which they were asked for.

use doublehold::explore::exhaustive::{Exhaustive, Reduction};
use doublehold::explore::{Limits, Verdict, check};
use doublehold::history::Event;
use doublehold::lock::NotAcquired;
use doublehold::lock::segmented::{Segmented, Segments, acquire_in_order};
use doublehold::lock::{etcd, redis, zookeeper};
use doublehold::port::{Blob, Ports};
use doublehold::property::{Judged, Memory, Moment, Property, View};
use doublehold::scenario::{Workload, program};
use doublehold::world::cut::Partitions;
use doublehold::world::fault::{Assumptions, Budgets};
use doublehold::world::setup::{ArrivalTime, ServiceSpec, Setup};
use doublehold_models::ServiceConfig;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(3);

/// How several segments are taken.
#[derive(Clone, Copy)]
enum Taking {
    /// As the wrapper does.
    Sorted,
    /// One after the other as asked for.
    AsAsked,
}

/// One client wants a and b, the other b and a.
#[derive(Clone)]
struct TwoSegments {
    kind: ServiceConfig,
    taking: Taking,
}

impl Workload for TwoSegments {
    async fn run<P: Ports>(&self, ports: P) {
        let client = ports.client();
        let keys: [Blob; 2] = if client == 0 { ["a".into(), "b".into()] } else { ["b".into(), "a".into()] };
        let acquired = match &self.kind {
            ServiceConfig::Redis(_) => {
                let ports = ports.clone();
                let config = redis::Config::new(Duration::from_secs(10));
                self.take(&keys, move |key| redis::RedisLock::new(&ports, ports.redis(0), key.clone(), config.clone()))
                    .await
            }
            ServiceConfig::ZooKeeper(_) => {
                let config = zookeeper::Config::new(Duration::from_secs(20));
                let client = zookeeper::Client::new(&ports, ports.zookeeper(0..1), config.client);
                self.take(&keys, move |key| zookeeper::ZkLock::new(&client, format!("/{key}"), config)).await
            }
            ServiceConfig::Etcd(_) => {
                let config = etcd::Config::new(Duration::from_secs(20));
                let client = etcd::Client::new(&ports, ports.etcd(0..1), config.client);
                self.take(&keys, move |key| etcd::EtcdLock::new(&client, format!("{key}/"), config)).await
            }
            ServiceConfig::MySql(_) | ServiceConfig::Kafka(_) => panic!("no lock of this kind here"),
        };
        // A client that gives up has recorded it: `EverybodyGetsIt` judges that.
        let _recorded = acquired;
    }
}

impl TwoSegments {
    async fn take<L: doublehold::lock::Lock>(
        &self,
        keys: &[Blob],
        make: impl Fn(&Blob) -> L + Send + Sync + 'static,
    ) -> Result<(), NotAcquired> {
        let locks = Segmented::new(Segments::PerKey, make);
        let guards = match self.taking {
            Taking::Sorted => locks.acquire_all(keys, WAIT).await?,
            Taking::AsAsked => acquire_in_order(keys.iter().map(|key| locks.lock_of(key)).collect(), WAIT).await?,
        };
        for guard in guards {
            drop(guard.release().await);
        }
        Ok(())
    }
}

/// Without faults everybody gets what it wants in time.
#[derive(Debug)]
struct EverybodyGetsIt;

impl Property for EverybodyGetsIt {
    fn name(&self) -> &'static str {
        "everybody-gets-it"
    }

    fn demands(&self) -> &'static str {
        "nobody gives up"
    }

    fn check(&self, _memory: &mut Memory, _view: &dyn View, moment: &Moment) -> Judged {
        match moment {
            Moment::Recorded { client, event: Event::NotAcquired { .. } } => {
                Judged::Broken(format!("client-{client} gives up"))
            }
            Moment::Quiescent => Judged::Fine,
            _ => Judged::Silent,
        }
    }
}

fn explore(kind: ServiceConfig, taking: Taking) -> Verdict {
    let setup = Setup {
        services: vec![ServiceSpec { name: "lock".to_owned(), config: kind.clone() }],
        clients: 2,
        program: program(TwoSegments { kind, taking }),
        symmetric: false,
        arrival: ArrivalTime::AtStart,
        partitions: Partitions::Any,
        budgets: Budgets::NONE,
        assumptions: Assumptions { delay_us_max: Some(0), ..Assumptions::default() },
        locks: Vec::new(),
        resources: Vec::new(),
        properties: vec![Arc::new(EverybodyGetsIt)],
        seed: 1,
    };
    let mut strategy = Exhaustive::new(Reduction::ALL);
    check(&Arc::new(setup), &mut strategy, &Limits::default(), &AtomicBool::new(false), &mut |_| ()).verdict
}

#[test]
fn several_segments_are_taken_in_one_order() {
    let one = |servers| doublehold_models::zookeeper::Config { servers, ..Default::default() };
    let kinds = [
        ServiceConfig::Redis(Default::default()),
        ServiceConfig::ZooKeeper(one(1)),
        ServiceConfig::Etcd(doublehold_models::etcd::Config { servers: 1, ..Default::default() }),
    ];
    for kind in kinds {
        let verdict = explore(kind.clone(), Taking::Sorted);
        assert_eq!(verdict, Verdict::Holds, "{kind:?}, sorted");
        let verdict = explore(kind.clone(), Taking::AsAsked);
        assert!(matches!(verdict, Verdict::Violated { .. }), "{kind:?}, as asked: {verdict:?}");
    }
}
