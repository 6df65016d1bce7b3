//! A producer: without idempotence and without retries, so that each record is sent once.

use super::SeatKafka;
use super::connection::ask;
use crate::port::kafka::{Answer, Offset, Partition, Producer, Record, Request};
use crate::port::{Blob, Outcome};

/// Appends to a topic.
pub struct SeatProducer {
    pub(super) kafka: SeatKafka,
    pub(super) topic: Blob,
    pub(super) partitions: i32,
}

impl Producer for SeatProducer {
    async fn send(&mut self, record: Record) -> Outcome<(Partition, Offset)> {
        let partition = Partition::of_key(&record.key, self.partitions);
        let request = Request::Produce { topic: self.topic.clone(), partition, record };
        ask(&self.kafka.seat, self.kafka.node, request).await.map(|answer| match answer {
            Answer::Produced(offset) => (partition, offset),
            other => panic!("Produce was answered with {other}"),
        })
    }
}
