//! The simulated ZooKeeper against ZooKeeper 3.8: random sequences of several sessions, every reply, every watch event
//! and the final tree compared.

mod generate;
mod wire;

use doublehold::world::real::servers::ZooKeeperServer;
use doublehold_models::zookeeper::wire::{Answer, Reply, Request as ZkRequest, Stat};
use doublehold_models::{Blob, ConnId, Output, Request, Response, ServiceConfig, zookeeper};
use doublehold_sim_tests::conformance::{Dialect, Sweep, sweep};
use doublehold_sim_tests::zookeeper_or_skip;
use std::collections::BTreeMap;
use std::time::Duration;
use wire::Connection;

/// Sequences of each family.
const SEQUENCES: u64 = 30;
const STEPS: usize = 60;
const TICK: Duration = Duration::from_millis(1000);

#[test]
fn random_sequences_get_the_same_replies() {
    if !zookeeper_or_skip("the ZooKeeper conformance suite") {
        return;
    }
    let mut real = RealZooKeeper::start();
    let plan = Sweep {
        families: &generate::FAMILIES,
        generate: generate::sequence,
        sequences: SEQUENCES,
        steps: STEPS,
        complete_percent_min: 100,
    };
    println!("ZooKeeper conformance: {}", sweep(&mut real, &plan));
}

/// One real server, and what its numbers are in the model.
struct RealZooKeeper {
    /// Runs as long as this lives.
    _server: Vec<ZooKeeperServer>,
    port: u16,
    open: BTreeMap<ConnId, Connection>,
    /// The passwords of sessions whose connection was closed.
    passwords: BTreeMap<i64, Vec<u8>>,
    /// The model's number of a session, and the real one.
    sessions: BTreeMap<i64, i64>,
    /// The model's number of a transaction, and the real one.
    zxids: BTreeMap<i64, i64>,
}

impl RealZooKeeper {
    fn start() -> Self {
        let server = ZooKeeperServer::start_ensemble(1, TICK).expect("ZooKeeper starts");
        let port = server[0].address().rsplit(':').next().and_then(|port| port.parse().ok()).expect("an address");
        RealZooKeeper {
            _server: server,
            port,
            open: BTreeMap::new(),
            passwords: BTreeMap::new(),
            sessions: BTreeMap::new(),
            zxids: BTreeMap::new(),
        }
    }

    /// Deletes everything below a node, and the node.
    fn clear(connection: &mut Connection, path: &str) {
        let mut ask = |request: ZkRequest| {
            connection.send(&request);
            connection.receive()
        };
        let path = Blob::from(path.to_owned());
        if let Some(Reply::Answer { answer: Answer::Children(names, _), .. }) =
            ask(ZkRequest::GetChildren { path: path.clone(), watch: false })
        {
            for name in names {
                RealZooKeeper::clear(connection, &format!("{path}/{name}"));
            }
        }
        let delete = doublehold_models::zookeeper::wire::Op::Delete { path, version: -1 };
        connection.send(&ZkRequest::Write(delete));
        drop(connection.receive());
    }

    /// True if two numbers stand for each other; numbers that were not met before do from now on.
    fn same(known: &mut BTreeMap<i64, i64>, model: i64, real: i64) -> bool {
        if model == 0 || real == 0 {
            return model == real;
        }
        let taken = known.iter().any(|(other, number)| *other != model && *number == real);
        !taken && *known.entry(model).or_insert(real) == real
    }

    fn same_stat(&mut self, model: &Stat, real: &Stat) -> bool {
        let zxids = [(model.czxid, real.czxid), (model.mzxid, real.mzxid), (model.pzxid, real.pzxid)];
        let rest = |stat: &Stat| Stat { czxid: 0, mzxid: 0, pzxid: 0, ephemeral_owner: 0, ..*stat };
        zxids.into_iter().all(|(model, real)| RealZooKeeper::same(&mut self.zxids, model, real))
            && RealZooKeeper::same(&mut self.sessions, model.ephemeral_owner, real.ephemeral_owner)
            && rest(model) == rest(real)
    }

    fn same_answer(&mut self, model: &Answer, real: &Answer) -> bool {
        match (model, real) {
            (Answer::Connected { session, timeout_ms }, Answer::Connected { session: other, timeout_ms: real_ms }) => {
                RealZooKeeper::same(&mut self.sessions, *session, *other) && timeout_ms == real_ms
            }
            (Answer::Created { path, stat }, Answer::Created { path: other, stat: real }) => {
                path == other && self.same_stat(stat, real)
            }
            (Answer::Stat(stat), Answer::Stat(real)) => self.same_stat(stat, real),
            (Answer::Data(data, stat), Answer::Data(other, real)) => data == other && self.same_stat(stat, real),
            (Answer::Children(names, stat), Answer::Children(others, real)) => {
                names == others && self.same_stat(stat, real)
            }
            (Answer::Multi(answers), Answer::Multi(others)) => {
                answers.len() == others.len()
                    && answers.iter().zip(others).all(|(model, real)| self.same_answer(model, real))
            }
            (model, real) => model == real,
        }
    }

    fn same_reply(&mut self, model: &Reply, real: &Reply) -> bool {
        match (model, real) {
            (Reply::Answer { answer, .. }, Reply::Answer { answer: real, .. }) => self.same_answer(answer, real),
            (Reply::Failed { error, .. }, Reply::Failed { error: real, .. }) => error == real,
            (model, real) => model == real,
        }
    }
}

impl Dialect for RealZooKeeper {
    fn config(&self) -> ServiceConfig {
        let tick_ms = TICK.as_millis() as u32;
        ServiceConfig::ZooKeeper(zookeeper::Config { servers: 1, tick_ms, ..zookeeper::Config::default() })
    }

    fn reset(&mut self) {
        for (_, mut connection) in std::mem::take(&mut self.open) {
            connection.send(&ZkRequest::CloseSession);
            // Events of before may come first.
            while connection.receive().is_some_and(|reply| matches!(reply, Reply::Event { .. })) {}
        }
        let mut admin = Connection::open(self.port, 0, vec![0; 16], 20_000, 0);
        drop(admin.receive());
        RealZooKeeper::clear(&mut admin, generate::BASE);
        admin.send(&ZkRequest::CloseSession);
        drop(admin.receive());
        self.sessions.clear();
        self.zxids.clear();
        self.passwords.clear();
    }

    fn send(&mut self, conn: ConnId, request: &Request) {
        let Request::ZooKeeper(request) = request else { panic!("a request to another kind of server: {request}") };
        match request {
            ZkRequest::Connect { session, timeout_ms, seen } => {
                let session = self.sessions.get(session).copied().unwrap_or_default();
                let password = self.passwords.get(&session).cloned().unwrap_or_else(|| vec![0; 16]);
                self.open.insert(conn, Connection::open(self.port, session, password, *timeout_ms, *seen));
            }
            // Without a connection, which a smaller sequence may lack, the model closes it and nothing comes here either.
            request => {
                if let Some(connection) = self.open.get_mut(&conn) {
                    connection.send(request);
                }
            }
        }
    }

    fn receive(&mut self, conn: ConnId) -> Option<Response> {
        self.open.get_mut(&conn)?.receive().map(Response::ZooKeeper)
    }

    fn close(&mut self, conn: ConnId) {
        if let Some(connection) = self.open.remove(&conn) {
            self.passwords.insert(connection.session, connection.password());
        }
    }

    fn difference(
        &mut self,
        _conn: ConnId,
        _request: Option<&Request>,
        model: &[Output],
        real: &mut [Option<Response>],
    ) -> Option<usize> {
        model.iter().zip(real.iter()).position(|(one, real)| match (one.response(), real) {
            (None, None) => false,
            (Some(Response::ZooKeeper(model)), Some(Response::ZooKeeper(real))) => !self.same_reply(model, real),
            _ => true,
        })
    }

    fn probe(&self) -> Request {
        Request::ZooKeeper(ZkRequest::Exists { path: "/nothing-is-left".into(), watch: false })
    }

    fn show_request(&self, request: &Request) -> String {
        format!("{request}")
    }

    fn show_response(&self, response: &Response) -> String {
        format!("{response:?}")
    }
}
