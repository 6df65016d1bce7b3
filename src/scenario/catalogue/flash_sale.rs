//! The flash sale: its stages, rows S8, S9, S10, and mistakes in it.

use super::{about, ms, small_flow};
use crate::flow::flash_sale::limiter::{self, Counting};
use crate::flow::flash_sale::oracle::{
    self, LimiterOpens, SaleAcknowledged, SaleCounters, SaleLimit, SaleOnce, SaleOversell, SaleSells,
};
use crate::flow::flash_sale::{Config, Publish, Stage};
use crate::flow::queue::{QueueConfig, StreamConfig};
use crate::lock::mysql::Retry;
use crate::scenario::flash_sale::{Buyers, Consumers};
use crate::scenario::flow::FlowScenario;
use crate::scenario::mutation::{Edit, Mutation};
use crate::world::fault::{ClockSteps, Fault};

const FLASH_SALE: &str = "article flash-sale";
const INCR: &str = "Redis documentation, INCR, rate limiter";
/// The limiter's window.
const WINDOW_MS: u64 = 1000;
/// A clock that steps is in another window.
const CLOCK_STEP_US: i64 = 2 * 1000 * WINDOW_MS as i64;

/// The buyers of a whole day. There is a piece for each request: where pieces are short a lost request does not show.
pub(super) const DAY_BUYERS: usize = 10;

/// Orders that do not look at the request's number.
pub(super) const NOT_UNIQUE: Edit = Edit { passage: "UNIQUE KEY by_request", mistake: "KEY by_request" };

/// In the small: a quota that no test reaches, and a request that fails at the first conflict.
const SALE: Config = Config {
    database: 0,
    cache: 1,
    stock: 1,
    stage: Stage::Optimistic,
    retry: Retry { tries: 1, delay: ms(0), unknown: false },
    consumer_retry: Retry { tries: 2, delay: ms(0), unknown: true },
    publish: Publish::Refresh,
    limiter: limiter::Config { quota: 1_000, window: ms(WINDOW_MS), counting: Counting::Script },
    commits_first: false,
};

const STREAM: StreamConfig = StreamConfig { server: 1, batch: 10, idle: ms(100) };

pub(super) type SaleScenario = FlowScenario<Buyers>;

pub(super) fn scenarios() -> Vec<SaleScenario> {
    [stages(), vec![day()], faults(), rows(), mistakes()].concat()
}

/// Two buyers, one piece.
pub(super) fn sale(name: &str, row: Option<&'static str>, summary: &'static str, stage: Stage) -> SaleScenario {
    let flow = Buyers {
        sale: Config { stage, ..SALE },
        queue: QueueConfig::RedisStream(STREAM),
        pieces: 1,
        requests: 1,
        think: ms(0),
        pause: ms(0),
        consumers: Consumers { count: 1, pause: ms(10), empty_polls: 1 },
        mutation: None,
    };
    small_flow(about(name, row, summary, FLASH_SALE), flow, oracle::all())
}

/// The stages of the article.
fn stages() -> Vec<SaleScenario> {
    vec![
        sale("flash-naive", None, "two requests read the stock before either writes it", Stage::Naive)
            .only(SaleOversell)
            .violating("sale-oversell"),
        sale("flash-optimistic", None, "a request sells if the version is the one that it read", Stage::Optimistic)
            .faults(Fault::ClientCrash, 1),
        sale("flash-limited", None, "a rate limiter in Redis lets one request pass", Stage::Limited)
            .with(|buyers| (buyers.sale.limiter.quota, buyers.pause) = (1, ms(WINDOW_MS + 1)))
            .operations(2)
            .faults(Fault::ClientCrash, 1),
        sale("flash-cached", None, "the stock is read from Redis, and a process ends", Stage::Cached)
            .with(|buyers| buyers.pieces = 2)
            .faults(Fault::ClientCrash, 1),
        sale("flash-queued", None, "requests go into a queue whose consumer sells, and a process ends", Stage::Queued)
            .with(|buyers| buyers.pieces = 2)
            .clients(3)
            .faults(Fault::ClientCrash, 1),
        sale(
            "flash-queued-last-piece",
            None,
            "two requests for one piece go into a queue, a process ends",
            Stage::Queued,
        )
        .clients(3)
        .faults(Fault::ClientCrash, 1),
    ]
}

/// A whole sale: in the simulated world ten buyers and two consumers, and every kind of fault.
fn day() -> SaleScenario {
    let mut day =
        sale("flash-day", None, "a whole sale with its queue; in the simulated world with every fault", Stage::Queued)
            .with(|buyers| (buyers.pieces, buyers.consumers.count) = (DAY_BUYERS as i64, 1))
            .faults(Fault::ClientCrash, 1)
            .with_every_fault();
    (day.simulation.clients, day.simulation.operations) = (DAY_BUYERS + 1, 10);
    (day.simulation.fault_every_us, day.simulation.pause_us_max) = (300_000, 100_000);
    day
}

/// The last two stages under what their servers and connections do.
fn faults() -> Vec<SaleScenario> {
    let cached = |name: &str, summary, fault| sale(name, None, summary, Stage::Cached).faults(fault, 1);
    let queued = |name: &str, summary, fault| {
        let once = |buyers: &mut Buyers| (buyers.pieces, buyers.sale.consumer_retry.tries) = (2, 1);
        sale(name, None, summary, Stage::Queued).with(once).faults(fault, 1)
    };
    vec![
        cached("flash-cached-break", "the stock is read from Redis, and a connection breaks", Fault::Break),
        cached("flash-cached-node-crash", "the stock is read from Redis, and a server goes down", Fault::NodeCrash),
        queued("flash-queued-break", "a consumer sells what is in the queue, and a connection breaks", Fault::Break),
        queued(
            "flash-queued-node-crash",
            "a consumer sells what is in the queue, a server goes down",
            Fault::NodeCrash,
        ),
        sale("flash-queued-consumers", None, "two consumers take messages over from each other", Stage::Queued)
            .with(|buyers| {
                (buyers.consumers.count, buyers.pieces) = (2, 2);
                buyers.queue = QueueConfig::RedisStream(StreamConfig { idle: ms(0), ..STREAM });
                buyers.sale.consumer_retry.tries = 1;
            })
            .clients(3)
            .operations(2)
            .judged(SaleAcknowledged { exactly: true }),
    ]
}

fn rows() -> Vec<SaleScenario> {
    let behind = sale(
        "flash-partial-counters",
        Some("S8"),
        "a process ends between the commit and the increments in Redis: the version there stays behind",
        Stage::Cached,
    );
    let behind = behind.with(|buyers| buyers.pieces = 2).faults(Fault::ClientCrash, 1).only(SaleSells);
    let incremented = |sound: SaleScenario| sound.with(|buyers| buyers.sale.publish = Publish::Increment);
    let again = sale(
        "flash-redelivered",
        Some("S9"),
        "a consumer ends between the order and its acknowledgement: the message comes again",
        Stage::Queued,
    );
    let again = again.with(|buyers| buyers.pieces = 2).faults(Fault::ClientCrash, 1).only(SaleOnce);
    let mut leak = sale(
        "flash-limiter-leak",
        Some("S10"),
        "a process ends between INCR and EXPIRE: no request passes the limiter any more",
        Stage::Limited,
    );
    leak.about.source = INCR;
    let leak = leak.with(|buyers| buyers.sale.limiter.quota = 1).faults(Fault::ClientCrash, 1).only(LimiterOpens);
    let mut skewed = sale(
        "flash-limiter-skewed",
        Some("S10"),
        "the limiter's window is the second of the client's own clock: after a step of it the quota is new",
        Stage::Limited,
    );
    skewed.about.source = INCR;
    skewed.parameters.assumptions.clock_steps_us = ClockSteps([CLOCK_STEP_US, -CLOCK_STEP_US]);
    let skewed = skewed.with(|buyers| (buyers.sale.limiter.quota, buyers.pieces) = (1, 3));
    let skewed = skewed.operations(2).faults(Fault::ClientClockStep, 2);
    let skewed = skewed.only(SaleLimit { quota: 1, window_ms: WINDOW_MS as i64 });
    let counting = |counting| move |sound: SaleScenario| sound.with(|buyers| buyers.sale.limiter.counting = counting);
    [
        behind.broken_and_fixed(incremented, "refreshed", "a conflict replaces the counters by what the row has"),
        again.broken_and_fixed(
            |sound| sound.mutated(Mutation::Text(NOT_UNIQUE)),
            "unique",
            "the request's number is unique in the orders, in the transaction that takes the piece",
        ),
        leak.broken_and_fixed(counting(Counting::TwoCommands), "script", "a script does both"),
        skewed.broken_and_fixed(counting(Counting::OwnClock), "server-clock", "the server's clock ends the window"),
    ]
    .concat()
}

fn mistakes() -> Vec<SaleScenario> {
    vec![
        sale(
            "mutant-flash-rows-ignored",
            None,
            "a request does not look whether its update has changed a row",
            Stage::Optimistic,
        )
        .mutated(Mutation::RowCountIgnored)
        .violating("sale-oversell"),
        sale("mutant-flash-counters", None, "a process ends between the increments of two counters", Stage::Cached)
            .with(|buyers| buyers.sale.publish = Publish::Increment)
            .faults(Fault::ClientCrash, 1)
            .only(SaleCounters)
            .violating("sale-counters"),
        sale("mutant-flash-no-transaction", None, "the stock and the order are two transactions", Stage::Optimistic)
            .mutated(Mutation::NoTransaction)
            .faults(Fault::ClientCrash, 1)
            .violating("sale-balance"),
        sale("mutant-flash-commits-first", None, "the consumer acknowledges before it has sold", Stage::Queued)
            .with(|buyers| buyers.sale.commits_first = true)
            .faults(Fault::ClientCrash, 1)
            .violating("sale-told"),
    ]
}
