//! The order flow: sound under each fault, rows S…, M10, and mistakes in it.

use super::{about, ms, small_flow};
use crate::flow::order::heat::Heat;
use crate::flow::order::naive::First;
use crate::flow::order::{self, LockScope, breaker, limiter, oracle};
use crate::flow::redis_at::RedisAt;
use crate::lock::mysql::Retry;
use crate::lock::redis::{ReplicaWait, WaitOver};
use crate::scenario::flow::FlowScenario;
use crate::scenario::guarded::{LockKind, On};
use crate::scenario::locks::Timing;
use crate::scenario::mutation::{Edit, Mutation};
use crate::scenario::order::{Amount, Jobs, Orders, Rebuild};
use crate::world::fault::{Budgets, Fault};
use crate::world::setup::ArrivalTime;
use doublehold_models::ServiceConfig;
use doublehold_models::redis::{Fsync, Persistence};

const ORDER: &str = "article order";

/// How the service works in the small: it tries everything twice.
const SERVICE: order::Config = order::Config {
    database: 0,
    cache: RedisAt::Server(1),
    replicas: None,
    retry: Retry { tries: 2, delay: ms(0), unknown: true },
    script_timeout: ms(50),
    script_tries: 2,
    breaker: breaker::Config { failures: 1, open: ms(1000) },
    limiter: limiter::Config { burst: 1, every: ms(100) },
    lock_wait: ms(200),
    row_lock: true,
    lock_scope: LockScope::AroundTransaction,
    epochs: true,
};
/// No job does anything.
const IDLE: Jobs = Jobs { rounds: 1, cancels: None, rebuilds: None, heats: None, restocks: None };

pub(super) fn scenarios() -> Vec<OrderScenario> {
    let rows = [
        stock_lost(),
        script_retried(),
        late_deduction(),
        everysec(),
        failed_over(),
        rebuilt(),
        unlocked_early(),
        timed_out(),
    ];
    [sound_ones(), rows.concat(), mistakes(), further_mistakes()].concat()
}

/// Two customers, one order each, one item.
fn orders(name: &str, row: Option<&'static str>, summary: &'static str) -> OrderScenario {
    let flow = Orders {
        service: SERVICE,
        lock: LockKind::None,
        skus: Amount::Fixed(1),
        stock: Amount::PerOrder(1),
        hot: true,
        jobs: None,
        orders: 1,
        think: ms(0),
        clicks: 1,
        coupon: false,
        pay: true,
        repairs: true,
        mutation: None,
    };
    small_flow(about(name, row, summary, ORDER), flow, oracle::all())
}

/// One customer, and JOB2 beside it, which cancels whatever is not paid.
fn cancelled(name: &str, row: Option<&'static str>, summary: &'static str) -> OrderScenario {
    orders(name, row, summary).jobs(|jobs| jobs.cancels = Some(ms(0)))
}

/// A shop's day: SKUs that become hot and cold, all jobs, and in the simulated world ten customers and every kind of
/// fault.
fn day() -> OrderScenario {
    let mut day = orders("order-day", None, "a shop's day, with all its jobs; in the simulated world with every fault")
        .with(|orders| {
            (orders.skus, orders.stock, orders.coupon) = (Amount::PerOrder(1), Amount::PerOrder(2), true);
        })
        .jobs(|jobs| {
            jobs.cancels = Some(ms(50));
            jobs.heats = Some(Heat { window: ms(1000), orders: 1 });
        })
        .faults(Fault::ClientCrash, 1)
        .with_every_fault();
    (day.simulation.clients, day.simulation.operations) = (11, 10);
    (day.simulation.fault_every_us, day.simulation.pause_us_max) = (1_000_000, 100_000);
    day
}

/// Without a time-out of its own a client waits for ever on a silent connection.
fn silent() -> OrderScenario {
    let summary = "two orders for the last item; a connection goes silent";
    let mut silent = orders("order-stall", None, summary).faults(Fault::Stall, 1).except("deadlock");
    // Few of the simulated runs have one: where a client waits for ever no books are read.
    silent.simulation.fault_every_us = 1_000_000;
    silent
}

fn sound_ones() -> Vec<OrderScenario> {
    let hot = |name: &str, summary, fault| orders(&format!("order-{name}"), None, summary).faults(fault, 1);
    let cold =
        |name: &str, summary| orders(&format!("order-cold{name}"), None, summary).with(|orders| orders.hot = false);
    vec![
        hot(
            "client-crash",
            "two orders for the last item; a shop process ends between any two steps",
            Fault::ClientCrash,
        ),
        hot("break", "two orders for the last item; a connection breaks", Fault::Break),
        silent(),
        hot("delay", "two orders for the last item; a message is late", Fault::Delay),
        hot("pause", "two orders for the last item; a shop process pauses", Fault::Pause),
        hot("node-crash", "two orders for the last item; Redis or MySQL goes down and comes back", Fault::NodeCrash),
        hot("node-pause", "two orders for the last item; Redis or MySQL pauses", Fault::NodePause),
        hot("partition", "two orders for the last item; a shop process cannot reach Redis or MySQL", Fault::Partition)
            .with(|orders| orders.pay = false),
        cold("", "two orders for the last item, sold from MySQL; a shop process ends between any two steps")
            .faults(Fault::ClientCrash, 1),
        cold("-break", "two orders for the last item, sold from MySQL; a connection breaks").faults(Fault::Break, 1),
        cancelled("order-cancelled", None, "JOB2 cancels orders while they are placed and paid"),
        cancelled(
            "order-cancelled-break",
            None,
            "JOB2 cancels orders while they are placed and paid; a connection breaks",
        )
        .faults(Fault::Break, 1),
        orders("order-coupon", None, "two orders with the same coupon; a shop process ends between any two steps")
            .with(|orders| (orders.stock, orders.coupon) = (Amount::PerOrder(2), true))
            .faults(Fault::ClientCrash, 1),
        cancelled("order-coupon-cancelled", None, "JOB2 cancels an order with a coupon; a process ends")
            .with(|orders| orders.coupon = true)
            .faults(Fault::ClientCrash, 1),
        orders("order-restocked", None, "a piece is added while one is ordered, and a process ends")
            .jobs(|jobs| jobs.restocks = Some(1))
            .faults(Fault::ClientCrash, 1),
        orders("order-reduced", None, "the last piece is taken from the total while it is ordered, and a process ends")
            .jobs(|jobs| jobs.restocks = Some(-1))
            .faults(Fault::ClientCrash, 1),
        day(),
    ]
}

/// The stock of an order whose process has ended.
fn stock_lost() -> Vec<OrderScenario> {
    let summary = "a shop process ends behind the deduction in Redis, and no job looks for its order";
    let sound =
        orders("order-stock-lost", Some("S1"), summary).faults(Fault::ClientCrash, 1).only(oracle::OrderUndersell);
    let fix = "the order is inserted first: JOB2 finds it and returns its stock";
    sound.broken_and_fixed(|sound| sound.with(|orders| orders.repairs = false), "job2", fix)
}

fn script_retried() -> Vec<OrderScenario> {
    let summary = "the reply to the deduction in Redis is lost, and the script is sent again";
    let sound = orders("order-script-retried", Some("S2"), summary)
        .with(|orders| (orders.stock, orders.pay) = (Amount::PerOrder(3), false))
        .faults(Fault::Break, 1)
        .only(oracle::OrderUndersell);
    let forgets = edit("if redis.call('HEXISTS', log, order) == 1 then", "if false then");
    sound.broken_and_fixed(|sound| sound.mutated(forgets), "remembered", "the script remembers the order")
}

fn late_deduction() -> Vec<OrderScenario> {
    let summary = "the deduction in Redis is late, and JOB2 has returned the stock before it";
    let sound = cancelled("order-late-deduction", Some("S15"), summary)
        .with(|orders| orders.stock = Amount::PerOrder(2))
        .faults(Fault::Delay, 1)
        .only(oracle::OrderUndersell);
    sound.broken_and_fixed(|sound| sound.mutated(NO_TOMBSTONE), "tombstone", "the return leaves a tombstone")
}

/// What Redis has answered is gone after a power loss.
fn everysec() -> Vec<OrderScenario> {
    let summary = "Redis loses power with the deductions of the last second, and sells them again";
    let mut sound = orders("order-everysec", Some("S4"), summary)
        .with(|orders| orders.pay = false)
        .faults(Fault::NodePowerLoss, 1)
        .only(oracle::OrderOversell)
        .redis(Persistence::Aof { fsync: Fsync::Always });
    // The second customer comes after the restart.
    sound.arrival = ArrivalTime::AnyTime;
    // No order comes while Redis is down: that one would be sold from MySQL, and those behind it.
    (sound.simulation.think_us_max, sound.simulation.fault_every_us) = (300_000, 100_000);
    sound.simulation.down_us_max = 1_000;
    let everysec = |sound: OrderScenario| sound.redis(Persistence::Aof { fsync: Fsync::Everysec });
    sound.broken_and_fixed(everysec, "always", "appendfsync always")
}

/// The replica that is promoted lacks a deduction.
fn failed_over() -> Vec<OrderScenario> {
    let summary = "the replica that is promoted lacks a deduction, and sells its piece again";
    let patience = ms(30);
    let wait = ReplicaWait { replicas: 1, timeout: ms(10), over: WaitOver::OnePipeline };
    let mut sound = orders("order-failover", Some("S4"), summary)
        .with(|orders| (orders.stock, orders.pay) = (Amount::Fixed(1), false))
        .clients(1)
        .operations(2)
        .service(|service| {
            service.cache = RedisAt::Primary { first: 1, servers: 2, sentinels: 1, patience };
            service.replicas = Some(wait);
        })
        .faults(Fault::NodeCrash, 1)
        .only(oracle::OrderOversell);
    // The second order comes after the failover.
    sound.parameters.think_us_max = 400_000;
    (sound.simulation.think_us_max, sound.simulation.fault_every_us) = (300_000, 60_000);
    (sound.simulation.down_us_max, sound.simulation.lag_us_max) = (400_000, 200_000);
    sound.simulation.faults = Budgets::NONE.with(Fault::Lag, 1);
    let hopes = |sound: OrderScenario| sound.service(|service| service.replicas = None);
    sound.broken_and_fixed(hopes, "waits", "a deduction counts once the replica has it")
}

/// The stock in Redis is rebuilt while orders are placed.
fn rebuilt() -> Vec<OrderScenario> {
    let naively = |first| {
        move |sound: OrderScenario| {
            let naive = sound.jobs(|jobs| jobs.rebuilds = Some(Rebuild::Naive(first)));
            naive.service(|service| service.epochs = false)
        }
    };
    let rebuilding =
        |name: &str, row, summary| orders(name, row, summary).jobs(|jobs| jobs.rebuilds = Some(Rebuild::Fenced));
    let fix = "the SKU is closed, MySQL read under a lock, and what was deducted before counts only if MySQL knows it";
    let summary = "the stock in Redis is rebuilt from what was read before a deduction";
    let race = rebuilding("order-rebuild-race", Some("S5"), summary)
        .with(|orders| orders.pay = false)
        .clients(3)
        .only(oracle::OrderOversell);
    let summary = "the stock in Redis is rebuilt, and an order goes from one log to the other between the two readings";
    let counted = rebuilding("order-rebuild-counts-twice", Some("S6"), summary)
        .with(|orders| orders.stock = Amount::PerOrder(2))
        .only(oracle::OrderUndersell);
    let sound = |name: &str, summary, fault| rebuilding(name, None, summary).faults(fault, 1);
    let lost = sound("order-rebuild-empty", "Redis comes back empty, and its stock is rebuilt", Fault::NodePowerLoss)
        .with(|orders| orders.pay = false)
        .redis(Persistence::None);
    [
        race.broken_and_fixed(naively(First::MySql), "fenced", fix),
        counted.broken_and_fixed(naively(First::Redis), "fenced", fix),
        vec![
            sound(
                "order-rebuild",
                "the stock in Redis is rebuilt while orders are placed; a process ends",
                Fault::ClientCrash,
            ),
            sound(
                "order-rebuild-break",
                "the stock in Redis is rebuilt while orders are placed; a connection breaks",
                Fault::Break,
            )
            .with(|orders| orders.pay = false),
            lost,
        ],
    ]
    .concat()
}

/// The SKU's lock is free before its transaction has ended.
fn unlocked_early() -> Vec<OrderScenario> {
    let summary = "the lock is taken and released within the transaction: the next one reads what is not committed yet";
    let sound = orders("order-unlocked-early", Some("M9"), summary)
        .with(|orders| (orders.hot, orders.lock) = (false, LockKind::Redis(Timing::VIRTUAL.redis(), On::Server)))
        .service(|service| service.row_lock = false)
        .only(oracle::OrderOversell);
    let inside = |sound: OrderScenario| sound.service(|service| service.lock_scope = LockScope::InsideTransaction);
    sound.broken_and_fixed(inside, "after-commit", "the lock is released after the COMMIT")
}

/// A row stays locked for too long, by a client whose machine has lost power.
fn timed_out() -> Vec<OrderScenario> {
    let summary =
        "error 1205 is taken for a rollback: what the transaction had done before is committed with the next one";
    let sound = orders("order-timeout-committed", Some("M10"), summary)
        .with(|orders| orders.stock = Amount::PerOrder(2))
        .faults(Fault::ClientPowerLoss, 1)
        .only(oracle::OrderStates);
    let fix = "ROLLBACK: only the statement was rolled back";
    sound.broken_and_fixed(|sound| sound.mutated(Mutation::TimeoutIsRollback), "rolled-back", fix)
}

/// The return does not remember the order.
const NO_TOMBSTONE: Mutation = edit("redis.call('HSET', done, order, 'returned')", "");

const fn edit(passage: &'static str, mistake: &'static str) -> Mutation {
    Mutation::Text(Edit { passage, mistake })
}

/// The flow with a mistake in it.
fn mistake(name: &str, summary: &'static str, sound: OrderScenario, mutation: Mutation) -> OrderScenario {
    let mut broken = sound.mutated(mutation);
    broken.about = about(&format!("mutant-order-{name}"), None, summary, "known-bad");
    broken
}

/// Mistakes in how orders take stock and give it back, each with what must catch it.
fn mistakes() -> Vec<OrderScenario> {
    let crash = || orders("", None, "").faults(Fault::ClientCrash, 1);
    let broken = || orders("", None, "").faults(Fault::Break, 1);
    let pays = |sound: OrderScenario| sound.with(|orders| orders.stock = Amount::PerOrder(2));
    vec![
        mistake(
            "no-condition",
            "the script deducts whether there is enough or not",
            orders("", None, ""),
            edit("< quantity then", "< 0 then"),
        )
        .only(oracle::OrderOversell)
        .violating("order-oversell"),
        mistake(
            "no-epoch",
            "a client that cannot reach Redis sells from MySQL, and the others go on selling from Redis",
            orders("", None, "").with(|orders| orders.pay = false).faults(Fault::Partition, 1),
            edit("SET route = 'COLD', epoch = epoch + 1", "SET epoch = epoch"),
        )
        .only(oracle::OrderOversell)
        .violating("order-oversell"),
        mistake(
            "returned-twice",
            "the return does not forget what it has returned, and is sent twice",
            cancelled("", None, "").faults(Fault::Break, 1),
            edit("redis.call('HDEL', log, order)\nredis.call('INCRBY'", "redis.call('INCRBY'"),
        )
        .only(oracle::OrderCache)
        .violating("order-cache"),
        mistake(
            "no-message",
            "the inventory service is told behind the payment, and never again",
            crash(),
            edit(
                "INSERT INTO message (topic, order_id) VALUES (?, ?)",
                "UPDATE message SET state = 'NEW' WHERE topic = ? AND order_id = ?",
            ),
        )
        .only(oracle::OrderStates)
        .violating("order-states"),
        mistake(
            "told-twice",
            "the inventory service counts an order each time that it is told of it",
            pays(broken()),
            edit("INSERT INTO stock_movement", "INSERT IGNORE INTO stock_movement"),
        )
        .only(oracle::OrderUndersell)
        .violating("order-undersell"),
        mistake(
            "counted-twice",
            "a paid order is in what is reserved and in the log",
            orders("", None, ""),
            edit("SET state = 'SETTLED'", "SET state = 'DEDUCTED'"),
        )
        .only(oracle::OrderUndersell)
        .violating("order-undersell"),
        mistake(
            "log-kept",
            "a cancelled order stays in the log",
            cancelled("", None, ""),
            edit("SET state = 'RETURNED'", "SET state = 'DEDUCTED'"),
        )
        .only(oracle::OrderUndersell)
        .violating("order-undersell"),
        mistake(
            "status-unlocked",
            "the status is looked at and changed later: an order is paid and cancelled",
            cancelled("", None, ""),
            edit("SELECT status FROM orders WHERE id = ? FOR UPDATE", "SELECT status FROM orders WHERE id = ?"),
        )
        .only(oracle::OrderStates)
        .violating("order-states"),
    ]
}

/// Mistakes with coupons and the total, and with scripts that are late.
fn further_mistakes() -> Vec<OrderScenario> {
    vec![
        mistake(
            "coupon-twice",
            "two orders have the discount of one coupon",
            orders("", None, "").with(|orders| (orders.stock, orders.coupon) = (Amount::PerOrder(2), true)),
            edit("UNIQUE KEY coupon_once (coupon_id)", "KEY coupon_once (coupon_id)"),
        )
        .only(oracle::OrderBalance)
        .violating("order-balance"),
        mistake(
            "coupon-kept",
            "a cancelled order keeps its coupon",
            cancelled("", None, "").with(|orders| orders.coupon = true),
            edit("UPDATE coupon SET order_id = NULL", "UPDATE coupon SET order_id = order_id"),
        )
        .only(oracle::OrderBalance)
        .violating("order-balance"),
        mistake(
            "reduced-blindly",
            "the total is reduced whatever orders have of it",
            orders("", None, "").jobs(|jobs| jobs.restocks = Some(-1)),
            edit("WHERE sku_id = ? AND ? + ? >= 0", "WHERE sku_id = ? AND ? + ? >= 0 - 1000"),
        )
        .only(oracle::OrderOversell)
        .violating("order-oversell"),
        mistake(
            "late-script",
            "a script that was sent before the SKU was closed deducts after it was opened again",
            orders("", None, "").jobs(|jobs| jobs.restocks = Some(1)).faults(Fault::Break, 1),
            edit("if redis.call('GET', epoch) ~= expected then", "if not redis.call('GET', epoch) then"),
        )
        .only(oracle::OrderUndersell)
        .violating("order-undersell"),
        mistake(
            "late-refused",
            "an order is refused while its script is on its way, and Redis is not told",
            cancelled("", None, "").with(|orders| orders.pay = false).clients(3).faults(Fault::Delay, 1),
            NO_TOMBSTONE,
        )
        .only(oracle::OrderUndersell)
        .violating("order-undersell"),
    ]
}

type OrderScenario = FlowScenario<Orders>;

impl OrderScenario {
    fn jobs(self, change: impl FnOnce(&mut Jobs)) -> Self {
        self.with(|orders| change(orders.jobs.get_or_insert(IDLE)))
    }

    fn service(self, change: impl FnOnce(&mut order::Config)) -> Self {
        self.with(|orders| change(&mut orders.service))
    }

    fn redis(self, persistence: Persistence) -> Self {
        self.serving(|service| {
            if let ServiceConfig::Redis(config) = &mut service.config {
                config.persistence = persistence.clone();
            }
        })
    }
}
