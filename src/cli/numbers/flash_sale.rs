//! The flash sale's stages beside each other: what they sell, how fast, and what they ask of the database.

use super::counted::{Count, Counted};
use super::{Figures, simulate_with};
use crate::cli::error::CliError;
use crate::flow::flash_sale::books::Books;
use crate::flow::flash_sale::limiter::{self, Counting};
use crate::flow::flash_sale::told::Answer;
use crate::flow::flash_sale::{Config, Publish, Stage};
use crate::flow::queue::{QueueConfig, StreamConfig};
use crate::history::Fact;
use crate::lock::mysql::Retry;
use crate::port::{Ports, Unanswered};
use crate::report::plot::{Bars, bars};
use crate::scenario::Workload;
use crate::scenario::flash_sale::{Buyers, Consumers};
use crate::scenario::flow::Flow;
use crate::world::simulation::Simulation;
use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Buyers, each of whom sends one request after the other, as a load test's threads do.
pub(super) const BUYERS: usize = 100;
const REQUESTS: usize = 50;
const PIECES: i64 = 100;
/// How long a buyer thinks at the most before each request.
const THINK: Duration = Duration::from_millis(20);
/// What the limiter lets pass in a window.
const QUOTA: i64 = 100;
const WINDOW: Duration = Duration::from_millis(100);
/// What servers of one machine do: ten thousand statements, a hundred thousand commands a second.
const MYSQL_US: u64 = 100;
const REDIS_US: u64 = 10;
/// The least that a message takes, and as much again in the mean.
const LATENCY_US: u64 = 50;

/// What one stage gave.
pub(super) struct Measured {
    stage: Stage,
    requests: usize,
    /// From the first request to the last answer.
    seconds: f64,
    /// From the first request to the last order.
    ordered_seconds: f64,
    /// 50th, 95th and 99th percentile, milliseconds.
    latency_ms: [f64; 3],
    orders: i64,
    answers: Vec<Answer>,
    statements: u64,
}

/// The clients of a stage.
#[derive(Clone)]
pub(super) struct Crowd {
    buyers: Buyers,
    meter: Arc<Meter>,
    count: Arc<Count>,
}

#[derive(Default)]
struct Meter {
    connected: AtomicUsize,
    samples: Mutex<Vec<Sample>>,
    books: Mutex<Option<Books>>,
}

/// A request: when it was sent and answered, by its client's monotonic clock.
#[derive(Clone, Copy)]
struct Sample {
    sent_us: u64,
    answered_us: u64,
    answer: Answer,
}

impl Crowd {
    pub(super) fn new(stage: Stage) -> Self {
        let retry = Retry { tries: 1, delay: Duration::ZERO, unknown: false };
        let sale = Config {
            database: 0,
            cache: 1,
            stock: 1,
            stage,
            retry,
            consumer_retry: Retry { tries: 20, unknown: true, ..retry },
            publish: Publish::Refresh,
            limiter: limiter::Config { quota: QUOTA, window: WINDOW, counting: Counting::Script },
            commits_first: false,
        };
        let buyers = Buyers {
            sale,
            queue: QueueConfig::RedisStream(StreamConfig { server: 1, batch: 10, idle: Duration::from_secs(10) }),
            pieces: PIECES / REQUESTS as i64,
            requests: REQUESTS,
            think: THINK,
            pause: Duration::ZERO,
            consumers: Consumers { count: 1, pause: Duration::from_millis(5), empty_polls: 10 },
            mutation: None,
        };
        Crowd { buyers, meter: Arc::default(), count: Arc::default() }
    }

    /// How many clients there are, consumers included.
    pub(super) fn clients(&self) -> usize {
        BUYERS + self.buyers.consumers()
    }

    async fn run_with<P: Ports>(&self, ports: &P) {
        let mut service = self.buyers.service(ports);
        if ports.client() < self.buyers.consumers() {
            return self.buyers.consume(ports, service).await;
        }
        service.connect().await;
        self.count.connected();
        self.wait_for_all(ports).await;
        for _ in 0..REQUESTS {
            ports.sleep(ports.random_between(Duration::ZERO, THINK)).await;
            let sent_us = ports.monotonic().as_micros();
            let answer = service.buy(&ports.unique_id()).await;
            let sample = Sample { sent_us, answered_us: ports.monotonic().as_micros(), answer };
            self.meter.samples.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
        }
    }

    /// Waits until every buyer is connected.
    async fn wait_for_all<P: Ports>(&self, ports: &P) {
        self.meter.connected.fetch_add(1, Ordering::Relaxed);
        while self.meter.connected.load(Ordering::Relaxed) < BUYERS {
            ports.sleep(Duration::from_millis(1)).await;
        }
    }

    /// What it gave, after it has run.
    pub(super) fn measured(&self) -> Measured {
        let samples = self.meter.samples.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let first = samples.iter().map(|sample| sample.sent_us).min().unwrap_or_default();
        let last = samples.iter().map(|sample| sample.answered_us).max().unwrap_or_default();
        let mut latencies: Vec<u64> = samples.iter().map(|sample| sample.answered_us - sample.sent_us).collect();
        latencies.sort_unstable();
        let percentile = |percent: usize| {
            let at = (latencies.len() * percent).div_ceil(100).saturating_sub(1);
            latencies.get(at).map_or(0.0, |us| *us as f64 / 1000.0)
        };
        let books = self.meter.books.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Measured {
            stage: self.buyers.sale.stage,
            requests: samples.len(),
            seconds: (last - first).max(1) as f64 / 1e6,
            ordered_seconds: self.count.last_us().saturating_sub(first) as f64 / 1e6,
            latency_ms: [50, 95, 99].map(percentile),
            orders: books.map_or(0, |books| books.ordered()),
            answers: samples.iter().map(|sample| sample.answer).collect(),
            statements: self.count.statements(),
        }
    }
}

impl Workload for Crowd {
    async fn prepare<P: Ports>(&self, ports: P) -> Result<(), Unanswered> {
        self.buyers.prepare(ports).await
    }

    async fn audit<P: Ports>(&self, ports: P) -> Result<Option<Fact>, Unanswered> {
        let fact = self.buyers.audit(ports).await?;
        *self.meter.books.lock().unwrap_or_else(PoisonError::into_inner) = fact.as_ref().and_then(Fact::get);
        Ok(fact)
    }

    async fn run<P: Ports>(&self, ports: P) {
        self.run_with(&Counted::new(ports, &self.count)).await;
    }
}

pub(super) fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::Naive => "naive",
        Stage::Optimistic => "optimistic",
        Stage::Limited => "+ limiter",
        Stage::Cached => "+ cache",
        Stage::Queued => "+ queue",
    }
}

impl Measured {
    fn told(&self, answer: Answer) -> usize {
        self.answers.iter().filter(|other| **other == answer).count()
    }

    fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    fn statements_per_order(&self) -> f64 {
        self.statements as f64 / self.orders.max(1) as f64
    }

    fn row(&self) -> String {
        let [p50, p95, p99] = self.latency_ms;
        format!(
            "| {} | {:.0} | {p50:.1} | {p95:.1} | {p99:.1} | {:.2} | {} | {} | {} | {} | {:.1} | {:.1} |",
            name(self.stage),
            self.rate(),
            self.ordered_seconds,
            self.orders,
            (self.orders - PIECES).max(0),
            self.told(Answer::Conflict),
            self.told(Answer::Limited),
            self.statements as f64 / self.requests.max(1) as f64,
            self.statements_per_order(),
        )
    }
}

/// The table, and a plot of each of its figures. `suffix` tells the plots apart from those of another world.
pub(super) fn present(all: &[Measured], place: &str, suffix: &str, figures: &mut Figures) {
    let _ = writeln!(
        figures.text,
        "## Flash sale (article flash-sale)\n\n{BUYERS} buyers with {REQUESTS} requests each, one after the other, with up to {} ms between an answer and the next request, for {PIECES} pieces. A request fails at its first conflict; the limiter lets {QUOTA} pass in {} ms. Latency is that of the answer, milliseconds; with a queue the order comes later. Connecting is not counted.\n",
        THINK.as_millis(),
        WINDOW.as_millis()
    );
    figures.text.push_str("| stage | requests/s | p50 | p95 | p99 | last order after, s | orders | oversold | conflicts | limited | statements per request | statements per order |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    for measured in all {
        let _ = writeln!(figures.text, "{}", measured.row());
    }
    figures.text.push('\n');
    let stages: Vec<&str> = all.iter().map(|measured| name(measured.stage)).collect();
    let values = |of: &dyn Fn(&Measured) -> f64| all.iter().map(of).collect::<Vec<f64>>();
    let plots = [
        ("throughput", "requests answered per second", vec![("requests/s", values(&Measured::rate))]),
        (
            "latency",
            "latency, milliseconds",
            vec![
                ("p50", values(&|measured| measured.latency_ms[0])),
                ("p95", values(&|measured| measured.latency_ms[1])),
                ("p99", values(&|measured| measured.latency_ms[2])),
            ],
        ),
        ("statements", "database statements per order", vec![("statements", values(&Measured::statements_per_order))]),
    ];
    for (what, unit, series) in plots {
        let title = format!("Flash sale, {place}: {unit}");
        figures.plot(
            &format!("flash-sale-{what}{suffix}"),
            bars(&Bars { title: &title, unit, groups: &stages, series: &series }),
        );
    }
}

pub(super) fn tables(figures: &mut Figures) -> Result<(), CliError> {
    let mut all = Vec::new();
    for stage in Stage::ALL {
        let crowd = Crowd::new(stage);
        let simulation = Simulation {
            mysql_us: MYSQL_US,
            redis_us: REDIS_US,
            latency_us_min: LATENCY_US,
            latency_us_mean: LATENCY_US,
            ..Simulation::default()
        };
        simulate_with(crowd.clone(), crowd.buyers.services(), crowd.clients(), simulation, &[])?;
        all.push(crowd.measured());
    }
    let _ = writeln!(
        figures.text,
        "A simulated MySQL works {MYSQL_US} µs on a statement, a Redis {REDIS_US} µs on a command; a message takes {} µs in the mean.\n",
        2 * LATENCY_US
    );
    present(&all, "virtual time", "", figures);
    figures.text.push_str(
        "Only the naive stage oversells. Of the requests that read one version at the same time all but one fail, so that a burst sells less than there is, the more so behind a limiter that lets a burst pass. The version in Redis is older than the row's, which makes more of them fail. The limiter keeps requests from the database. The queue answers before there is an order; its one consumer meets no conflict and sells everything, with the fewest statements for each order.\n\n",
    );
    Ok(())
}
