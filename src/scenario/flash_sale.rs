//! Buyers: clients of the flash sale, and the consumers of its queue.

use super::flow::Flow;
use super::keeper;
use super::mutation::{Mutant, Mutation};
use super::{Parameters, Workload};
use crate::flow::flash_sale::{Config, FlashSale, MIGRATIONS, Stage, oracle};
use crate::flow::queue::{AnyQueue, Queue, QueueConfig};
use crate::flow::schema::migrate;
use crate::history::Fact;
use crate::port::mysql::{MySql, Session};
use crate::port::{Ports, Unanswered, answered};
use crate::property::Sometimes;
use crate::world::setup::ServiceSpec;
use std::time::Duration;

const INSERT_STOCK: &str = "INSERT INTO stock (id, name, count) VALUES (?, ?, ?)";

/// Consumers of the queue.
#[derive(Clone, Copy, Debug)]
pub struct Consumers {
    /// How many there are: the first clients.
    pub count: usize,
    /// How long one waits after it has found nothing.
    pub pause: Duration,
    /// It ends once it has found nothing so many times in a row: this number for each request that a buyer sends.
    pub empty_polls: usize,
}

/// Buyers who send one request after the other, and the consumers of the queue if there is one.
#[derive(Clone, Copy, Debug)]
pub struct Buyers {
    /// How the sale works. The database is the first server, Redis the second, Kafka the third.
    pub sale: Config,
    /// How the queue is used.
    pub queue: QueueConfig,
    /// How many pieces there are for each request of a buyer.
    pub pieces: i64,
    /// How many requests a buyer sends.
    pub requests: usize,
    /// How long it thinks at the most before each.
    pub think: Duration,
    /// How long it waits after each.
    pub pause: Duration,
    /// The consumers, in the last stage.
    pub consumers: Consumers,
    /// A deliberate mistake.
    pub mutation: Option<Mutation>,
}

impl Buyers {
    /// How many of the clients are consumers.
    pub fn consumers(&self) -> usize {
        if self.sale.stage == Stage::Queued { self.consumers.count } else { 0 }
    }

    /// How many pieces there are.
    pub fn stock(&self) -> i64 {
        self.pieces * self.requests as i64
    }

    /// The service of a client.
    pub fn service<P: Ports>(&self, ports: &P) -> FlashSale<P, AnyQueue<P>> {
        FlashSale::new(ports, self.sale, self.queue.open(ports))
    }

    async fn prepare_with<P: Ports>(&self, ports: &P) -> Result<(), Unanswered> {
        let mut session = ports.mysql(self.sale.database).session();
        migrate(&mut session, &MIGRATIONS).await?;
        let row = vec![self.sale.stock.into(), "a thing".into(), self.stock().into()];
        answered(INSERT_STOCK, session.run(INSERT_STOCK, row).await)?;
        if self.sale.stage == Stage::Queued {
            self.queue.open(ports).create().await?;
        }
        Ok(())
    }

    async fn run_with<P: Ports>(&self, ports: &P) {
        let mut service = self.service(ports);
        if self.consumers() > 0 && ports.client() < self.consumers() {
            return self.consume(ports, service).await;
        }
        for _ in 0..self.requests {
            if !self.think.is_zero() {
                ports.sleep(ports.random_between(Duration::ZERO, self.think)).await;
            }
            service.buy(&ports.unique_id()).await;
            if !self.pause.is_zero() {
                ports.sleep(self.pause).await;
            }
        }
    }

    /// Takes what is in the queue, until nothing comes any more.
    pub async fn consume<P: Ports>(&self, ports: &P, mut service: FlashSale<P, AnyQueue<P>>) {
        let empty_polls_max = self.consumers.empty_polls * self.requests;
        let mut empty_polls = 0;
        loop {
            let done = service.consume().await;
            empty_polls = if done > 0 { 0 } else { empty_polls + 1 };
            if empty_polls == empty_polls_max {
                return service.leave().await;
            }
            if done == 0 {
                ports.sleep(self.consumers.pause).await;
            }
        }
    }

    async fn audit_with<P: Ports>(&self, ports: &P) -> Result<Option<Fact>, Unanswered> {
        // What another consumer had and did not commit goes to the auditor at once.
        let mut service = FlashSale::new(ports, self.sale, self.queue.of_auditor().open(ports));
        Ok(Some(Fact::of(&service.audit().await?)))
    }
}

impl Flow for Buyers {
    fn services(&self) -> Vec<ServiceSpec> {
        let queue = match self.queue {
            QueueConfig::Kafka(_) if self.sale.stage == Stage::Queued => Some(keeper::kafka()),
            _ => None,
        };
        [keeper::database(), keeper::redis("redis".to_owned())].into_iter().chain(queue).collect()
    }

    fn sized(&self, parameters: &Parameters) -> Self {
        Buyers { requests: parameters.operations, think: Duration::from_micros(parameters.think_us_max), ..*self }
    }

    fn sometimes(&self, parameters: &Parameters) -> Vec<Sometimes> {
        let queued = self.sale.stage == Stage::Queued;
        let requests = (parameters.clients - self.consumers()) * parameters.operations;
        let (pieces, quota) = (self.pieces * parameters.operations as i64, self.sale.limiter.quota);
        let limited = self.sale.stage >= Stage::Limited && requests as i64 > quota;
        let sold_out = !queued && self.sale.stage != Stage::Naive && !limited && requests as i64 > pieces;
        let wanted = [
            (!queued, oracle::SOLD),
            (queued, oracle::ACCEPTED),
            (queued, oracle::ORDERED),
            (queued && requests as i64 <= pieces, oracle::ALL_ORDERED),
            (limited, oracle::LIMITED),
            (sold_out, oracle::SOLD_OUT),
        ];
        wanted.into_iter().filter(|(must, _)| *must).map(|(_, sometimes)| sometimes).collect()
    }

    fn clients_min(&self) -> usize {
        1 + self.consumers()
    }

    fn mutated(self, mutation: Mutation) -> Self {
        Buyers { mutation: Some(mutation), ..self }
    }
}

impl Workload for Buyers {
    async fn prepare<P: Ports>(&self, ports: P) -> Result<(), Unanswered> {
        self.prepare_with(&Mutant::new(ports, self.mutation)).await
    }

    async fn audit<P: Ports>(&self, ports: P) -> Result<Option<Fact>, Unanswered> {
        self.audit_with(&Mutant::new(ports, self.mutation)).await
    }

    async fn run<P: Ports>(&self, ports: P) {
        self.run_with(&Mutant::new(ports, self.mutation)).await
    }
}
