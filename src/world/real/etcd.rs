//! The etcd port on the etcd-client crate.

use crate::port::etcd::{
    Answer, Answered, Compare, Error, Etcd, Event, Keys, Kv, LeaseId, Op, Range, Relation, Request, Revision, SortBy,
    Target, Txn, Watch,
};
use crate::port::{Blob, Outcome, Refusal, Unknown};
use ::etcd_client as etcd;
use std::collections::BTreeMap;
use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;

/// How patient the adapter is.
#[derive(Clone, Copy, Debug)]
pub struct EtcdOptions {
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long to wait for an answer; after that the request is indeterminate.
    pub response_timeout: Duration,
}

impl Default for EtcdOptions {
    fn default() -> Self {
        EtcdOptions { connect_timeout: Duration::from_secs(1), response_timeout: Duration::from_secs(2) }
    }
}

/// A cluster of real servers. It stays with one of them until that does not answer, and then goes on with the next.
/// Requests are not sent again once a server may have them.
#[derive(Clone)]
pub struct RealEtcd {
    servers: Arc<[etcd::Client]>,
    place: Arc<AtomicUsize>,
    options: EtcdOptions,
    keepers: Arc<Mutex<BTreeMap<LeaseId, Keeper>>>,
}

/// The stream on which a lease is kept alive.
struct Keeper {
    /// The server that it goes to.
    server: usize,
    requests: etcd::LeaseKeeper,
    answers: etcd::LeaseKeepAliveStream,
}

/// A cluster's address cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("'{address}' is not the address of an etcd server, such as 127.0.0.1:2379: {why}")]
pub struct BadAddress {
    /// What was given.
    pub address: String,
    /// What is wrong with it.
    pub why: String,
}

type Result<T> = std::result::Result<T, etcd::Error>;

impl RealEtcd {
    /// The cluster at these addresses, such as `127.0.0.1:2379`, beginning with the one at `first`. Nothing is connected yet.
    pub async fn new(
        addresses: &[String],
        first: usize,
        options: EtcdOptions,
    ) -> std::result::Result<Self, BadAddress> {
        let mut servers = Vec::new();
        for address in addresses {
            let connect = etcd::ConnectOptions::new().with_connect_timeout(options.connect_timeout);
            let client = etcd::Client::connect([address.as_str()], Some(connect)).await;
            let bad = |problem: etcd::Error| BadAddress { address: address.clone(), why: problem.to_string() };
            servers.push(client.map_err(bad)?);
        }
        if servers.is_empty() {
            return Err(BadAddress { address: String::new(), why: "there is none".to_owned() });
        }
        let place = Arc::new(AtomicUsize::new(first % servers.len()));
        Ok(RealEtcd { servers: servers.into(), place, options, keepers: Arc::default() })
    }

    /// Goes on with the next server, unless somebody else already has.
    fn move_on(&self, from: usize) {
        let next = (from + 1) % self.servers.len();
        // Whoever was first has moved on for all.
        let _ = self.place.compare_exchange(from, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    async fn ask_server(&self, at: usize, request: &Request) -> Outcome<Answered> {
        let mut client = self.servers[at].clone();
        let answer = async {
            match request {
                Request::Op(Op::Range(range)) => {
                    range_answer(&client.get(range.keys.first.to_vec(), Some(get_options(range))).await?)
                }
                Request::Op(Op::Put { key, value, lease, prev }) => {
                    put_answer(&client.put(key.to_vec(), value.to_vec(), Some(put_options(*lease, *prev))).await?)
                }
                Request::Op(Op::Delete { keys, prev }) => {
                    delete_answer(&client.delete(keys.first.to_vec(), Some(delete_options(keys, *prev))).await?)
                }
                Request::Txn(txn) => txn_answer(&client.txn(txn_of(txn)).await?),
                Request::Grant { id, ttl_s } => {
                    let granted = client.lease_grant(*ttl_s, Some(etcd::LeaseGrantOptions::new().with_id(*id))).await?;
                    answered(granted.header(), Answer::Granted { id: granted.id(), ttl_s: granted.ttl() })
                }
                Request::Revoke(id) => answered(client.lease_revoke(*id).await?.header(), Answer::Revoked),
                Request::KeepAlive(id) => self.keep_alive(at, &mut client, *id).await,
                Request::TimeToLive(id) => {
                    let options = etcd::LeaseTimeToLiveOptions::new().with_keys();
                    let left = client.lease_time_to_live(*id, Some(options)).await?;
                    let keys = left.keys().iter().map(|key| Blob::copy_from(key)).collect();
                    let (ttl_s, granted_s) = (left.ttl(), left.granted_ttl());
                    answered(left.header(), Answer::TimeToLive { ttl_s, granted_s, keys })
                }
                Request::Watch { .. } => panic!("{request} is asked for with `watch`"),
            }
        };
        match tokio::time::timeout(self.options.response_timeout, answer).await {
            Ok(Ok(answer)) => Outcome::Ok(answer),
            Ok(Err(problem)) => outcome_of(&problem),
            Err(_) => Outcome::Indeterminate(Unknown::TimedOut),
        }
    }

    /// On the lease's stream, which is opened when it is first needed, and again after it broke.
    async fn keep_alive(&self, at: usize, client: &mut etcd::Client, id: LeaseId) -> Result<Answered> {
        let kept = self.keepers.lock().await.remove(&id).filter(|keeper| keeper.server == at);
        let mut keeper = match kept {
            Some(keeper) => keeper,
            None => match client.lease_keep_alive(id).await {
                Ok((requests, answers)) => Keeper { server: at, requests, answers },
                // The crate tells so of a lease that the server does not know.
                Err(etcd::Error::LeaseKeepAliveError(_)) => return answered(None, Answer::KeptAlive { ttl_s: 0 }),
                Err(problem) => return Err(problem),
            },
        };
        keeper.requests.keep_alive().await?;
        let closed = || etcd::Error::LeaseKeepAliveError("closed".to_owned());
        let answer = keeper.answers.message().await?.ok_or_else(closed)?;
        if answer.ttl() > 0 {
            self.keepers.lock().await.insert(id, keeper);
        }
        answered(answer.header(), Answer::KeptAlive { ttl_s: answer.ttl().max(0) })
    }
}

impl Etcd for RealEtcd {
    type Watch = RealWatch;

    async fn ask(&self, request: Request) -> Outcome<Answered> {
        for _ in 0..self.servers.len() {
            let at = self.place.load(Ordering::Relaxed);
            let outcome = self.ask_server(at, &request).await;
            match outcome {
                Outcome::Fail(Refusal::Refused) => self.move_on(at),
                Outcome::Indeterminate(_) => {
                    self.move_on(at);
                    return outcome;
                }
                known => return known,
            }
        }
        Outcome::Fail(Refusal::Refused)
    }

    async fn watch(&self, keys: Keys, from: Revision) -> Outcome<RealWatch> {
        let at = self.place.load(Ordering::Relaxed);
        let mut client = self.servers[at].clone();
        let options = etcd::WatchOptions::new().with_start_revision(from);
        let options = if keys.end.is_empty() { options } else { options.with_range(keys.end.to_vec()) };
        let opened = async {
            let mut stream = client.watch(keys.first.to_vec(), Some(options)).await?;
            // The first message says that the watch is there.
            let created = stream.message().await?;
            Ok::<_, etcd::Error>(created.filter(etcd::WatchResponse::created).map(|_| stream))
        };
        match tokio::time::timeout(self.options.response_timeout, opened).await {
            Ok(Ok(Some(stream))) => Outcome::Ok(RealWatch { stream }),
            // A watch changes nothing: whatever went wrong, there is none.
            Ok(Ok(None) | Err(_)) | Err(_) => {
                self.move_on(at);
                Outcome::Indeterminate(Unknown::ConnectionLost)
            }
        }
    }
}

/// A watch on a real server.
pub struct RealWatch {
    stream: etcd::WatchStream,
}

impl Watch for RealWatch {
    async fn next(&mut self) -> Option<Vec<Event>> {
        loop {
            let message = self.stream.message().await.ok()??;
            if message.canceled() {
                return None;
            }
            let events: Vec<Event> = message.events().iter().filter_map(event_of).collect();
            if !events.is_empty() {
                return Some(events);
            }
        }
    }
}

fn event_of(event: &etcd::Event) -> Option<Event> {
    let kv = event.kv()?;
    Some(match event.event_type() {
        etcd::EventType::Put => Event::Put(kv_of(kv)),
        etcd::EventType::Delete => Event::Deleted { key: Blob::copy_from(kv.key()), revision: kv.mod_revision() },
    })
}

fn kv_of(kv: &etcd::KeyValue) -> Kv {
    Kv {
        key: Blob::copy_from(kv.key()),
        created: kv.create_revision(),
        modified: kv.mod_revision(),
        version: kv.version(),
        value: Blob::copy_from(kv.value()),
        lease: kv.lease(),
    }
}

fn answered(header: Option<&etcd::ResponseHeader>, answer: Answer) -> Result<Answered> {
    Ok(Answered { revision: header.map_or(0, etcd::ResponseHeader::revision), answer })
}

fn range_of(response: &etcd::GetResponse) -> Answer {
    Answer::Range { kvs: response.kvs().iter().map(kv_of).collect(), more: response.more(), count: response.count() }
}

fn range_answer(response: &etcd::GetResponse) -> Result<Answered> {
    answered(response.header(), range_of(response))
}

fn put_of(response: &etcd::PutResponse) -> Answer {
    Answer::Put { prev: response.prev_key().map(kv_of) }
}

fn put_answer(response: &etcd::PutResponse) -> Result<Answered> {
    answered(response.header(), put_of(response))
}

fn delete_of(response: &etcd::DeleteResponse) -> Answer {
    Answer::Deleted { deleted: response.deleted(), prev: response.prev_kvs().iter().map(kv_of).collect() }
}

fn delete_answer(response: &etcd::DeleteResponse) -> Result<Answered> {
    answered(response.header(), delete_of(response))
}

fn txn_answer(response: &etcd::TxnResponse) -> Result<Answered> {
    let step = |step: &etcd::TxnOpResponse| match step {
        etcd::TxnOpResponse::Get(get) => range_of(get),
        etcd::TxnOpResponse::Put(put) => put_of(put),
        etcd::TxnOpResponse::Delete(delete) => delete_of(delete),
        etcd::TxnOpResponse::Txn(_) => panic!("a transaction within one was never sent"),
    };
    let answers = response.op_responses().iter().map(step).collect();
    answered(response.header(), Answer::Txn { succeeded: response.succeeded(), answers })
}

fn get_options(range: &Range) -> etcd::GetOptions {
    let mut options = etcd::GetOptions::new().with_revision(range.revision).with_limit(range.limit);
    options = options.with_max_create_revision(range.created_max);
    if !range.keys.end.is_empty() {
        options = options.with_range(range.keys.end.to_vec());
    }
    if let Some((by, last_first)) = range.sort {
        let target = match by {
            SortBy::Key => etcd::SortTarget::Key,
            SortBy::Created => etcd::SortTarget::Create,
            SortBy::Modified => etcd::SortTarget::Mod,
        };
        let order = if last_first { etcd::SortOrder::Descend } else { etcd::SortOrder::Ascend };
        options = options.with_sort(target, order);
    }
    if range.serializable {
        options = options.with_serializable();
    }
    if range.count_only { options.with_count_only() } else { options }
}

fn put_options(lease: LeaseId, prev: bool) -> etcd::PutOptions {
    let options = etcd::PutOptions::new().with_lease(lease);
    if prev { options.with_prev_key() } else { options }
}

fn delete_options(keys: &Keys, prev: bool) -> etcd::DeleteOptions {
    let options = etcd::DeleteOptions::new();
    let options = if keys.end.is_empty() { options } else { options.with_range(keys.end.to_vec()) };
    if prev { options.with_prev_key() } else { options }
}

fn txn_of(txn: &Txn) -> etcd::Txn {
    let op = |op: &Op| match op {
        Op::Range(range) => etcd::TxnOp::get(range.keys.first.to_vec(), Some(get_options(range))),
        Op::Put { key, value, lease, prev } => {
            etcd::TxnOp::put(key.to_vec(), value.to_vec(), Some(put_options(*lease, *prev)))
        }
        Op::Delete { keys, prev } => etcd::TxnOp::delete(keys.first.to_vec(), Some(delete_options(keys, *prev))),
    };
    let all = |ops: &[Op]| ops.iter().map(op).collect::<Vec<_>>();
    etcd::Txn::new()
        .when(txn.when.iter().map(compare_of).collect::<Vec<_>>())
        .and_then(all(&txn.then))
        .or_else(all(&txn.otherwise))
}

fn compare_of(compare: &Compare) -> etcd::Compare {
    let key = compare.key.to_vec();
    let relation = match compare.relation {
        Relation::Equal => etcd::CompareOp::Equal,
        Relation::Greater => etcd::CompareOp::Greater,
        Relation::Less => etcd::CompareOp::Less,
        Relation::NotEqual => etcd::CompareOp::NotEqual,
    };
    match &compare.target {
        Target::Version(number) => etcd::Compare::version(key, relation, *number),
        Target::Created(number) => etcd::Compare::create_revision(key, relation, *number),
        Target::Modified(number) => etcd::Compare::mod_revision(key, relation, *number),
        Target::Value(value) => etcd::Compare::value(key, relation, value.to_vec()),
        Target::Lease(lease) => etcd::Compare::lease(key, relation, *lease),
    }
}

/// What the servers say, and what it stands for.
const ERRORS: [(&str, Error); 6] = [
    ("requested lease not found", Error::LeaseNotFound),
    ("lease already exists", Error::LeaseExists),
    ("required revision is a future revision", Error::FutureRevision),
    ("key is not provided", Error::EmptyKey),
    ("duplicate key given in txn request", Error::DuplicateKey),
    ("etcdserver: no leader", Error::NoLeader),
];

fn outcome_of<T>(problem: &etcd::Error) -> Outcome<T> {
    let text = problem.to_string();
    if let Some((_, error)) = ERRORS.iter().find(|(says, _)| text.contains(says)) {
        return Outcome::Fail(Refusal::Etcd(*error));
    }
    if is_refused(problem) {
        return Outcome::Fail(Refusal::Refused);
    }
    Outcome::Indeterminate(if text.contains("timed out") { Unknown::TimedOut } else { Unknown::ConnectionLost })
}

/// True if there never was a connection.
fn is_refused(problem: &etcd::Error) -> bool {
    let mut cause = match problem {
        etcd::Error::GRpcStatus(status) => status.source(),
        other => other.source(),
    };
    while let Some(problem) = cause {
        if problem.downcast_ref::<io::Error>().is_some_and(|why| why.kind() == io::ErrorKind::ConnectionRefused) {
            return true;
        }
        cause = problem.source();
    }
    false
}
