//! One real server, as the harness sees it: a task for each session, so that a statement may wait.

use doublehold::port::Outcome;
use doublehold::port::mysql::{MySql, Session as _};
use doublehold::world::real::servers::MariaDbServer;
use doublehold::world::real::{MySqlOptions, RealMySql, RealSession};
use doublehold_models::mysql::wire::{Reply, Request as SqlRequest, Value};
use doublehold_models::{ConnId, Output, Request, Response, ServiceConfig, mysql};
use doublehold_sim_tests::conformance::Dialect;
use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How long a reply may take that must come.
const REPLY_WAIT: Duration = Duration::from_secs(5);
/// How long a reply that must not come is waited for.
const QUIET: Duration = Duration::from_millis(15);
/// The database, which is empty after every reset.
const DATABASE: &str = "test";

/// A session: where statements go, where replies come from, and its number on the server.
struct Session {
    statements: UnboundedSender<SqlRequest>,
    replies: mpsc::Receiver<Reply>,
    id: i64,
}

pub(crate) struct Real {
    server: MariaDbServer,
    runtime: Runtime,
    admin: RealSession,
    sessions: BTreeMap<ConnId, Session>,
    /// Something was deleted that the server may not have dropped yet.
    has_history: bool,
}

fn open(address: &str) -> RealSession {
    let url = format!("mysql://root@{address}/{DATABASE}");
    RealMySql::new(&url, MySqlOptions::default()).expect("the URL is one").session()
}

async fn must(session: &mut RealSession, sql: String) -> Reply {
    match session.ask(SqlRequest::new(sql, Vec::new())).await {
        Outcome::Ok(reply) => reply,
        other => panic!("the server does not answer: {other:?}"),
    }
}

fn number(reply: &Reply) -> i64 {
    match reply {
        Reply::Rows { rows, .. } => rows[0][0].as_int().expect("a number"),
        other => panic!("no rows: {other}"),
    }
}

async fn serve(mut session: RealSession, mut statements: UnboundedReceiver<SqlRequest>, replies: mpsc::Sender<Reply>) {
    while let Some(statement) = statements.recv().await {
        let Outcome::Ok(reply) = session.ask(statement).await else { return };
        if replies.send(reply).is_err() {
            return;
        }
    }
}

impl Real {
    pub(crate) fn start() -> Self {
        let server = MariaDbServer::start().expect("mariadbd starts");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("tokio starts");
        let admin = open(&server.address());
        Real { server, runtime, admin, sessions: BTreeMap::new(), has_history: false }
    }

    /// Ends a session, whatever it waits for, and returns when the server has rolled it back.
    fn end(&mut self, session: Session) {
        let Session { statements, id, .. } = session;
        drop(statements);
        let admin = &mut self.admin;
        self.runtime.block_on(async {
            // It may have gone by itself.
            drop(admin.ask(SqlRequest::new(format!("KILL CONNECTION {id}"), Vec::new())).await);
            let count = format!("SELECT COUNT(*) FROM information_schema.processlist WHERE id = {id}");
            let started = Instant::now();
            while number(&must(admin, count.clone()).await) > 0 {
                assert!(started.elapsed() < REPLY_WAIT, "session {id} does not end");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
    }

    /// The server drops deleted records in its own time, and until then they part a gap in two. The model does so at once: the
    /// server is given time to drop what no open snapshot needs.
    fn let_it_purge(&mut self) {
        let wait = "SET STATEMENT max_statement_time = 0.003 FOR SET GLOBAL innodb_max_purge_lag_wait = 0";
        drop(self.runtime.block_on(self.admin.ask(SqlRequest::new(wait, Vec::new()))));
        self.has_history = false;
    }

    fn session(&mut self, conn: ConnId) -> &Session {
        let (address, runtime) = (self.server.address(), &self.runtime);
        self.sessions.entry(conn).or_insert_with(|| {
            let mut session = open(&address);
            let id = number(&runtime.block_on(must(&mut session, "SELECT CONNECTION_ID()".to_owned())));
            let (statements, incoming) = unbounded_channel();
            let (outgoing, replies) = mpsc::channel();
            runtime.spawn(serve(session, incoming, outgoing));
            Session { statements, replies, id }
        })
    }
}

/// Numbers are the same whatever their type, of which decimals come as texts; a group may be told by any of its texts; moments are
/// the servers' own.
fn same_value(model: &Value, real: &Value) -> bool {
    match (model, real) {
        (Value::DateTime(_), Value::DateTime(_)) => true,
        (Value::Int(_) | Value::UInt(_), Value::Int(_) | Value::UInt(_) | Value::Text(_)) => {
            model.as_int() == real.as_int()
        }
        (Value::Text(model), Value::Text(real)) => model.to_text().trim_end() == real.to_text().trim_end(),
        (model, real) => model == real,
    }
}

fn same(request: Option<&SqlRequest>, model: &Reply, real: &Reply) -> bool {
    match (model, real) {
        (Reply::Rows { rows, .. }, Reply::Rows { rows: real, .. }) => {
            let ordered = request.is_none_or(|request| request.sql.to_text().contains("ORDER BY"));
            let (mut rows, mut real) = (rows.clone(), real.clone());
            if !ordered {
                rows.sort();
                real.sort();
            }
            let same_row = |(model, real): (&Vec<Value>, &Vec<Value>)| {
                model.len() == real.len() && model.iter().zip(real).all(|(model, real)| same_value(model, real))
            };
            rows.len() == real.len() && rows.iter().zip(&real).all(same_row)
        }
        (Reply::Failed(model), Reply::Failed(real)) => (model.code, model.state) == (real.code, real.state),
        (model, real) => model == real,
    }
}

fn sql_of(request: &Request) -> &SqlRequest {
    match request {
        Request::MySql(request) => request,
        other => panic!("a request to another kind of server: {other}"),
    }
}

impl Dialect for Real {
    fn config(&self) -> ServiceConfig {
        ServiceConfig::MySql(mysql::Config::default())
    }

    fn reset(&mut self) {
        for (_, session) in std::mem::take(&mut self.sessions) {
            self.end(session);
        }
        let admin = &mut self.admin;
        self.runtime.block_on(async {
            for sql in [format!("DROP DATABASE {DATABASE}"), format!("CREATE DATABASE {DATABASE}")] {
                let reply = must(admin, sql).await;
                assert!(matches!(reply, Reply::Done { .. }), "{reply}");
            }
        });
    }

    fn send(&mut self, conn: ConnId, request: &Request) {
        let sql = sql_of(request).sql.to_text().into_owned();
        let is = |words: &[&str]| words.iter().any(|word| sql.starts_with(word));
        if self.has_history
            && (is(&["INSERT", "UPDATE", "DELETE"]) || sql.contains("FOR UPDATE") || sql.contains("LOCK IN"))
        {
            self.let_it_purge();
        }
        self.has_history |=
            is(&["COMMIT", "ROLLBACK", "DELETE", "UPDATE s SET id", "UPDATE t SET id", "UPDATE c SET p_id"]);
        // A session that was killed shows by its silence.
        let _ = self.session(conn).statements.send(sql_of(request).clone());
    }

    fn receive(&mut self, conn: ConnId) -> Option<Response> {
        self.sessions.get(&conn)?.replies.recv_timeout(REPLY_WAIT).ok().map(Response::MySql)
    }

    fn unexpected(&mut self, conn: ConnId) -> Option<Response> {
        self.sessions.get(&conn)?.replies.recv_timeout(QUIET).ok().map(Response::MySql)
    }

    fn close(&mut self, conn: ConnId) {
        if let Some(session) = self.sessions.remove(&conn) {
            self.end(session);
        }
    }

    fn difference(
        &mut self,
        conn: ConnId,
        request: Option<&Request>,
        model: &[Output],
        real: &mut [Option<Response>],
    ) -> Option<usize> {
        model.iter().zip(real.iter()).position(|(one, real)| match (one.response(), real) {
            (Some(Response::MySql(model)), Some(Response::MySql(real))) => {
                // What others were waiting for is compared without knowing what they had asked.
                !same(request.filter(|_| one.conn == conn).map(sql_of), model, real)
            }
            _ => true,
        })
    }

    fn probe(&self) -> Request {
        Request::MySql(SqlRequest::new("SELECT 1", Vec::new()))
    }

    fn show_request(&self, request: &Request) -> String {
        request.to_string()
    }

    fn show_response(&self, response: &Response) -> String {
        response.to_string()
    }
}
