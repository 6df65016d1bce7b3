//! The stock of the order flow over time, while Redis loses power with the deductions of its last second, comes back,
//! and is rebuilt.

use super::{Figures, simulate_with};
use crate::cli::error::CliError;
use crate::flow::order::books::Books;
use crate::history::Fact;
use crate::port::mysql::{MySql, Session, Value as Sql};
use crate::port::{Command, Ports, Redis, Unanswered};
use crate::report::plot::{Steps, steps};
use crate::scenario::Workload;
use crate::scenario::flow::Flow;
use crate::scenario::guarded::LockKind;
use crate::scenario::order::{Amount, Orders};
use crate::world::fault::Fault;
use crate::world::setup::ServiceSpec;
use crate::world::simulated::{Planned, Target};
use crate::world::simulation::Simulation;
use doublehold_models::ServiceConfig;
use doublehold_models::redis::{Fsync, Persistence};
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const CUSTOMERS: usize = 8;
const ORDERS: usize = 60;
const PIECES: i64 = 600;
const THINK: Duration = Duration::from_millis(100);
const POWER_LOSS_US: u64 = 1_500_000;
/// Redis is away for about so long.
const DOWN_US_MAX: u64 = 600_000;
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOKS: usize = 200;

const STOCK: &str = "SELECT total - reserved FROM stock WHERE sku_id = 0";
const LOGGED: &str = "SELECT quantity FROM inventory_log WHERE sku_id = 0 AND state = 'DEDUCTED'";
const ROUTE: &str = "SELECT route FROM sku_route WHERE sku_id = 0";

/// What an observer sees at one moment.
#[derive(Clone, Copy)]
struct Look {
    at_us: u64,
    /// What is left by MySQL's books.
    left: Option<i64>,
    /// What Redis sells.
    redis: Option<i64>,
    hot: Option<bool>,
}

/// Customers, the jobs, and an observer: the last client.
#[derive(Clone)]
struct Observed {
    orders: Orders,
    looks: Arc<Mutex<Vec<Look>>>,
    books: Arc<Mutex<Option<Books>>>,
}

impl Observed {
    async fn observe<P: Ports>(&self, ports: &P) {
        let redis = ports.redis(1);
        let mut session = ports.mysql(0).session();
        for _ in 0..LOOKS {
            let get = ports.timeout(LOOK_EVERY, redis.call(Command::new("GET").arg("{sku-0}:stock")));
            let stock = get.await.and_then(|outcome| outcome.ok());
            let stock = stock.and_then(|value| value.as_blob().and_then(|text| text.to_int()));
            let (left, hot) = (left(&mut session).await, is_hot(&mut session).await);
            let look = Look { at_us: ports.monotonic().as_micros(), left, redis: stock, hot };
            self.looks.lock().unwrap_or_else(PoisonError::into_inner).push(look);
            ports.sleep(LOOK_EVERY).await;
        }
    }
}

async fn left<S: Session>(session: &mut S) -> Option<i64> {
    let number = |row: &Vec<Sql>| row.first().and_then(Sql::as_int);
    let stock = session.query(STOCK, Vec::new()).await.ok()?.first().and_then(number)?;
    let logged = session.query(LOGGED, Vec::new()).await.ok()?;
    Some(stock - logged.iter().filter_map(number).sum::<i64>())
}

async fn is_hot<S: Session>(session: &mut S) -> Option<bool> {
    let rows = session.query(ROUTE, Vec::new()).await.ok()?;
    rows.first().and_then(|row| row.first()).map(|route| *route == Sql::from("HOT"))
}

impl Workload for Observed {
    async fn prepare<P: Ports>(&self, ports: P) -> Result<(), Unanswered> {
        self.orders.prepare(ports).await
    }

    async fn audit<P: Ports>(&self, ports: P) -> Result<Option<Fact>, Unanswered> {
        let fact = self.orders.audit(ports).await?;
        *self.books.lock().unwrap_or_else(PoisonError::into_inner) = fact.as_ref().and_then(Fact::get);
        Ok(fact)
    }

    async fn run<P: Ports>(&self, ports: P) {
        if ports.client() == CUSTOMERS + 1 { self.observe(&ports).await } else { self.orders.run(ports).await }
    }
}

/// Redis keeps what is older than a second.
fn everysec(mut service: ServiceSpec) -> ServiceSpec {
    if let ServiceConfig::Redis(config) = &mut service.config {
        config.persistence = Persistence::Aof { fsync: Fsync::Everysec };
    }
    service
}

/// The moments in seconds from which a figure holds; it is 0 where there is none.
fn series(looks: &[Look], of: impl Fn(&Look) -> Option<i64>) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = Vec::new();
    for look in looks {
        let value = of(look).unwrap_or(0) as f64;
        if points.last().is_none_or(|(_, last)| *last != value) {
            points.push((look.at_us as f64 / 1e6, value));
        }
    }
    points
}

/// When what is shown first holds after a moment.
fn first_after(looks: &[Look], after_us: u64, shows: impl Fn(&Look) -> bool) -> u64 {
    looks.iter().find(|look| look.at_us > after_us && shows(look)).map_or(after_us, |look| look.at_us)
}

pub(super) fn tables(figures: &mut Figures) -> Result<(), CliError> {
    let mut orders = Orders::in_production(LockKind::None);
    (orders.orders, orders.think) = (ORDERS, THINK);
    (orders.skus, orders.stock) = (Amount::Fixed(1), Amount::Fixed(PIECES));
    let observed = Observed { orders: orders.clone(), looks: Arc::default(), books: Arc::default() };
    let simulation = Simulation { down_us_max: DOWN_US_MAX, ..Simulation::default() };
    let planned = [Planned { at_us: POWER_LOSS_US, fault: Fault::NodePowerLoss, target: Target::Node(1) }];
    let services = orders.services().into_iter().map(everysec).collect();
    simulate_with(observed.clone(), services, CUSTOMERS + 2, simulation, &planned)?;
    let looks = observed.looks.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let cold_us = first_after(&looks, POWER_LOSS_US, |look| look.hot == Some(false));
    let back_us = first_after(&looks, POWER_LOSS_US, |look| look.redis.is_some());
    let hot_us = first_after(&looks, cold_us, |look| look.hot == Some(true));
    let seconds = |us: u64| us as f64 / 1e6;
    let svg = steps(&Steps {
        title: "Order flow, virtual time: the stock through a power loss of Redis (everysec)",
        unit: "pieces",
        series: &[
            ("left by MySQL's books", series(&looks, |look| look.left)),
            ("what Redis has", series(&looks, |look| look.redis)),
        ],
        marks: &[(seconds(POWER_LOSS_US), "power loss"), (seconds(hot_us), "rebuilt: hot again")],
    });
    let at_back = looks.iter().find(|look| look.at_us >= back_us);
    let (had, left) = at_back.map_or((0, 0), |look| (look.redis.unwrap_or(0), look.left.unwrap_or(0)));
    let books = observed.books.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let _ = writeln!(
        figures.text,
        "## The stock through a power loss of Redis (article order)\n\n{CUSTOMERS} customers order from {PIECES} pieces, sold from Redis with `appendfsync everysec`. At {:.1} s Redis loses power, with the deductions of its last second; the SKU is cold, sold from MySQL, from {:.2} s on. At {:.2} s Redis is back, with {had} pieces where {left} are left by MySQL's books; what is deducted from them does not count, as their epoch is not the row's. The job rebuilds it, and from {:.2} s on it is sold from Redis again.\n",
        seconds(POWER_LOSS_US),
        seconds(cold_us),
        seconds(back_us),
        seconds(hot_us),
    );
    if let Some(row) = books.as_ref().and_then(|books| books.stock.first()) {
        let left = row.cached.map_or("nothing".to_owned(), |left| left.to_string());
        let _ = writeln!(
            figures.text,
            "In the end {} of {} are ordered, and Redis has {left} after the unpaid orders were cancelled.\n",
            row.ordered, row.total
        );
    }
    figures.plot("stock-through-power-loss", svg);
    Ok(())
}
