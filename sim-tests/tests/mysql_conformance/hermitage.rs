//! The isolation anomalies of the Hermitage catalogue (Martin Kleppmann, <https://github.com/ept/hermitage>), each at each level: the model
//! must show what the real server shows, step by step, and the steps must tell whether the anomaly is there.

use crate::generate::statement;
use crate::real::Real;
use doublehold_models::mysql::wire::{Reply, Value};
use doublehold_models::{At, NodeClock, Response, Service};
use doublehold_sim_tests::conformance::{Dialect, Step, Tally};
use doublehold_sim_tests::mariadb_or_skip;

const LEVELS: [&str; 4] = ["READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"];

/// An anomaly: its name, its steps, and what shows it: the last rows that a session is given.
struct Anomaly {
    name: &'static str,
    steps: &'static [(u16, &'static str)],
    /// A session, and the rows that it is given last if the anomaly happens.
    shown_by: (u16, &'static [&'static [i64]]),
    /// The levels at which it happens.
    happens_at: &'static [&'static str],
}

/// Every anomaly begins with the rows (1, 10) and (2, 20).
const ANOMALIES: [Anomaly; 8] = [
    Anomaly {
        name: "G0, dirty write",
        steps: &[
            (0, "UPDATE test SET v = 11 WHERE id = 1"),
            (1, "UPDATE test SET v = 12 WHERE id = 1"),
            (0, "UPDATE test SET v = 21 WHERE id = 2"),
            (0, "COMMIT"),
            (1, "UPDATE test SET v = 22 WHERE id = 2"),
            (1, "COMMIT"),
            (0, "SELECT id, v FROM test ORDER BY id"),
        ],
        shown_by: (0, &[&[1, 12], &[2, 21]]),
        happens_at: &[],
    },
    Anomaly {
        name: "G1a, aborted read",
        steps: &[
            (0, "UPDATE test SET v = 101 WHERE id = 1"),
            (1, "SELECT id, v FROM test ORDER BY id"),
            (0, "ROLLBACK"),
        ],
        shown_by: (1, &[&[1, 101], &[2, 20]]),
        happens_at: &["READ UNCOMMITTED"],
    },
    Anomaly {
        name: "G1b, intermediate read",
        steps: &[
            (0, "UPDATE test SET v = 101 WHERE id = 1"),
            (1, "SELECT id, v FROM test ORDER BY id"),
            (0, "UPDATE test SET v = 11 WHERE id = 1"),
            (0, "COMMIT"),
        ],
        shown_by: (1, &[&[1, 101], &[2, 20]]),
        happens_at: &["READ UNCOMMITTED"],
    },
    Anomaly {
        name: "G1c, circular information flow",
        steps: &[
            (0, "UPDATE test SET v = 11 WHERE id = 1"),
            (1, "UPDATE test SET v = 22 WHERE id = 2"),
            (0, "SELECT v FROM test WHERE id = 2"),
            (1, "SELECT v FROM test WHERE id = 1"),
            (0, "COMMIT"),
            (1, "COMMIT"),
        ],
        shown_by: (1, &[&[11]]),
        // At SERIALIZABLE each waits for the other, and one is a deadlock's victim.
        happens_at: &["READ UNCOMMITTED"],
    },
    Anomaly {
        name: "PMP, predicate-many-preceders",
        steps: &[
            (0, "SELECT id FROM test WHERE v = 30"),
            (1, "INSERT INTO test (id, v) VALUES (3, 30)"),
            (1, "COMMIT"),
            (0, "SELECT id FROM test WHERE v % 3 = 0"),
            (0, "COMMIT"),
        ],
        shown_by: (0, &[&[3]]),
        happens_at: &["READ UNCOMMITTED", "READ COMMITTED"],
    },
    Anomaly {
        name: "P4, lost update",
        steps: &[
            (0, "SELECT v FROM test WHERE id = 1"),
            (1, "SELECT v FROM test WHERE id = 1"),
            (0, "UPDATE test SET v = 11 WHERE id = 1"),
            (1, "UPDATE test SET v = 12 WHERE id = 1"),
            (0, "COMMIT"),
            (1, "SELECT v FROM test WHERE id = 1"),
            (1, "COMMIT"),
        ],
        // The second writes over what it has not read.
        shown_by: (1, &[&[12]]),
        happens_at: &["READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ"],
    },
    Anomaly {
        name: "G-single, read skew",
        steps: &[
            (0, "SELECT v FROM test WHERE id = 1"),
            (1, "UPDATE test SET v = 12 WHERE id = 1"),
            (1, "UPDATE test SET v = 18 WHERE id = 2"),
            (1, "COMMIT"),
            (0, "SELECT v FROM test WHERE id = 2"),
            (0, "COMMIT"),
        ],
        shown_by: (0, &[&[18]]),
        happens_at: &["READ UNCOMMITTED", "READ COMMITTED"],
    },
    Anomaly {
        name: "G2-item, write skew",
        steps: &[
            (0, "SELECT id, v FROM test WHERE id IN (1, 2)"),
            (1, "SELECT id, v FROM test WHERE id IN (1, 2)"),
            (0, "UPDATE test SET v = 11 WHERE id = 1"),
            (1, "UPDATE test SET v = 21 WHERE id = 2"),
            (0, "COMMIT"),
            (1, "COMMIT"),
            (0, "SELECT id, v FROM test ORDER BY id"),
        ],
        shown_by: (0, &[&[1, 11], &[2, 21]]),
        happens_at: &["READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ"],
    },
];

fn steps_of(anomaly: &Anomaly, level: &str) -> Vec<Step> {
    let mut steps = vec![
        statement(0, "CREATE TABLE test (id INT PRIMARY KEY, v INT)", Vec::new()),
        statement(0, "INSERT INTO test (id, v) VALUES (1, 10), (2, 20)", Vec::new()),
    ];
    for client in 0..2 {
        steps.push(statement(client, format!("SET SESSION TRANSACTION ISOLATION LEVEL {level}"), Vec::new()));
        steps.push(statement(client, "BEGIN", Vec::new()));
    }
    steps.extend(anomaly.steps.iter().map(|(client, sql)| statement(*client, *sql, Vec::new())));
    steps
}

/// The rows that a session of the model was given last.
fn last_rows(config: &doublehold_models::ServiceConfig, steps: &[Step], client: u16) -> Vec<Vec<i64>> {
    let mut model = Service::new(config);
    let mut last = Vec::new();
    for step in steps {
        let Step::Send(conn, request) = step else { continue };
        if model.is_waiting(*conn) {
            continue;
        }
        let mut out = Vec::new();
        let clock = [NodeClock { wall_us: 0, mono_us: 0 }];
        model.handle(&clock, *conn, request, &mut out);
        while let Some(ready) = model.ready().first() {
            model.step(&clock, At::Conn(*ready), doublehold_models::Step::Grant, &mut out);
        }
        for output in out.iter().filter(|output| output.conn.client == client) {
            if let Some(Response::MySql(Reply::Rows { rows, .. })) = output.response() {
                let numbers = |row: &Vec<Value>| row.iter().filter_map(Value::as_int).collect();
                last = rows.iter().map(numbers).collect();
            }
        }
    }
    last
}

#[test]
fn anomalies_happen_where_the_real_server_has_them() {
    let mut real = mariadb_or_skip("the Hermitage anomalies on a real server").then(Real::start);
    let config = doublehold_models::ServiceConfig::MySql(doublehold_models::mysql::Config::default());
    let mut tally = Tally::default();
    for anomaly in &ANOMALIES {
        for level in LEVELS {
            let (client, rows) = anomaly.shown_by;
            let steps = steps_of(anomaly, level);
            let happens = last_rows(&config, &steps, client) == rows;
            assert_eq!(happens, anomaly.happens_at.contains(&level), "{} at {level}", anomaly.name);
            if let Some(real) = &mut real {
                assert_eq!(real.config(), config);
                tally.compare(real, &format!("{} at {level}", anomaly.name), &steps);
            }
        }
    }
    println!("Hermitage: {tally}");
}
