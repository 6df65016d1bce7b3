//! Queues: each message goes to one consumer of a group, at least once.
//!
//! A consumer first lets a message have its effect and then commits it. If it crashes between the two, or is slow, the
//! message goes to another consumer as well: the effect must be one that the second time does nothing (S9).
//!
//! | file | queue |
//! |---|---|
//! | `redis_stream` | a stream of a Redis server with a group of consumers |
//! | `kafka_topic` | a topic of a Kafka cluster with a group of consumers |
//! | `any` | one of them, as a configuration has it |

mod any;
mod kafka_topic;
mod redis_stream;

use crate::port::{Blob, Outcome, Unanswered};
use std::future::Future;

pub use any::{AnyQueue, QueueConfig};
pub use kafka_topic::{Commits, KafkaConfig, KafkaTopic};
pub use redis_stream::{RedisStream, StreamConfig};

/// A connection to a queue, of a producer or of a consumer.
pub trait Queue: Send {
    /// Makes the queue, before anyone uses it. The answer must come.
    fn create(&mut self) -> impl Future<Output = Result<(), Unanswered>> + Send;

    /// Appends a message. Without an answer it may be there.
    fn publish(&mut self, body: &Blob) -> impl Future<Output = Outcome<()>> + Send;

    /// The next messages for this consumer; none if there are none now, or without an answer.
    fn poll(&mut self) -> impl Future<Output = Vec<Message>> + Send;

    /// Says that a message has had its effect. Without an answer it may come again. What a poll gave and was not
    /// committed comes again with a later one.
    fn commit(&mut self, message: &Message) -> impl Future<Output = ()> + Send;

    /// How many messages the group has not committed, per partition; negative if it has committed past the end. For an
    /// auditor, after the consumers have ended. The answer must come.
    fn backlog(&mut self) -> impl Future<Output = Result<Vec<i64>, Unanswered>> + Send;

    /// Takes leave, as a consumer: others get what comes from now on without having to find out that this one is gone.
    fn leave(&mut self) -> impl Future<Output = ()> + Send;
}

/// A message as a consumer gets it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Message {
    /// Its place in the queue.
    pub id: Blob,
    /// What was published.
    pub body: Blob,
}
