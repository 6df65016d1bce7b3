//! Random statements by several sessions.

use doublehold_models::mysql::wire::{Request, Value};
use doublehold_models::{ConnId, Request as AnyRequest};
use doublehold_sim_tests::conformance::Step;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What the families are about, by their numbers.
pub(crate) const FAMILIES: [&str; 7] =
    ["one session", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE", "queries", "user locks", "foreign keys"];
/// The sessions beside the one of a family that has one.
const CLIENTS: u16 = 3;
const KEYS: usize = 6;

/// The number of the family with foreign keys.
const FOREIGN_KEYS: usize = 6;

struct Generator {
    random: ChaCha8Rng,
    steps: Vec<Step>,
    clients: u16,
    /// Whether each session is in a transaction, as far as nobody was a deadlock's victim.
    in_transaction: [bool; CLIENTS as usize],
}

/// A statement of a session.
pub(crate) fn statement(client: u16, sql: impl Into<String>, params: Vec<Value>) -> Step {
    let conn = ConnId { client, member: 0, lane: 0 };
    Step::Send(conn, AnyRequest::MySql(Request::new(sql.into(), params)))
}

/// A sequence of a family.
pub(crate) fn sequence(family: usize, seed: u64, steps: usize) -> Vec<Step> {
    let random = ChaCha8Rng::seed_from_u64(seed ^ (family as u64) << 32);
    let clients = if matches!(family, 0 | 4) { 1 } else { CLIENTS };
    let mut generator = Generator { random, steps: Vec::new(), clients, in_transaction: [false; CLIENTS as usize] };
    generator.begin(family);
    while generator.steps.len() < steps {
        generator.step(family);
    }
    // Whoever still waits is let go by the others' ends; those who do not wait end here.
    (0..clients).for_each(|client| generator.send(client, "ROLLBACK", Vec::new()));
    let children = (family == FOREIGN_KEYS).then_some("c");
    for table in ["t", "s", "o"].into_iter().chain(children) {
        generator.send(0, &format!("SELECT * FROM {table} ORDER BY id"), Vec::new());
    }
    generator.steps
}

impl Generator {
    fn below(&mut self, below: usize) -> usize {
        self.random.next_u64() as usize % below
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn send(&mut self, client: u16, sql: &str, params: Vec<Value>) {
        self.steps.push(statement(client, sql, params));
    }

    fn begin(&mut self, family: usize) {
        self.send(0, "CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL DEFAULT 7)", Vec::new());
        let s = "CREATE TABLE s (id INT PRIMARY KEY, a INT, b VARCHAR(8), stock INT UNSIGNED NOT NULL DEFAULT 3, UNIQUE KEY ua (a), KEY kb (b))";
        self.send(0, s, Vec::new());
        self.send(0, "CREATE TABLE o (id BIGINT AUTO_INCREMENT PRIMARY KEY, request VARCHAR(8) NOT NULL, n INT, UNIQUE KEY (request))", Vec::new());
        self.send(0, "INSERT INTO t (id, v) VALUES (1, 10), (3, 30), (5, 50)", Vec::new());
        self.send(0, "INSERT INTO s (id, a, b) VALUES (1, 1, 'x'), (3, 3, 'y'), (5, NULL, 'x')", Vec::new());
        if family == FOREIGN_KEYS {
            let c = "CREATE TABLE c (id INT PRIMARY KEY, p_id INT NULL, n INT NOT NULL DEFAULT 0, \
                created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), \
                updated_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), \
                CONSTRAINT c_t FOREIGN KEY (p_id) REFERENCES t (id))";
            self.send(0, c, Vec::new());
            self.send(0, "INSERT INTO c (id, p_id) VALUES (1, 1), (3, 3)", Vec::new());
        }
        if (1..4).contains(&family) {
            for client in 0..self.clients {
                self.send(client, &format!("SET SESSION TRANSACTION ISOLATION LEVEL {}", FAMILIES[family]), Vec::new());
            }
        }
    }

    fn step(&mut self, family: usize) {
        let client = self.below(self.clients.into()) as u16;
        let open = self.in_transaction[usize::from(client)];
        if family == 5 {
            return self.user_lock(client);
        }
        match self.below(100) {
            12..14 if family == FOREIGN_KEYS => self.define(client),
            0..12 if !open => {
                self.send(client, "BEGIN", Vec::new());
                self.in_transaction[usize::from(client)] = true;
            }
            0..12 => {
                let end = if self.chance(70) { "COMMIT" } else { "ROLLBACK" };
                self.send(client, end, Vec::new());
                self.in_transaction[usize::from(client)] = false;
            }
            12..16 if family == 0 => {
                let savepoint = ["SAVEPOINT p", "SAVEPOINT q", "ROLLBACK TO p", "ROLLBACK TO q", "RELEASE SAVEPOINT p"];
                let at = self.below(savepoint.len());
                self.send(client, savepoint[at], Vec::new());
            }
            _ if family == 4 && self.chance(70) => self.query(client),
            // Reads by a key and changes by the primary key, where locks decide who goes first.
            _ if family == 0 || family == 4 => self.change(client),
            _ if family == FOREIGN_KEYS => self.refer(client),
            _ => self.contend(client),
        }
    }

    /// What a definition with foreign keys is told, and what dropping their tables is. A session with a transaction
    /// would keep others' definitions waiting, which is not modelled.
    fn define(&mut self, client: u16) {
        if self.in_transaction.contains(&true) {
            return;
        }
        let definitions = [
            "CREATE TABLE bad (id INT PRIMARY KEY, x INT, FOREIGN KEY (x) REFERENCES missing (id))",
            "CREATE TABLE bad (id INT PRIMARY KEY, x BIGINT, FOREIGN KEY (x) REFERENCES t (id))",
            "CREATE TABLE bad (id INT PRIMARY KEY, x INT, FOREIGN KEY (x) REFERENCES t (v))",
            "DROP TABLE t",
            "DROP TABLE IF EXISTS missing, t",
        ];
        let at = self.below(definitions.len());
        self.send(client, definitions[at], Vec::new());
    }

    /// Parents and children.
    fn refer(&mut self, client: u16) {
        let (id, parent, small) = (self.key(), self.key(), self.small());
        match self.below(12) {
            0..3 => self.send(client, "INSERT INTO c (id, p_id) VALUES (?, ?)", vec![id, parent]),
            3 => self.send(client, "UPDATE c SET p_id = ? WHERE id = ?", vec![small, id]),
            4 => self.send(client, "UPDATE c SET n = n + 1 WHERE id = ?", vec![id]),
            5 => self.send(client, "DELETE FROM c WHERE id = ?", vec![id]),
            6 => self.send(client, "DELETE FROM t WHERE id = ?", vec![id]),
            7 => self.send(client, "INSERT INTO t (id) VALUES (?)", vec![id]),
            8 => self.send(client, "UPDATE t SET v = v + 1 WHERE id = ?", vec![id]),
            9 => self.send(client, "UPDATE t SET id = ? WHERE id = ?", vec![parent, id]),
            10 => self.send(client, "SELECT id, p_id, n FROM c WHERE p_id = ? ORDER BY id", vec![parent]),
            _ => self.send(client, "SELECT v FROM t WHERE id = ? FOR UPDATE", vec![id]),
        }
    }

    fn key(&mut self) -> Value {
        Value::Int(1 + self.below(KEYS) as i64)
    }

    fn small(&mut self) -> Value {
        if self.chance(10) { Value::Null } else { Value::Int(self.below(5) as i64) }
    }

    fn text(&mut self) -> Value {
        Value::from(["x", "y", "z", "x ", ""][self.below(5)])
    }

    /// Two that wait for each other's user locks are a deadlock, which is not modelled: one name alone is waited for.
    fn user_lock(&mut self, client: u16) {
        let name = Value::from(["a", "b"][self.below(2)]);
        match self.below(6) {
            0 | 1 => self.send(client, "SELECT GET_LOCK('a', 30)", Vec::new()),
            2 => self.send(client, "SELECT GET_LOCK('b', 0)", Vec::new()),
            3 | 4 => self.send(client, "SELECT RELEASE_LOCK(?)", vec![name]),
            _ => self.send(client, "SELECT IS_FREE_LOCK(?)", vec![name]),
        }
        if self.chance(5) {
            self.steps.push(Step::Close(ConnId { client, member: 0, lane: 0 }));
        }
    }

    fn contend(&mut self, client: u16) {
        let (id, other) = (self.key(), self.key());
        match self.below(11) {
            9 => self.send(client, "SELECT v FROM t WHERE id = ? FOR UPDATE NOWAIT", vec![id]),
            10 => {
                let free = "SELECT id FROM t WHERE id >= ? ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED";
                self.send(client, free, vec![id]);
            }
            0 => self.send(client, "SELECT v FROM t WHERE id = ?", vec![id]),
            1 => self.send(client, "SELECT v FROM t WHERE id = ? FOR UPDATE", vec![id]),
            2 => self.send(client, "SELECT id, v FROM t WHERE id >= ? ORDER BY id", vec![id]),
            3 => self.send(client, "UPDATE t SET v = v + 1 WHERE id = ?", vec![id]),
            4 => self.send(client, "INSERT INTO t (id) VALUES (?)", vec![id]),
            5 => self.send(client, "DELETE FROM t WHERE id = ?", vec![id]),
            6 => self.send(client, "SELECT v FROM t WHERE id = ? LOCK IN SHARE MODE", vec![id]),
            7 => self.send(client, "UPDATE t SET v = ? WHERE id = ?", vec![other, id]),
            _ => self.send(client, "SELECT COUNT(*), SUM(v) FROM t", Vec::new()),
        }
    }

    fn change(&mut self, client: u16) {
        let (id, small, text) = (self.key(), self.small(), self.text());
        match self.below(12) {
            0 => self.send(client, "INSERT INTO s (id, a, b) VALUES (?, ?, ?)", vec![id, small, text]),
            1 => self.send(
                client,
                "INSERT IGNORE INTO s (id, a, b) VALUES (?, ?, ?), (2, 2, 'z')",
                vec![id, small, text],
            ),
            2 => self.send(
                client,
                "INSERT INTO s (id, a, b) VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE b = VALUES(b), stock = stock + 1",
                vec![id, small, text],
            ),
            3 => self.send(client, "UPDATE s SET a = ?, b = ? WHERE id = ?", vec![small, text, id]),
            4 => self.send(client, "UPDATE s SET stock = stock - 1 WHERE id = ? AND stock >= 1", vec![id]),
            5 => self.send(client, "UPDATE s SET stock = stock - 2 WHERE id = ?", vec![id]),
            6 => self.send(client, "DELETE FROM s WHERE a = ?", vec![small]),
            7 => self.send(client, "UPDATE s SET id = ? WHERE a = ?", vec![id, small]),
            8 => self.send(client, "DELETE FROM s WHERE b = ? ORDER BY id LIMIT 1", vec![text]),
            9 => self.send(client, "INSERT INTO o (request, n) VALUES (?, ?)", vec![text, small]),
            10 => self.send(client, "SELECT LAST_INSERT_ID()", Vec::new()),
            _ => self.send(client, "UPDATE s SET b = NULL WHERE stock < ? LIMIT 2", vec![small]),
        }
    }

    fn query(&mut self, client: u16) {
        let (id, small, text) = (self.key(), self.small(), self.text());
        match self.below(13) {
            0 => self.send(client, "SELECT * FROM s WHERE a = ? OR b = ?", vec![small, text]),
            1 => self.send(
                client,
                "SELECT b, COUNT(*) AS n, MAX(stock) FROM s GROUP BY b HAVING COUNT(*) > 1",
                Vec::new(),
            ),
            2 => self.send(client, "SELECT id FROM s WHERE id IN (?, ?, 3) ORDER BY id DESC LIMIT 2", vec![id, small]),
            3 => self.send(client, "SELECT s.id, t.v FROM s JOIN t ON t.id = s.id WHERE t.v > ?", vec![small]),
            4 => self.send(client, "SELECT s.id, t.v FROM s LEFT JOIN t ON t.id = s.a", Vec::new()),
            5 => self.send(client, "SELECT DISTINCT b FROM s WHERE b IS NOT NULL", Vec::new()),
            6 => self.send(
                client,
                "SELECT COUNT(DISTINCT b), SUM(stock), MIN(a) FROM s WHERE id BETWEEN ? AND 5",
                vec![id],
            ),
            11 => self.send(
                client,
                "SELECT b, stock, COUNT(*) FROM s GROUP BY b, stock HAVING COALESCE(SUM(a), 0) <> stock ORDER BY b, stock",
                Vec::new(),
            ),
            7 => self.send(client, "SELECT id, IFNULL(a, -1) FROM s WHERE NOT (a = ?)", vec![small]),
            8 => self.send(client, "SELECT nothing FROM s", Vec::new()),
            9 => self.send(client, "SELECT id FROM missing", Vec::new()),
            10 => self.send(
                client,
                "SELECT GREATEST(stock, ?), LEAST(id, 2) FROM s WHERE id <> ?",
                vec![Value::Int(2), id],
            ),
            _ => self.send(client, "SELECT id, a <=> ?, b FROM s ORDER BY b DESC, id LIMIT 3 OFFSET 1", vec![small]),
        }
    }
}
