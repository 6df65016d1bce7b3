//! Random transactions on a MySQL server: at SERIALIZABLE every history has a serial order, at REPEATABLE READ some have none; on the
//! simulated server, and on a real one.

use doublehold::history::serial::{Committed, Op, Order, Registers, Txn, serial_order};
use doublehold::lock::mysql::Stop;
use doublehold::lock::mysql::transaction::{ending, within};
use doublehold::port::Ports;
use doublehold::port::mysql::{MySql, Request, Session, Value};
use doublehold::scenario::{SIMULATED, Simulation, Workload, program};
use doublehold::trace::Recorder;
use doublehold::world::fault::{Assumptions, Budgets, Fault};
use doublehold::world::real::servers::MariaDbServer;
use doublehold::world::real::{MySqlOptions, RealMySql, RealPorts, RedisOptions};
use doublehold::world::setup::{ArrivalTime, ServiceSpec, Setup};
use doublehold_models::ServiceConfig;
use doublehold_models::mysql::Config;
use doublehold_sim_tests::mariadb_or_skip;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const CLIENTS: usize = 3;
const TRANSACTIONS: usize = 4;
const REGISTERS: u64 = 3;

/// Clients that read and write registers at random.
#[derive(Clone)]
struct Transactions {
    level: &'static str,
    history: Arc<Mutex<Vec<Txn>>>,
}

impl Transactions {
    fn new(level: &'static str) -> Self {
        Transactions { level, history: Arc::default() }
    }

    async fn transaction<P: Ports>(&self, ports: &P, session: &mut impl Session, number: i64) -> Result<(), Stop> {
        let (began, mut ops) = (ports.monotonic().as_micros(), Vec::new());
        within(session.run("BEGIN", Vec::new()).await)?;
        for step in 0..3 {
            let id = (ports.random() % REGISTERS) as i64;
            if ports.random().is_multiple_of(2) {
                let rows = within(session.query("SELECT v FROM registers WHERE id = ?", vec![id.into()]).await)?;
                ops.push(Op::Read(id, rows.first().and_then(|row| row[0].as_int())));
            } else {
                let value = 100 * number + step;
                let params = vec![value.into(), id.into()];
                within(session.run("UPDATE registers SET v = ? WHERE id = ?", params).await)?;
                ops.push(Op::Write(id, Some(value)));
            }
        }
        let committed = match ending(session.run("COMMIT", Vec::new()).await) {
            Ok(_) => Committed::Yes,
            Err(Stop::Unknown) => Committed::Perhaps,
            Err(stop) => return Err(stop),
        };
        let txn = Txn { ops, committed, span: (began, ports.monotonic().as_micros()) };
        self.history.lock().expect("no client panics").push(txn);
        Ok(())
    }

    /// Whether a serial order explains what was seen.
    fn has_order(&self) -> bool {
        let initial: Registers = (0..REGISTERS as i64).map(|id| (id, 0)).collect();
        let history = self.history.lock().expect("no client panics");
        assert!(!history.is_empty(), "some transaction was committed");
        serial_order(&initial, &history, Order::Any).is_some()
    }
}

impl Workload for Transactions {
    async fn prepare<P: Ports>(&self, ports: P) -> Result<(), doublehold::port::Unanswered> {
        let mut session = ports.mysql(0).session();
        let table = "CREATE TABLE registers (id BIGINT NOT NULL PRIMARY KEY, v BIGINT NOT NULL)";
        doublehold::port::answered(table, session.run(table, Vec::new()).await)?;
        for id in 0..REGISTERS as i64 {
            let insert = "INSERT INTO registers (id, v) VALUES (?, 0)";
            doublehold::port::answered(insert, session.run(insert, vec![Value::Int(id)]).await)?;
        }
        Ok(())
    }

    async fn run<P: Ports>(&self, ports: P) {
        let client = ports.client();
        let server = ports.mysql(0);
        let mut session = server.session();
        let mut fresh = true;
        for number in 0..TRANSACTIONS {
            if !session.is_open() {
                (session, fresh) = (server.session(), true);
            }
            if std::mem::take(&mut fresh) {
                let set = format!("SET SESSION TRANSACTION ISOLATION LEVEL {}", self.level);
                if session.ask(Request::new(set, Vec::new())).await.ok().is_none() {
                    continue;
                }
            }
            let number = (client * TRANSACTIONS + number + 1) as i64;
            if self.transaction(&ports, &mut session, number).await.is_err() && session.is_open() {
                drop(session.run("ROLLBACK", Vec::new()).await);
            }
        }
    }
}

/// True if a simulated run's history has a serial order.
fn simulated(level: &'static str, seed: u64) -> bool {
    let workload = Transactions::new(level);
    let setup = Setup {
        services: vec![ServiceSpec { name: "mysql".to_owned(), config: ServiceConfig::MySql(Config::default()) }],
        clients: CLIENTS,
        program: program(workload.clone()),
        symmetric: false,
        arrival: ArrivalTime::AnyTime,
        partitions: doublehold::world::cut::Partitions::Any,
        budgets: Budgets::NONE.with(Fault::Break, u8::MAX),
        assumptions: Assumptions::default(),
        locks: Vec::new(),
        resources: Vec::new(),
        properties: Vec::new(),
        seed,
    };
    let simulation = Simulation { fault_every_us: 20_000, ..Simulation::default() };
    let ran = doublehold::world::simulated::run(&Arc::new(setup), &simulation, &[], Recorder::off());
    let ran = ran.unwrap_or_else(|problem| panic!("{SIMULATED}: {problem}"));
    assert_eq!(ran.violation, None, "seed {seed}");
    workload.has_order()
}

#[test]
fn simulated_histories_at_serializable_have_a_serial_order() {
    let without: Vec<u64> = (0..300).filter(|seed| !simulated("SERIALIZABLE", *seed)).collect();
    assert_eq!(without, [0; 0], "seeds whose histories have none");
}

#[test]
fn simulated_histories_at_weaker_levels_may_have_none() {
    for level in ["READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ"] {
        let without = (0..100).filter(|seed| !simulated(level, *seed)).count();
        assert!(without > 0, "{level}: a hundred seeds show no anomaly");
    }
}

#[test]
fn real_histories_at_serializable_have_a_serial_order() {
    if !mariadb_or_skip("serializability on a real server") {
        return;
    }
    let server = MariaDbServer::start().expect("mariadbd starts");
    let url = server.url();
    let mysql = RealMySql::new(&url, MySqlOptions::default()).expect("the URL is one");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("tokio starts").block_on(async {
        for _ in 0..20 {
            let workload = Transactions::new("SERIALIZABLE");
            let ports = |client| {
                let ports = RealPorts::new(client, &[], RedisOptions::default(), None).expect("no URL is wrong");
                ports.with_mysql(&mysql)
            };
            let mut admin = mysql.session();
            drop(admin.run("DROP TABLE IF EXISTS registers", Vec::new()).await);
            workload.prepare(ports(0)).await.unwrap_or_else(|problem| panic!("{problem}"));
            let clients = (0..CLIENTS).map(|client| {
                let (workload, ports) = (workload.clone(), ports(client));
                tokio::spawn(async move { workload.run(ports).await })
            });
            for client in clients.collect::<Vec<_>>() {
                let ended = tokio::time::timeout(Duration::from_secs(60), client).await;
                ended.expect("clients end").expect("no client panics");
            }
            assert!(workload.has_order(), "{:?}", workload.history.lock());
        }
    });
}
