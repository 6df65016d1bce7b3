//! The Kafka port: producers, and consumers that read for a group.

use super::Outcome;
pub use doublehold_models::kafka::wire::{Answer, Error, Generation, Offset, Partition, Record, Request};
use std::future::Future;
use std::time::Duration;

/// A topic.
#[derive(Clone, Copy, Debug)]
pub struct Topic {
    /// Its name.
    pub name: &'static str,
    /// How many partitions it has, at least one.
    pub partitions: i32,
}

/// How a consumer gets its partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// It belongs to the group, which divides the partitions among its members (`subscribe`).
    Member,
    /// It reads all of them from the group's committed offsets, beside the group's members (`assign`).
    Apart,
}

/// Where a consumer begins if the group has committed nothing, or more than there is (`auto.offset.reset`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetReset {
    /// With the first record.
    Earliest,
    /// With what comes from now on, which is the default of Kafka's own client.
    Latest,
}

/// How a consumer works.
#[derive(Clone, Copy, Debug)]
pub struct ConsumerConfig {
    /// The group that it reads for.
    pub group: &'static str,
    /// How it gets its partitions.
    pub membership: Membership,
    /// Where it begins.
    pub reset: OffsetReset,
    /// The broker takes it for dead if it has not been heard for so long.
    pub session_timeout: Duration,
    /// So long it may take from one poll to the next while the group rebalances (`max.poll.interval.ms`).
    pub poll_interval_max: Duration,
}

/// A record as a consumer gets it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Received {
    /// Its partition.
    pub partition: Partition,
    /// Its place there.
    pub offset: Offset,
    /// What was produced.
    pub record: Record,
}

/// A broker.
pub trait Kafka: Clone + Send + Sync + 'static {
    /// What produces.
    type Producer: Producer;
    /// What consumes.
    type Consumer: Consumer;

    /// Makes a topic, unless it is there with as many partitions.
    fn create_topic(&self, topic: Topic) -> impl Future<Output = Outcome<()>> + Send;

    /// Something that appends to a topic. Nothing is connected yet.
    fn producer(&self, topic: Topic) -> Self::Producer;

    /// Something that reads a topic. Nothing is connected yet.
    fn consumer(&self, topic: Topic, config: ConsumerConfig) -> Self::Consumer;
}

/// Appends to a topic.
pub trait Producer: Send {
    /// Appends a record to the partition that its key belongs to, and says where it is.
    fn send(&mut self, record: Record) -> impl Future<Output = Outcome<(Partition, Offset)>> + Send;
}

/// Reads a topic. The group of a consumer that is dropped may learn of it only once its session has expired.
pub trait Consumer: Send {
    /// The next records, at most so many of each partition; nothing if there is nothing now. Here a member learns that
    /// the group has been rebalanced, and goes on with other partitions.
    fn poll(&mut self, max: u32) -> impl Future<Output = Outcome<Vec<Received>>> + Send;

    /// Goes on from here in a partition. If that fails, or the partition is not among its own, where it goes on is
    /// unknown.
    fn seek(&mut self, partition: Partition, offset: Offset) -> impl Future<Output = Outcome<()>> + Send;

    /// Notes that the group has got so far in a partition: the offset of the next record. A member of an earlier
    /// generation is refused. The broker does not check that the member owns it.
    fn commit(&mut self, partition: Partition, next: Offset) -> impl Future<Output = Outcome<()>> + Send;

    /// How many records of each partition the group has not committed; less than none if it has committed more than
    /// there are.
    fn lag(&mut self) -> impl Future<Output = Outcome<Vec<(Partition, i64)>>> + Send;

    /// Leaves the group, so that others get its partitions at once.
    fn leave(&mut self) -> impl Future<Output = ()> + Send;
}
