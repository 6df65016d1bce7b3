//! A producer: without idempotence and without retries, so that each record is sent once.

use super::connection::ask;
use crate::port::kafka::{Answer, Offset, Partition, Producer, Record, Request, Topic};
use crate::port::{Blob, Outcome};
use crate::world::seat::client::Seat;
use std::sync::Arc;

/// Appends to a topic.
pub struct SeatProducer {
    seat: Arc<Seat>,
    node: u16,
    topic: Blob,
    partitions: i32,
}

impl SeatProducer {
    pub(super) fn new(seat: &Arc<Seat>, node: u16, topic: Topic) -> Self {
        let (name, partitions) = (Blob::from(topic.name), topic.partitions);
        SeatProducer { seat: Arc::clone(seat), node, topic: name, partitions }
    }
}

impl Producer for SeatProducer {
    async fn send(&mut self, record: Record) -> Outcome<(Partition, Offset)> {
        let partition = Partition::of_key(&record.key, self.partitions);
        let request = Request::Produce { topic: self.topic.clone(), partition, record };
        ask(&self.seat, self.node, request).await.map(|answer| match answer {
            Answer::Produced(offset) => (partition, offset),
            other => panic!("Produce was answered with {other}"),
        })
    }
}
