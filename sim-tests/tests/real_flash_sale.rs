//! The flash sale on a real MariaDB and a real Redis: each stage sells under its oracles, the naive one oversells, and
//! what the catalogue says of a queue without a unique request number shows.

use doublehold::flow::flash_sale::books::Books;
use doublehold::flow::flash_sale::limiter::{self, Counting};
use doublehold::flow::flash_sale::oracle;
use doublehold::flow::flash_sale::{Config, Publish, Stage};
use doublehold::flow::queue::{QueueConfig, StreamConfig};
use doublehold::lock::mysql::Retry;
use doublehold::scenario::flash_sale::{Buyers, Consumers};
use doublehold::scenario::mutation::{Edit, Mutation};
use doublehold_sim_tests::real::Servers;
use std::time::Duration;

const BUYERS: usize = 12;
const REQUESTS: usize = 10;
/// For each request of a buyer: so fewer than there are requests.
const PIECES: i64 = 3;
/// A race that has not shown in so many rounds is not there.
const ROUNDS: usize = 40;
const CONSUMERS: usize = 2;

const DROP_TABLES: &str = "DROP TABLE IF EXISTS stock, stock_order";

/// What is wrong after a round, by the names of the oracles, and what the auditor found.
fn round(servers: &Servers, workload: &Buyers) -> (Vec<String>, Books) {
    let round = servers.round(workload, BUYERS + workload.consumers(), DROP_TABLES, &oracle::all());
    let names = round.violations.into_iter().map(|violation| violation.property).collect();
    (names, round.audit.get().expect("there are books"))
}

/// True if some round breaks this oracle.
fn breaks(servers: &Servers, workload: &Buyers, property: &str) -> bool {
    (0..ROUNDS).any(|_| round(servers, workload).0.iter().any(|broken| broken == property))
}

fn sale(stage: Stage) -> Buyers {
    let ms = Duration::from_millis;
    let sale = Config {
        database: 0,
        cache: 1,
        stock: 1,
        stage,
        retry: Retry { tries: 1, delay: ms(0), unknown: false },
        consumer_retry: Retry { tries: 20, delay: ms(1), unknown: true },
        publish: Publish::Refresh,
        limiter: limiter::Config { quota: 40, window: ms(50), counting: Counting::Script },
        commits_first: false,
    };
    Buyers {
        sale,
        queue: QueueConfig::RedisStream(StreamConfig { server: 1, batch: 10, idle: ms(5_000) }),
        pieces: PIECES,
        requests: REQUESTS,
        think: ms(10),
        pause: ms(0),
        consumers: Consumers { count: CONSUMERS, pause: ms(5), empty_polls: 4 },
        mutation: None,
    }
}

#[test]
fn the_naive_stage_oversells_and_the_others_do_not() {
    let Some(servers) = Servers::start("the flash sale on real servers") else { return };
    assert!(breaks(&servers, &sale(Stage::Naive), "sale-oversell"), "two requests read the same stock");
    for stage in [Stage::Optimistic, Stage::Limited, Stage::Cached, Stage::Queued] {
        for _ in 0..3 {
            let (broken, books) = round(&servers, &sale(stage));
            assert_eq!(broken, [""; 0], "{stage:?}: {books}");
            assert!(books.ordered() > 0, "{stage:?}: {books}");
        }
    }
}

#[test]
fn a_message_that_comes_again_makes_an_order_only_without_a_unique_number() {
    let Some(servers) = Servers::start("redelivery on real servers") else { return };
    // What one consumer has is taken over by the other at once.
    let mut eager = sale(Stage::Queued);
    (eager.queue, eager.pieces) = (eager.queue.of_auditor(), 20);
    let edit = Edit { passage: "UNIQUE KEY by_request", mistake: "KEY by_request" };
    assert!(breaks(&servers, &Buyers { mutation: Some(Mutation::Text(edit)), ..eager }, "sale-once"), "S9");
    for _ in 0..5 {
        let (broken, books) = round(&servers, &eager);
        assert_eq!(broken, [""; 0], "{books}");
    }
}

#[cfg(feature = "kafka")]
mod on_kafka {
    use super::*;
    use doublehold::flow::queue::{Commits, KafkaConfig};
    use doublehold::port::kafka::{Membership, OffsetReset};
    use doublehold::world::real::{KafkaOptions, RealKafka};
    use rdkafka::mocking::MockCluster;

    const PARTITIONS: i32 = 3;

    /// The mock broker lets a group wait for its first members for three seconds: consumers must not give up before.
    pub(super) fn sale_on_kafka(reset: OffsetReset) -> Buyers {
        let ms = Duration::from_millis;
        let queue = KafkaConfig {
            server: 2,
            partitions: PARTITIONS,
            batch: 10,
            membership: Membership::Member,
            reset,
            session_timeout: ms(3_500),
            poll_interval_max: ms(20_000),
            commits: Commits::Settled,
        };
        let mut sale = sale(Stage::Queued);
        sale.queue = QueueConfig::Kafka(queue);
        sale.consumers.empty_polls = 5;
        sale
    }

    /// A round with a mock broker of its own.
    pub(super) fn round_on_kafka(servers: Servers, workload: &Buyers) -> (Vec<String>, Books, Servers) {
        let cluster = MockCluster::new(1).expect("the mock broker starts");
        cluster.create_topic("queue", PARTITIONS, 1).expect("the topic is made");
        let kafka = RealKafka::new(&cluster.bootstrap_servers(), KafkaOptions::default());
        let servers = servers.with_kafka(kafka);
        let (broken, books) = round(&servers, workload);
        (broken, books, servers)
    }
}

#[test]
fn the_queue_may_be_kafka() {
    #[cfg(feature = "kafka")]
    {
        use doublehold::port::kafka::OffsetReset;
        use on_kafka::{round_on_kafka, sale_on_kafka};
        let Some(servers) = Servers::start("the flash sale with Kafka's mock broker") else { return };
        let (broken, books, servers) = round_on_kafka(servers, &sale_on_kafka(OffsetReset::Earliest));
        assert_eq!(broken, [""; 0], "{books}");
        assert!(books.ordered_before > 0, "the consumers sell: {books}");
        // The requests are there before the group is.
        let (broken, books, _) = round_on_kafka(servers, &sale_on_kafka(OffsetReset::Latest));
        assert!(broken.contains(&"sale-told".to_owned()), "what came before the consumers is lost: {books}");
    }
    #[cfg(not(feature = "kafka"))]
    doublehold_sim_tests::skip_unbuilt("the flash sale with Kafka's mock broker", "kafka");
}
