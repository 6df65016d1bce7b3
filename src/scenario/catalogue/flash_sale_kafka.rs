//! The flash sale with Kafka for its queue: members that crash, pause and rejoin, row S9 by a crash and by a rebalance,
//! and mistakes in the use of a consumer group.

use super::flash_sale::{DAY_BUYERS, NOT_UNIQUE, SaleScenario, sale};
use super::ms;
use crate::flow::flash_sale::Stage;
use crate::flow::flash_sale::oracle::{SaleAcknowledged, SaleOnce, SaleTold};
use crate::flow::queue::{Commits, KafkaConfig, QueueConfig};
use crate::port::kafka::{Membership, OffsetReset};
use crate::scenario::mutation::Mutation;
use crate::world::fault::Fault;
use doublehold_models::{ServiceConfig, kafka};

const DOCUMENTATION: &str = "Kafka documentation, consumer and broker configuration";

const KAFKA: KafkaConfig = KafkaConfig {
    server: 2,
    partitions: 1,
    batch: 10,
    membership: Membership::Member,
    reset: OffsetReset::Earliest,
    session_timeout: ms(100),
    poll_interval_max: ms(300),
    commits: Commits::Settled,
};

pub(super) fn scenarios() -> Vec<SaleScenario> {
    [sound_ones(), vec![day()], rows(), mistakes()].concat()
}

/// One consumer, one buyer, pieces enough.
fn on(name: &str, row: Option<&'static str>, summary: &'static str) -> SaleScenario {
    let sale = sale(name, row, summary, Stage::Queued).kafka(|_| {}).with(|buyers| buyers.pieces = 2);
    sale.with(|buyers| buyers.sale.consumer_retry.tries = 1)
}

/// Two consumers, one buyer.
fn group(name: &str, row: Option<&'static str>, summary: &'static str) -> SaleScenario {
    on(name, row, summary).with(|buyers| buyers.consumers.count = 2).clients(3)
}

fn sound_ones() -> Vec<SaleScenario> {
    let one = |name: &str, summary, fault| on(name, None, summary).faults(fault, 1);
    let two = |name: &str, summary, fault| group(name, None, summary).faults(fault, 1);
    vec![
        one("flash-kafka-crash", "requests go into a topic whose consumer sells; a process ends", Fault::ClientCrash)
            .operations(3),
        one("flash-kafka-break", "a consumer sells what is in a topic; a connection breaks", Fault::Break)
            .operations(2),
        one("flash-kafka-break-crash", "the same, and a process ends as well", Fault::Break)
            .faults(Fault::ClientCrash, 1)
            .operations(2),
        one("flash-kafka-node-crash", "a consumer sells what is in a topic; a server goes down", Fault::NodeCrash),
        two("flash-kafka-group-crash", "two consumers share a partition; a process ends", Fault::ClientCrash)
            .operations(2),
        two("flash-kafka-group-pause", "two consumers share a partition; a process stands still", Fault::Pause),
        group("flash-kafka-group", None, "two consumers share two partitions")
            .kafka(|kafka| kafka.partitions = 2)
            .operations(2)
            .judged(SaleAcknowledged { exactly: true }),
    ]
}

/// A whole sale: in the simulated world ten buyers and two consumers, and every kind of fault.
fn day() -> SaleScenario {
    let mut day =
        group("flash-kafka-day", None, "a whole sale with its queue in Kafka; in the simulated world with every fault")
            .kafka(|kafka| kafka.partitions = 2)
            .with(|buyers| buyers.pieces = DAY_BUYERS as i64)
            .faults(Fault::ClientCrash, 1)
            .with_every_fault();
    (day.simulation.clients, day.simulation.operations) = (DAY_BUYERS + 2, 10);
    (day.simulation.fault_every_us, day.simulation.pause_us_max) = (300_000, 200_000);
    day
}

fn rows() -> Vec<SaleScenario> {
    let not_unique = |sound: SaleScenario| sound.mutated(Mutation::Text(NOT_UNIQUE));
    let fix = "the request's number is unique in the orders, in the transaction that takes the piece";
    let summary = "a consumer ends between the order and its commit: the message comes again";
    let crashed = on("flash-kafka-redelivered", Some("S9"), summary).faults(Fault::ClientCrash, 1).only(SaleOnce);
    let summary = "a consumer stands still while it works on a message: the group gives its partition to another";
    let rebalanced = group("flash-kafka-rebalanced", Some("S9"), summary).faults(Fault::Pause, 1).only(SaleOnce);
    [crashed.broken_and_fixed(not_unique, "unique", fix), rebalanced.broken_and_fixed(not_unique, "unique", fix)]
        .concat()
}

fn mistakes() -> Vec<SaleScenario> {
    let mut unsynced = on(
        "flash-kafka-power-loss",
        None,
        "the broker loses power with requests that it has acknowledged and not synced, as its defaults have it",
    )
    .faults(Fault::NodePowerLoss, 1)
    .only(SaleTold);
    unsynced.about.source = DOCUMENTATION;
    let by_system = |sound: SaleScenario| {
        sound.serving(|service| {
            if let ServiceConfig::Kafka(config) = &mut service.config {
                config.flush = kafka::Flush::BySystem;
            }
        })
    };
    let summary = "consumers begin with what comes from now on: what came before, or was not committed, is lost";
    let mut latest = group("mutant-flash-kafka-latest", None, summary)
        .kafka(|kafka| kafka.reset = OffsetReset::Latest)
        .faults(Fault::ClientCrash, 1)
        .violating("sale-told");
    latest.about.source = DOCUMENTATION;
    let skips = on("mutant-flash-kafka-skips", None, "the consumer commits past a message that failed")
        .kafka(|kafka| kafka.commits = Commits::UpToMessage)
        .operations(2)
        .faults(Fault::Break, 1)
        .violating("sale-told");
    let first = on("mutant-flash-kafka-commits-first", None, "the consumer commits before it has sold")
        .with(|buyers| buyers.sale.commits_first = true)
        .faults(Fault::ClientCrash, 1)
        .violating("sale-told");
    let fix = "the broker syncs each message before it acknowledges it";
    [unsynced.broken_and_fixed(by_system, "synced", fix), vec![latest, skips, first]].concat()
}

impl SaleScenario {
    /// Its queue is a Kafka topic that is used otherwise.
    fn kafka(self, change: impl FnOnce(&mut KafkaConfig)) -> Self {
        self.with(|buyers| {
            let mut config = match buyers.queue {
                QueueConfig::Kafka(config) => config,
                QueueConfig::RedisStream(_) => KAFKA,
            };
            change(&mut config);
            buyers.queue = QueueConfig::Kafka(config);
        })
    }
}
