//! Queues: each message goes to one consumer of a group, at least once.
//!
//! A consumer first lets a message have its effect and then commits it. If it crashes between the two, or is slow, the
//! message goes to another consumer as well: the effect must be one that the second time does nothing (S9).

mod redis_stream;

use crate::port::{Blob, Outcome};
use std::future::Future;

pub use redis_stream::{RedisStream, StreamConfig};

/// A connection to a queue, of a producer or of a consumer.
pub trait Queue: Send {
    /// Appends a message. Without an answer it may be there.
    fn publish(&mut self, body: &Blob) -> impl Future<Output = Outcome<()>> + Send;

    /// The next messages for this consumer; none if there are none now, or without an answer.
    fn poll(&mut self) -> impl Future<Output = Vec<Message>> + Send;

    /// Says that a message has had its effect. Without an answer it may come again.
    fn commit(&mut self, message: &Message) -> impl Future<Output = ()> + Send;
}

/// A message as a consumer gets it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Message {
    /// Its place in the queue.
    pub id: Blob,
    /// What was published.
    pub body: Blob,
}
