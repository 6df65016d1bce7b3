//! A queue in a topic of a Kafka cluster with a group of consumers.
//!
//! A group's place in a partition is one offset: a commit covers every earlier message. So a message is committed once
//! all earlier messages of its partition have had their effect. After a failure the consumer seeks back to the first
//! message without effect before it polls again, and the messages behind it come again. A message whose effect always
//! fails blocks its partition.

use super::{Message, Queue};
use crate::port::kafka::{
    Consumer, ConsumerConfig, Kafka, Membership, Offset, OffsetReset, Partition, Producer, Record, Topic,
};
use crate::port::{Blob, Outcome, Ports, Unanswered, answered};
use std::time::Duration;

const GROUP: &str = "consumers";
const TOPIC: &str = "queue";

/// How the queue is used.
#[derive(Clone, Copy, Debug)]
pub struct KafkaConfig {
    /// The place of the broker in the topology.
    pub server: usize,
    /// How many partitions the topic has.
    pub partitions: i32,
    /// At most so many messages of a partition at once.
    pub batch: u32,
    /// How a consumer gets its partitions.
    pub membership: Membership,
    /// Where consumers begin before the group has committed anything.
    pub reset: OffsetReset,
    /// The group takes a consumer for dead that is not heard for so long.
    pub session_timeout: Duration,
    /// So long one may work on what it has got, while others wait for it to join again.
    pub poll_interval_max: Duration,
    /// What a commit covers.
    pub commits: Commits,
}

/// What a commit covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commits {
    /// The messages that have had their effect, up to the first that has not.
    Settled,
    /// Everything up to the message, which loses those before it that failed. A common mistake.
    UpToMessage,
}

/// A message that the last poll gave.
struct Taken {
    id: Blob,
    partition: Partition,
    offset: Offset,
    /// It has had its effect.
    settled: bool,
}

/// A topic.
pub struct KafkaTopic<P: Ports> {
    ports: P,
    cluster: P::Kafka,
    config: KafkaConfig,
    producer: Option<<P::Kafka as Kafka>::Producer>,
    consumer: Option<<P::Kafka as Kafka>::Consumer>,
    /// In the order of their offsets.
    taken: Vec<Taken>,
}

impl<P: Ports> KafkaTopic<P> {
    /// The queue, as a producer or a consumer. Nothing is connected yet.
    pub fn new(ports: &P, config: KafkaConfig) -> Self {
        let (ports, cluster) = (ports.clone(), ports.kafka(config.server));
        KafkaTopic { ports, cluster, config, producer: None, consumer: None, taken: Vec::new() }
    }

    fn topic(&self) -> Topic {
        Topic { name: TOPIC, partitions: self.config.partitions }
    }

    fn consumer(&mut self) -> &mut <P::Kafka as Kafka>::Consumer {
        let KafkaConfig { membership, reset, session_timeout, poll_interval_max, .. } = self.config;
        let config = ConsumerConfig { group: GROUP, membership, reset, session_timeout, poll_interval_max };
        let topic = self.topic();
        self.consumer.get_or_insert_with(|| self.cluster.consumer(topic, config))
    }

    /// The first message of a partition that has had no effect yet.
    fn first_unsettled(&self, partition: Partition) -> Option<Offset> {
        let unsettled = |taken: &&Taken| taken.partition == partition && !taken.settled;
        self.taken.iter().find(unsettled).map(|taken| taken.offset)
    }

    /// Goes back to what has had no effect. A consumer that cannot is given up for a new one, which begins where the
    /// group has got to.
    async fn go_back(&mut self) {
        if self.config.commits == Commits::Settled {
            for partition in (0..self.config.partitions).map(Partition) {
                if let Some(offset) = self.first_unsettled(partition)
                    && self.consumer().seek(partition, offset).await.ok().is_none()
                {
                    self.consumer = None;
                    break;
                }
            }
        }
        self.taken.clear();
    }

    /// How far the group has got in a partition, now that this message has had its effect.
    fn next(&self, partition: Partition, offset: Offset) -> Option<Offset> {
        if self.config.commits == Commits::UpToMessage {
            return Some(offset + 1);
        }
        let first = self.first_unsettled(partition);
        let last = self.taken.iter().filter(|taken| taken.partition == partition).map(|taken| taken.offset + 1).max();
        first.or(last).filter(|next| *next > offset)
    }
}

impl<P: Ports> Queue for KafkaTopic<P> {
    async fn create(&mut self) -> Result<(), Unanswered> {
        answered("CreateTopics", self.cluster.create_topic(self.topic()).await)
    }

    async fn publish(&mut self, body: &Blob) -> Outcome<()> {
        let (topic, ports) = (self.topic(), self.ports.clone());
        let producer = self.producer.get_or_insert_with(|| self.cluster.producer(topic));
        let record = Record { key: body.clone(), value: body.clone() };
        ports.round(async { producer.send(record).await.map(drop) }).await
    }

    async fn poll(&mut self) -> Vec<Message> {
        self.go_back().await;
        let batch = self.config.batch;
        let received = self.consumer().poll(batch).await.ok().unwrap_or_default();
        let mut messages = Vec::new();
        for record in received {
            let id = Blob::from(format!("{}/{}", record.partition, record.offset));
            let (partition, offset) = (record.partition, record.offset);
            self.taken.push(Taken { id: id.clone(), partition, offset, settled: false });
            messages.push(Message { id, body: record.record.value });
        }
        messages
    }

    async fn commit(&mut self, message: &Message) {
        let Some(taken) = self.taken.iter_mut().find(|taken| taken.id == message.id) else { return };
        taken.settled = true;
        let (partition, offset) = (taken.partition, taken.offset);
        if self.config.membership == Membership::Member
            && let Some(next) = self.next(partition, offset)
        {
            drop(self.consumer().commit(partition, next).await);
        }
    }

    async fn backlog(&mut self) -> Result<Vec<i64>, Unanswered> {
        let lag = answered("OffsetFetch, ListOffsets", self.consumer().lag().await)?;
        Ok(lag.into_iter().map(|(_, left)| left).collect())
    }

    async fn leave(&mut self) {
        if let Some(consumer) = &mut self.consumer {
            consumer.leave().await;
        }
    }
}
