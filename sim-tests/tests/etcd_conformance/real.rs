//! One real etcd server, as the harness sees it.

use crate::generate;
use doublehold::port::etcd::{Answer, Answered, Etcd, Event, Keys, Kv, Op, Range, Request as EtcdRequest, Watch};
use doublehold::port::{Outcome, Refusal};
use doublehold::world::real::servers::EtcdServer;
use doublehold::world::real::{EtcdOptions, RealEtcd};
use doublehold_models::etcd::wire::{Compare, Reply, Revision, Target, Txn};
use doublehold_models::{ConnId, Output, Request, Response, ServiceConfig, etcd};
use doublehold_sim_tests::conformance::{Dialect, Sweep, sweep};
use doublehold_sim_tests::etcd_or_skip;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::runtime::Runtime;

/// Sequences of each family.
const SEQUENCES: u64 = 40;
const STEPS: usize = 50;
/// How long an event may take that must come.
const EVENT_WAIT: Duration = Duration::from_secs(2);
/// How long an event that must not come is waited for.
const QUIET: Duration = Duration::from_millis(5);

pub(crate) fn sweep_all() {
    if !etcd_or_skip("the etcd conformance suite") {
        return;
    }
    let mut real = Real::start();
    let plan = Sweep {
        families: &generate::FAMILIES,
        generate: generate::sequence,
        sequences: SEQUENCES,
        steps: STEPS,
        complete_percent_min: 100,
    };
    println!("etcd conformance: {}", sweep(&mut real, &plan));
}

struct Real {
    /// Runs as long as this lives.
    _server: Vec<EtcdServer>,
    runtime: Runtime,
    cluster: RealEtcd,
    watches: BTreeMap<ConnId, <RealEtcd as Etcd>::Watch>,
    /// What has come and was not taken yet.
    come: BTreeMap<ConnId, VecDeque<Reply>>,
    /// The real server's revision less the model's.
    ahead: Revision,
}

impl Real {
    fn start() -> Self {
        let server = EtcdServer::start_cluster(1).expect("etcd starts");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio starts");
        let addresses = [server[0].address()];
        let cluster = runtime.block_on(RealEtcd::new(&addresses, 0, EtcdOptions::default())).expect("an address");
        let (watches, come) = (BTreeMap::new(), BTreeMap::new());
        Real { _server: server, runtime, cluster, watches, come, ahead: 0 }
    }

    fn ask(&self, request: EtcdRequest) -> Option<Reply> {
        match self.runtime.block_on(self.cluster.ask(request)) {
            Outcome::Ok(Answered { revision, answer }) => Some(Reply::Answer { revision, answer }),
            Outcome::Fail(Refusal::Etcd(error)) => Some(Reply::Failed(error)),
            Outcome::Fail(why) => {
                eprintln!("etcd: {why}");
                None
            }
            Outcome::Indeterminate(why) => {
                eprintln!("etcd: {why}");
                None
            }
        }
    }

    /// A revision of the model, or 0, as the real server counts.
    fn to_real(&self, revision: Revision) -> Revision {
        if revision > 0 { revision + self.ahead } else { revision }
    }

    fn real_op(&self, op: &Op) -> Op {
        match op {
            Op::Range(range) => Op::Range(Range {
                revision: self.to_real(range.revision),
                created_max: self.to_real(range.created_max),
                ..range.clone()
            }),
            other => other.clone(),
        }
    }

    fn real_request(&self, request: &EtcdRequest) -> EtcdRequest {
        let compare = |compare: &Compare| Compare {
            target: match &compare.target {
                Target::Created(revision) => Target::Created(self.to_real(*revision)),
                Target::Modified(revision) => Target::Modified(self.to_real(*revision)),
                other => other.clone(),
            },
            ..compare.clone()
        };
        let ops = |ops: &[Op]| ops.iter().map(|op| self.real_op(op)).collect();
        match request {
            EtcdRequest::Op(op) => EtcdRequest::Op(self.real_op(op)),
            EtcdRequest::Txn(txn) => EtcdRequest::Txn(Txn {
                when: txn.when.iter().map(compare).collect(),
                then: ops(&txn.then),
                otherwise: ops(&txn.otherwise),
            }),
            EtcdRequest::Watch { keys, from } => EtcdRequest::Watch { keys: keys.clone(), from: self.to_real(*from) },
            other => other.clone(),
        }
    }

    fn kv_to_model(&self, kv: &mut Kv) {
        kv.created -= self.ahead;
        kv.modified -= self.ahead;
    }

    /// An answer of the real server as the model counts.
    fn to_model(&self, answer: &mut Answer) {
        match answer {
            Answer::Range { kvs, .. } => kvs.iter_mut().for_each(|kv| self.kv_to_model(kv)),
            Answer::Put { prev } => prev.iter_mut().for_each(|kv| self.kv_to_model(kv)),
            Answer::Deleted { prev, .. } => prev.iter_mut().for_each(|kv| self.kv_to_model(kv)),
            Answer::Txn { answers, .. } => answers.iter_mut().for_each(|answer| self.to_model(answer)),
            _ => {}
        }
    }

    fn same(&self, model: &Reply, real: &Reply) -> bool {
        match (model, real) {
            (Reply::Answer { revision, answer }, Reply::Answer { revision: at, answer: real }) => {
                let mut real = real.clone();
                self.to_model(&mut real);
                // The adapter does not tell the revision of these.
                let untold = matches!(answer, Answer::KeptAlive { .. } | Answer::Watching);
                (untold || *revision == at - self.ahead) && same_answer(answer, &real)
            }
            (Reply::Events(events), Reply::Events(real)) => {
                let mut real = real.clone();
                real.iter_mut().for_each(|event| match event {
                    Event::Put(kv) => self.kv_to_model(kv),
                    Event::Deleted { revision, .. } => *revision -= self.ahead,
                });
                *events == real
            }
            (model, real) => model == real,
        }
    }

    /// An event that comes within this time.
    fn event(&mut self, conn: ConnId, wait: Duration) -> Option<Reply> {
        let watch = self.watches.get_mut(&conn)?;
        let next = async { tokio::time::timeout(wait, watch.next()).await };
        self.runtime.block_on(next).ok().flatten().map(Reply::Events)
    }
}

/// The time that a lease has left is told in whole seconds, and passes; its keys are told in no order.
fn same_answer(model: &Answer, real: &Answer) -> bool {
    match (model, real) {
        (
            Answer::TimeToLive { ttl_s, granted_s, keys },
            Answer::TimeToLive { ttl_s: left, granted_s: of, keys: told },
        ) => {
            let mut told = told.clone();
            told.sort();
            (ttl_s - left).abs() <= 1 && granted_s == of && *keys == told
        }
        (model, real) => model == real,
    }
}

impl Dialect for Real {
    fn config(&self) -> ServiceConfig {
        ServiceConfig::Etcd(etcd::Config { servers: 1, ..etcd::Config::default() })
    }

    fn reset(&mut self) {
        self.watches.clear();
        self.come.clear();
        let everything = Keys { first: "\0".into(), end: "\0".into() };
        (1..=3).for_each(|lease| drop(self.ask(EtcdRequest::Revoke(lease))));
        drop(self.ask(EtcdRequest::Op(Op::Delete { keys: everything.clone(), prev: false })));
        let now = self.ask(EtcdRequest::Op(Op::Range(Range::of(everything))));
        let Some(Reply::Answer { revision, .. }) = now else { panic!("etcd does not answer: {now:?}") };
        self.ahead = revision - 1;
    }

    fn send(&mut self, conn: ConnId, request: &Request) {
        let Request::Etcd(request) = request else { panic!("a request to another kind of server: {request}") };
        let request = self.real_request(request);
        if let EtcdRequest::Watch { keys, from } = request {
            match self.runtime.block_on(self.cluster.watch(keys, from)) {
                Outcome::Ok(watch) => {
                    self.watches.insert(conn, watch);
                    let reply = Reply::Answer { revision: 0, answer: Answer::Watching };
                    self.come.entry(conn).or_default().push_back(reply);
                }
                other => eprintln!("etcd: no watch: {:?}", other.map(drop)),
            }
            return;
        }
        // On a watch's connection only the probe is sent: whatever event is still to come comes before it.
        while let Some(event) = self.event(conn, QUIET) {
            self.come.entry(conn).or_default().push_back(event);
        }
        let reply = self.ask(request);
        self.come.entry(conn).or_default().extend(reply);
    }

    fn receive(&mut self, conn: ConnId) -> Option<Response> {
        let come = self.come.get_mut(&conn).and_then(VecDeque::pop_front);
        come.or_else(|| self.event(conn, EVENT_WAIT)).map(Response::Etcd)
    }

    fn close(&mut self, conn: ConnId) {
        self.watches.remove(&conn);
    }

    fn difference(
        &mut self,
        _conn: ConnId,
        _request: Option<&Request>,
        model: &[Output],
        real: &mut [Option<Response>],
    ) -> Option<usize> {
        model.iter().zip(real.iter()).position(|(one, real)| match (one.response(), real) {
            (Some(Response::Etcd(model)), Some(Response::Etcd(real))) => !self.same(model, real),
            (None, None) => false,
            _ => true,
        })
    }

    fn probe(&self) -> Request {
        Request::Etcd(EtcdRequest::Op(Op::Range(Range::of(Keys::one(&"nothing-is-left".into())))))
    }

    fn show_request(&self, request: &Request) -> String {
        format!("{request}")
    }

    fn show_response(&self, response: &Response) -> String {
        format!("{response:?} (the real server is {} ahead)", self.ahead)
    }
}
