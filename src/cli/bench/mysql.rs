//! The simulated MySQL: what a statement costs, and how long a busy shop takes.

use super::super::error::CliError;
use crate::lock::mysql::row::Guard;
use crate::scenario::catalogue::mysql::busy_shop as shop;
use crate::scenario::{SIMULATED, Scenario, setup_for};
use crate::trace::Recorder;
use crate::world::simulated::run;
use doublehold_models::mysql::Config;
use doublehold_models::mysql::wire::{Request as Sql, Value};
use doublehold_models::{ConnId, NodeClock, Request, Service, ServiceConfig};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Instant;

/// The rows of the table.
const ROWS: i64 = 1000;
/// How often a statement is sent.
const TIMES: i64 = 200_000;
/// The shop's clients, the orders of each, and the seeds.
const CLIENTS: usize = 100;
const ORDERS: usize = 100;
const SEEDS: u64 = 5;

/// Statements by prepared text on one server, each a transaction by itself.
pub(super) fn statements(table: &mut String) {
    let mut server = Service::new(&ServiceConfig::MySql(Config::default()));
    let mut out = Vec::new();
    let conn = ConnId { client: 0, member: 0, lane: 1 };
    let mut ask = |sql: &'static str, params: Vec<Value>| {
        out.clear();
        let clock = NodeClock { wall_us: 0, mono_us: 0 };
        server.handle(&[clock], conn, &Request::MySql(Sql::new(sql, params)), &mut out);
    };
    ask(
        "CREATE TABLE stock (id BIGINT PRIMARY KEY, stock BIGINT NOT NULL, version BIGINT NOT NULL DEFAULT 0)",
        Vec::new(),
    );
    (0..ROWS).for_each(|id| ask("INSERT INTO stock (id, stock) VALUES (?, 1000000)", vec![id.into()]));
    table.push_str("\n| simulated MySQL, a table of 1000 rows | µs a statement |\n|---|---|\n");
    for sql in [
        "SELECT stock, version FROM stock WHERE id = ?",
        "SELECT stock, version FROM stock WHERE id = ? FOR UPDATE",
        "UPDATE stock SET stock = stock - 1, version = version + 1 WHERE id = ? AND stock >= 1",
    ] {
        let started = Instant::now();
        (0..TIMES).for_each(|time| ask(sql, vec![(time % ROWS).into()]));
        let us = started.elapsed().as_secs_f64() * 1e6 / TIMES as f64;
        let _ = writeln!(table, "| `{sql}` | {us:.2} |");
    }
}

/// The shop with many clients in the simulated world.
pub(super) fn busy_shop(table: &mut String) -> Result<(), CliError> {
    let _ = writeln!(
        table,
        "\n| shop, {CLIENTS} clients × {ORDERS} orders | steps a seed | seconds a seed |\n|---|---|---|"
    );
    for (name, guard) in [("decrement", Guard::Decrement), ("for-update", Guard::ForUpdate)] {
        let scenario = shop(guard, CLIENTS, ORDERS);
        let simulation = scenario.simulation();
        let parameters = scenario.defaults().simulated(&simulation);
        let mut steps = 0;
        let started = Instant::now();
        for seed in 0..SEEDS {
            let setup = Arc::new(setup_for(&scenario, &parameters, seed, SIMULATED));
            let ran = run(&setup, &simulation, &[], Recorder::off());
            let ran = ran.map_err(|missing| CliError::Environment(missing.to_string()))?;
            assert_eq!(ran.violation, None, "the shop has enough for everybody");
            steps += ran.steps;
        }
        let seconds = started.elapsed().as_secs_f64() / SEEDS as f64;
        let _ = writeln!(table, "| {name} | {} | {seconds:.2} |", steps / SEEDS);
    }
    Ok(())
}
