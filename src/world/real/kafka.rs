//! The Kafka port on a real cluster, through librdkafka.
//!
//! **Producers** wait for all in-sync replicas and are idempotent: a record that librdkafka retries is appended once.
//! Keys map to the partitions that Kafka's own client would choose. **Consumers** commit only on request. librdkafka
//! sends heartbeats and prefetches in its own threads, and acts on a rebalance when the consumer polls.

use crate::port::kafka::{
    Consumer, ConsumerConfig, Error, Kafka, Membership, Offset, OffsetReset, Partition, Producer, Received, Record,
    Topic,
};
use crate::port::{Blob, Outcome, Refusal, Unknown};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{CommitMode, Consumer as _, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset as At, TopicPartitionList};
use std::sync::Arc;
use std::time::Duration;

/// How patient the adapter is.
#[derive(Clone, Copy, Debug)]
pub struct KafkaOptions {
    /// How long to wait for an answer; after that a request is indeterminate.
    pub response_timeout: Duration,
    /// How long a poll waits for its first record.
    pub poll_wait: Duration,
}

impl Default for KafkaOptions {
    fn default() -> Self {
        KafkaOptions { response_timeout: Duration::from_secs(5), poll_wait: Duration::from_millis(100) }
    }
}

/// A real cluster.
#[derive(Clone)]
pub struct RealKafka {
    /// Some of its brokers, such as `127.0.0.1:9092,127.0.0.1:9093`; librdkafka finds the others.
    brokers: Arc<str>,
    options: KafkaOptions,
}

impl RealKafka {
    /// The cluster with these brokers, such as `127.0.0.1:9092,127.0.0.1:9093`. Nothing is connected yet.
    pub fn new(brokers: &str, options: KafkaOptions) -> Self {
        RealKafka { brokers: brokers.into(), options }
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &*self.brokers).set("socket.timeout.ms", millis(self.options.response_timeout));
        config
    }

    /// How many partitions a topic has; `None` if it is not there.
    async fn partitions(&self, topic: &'static str) -> Result<Option<usize>, KafkaError> {
        let (config, timeout) = (self.config(), self.options.response_timeout);
        blocking(move || {
            let client: rdkafka::consumer::BaseConsumer = config.create()?;
            let metadata = client.fetch_metadata(Some(topic), timeout)?;
            let found = metadata.topics().iter().find(|found| found.name() == topic && found.error().is_none());
            Ok(found.map(|found| found.partitions().len()))
        })
        .await
    }

    async fn make_topic(&self, topic: Topic) -> Result<(), KafkaError> {
        let admin: AdminClient<DefaultClientContext> = self.config().create()?;
        let options = AdminOptions::new().request_timeout(Some(self.options.response_timeout));
        // −1: as many replicas as the brokers are set up for.
        let new = NewTopic::new(topic.name, topic.partitions, TopicReplication::Fixed(-1));
        match admin.create_topics([&new], &options).await?.pop() {
            Some(Err((_, code))) => Err(KafkaError::AdminOp(code)),
            _ => Ok(()),
        }
    }
}

impl Kafka for RealKafka {
    type Producer = RealProducer;
    type Consumer = RealConsumer;

    async fn create_topic(&self, topic: Topic) -> Outcome<()> {
        match self.partitions(topic.name).await {
            Ok(Some(count)) if usize::try_from(topic.partitions) == Ok(count) => Outcome::Ok(()),
            Ok(Some(_)) => Outcome::Fail(Refusal::Kafka(Error::TopicAlreadyExists)),
            Ok(None) => outcome(self.make_topic(topic).await),
            Err(problem) => outcome(Err(problem)),
        }
    }

    fn producer(&self, topic: Topic) -> RealProducer {
        RealProducer { kafka: self.clone(), topic: topic.name, producer: None }
    }

    fn consumer(&self, topic: Topic, config: ConsumerConfig) -> RealConsumer {
        RealConsumer { kafka: self.clone(), topic, config, consumer: None }
    }
}

/// Appends to a topic of a real cluster.
pub struct RealProducer {
    kafka: RealKafka,
    topic: &'static str,
    producer: Option<FutureProducer>,
}

impl RealProducer {
    fn open(&mut self) -> Result<&FutureProducer, KafkaError> {
        if self.producer.is_none() {
            let timeout = millis(self.kafka.options.response_timeout);
            let mut config = self.kafka.config();
            config.set("message.timeout.ms", timeout).set("acks", "all").set("enable.idempotence", "true");
            config.set("partitioner", "murmur2_random").set("linger.ms", "0");
            self.producer = Some(config.create()?);
        }
        Ok(self.producer.as_ref().expect("it was made above"))
    }
}

impl Producer for RealProducer {
    async fn send(&mut self, record: Record) -> Outcome<(Partition, Offset)> {
        let (topic, timeout) = (self.topic, self.kafka.options.response_timeout);
        let producer = match self.open() {
            Ok(producer) => producer,
            Err(problem) => return outcome(Err(problem)),
        };
        let new = FutureRecord::to(topic).key(&record.key[..]).payload(&record.value[..]);
        let sent = producer.send(new, timeout).await.map_err(|(problem, _)| problem);
        outcome(sent.map(|delivery| (Partition(delivery.partition), delivery.offset)))
    }
}

/// Reads a topic of a real cluster.
pub struct RealConsumer {
    kafka: RealKafka,
    topic: Topic,
    config: ConsumerConfig,
    consumer: Option<Arc<StreamConsumer>>,
}

impl RealConsumer {
    fn open(&mut self) -> Result<Arc<StreamConsumer>, KafkaError> {
        if let Some(consumer) = &self.consumer {
            return Ok(Arc::clone(consumer));
        }
        let ConsumerConfig { group, membership, reset, session_timeout, poll_interval_max } = self.config;
        let mut config = self.kafka.config();
        config.set("group.id", group).set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
        config.set("partition.assignment.strategy", "range").set("fetch.wait.max.ms", "50");
        config.set("session.timeout.ms", millis(session_timeout));
        config.set("heartbeat.interval.ms", millis(session_timeout / 3));
        config.set("max.poll.interval.ms", millis(poll_interval_max.max(session_timeout)));
        config.set(
            "auto.offset.reset",
            match reset {
                OffsetReset::Earliest => "earliest",
                OffsetReset::Latest => "latest",
            },
        );
        let consumer: StreamConsumer = config.create()?;
        match membership {
            Membership::Member => consumer.subscribe(&[self.topic.name])?,
            Membership::Apart => {
                let mut all = TopicPartitionList::new();
                for partition in 0..self.topic.partitions {
                    all.add_partition_offset(self.topic.name, partition, At::Stored)?;
                }
                consumer.assign(&all)?;
            }
        }
        Ok(Arc::clone(self.consumer.insert(Arc::new(consumer))))
    }

    async fn read(&mut self, max: u32) -> Result<Vec<Received>, KafkaError> {
        let consumer = self.open()?;
        let mut all = Vec::new();
        let mut wait = self.kafka.options.poll_wait;
        while all.len() < max as usize {
            let Ok(next) = tokio::time::timeout(wait, consumer.recv()).await else { break };
            match next {
                Ok(message) => all.push(received(&message)),
                // What has been taken off librdkafka's queue will not come again: an error behind it must not lose it.
                Err(_) if !all.is_empty() => break,
                Err(problem) => return Err(problem),
            }
            // What librdkafka has read ahead is there at once.
            wait = Duration::from_millis(1);
        }
        Ok(all)
    }

    fn place(&self, partition: Partition, offset: Offset) -> Result<TopicPartitionList, KafkaError> {
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(self.topic.name, partition.0, At::Offset(offset))?;
        Ok(place)
    }
}

impl Consumer for RealConsumer {
    async fn poll(&mut self, max: u32) -> Outcome<Vec<Received>> {
        outcome(self.read(max).await)
    }

    async fn seek(&mut self, partition: Partition, offset: Offset) -> Outcome<()> {
        let (place, timeout) = (self.place(partition, offset), self.kafka.options.response_timeout);
        let (consumer, place) = match (self.open(), place) {
            (Ok(consumer), Ok(place)) => (consumer, place),
            (Err(problem), _) | (_, Err(problem)) => return outcome(Err(problem)),
        };
        let sought = blocking(move || {
            let sought = consumer.seek_partitions(place, timeout)?;
            sought.elements().iter().try_for_each(rdkafka::topic_partition_list::TopicPartitionListElem::error)
        });
        outcome(sought.await)
    }

    async fn lag(&mut self) -> Outcome<Vec<(Partition, i64)>> {
        let consumer = match self.open() {
            Ok(consumer) => consumer,
            Err(problem) => return outcome(Err(problem)),
        };
        let (topic, timeout) = (self.topic, self.kafka.options.response_timeout);
        outcome(blocking(move || lag(&consumer, topic, timeout)).await)
    }

    async fn commit(&mut self, partition: Partition, next: Offset) -> Outcome<()> {
        let place = self.place(partition, next);
        let (consumer, place) = match (self.open(), place) {
            (Ok(consumer), Ok(place)) => (consumer, place),
            (Err(problem), _) | (_, Err(problem)) => return outcome(Err(problem)),
        };
        let committed = blocking(move || consumer.commit(&place, CommitMode::Sync));
        match tokio::time::timeout(self.kafka.options.response_timeout, committed).await {
            Ok(committed) => outcome(committed),
            Err(_) => Outcome::Indeterminate(Unknown::TimedOut),
        }
    }

    /// librdkafka leaves the group when the consumer is dropped, which takes a while.
    async fn leave(&mut self) {
        if let Some(consumer) = self.consumer.take() {
            blocking(move || drop(consumer)).await;
        }
    }
}

fn lag(consumer: &StreamConsumer, topic: Topic, timeout: Duration) -> Result<Vec<(Partition, i64)>, KafkaError> {
    let mut all = TopicPartitionList::new();
    for partition in 0..topic.partitions {
        all.add_partition(topic.name, partition);
    }
    let committed = consumer.committed_offsets(all, timeout)?;
    let of = |partition: i32| {
        let (_, end) = consumer.fetch_watermarks(topic.name, partition, timeout)?;
        let committed = match committed.find_partition(topic.name, partition).map(|found| found.offset()) {
            Some(At::Offset(offset)) => offset,
            _ => 0,
        };
        Ok((Partition(partition), end - committed))
    };
    (0..topic.partitions).map(of).collect()
}

fn received(message: &BorrowedMessage<'_>) -> Received {
    let blob = |bytes: Option<&[u8]>| Blob::copy_from(bytes.unwrap_or_default());
    let record = Record { key: blob(message.key()), value: blob(message.payload()) };
    Received { partition: Partition(message.partition()), offset: message.offset(), record }
}

fn millis(time: Duration) -> String {
    time.as_millis().to_string()
}

/// Waits for something that blocks its thread.
async fn blocking<T: Send + 'static>(does: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(does).await.expect("librdkafka does not panic")
}

/// The errors that both worlds know.
const ERRORS: [(RDKafkaErrorCode, Error); 7] = [
    (RDKafkaErrorCode::OffsetOutOfRange, Error::OffsetOutOfRange),
    (RDKafkaErrorCode::UnknownTopicOrPartition, Error::UnknownTopicOrPartition),
    (RDKafkaErrorCode::IllegalGeneration, Error::IllegalGeneration),
    (RDKafkaErrorCode::UnknownMemberId, Error::UnknownMemberId),
    (RDKafkaErrorCode::RebalanceInProgress, Error::RebalanceInProgress),
    (RDKafkaErrorCode::TopicAlreadyExists, Error::TopicAlreadyExists),
    (RDKafkaErrorCode::InvalidPartitions, Error::InvalidPartitions),
];

/// Of these librdkafka says that nothing was sent, or that the cluster has refused it.
const NOT_DONE: [RDKafkaErrorCode; 8] = [
    RDKafkaErrorCode::UnknownTopic,
    RDKafkaErrorCode::UnknownPartition,
    RDKafkaErrorCode::QueueFull,
    RDKafkaErrorCode::MessageSizeTooLarge,
    RDKafkaErrorCode::InvalidMessageSize,
    RDKafkaErrorCode::TopicAuthorizationFailed,
    RDKafkaErrorCode::UnsupportedFeature,
    RDKafkaErrorCode::NotEnoughReplicas,
];

fn outcome<T>(done: Result<T, KafkaError>) -> Outcome<T> {
    let problem = match done {
        Ok(done) => return Outcome::Ok(done),
        Err(problem) => problem,
    };
    let Some(code) = problem.rdkafka_error_code() else {
        // It has not come to a request.
        return Outcome::Fail(Refusal::Server(Blob::from(problem.to_string())));
    };
    if let Some((_, error)) = ERRORS.iter().find(|(known, _)| *known == code) {
        return Outcome::Fail(Refusal::Kafka(*error));
    }
    if NOT_DONE.contains(&code) {
        return Outcome::Fail(Refusal::Server(Blob::from(problem.to_string())));
    }
    let timed_out = matches!(
        code,
        RDKafkaErrorCode::MessageTimedOut | RDKafkaErrorCode::OperationTimedOut | RDKafkaErrorCode::RequestTimedOut
    );
    Outcome::Indeterminate(if timed_out { Unknown::TimedOut } else { Unknown::ConnectionLost })
}
