//! Both worlds, and what is to be seen in them.

use crate::generate::{PARTITIONS, Step, program};
use crate::play::{MissedRebalance, Played, Seen, TOPIC};
use doublehold::port::kafka::Error;
use doublehold::port::{Outcome, Refusal};
use doublehold::scenario::Workload;
use doublehold::world::cut::Partitions;
use doublehold::world::fault::{Assumptions, Budgets};
use doublehold::world::real::{KafkaOptions, RealKafka, RealPorts, RedisOptions};
use doublehold::world::recorder::Recorder;
use doublehold::world::setup::{ArrivalTime, ServiceSpec, Setup};
use doublehold::world::simulation::Simulation;
use doublehold_models::{ServiceConfig, kafka};
use doublehold_sim_tests::conformance::sequences_factor;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// Programs at a time: they wait most of the time.
const PROGRAMS: u64 = 8;
const STEPS: usize = 16;

fn mock() -> MockCluster<'static, DefaultProducerContext> {
    let cluster = MockCluster::new(1).expect("the mock broker starts");
    cluster.create_topic(TOPIC.name, PARTITIONS, 1).expect("the topic is made");
    cluster
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("tokio starts")
}

fn ports(brokers: &str) -> RealPorts {
    let ports = RealPorts::new(0, &[], RedisOptions::default(), None).expect("there is no URL");
    ports.with_kafka(&RealKafka::new(brokers, KafkaOptions::default()))
}

/// Runs a workload as the one client of a simulated broker.
fn simulate(workload: impl Workload) {
    let config = ServiceConfig::Kafka(kafka::Config { initial_delay_ms: 0, ..kafka::Config::default() });
    let setup = Setup {
        services: vec![ServiceSpec { name: "kafka".to_owned(), config }],
        clients: 1,
        program: doublehold::scenario::program(workload),
        symmetric: false,
        arrival: ArrivalTime::AtStart,
        partitions: Partitions::Any,
        budgets: Budgets::NONE,
        assumptions: Assumptions::default(),
        locks: Vec::new(),
        resources: Vec::new(),
        properties: Vec::new(),
        seed: 1,
    };
    let ran = doublehold::world::simulated::run(&Arc::new(setup), &Simulation::default(), &[], Recorder::off());
    let ran = ran.unwrap_or_else(|problem| panic!("{problem}"));
    assert_eq!(ran.violation, None);
}

/// Programs on the mock broker, each with one of its own, side by side.
fn play_real(programs: &[Played]) {
    runtime().block_on(async {
        let mut running = Vec::new();
        for played in programs {
            let (cluster, played) = (mock(), played.clone());
            let ports = ports(&cluster.bootstrap_servers());
            running.push((cluster, tokio::spawn(async move { played.run(ports).await })));
        }
        for (_cluster, played) in running {
            played.await.expect("no program panics");
        }
    });
}

pub(crate) fn sweep() {
    let (mut steps, mut records) = (0, 0);
    for round in 0..sequences_factor() {
        let seeds: Vec<u64> = (round * PROGRAMS..(round + 1) * PROGRAMS).collect();
        let programs: Vec<Vec<Step>> = seeds.iter().map(|seed| program(*seed, STEPS)).collect();
        let real: Vec<Played> = programs.iter().map(|steps| Played::new(steps.clone())).collect();
        play_real(&real);
        for ((seed, program), real) in seeds.iter().zip(programs).zip(real) {
            let simulated = Played::new(program.clone());
            simulate(simulated.clone());
            let (simulated, real) = (simulated.seen(), real.seen());
            for (at, step) in program.iter().enumerate() {
                let so_far =
                    || program[..=at].iter().zip(&simulated).map(|(step, seen)| format!("{step:?}: {seen:?}\n"));
                assert_eq!(
                    simulated.get(at),
                    real.get(at),
                    "simulated, real: seed {seed}, step {at}, {step:?}; simulated so far:\n{}",
                    so_far().collect::<String>()
                );
            }
            steps += program.len();
            records += simulated.iter().map(Seen::records).sum::<usize>();
        }
    }
    println!("kafka conformance: {} programs, {steps} steps, {records} records polled", PROGRAMS * sequences_factor());
}

pub(crate) fn missed_rebalance() {
    let simulated = MissedRebalance::default();
    simulate(simulated.clone());
    let real = MissedRebalance::default();
    let (cluster, runtime) = (mock(), runtime());
    runtime.block_on(real.run(ports(&cluster.bootstrap_servers())));
    assert_eq!(simulated.seen(), real.seen(), "simulated, real");
    let refused = Seen::Committed(Outcome::Fail(Refusal::Kafka(Error::UnknownMemberId)));
    assert_eq!(real.seen().get(2), Some(&refused), "it belongs to no generation any more");
}
