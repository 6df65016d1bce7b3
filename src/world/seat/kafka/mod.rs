//! The Kafka port of a seat.

mod connection;
mod consumer;
mod member;
mod producer;

use super::client::Seat;
use crate::port::kafka::{Answer, ConsumerConfig, Error, Kafka, Request, Topic};
use crate::port::{Outcome, Refusal};
use connection::ask;
use consumer::SeatConsumer;
use producer::SeatProducer;
use std::sync::Arc;

/// A simulated broker.
#[derive(Clone)]
pub struct SeatKafka {
    pub(super) seat: Arc<Seat>,
    pub(super) node: u16,
}

impl Kafka for SeatKafka {
    type Producer = SeatProducer;
    type Consumer = SeatConsumer;

    async fn create_topic(&self, topic: Topic) -> Outcome<()> {
        let request = Request::CreateTopic { topic: topic.name.into(), partitions: topic.partitions };
        match ask(&self.seat, self.node, request).await {
            Outcome::Fail(Refusal::Kafka(Error::TopicAlreadyExists)) => Outcome::Ok(()),
            other => other.map(|answer| assert_eq!(answer, Answer::TopicCreated, "a topic was to be made")),
        }
    }

    fn producer(&self, topic: Topic) -> SeatProducer {
        SeatProducer::new(&self.seat, self.node, topic)
    }

    fn consumer(&self, topic: Topic, config: ConsumerConfig) -> SeatConsumer {
        SeatConsumer::new(&self.seat, self.node, topic, config)
    }
}
