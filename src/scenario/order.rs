//! Orders: customers of the order flow, and the jobs beside them.

use super::flow::Flow;
use super::guarded::LockKind;
use super::keeper::{self, Keeper};
use super::mutation::{Mutant, Mutation};
use super::{Parameters, Workload};
use crate::flow::order::books::{Books, audit, ordered};
use crate::flow::order::catalogue::Request;
use crate::flow::order::heat::Heat;
use crate::flow::order::naive::First;
use crate::flow::order::{self, LockScope, MIGRATIONS, OrderService, breaker, limiter, oracle};
use crate::flow::redis_at::RedisAt;
use crate::flow::schema::migrate;
use crate::history::Fact;
use crate::lock::any::AnyLock;
use crate::lock::mysql::Retry;
use crate::lock::segmented::{Segmented, Segments};
use crate::port::mysql::{MySql, Session};
use crate::port::{Ports, Unanswered, answered};
use crate::property::Sometimes;
use crate::world::setup::ServiceSpec;
use std::ops::Range;
use std::time::Duration;

/// What a SKU costs.
const PRICE_MINOR: i64 = 1999;
/// The coupon, and whose it is.
const COUPON: i64 = 1;
const USER: &str = "user";
const DISCOUNT_MINOR: i64 = 500;
const INSERT_COUPON: &str = "INSERT INTO coupon (id, user_id, discount_minor) VALUES (?, ?, ?)";
const INSERT_SKU: &str = "INSERT INTO sku (id, name, price_minor) VALUES (?, ?, ?)";
const INSERT_STOCK: &str = "INSERT INTO stock (sku_id, total) VALUES (?, ?)";
const INSERT_ROUTE: &str = "INSERT INTO sku_route (sku_id) VALUES (?)";

/// A number that may grow with the orders of each customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// This one.
    Fixed(i64),
    /// So many for each order of a customer.
    PerOrder(i64),
}

impl Amount {
    fn of(self, orders: usize) -> i64 {
        match self {
            Amount::Fixed(amount) => amount,
            Amount::PerOrder(amount) => amount * orders as i64,
        }
    }
}

/// The jobs that run beside the customers.
#[derive(Clone, Copy, Debug)]
pub struct Jobs {
    /// How often, for each order of a customer.
    pub rounds: usize,
    /// JOB2 cancels what is so old.
    pub cancels: Option<Duration>,
    /// The stock in Redis is rebuilt.
    pub rebuilds: Option<Rebuild>,
    /// SKUs become hot and cold.
    pub heats: Option<Heat>,
    /// The total of each SKU is changed by so much.
    pub restocks: Option<i64>,
}

/// How the stock in Redis is rebuilt.
#[derive(Clone, Copy, Debug)]
pub enum Rebuild {
    /// As the flow does it.
    Fenced,
    /// As one would at first.
    Naive(First),
}

/// Customers who order and pay, one order after the other, and the jobs.
#[derive(Clone, Debug)]
pub struct Orders {
    /// How the service works. The database is the first server; then come those of Redis, and then those of the lock.
    pub service: order::Config,
    /// The SKUs' locks on the cold path.
    pub lock: LockKind,
    /// How many SKUs there are.
    pub skus: Amount,
    /// How much there is of each.
    pub stock: Amount,
    /// Whether they are sold from Redis at the start.
    pub hot: bool,
    /// The jobs that the first client runs, if it is no customer.
    pub jobs: Option<Jobs>,
    /// How many orders a customer places.
    pub orders: usize,
    /// How long to think at the most before each.
    pub think: Duration,
    /// How often a customer sends an order again that may not have been placed.
    pub clicks: usize,
    /// Whether the first order of each customer uses a coupon: the same one for all.
    pub coupon: bool,
    /// Whether customers pay.
    pub pay: bool,
    /// Whether the jobs do their work in the end.
    pub repairs: bool,
    /// A deliberate mistake.
    pub mutation: Option<Mutation>,
}

impl Orders {
    /// Customers who order and pay, and the jobs, as they are set up in production; one SKU that is hot from the start.
    pub fn in_production(lock: LockKind) -> Self {
        let ms = Duration::from_millis;
        let service = order::Config {
            database: 0,
            cache: RedisAt::Server(1),
            replicas: None,
            retry: Retry { tries: 10, delay: ms(5), unknown: true },
            script_timeout: ms(50),
            script_tries: 3,
            breaker: breaker::Config { failures: 3, open: ms(200) },
            limiter: limiter::Config { burst: 50, every: ms(5) },
            lock_wait: ms(2000),
            row_lock: true,
            lock_scope: LockScope::AroundTransaction,
            epochs: true,
        };
        let heats = Some(Heat { window: ms(10_000), orders: 1 });
        Orders {
            service,
            lock,
            skus: Amount::Fixed(1),
            stock: Amount::PerOrder(1),
            hot: true,
            jobs: Some(Jobs { rounds: 1, cancels: Some(ms(1000)), rebuilds: None, heats, restocks: None }),
            orders: 1,
            think: Duration::ZERO,
            clicks: 3,
            coupon: false,
            pay: true,
            repairs: true,
            mutation: None,
        }
    }

    fn skus(&self) -> i64 {
        self.skus.of(self.orders)
    }

    /// The servers of Redis.
    fn cache_service(&self) -> ServiceSpec {
        match self.service.cache {
            RedisAt::Server(_) => keeper::redis("redis".to_owned()),
            RedisAt::Primary { .. } => keeper::replicated("redis".to_owned(), self.service.cache.places()),
        }
    }

    /// The servers of the lock that the shop does not have already.
    fn lock_services(&self) -> Vec<ServiceSpec> {
        let keeper = self.lock.keeper();
        if keeper == Keeper::MySql { Vec::new() } else { keeper.services(keeper.servers()) }
    }

    /// The places of the servers of the lock.
    fn lock_servers(&self) -> Range<usize> {
        let database = self.service.database;
        let first = 1 + self.service.cache.places();
        let places = || first..first + self.lock.keeper().servers();
        if self.lock.keeper() == Keeper::MySql { database..database + 1 } else { places() }
    }

    /// A service without locks: the jobs need none.
    fn service<P: Ports>(&self, ports: &P) -> OrderService<P, AnyLock<P>> {
        OrderService::new(ports, self.service, None)
    }

    async fn prepare_with<P: Ports>(&self, ports: &P) -> Result<(), Unanswered> {
        let mut session = ports.mysql(self.service.database).session();
        migrate(&mut session, &MIGRATIONS).await?;
        for sku in 0..self.skus() {
            let row = vec![sku.into(), "a thing".into(), PRICE_MINOR.into()];
            answered(INSERT_SKU, session.run(INSERT_SKU, row).await)?;
            answered(
                INSERT_STOCK,
                session.run(INSERT_STOCK, vec![sku.into(), self.stock.of(self.orders).into()]).await,
            )?;
            answered(INSERT_ROUTE, session.run(INSERT_ROUTE, vec![sku.into()]).await)?;
        }
        if self.coupon {
            let row = vec![COUPON.into(), USER.into(), DISCOUNT_MINOR.into()];
            answered(INSERT_COUPON, session.run(INSERT_COUPON, row).await)?;
        }
        drop(session);
        let mut service = self.service(ports);
        for sku in 0..self.skus() {
            if self.hot && !service.rebuild(sku).await {
                return Err(Unanswered {
                    what: "rebuilding the stock in Redis",
                    why: "it did not come to its end".into(),
                });
            }
        }
        Ok(())
    }

    async fn run_with<P: Ports>(&self, ports: &P) {
        if let Some(jobs) = self.jobs
            && ports.client() == 0
        {
            return self.run_jobs(ports, jobs).await;
        }
        let locks = self.lock.locks(ports, self.lock_servers());
        let locks = locks.map(|make| Segmented::new(Segments::PerKey, make));
        self.customer(ports, OrderService::new(ports, self.service, locks)).await;
    }

    async fn customer<P: Ports>(&self, ports: &P, mut service: OrderService<P, AnyLock<P>>) {
        for number in 0..self.orders {
            if !self.think.is_zero() {
                ports.sleep(ports.random_between(Duration::ZERO, self.think)).await;
            }
            let sku = if self.skus() == 1 { 0 } else { (ports.random() % self.skus() as u64) as i64 };
            let id = ports.unique_id();
            let uses = self.coupon && number == 0;
            let coupon = if uses { service.coupon(&USER.into(), COUPON).await.ok() } else { None };
            let amount_minor = PRICE_MINOR - coupon.map_or(0, |coupon| coupon.discount_minor);
            let request = Request { id: id.clone(), user: USER.into(), sku, quantity: 1, coupon };
            for _ in 0..self.clicks {
                if service.place(&request).await.is_ok() {
                    if self.pay {
                        service.pay(&id, amount_minor).await;
                    }
                    break;
                }
            }
        }
    }

    async fn run_jobs<P: Ports>(&self, ports: &P, jobs: Jobs) {
        let mut service = self.service(ports);
        for _ in 0..jobs.rounds * self.orders {
            if !self.think.is_zero() {
                ports.sleep(self.think).await;
            }
            for sku in 0..self.skus() {
                match jobs.rebuilds {
                    None => {}
                    Some(Rebuild::Fenced) => drop(service.rebuild(sku).await),
                    Some(Rebuild::Naive(first)) => drop(service.rebuild_naively(sku, first).await),
                }
            }
            for sku in 0..self.skus() {
                if let Some(by) = jobs.restocks {
                    service.restock(sku, by).await;
                }
            }
            if let Some(heat) = jobs.heats {
                service.heat(heat).await;
            }
            if let Some(age) = jobs.cancels {
                service.cancel_stale(age, age).await;
                service.send_unsent().await;
            }
        }
    }
}

impl Flow for Orders {
    fn services(&self) -> Vec<ServiceSpec> {
        let shop = [keeper::database(), self.cache_service()];
        shop.into_iter().chain(self.lock_services()).collect()
    }

    fn sized(&self, parameters: &Parameters) -> Self {
        let think = Duration::from_micros(parameters.think_us_max);
        Orders { orders: parameters.operations, think, ..self.clone() }
    }

    fn sometimes(&self, parameters: &Parameters) -> Vec<Sometimes> {
        let customers = parameters.clients - usize::from(self.jobs.is_some());
        let pieces = self.stock.of(parameters.operations) * self.skus.of(parameters.operations);
        let sells_out = (customers * parameters.operations) as i64 > pieces;
        let placed = if self.hot { oracle::PLACED_HOT } else { oracle::PLACED_COLD };
        let wanted = [(true, placed), (self.pay, oracle::PAID), (sells_out, oracle::SOLD_OUT)];
        wanted.into_iter().filter(|(must, _)| *must).map(|(_, sometimes)| sometimes).collect()
    }

    fn clients_min(&self) -> usize {
        1 + usize::from(self.jobs.is_some())
    }

    fn mutated(self, mutation: Mutation) -> Self {
        Orders { mutation: Some(mutation), ..self }
    }
}

impl Workload for Orders {
    async fn prepare<P: Ports>(&self, ports: P) -> Result<(), Unanswered> {
        self.prepare_with(&Mutant::new(ports, self.mutation)).await
    }

    async fn audit<P: Ports>(&self, ports: P) -> Result<Option<Fact>, Unanswered> {
        let ordered = ordered(&ports, &self.service).await?;
        if self.repairs {
            self.service(&Mutant::new(ports.clone(), self.mutation)).repair().await;
        }
        let books: Books = audit(&ports, &self.service, &ordered).await?;
        Ok(Some(Fact::of(&books)))
    }

    async fn run<P: Ports>(&self, ports: P) {
        self.run_with(&Mutant::new(ports, self.mutation)).await
    }
}
