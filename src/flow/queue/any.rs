//! A queue of any kind, as a configuration has it.

use super::{KafkaConfig, KafkaTopic, Message, Queue, RedisStream, StreamConfig};
use crate::port::kafka::Membership;
use crate::port::{Blob, Outcome, Ports, Unanswered};
use std::time::Duration;

/// Which queue, and how it is used.
#[derive(Clone, Copy, Debug)]
pub enum QueueConfig {
    /// A stream of a Redis server.
    RedisStream(StreamConfig),
    /// A topic of a Kafka cluster.
    Kafka(KafkaConfig),
}

impl QueueConfig {
    /// The same, for an auditor that takes all that is left after the consumers have ended.
    #[must_use]
    pub fn of_auditor(self) -> Self {
        match self {
            QueueConfig::RedisStream(config) => {
                QueueConfig::RedisStream(StreamConfig { idle: Duration::ZERO, ..config })
            }
            QueueConfig::Kafka(config) => QueueConfig::Kafka(KafkaConfig { membership: Membership::Apart, ..config }),
        }
    }

    /// A connection to it.
    pub fn open<P: Ports>(self, ports: &P) -> AnyQueue<P> {
        match self {
            QueueConfig::RedisStream(config) => AnyQueue::RedisStream(RedisStream::new(ports, config)),
            QueueConfig::Kafka(config) => AnyQueue::Kafka(KafkaTopic::new(ports, config)),
        }
    }
}

/// A queue of any kind.
pub enum AnyQueue<P: Ports> {
    /// A stream of a Redis server.
    RedisStream(RedisStream<P>),
    /// A topic of a Kafka cluster.
    Kafka(KafkaTopic<P>),
}

impl<P: Ports> Queue for AnyQueue<P> {
    async fn create(&mut self) -> Result<(), Unanswered> {
        match self {
            AnyQueue::RedisStream(queue) => queue.create().await,
            AnyQueue::Kafka(queue) => queue.create().await,
        }
    }

    async fn publish(&mut self, body: &Blob) -> Outcome<()> {
        match self {
            AnyQueue::RedisStream(queue) => queue.publish(body).await,
            AnyQueue::Kafka(queue) => queue.publish(body).await,
        }
    }

    async fn poll(&mut self) -> Vec<Message> {
        match self {
            AnyQueue::RedisStream(queue) => queue.poll().await,
            AnyQueue::Kafka(queue) => queue.poll().await,
        }
    }

    async fn commit(&mut self, message: &Message) {
        match self {
            AnyQueue::RedisStream(queue) => queue.commit(message).await,
            AnyQueue::Kafka(queue) => queue.commit(message).await,
        }
    }

    async fn backlog(&mut self) -> Result<Vec<i64>, Unanswered> {
        match self {
            AnyQueue::RedisStream(queue) => queue.backlog().await,
            AnyQueue::Kafka(queue) => queue.backlog().await,
        }
    }

    async fn leave(&mut self) {
        match self {
            AnyQueue::RedisStream(queue) => queue.leave().await,
            AnyQueue::Kafka(queue) => queue.leave().await,
        }
    }
}
