//! Mutation: one deliberate mistake, put between a lock and its ports.
//!
//! The lock's code stays as it is; what it asks for is changed on the way. So the checker is tried on
//! the real code with a single thing wrong.

mod mysql;

use crate::flow::sale::{NotSold, Sale};
use crate::history::Event;
use crate::lock::zookeeper::sequence::{Order, compare};
use crate::port::zookeeper::{Answer, CreateMode, Op, Request, Session, SessionId, SessionState};
use crate::port::{
    Blob, Command, Etcd, Host, Instant, Outcome, Ports, Redis, RedisGroup, Value, WallTime, ZooKeeper, etcd,
};
use std::future::Future;
use std::hash::Hash;
use std::ops::Range;
use std::time::Duration;

/// A mistake that people make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// The TTL is sent in seconds where milliseconds are meant: leases end a thousand times too early.
    TtlInSeconds,
    /// Every acquisition of every client uses the same token.
    TokenReused,
    /// Elapsed time is measured by the wall clock.
    WallClockForElapsed,
    /// A request of which nobody knows whether it was served is told a no.
    UnknownIsNo,
    /// The key is set whether it is there or not.
    NoNx,
    /// The key is set without a TTL.
    NoTtl,
    /// The release is never sent.
    NoRelease,
    /// The fencing token sent to the resource is always the same.
    ConstantFence,
    /// The fencing token is what the server's clock shows.
    FenceFromClock,
    /// The extension does not look whose the key is.
    ExtendUnowned,
    /// Contenders' nodes are not ephemeral, their keys have no lease.
    PersistentNodes,
    /// The release deletes whichever node is first.
    DeleteFirst,
    /// The list of contenders lacks the first.
    FirstUnseen,
    /// Leases are never kept alive.
    NoKeepAlive,
    /// The update does not ask for the version.
    NoVersion,
    /// The version is compared by the client, in its own snapshot.
    VersionInSnapshot,
    /// Nobody looks how many rows were changed.
    RowCountIgnored,
    /// The server takes from the stock whether there is enough or not.
    NoStockCondition,
    /// Every statement is a transaction by itself.
    NoTransaction,
    /// Every new try is made in the first one's transaction.
    OneTransaction,
    /// What is read to be written is not locked.
    PlainRead,
    /// After a row stayed locked for too long (1205) the transaction is taken for rolled back, and goes on with the
    /// next BEGIN.
    TimeoutIsRollback,
    /// A passage of a statement or of a script is another one.
    Text(Edit),
}

/// A mistake in a text: wherever the passage is, the other one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The passage.
    pub passage: &'static str,
    /// What is there in its place.
    pub mistake: &'static str,
}

impl Edit {
    /// The text with the mistake, if it has the passage.
    fn of(self, text: &Blob) -> Option<Blob> {
        let text = text.to_text();
        text.contains(self.passage).then(|| Blob::from(text.replace(self.passage, self.mistake)))
    }
}

/// Ports with a mistake in them, if one is to be made.
#[derive(Clone)]
pub struct Mutant<P> {
    ports: P,
    mutation: Option<Mutation>,
}

impl<P> Mutant<P> {
    /// Ports with this mistake in them.
    pub fn new(ports: P, mutation: Option<Mutation>) -> Self {
        Mutant { ports, mutation }
    }
}

impl<P: Ports> Host for Mutant<P> {
    fn monotonic(&self) -> Instant {
        match self.mutation {
            Some(Mutation::WallClockForElapsed) => Instant::from_micros(self.ports.wall().as_micros().unsigned_abs()),
            _ => self.ports.monotonic(),
        }
    }

    fn wall(&self) -> WallTime {
        self.ports.wall()
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send {
        self.ports.sleep(duration)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.ports.spawn(task);
    }

    fn spawn_background(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.ports.spawn_background(task);
    }

    fn random(&self) -> u64 {
        self.ports.random()
    }

    fn unique_id(&self) -> Blob {
        match self.mutation {
            Some(Mutation::TokenReused) => "my-lock".into(),
            _ => self.ports.unique_id(),
        }
    }

    fn round<T: Hash + Send>(&self, inner: impl Future<Output = T> + Send) -> impl Future<Output = T> + Send {
        self.ports.round(inner)
    }

    fn record(&self, event: Event) {
        let event = match (self.mutation, event) {
            // The history is in the client's own monotonic time, which this lock does not use.
            (Some(Mutation::WallClockForElapsed), Event::Acquired { lock, token, fence, valid_until, mode }) => {
                let valid_until = valid_until.map(|until| self.ports.monotonic() + until.left_at(self.monotonic()));
                Event::Acquired { lock, token, fence, valid_until, mode }
            }
            (Some(Mutation::UnknownIsNo), event) => match event.fact() {
                Some(Sale::NotSold { request, why: NotSold::Unknown }) => {
                    Event::told(&Sale::NotSold { request, why: NotSold::Unavailable })
                }
                _ => event,
            },
            (_, event) => event,
        };
        self.ports.record(event);
    }
}

impl<P: Ports> Ports for Mutant<P> {
    type Redis = Mutant<P::Redis>;
    type ZooKeeper = Mutant<P::ZooKeeper>;
    type Etcd = Mutant<P::Etcd>;
    type Kafka = P::Kafka;
    type MySql = Mutant<P::MySql>;

    fn redis(&self, server: usize) -> Self::Redis {
        Mutant { ports: self.ports.redis(server), mutation: self.mutation }
    }

    fn redis_group(&self, at: RedisGroup) -> Self::Redis {
        Mutant { ports: self.ports.redis_group(at), mutation: self.mutation }
    }

    fn zookeeper(&self, servers: Range<usize>) -> Self::ZooKeeper {
        Mutant { ports: self.ports.zookeeper(servers), mutation: self.mutation }
    }

    fn etcd(&self, servers: Range<usize>) -> Self::Etcd {
        Mutant { ports: self.ports.etcd(servers), mutation: self.mutation }
    }

    fn kafka(&self, server: usize) -> P::Kafka {
        self.ports.kafka(server)
    }

    fn mysql(&self, server: usize) -> Self::MySql {
        Mutant { ports: self.ports.mysql(server), mutation: self.mutation }
    }

    fn client(&self) -> usize {
        self.ports.client()
    }
}

impl<R: Redis> Redis for Mutant<R> {
    type Subscription = R::Subscription;

    async fn call(&self, command: Command) -> Outcome<Value> {
        if self.mutation == Some(Mutation::NoRelease) && is_release(&command) {
            return Outcome::Ok(Value::Int(1));
        }
        self.ports.call(self.mutate(command)).await
    }

    fn pipeline<const N: usize>(&self, commands: [Command; N]) -> impl Future<Output = [Outcome<Value>; N]> + Send {
        self.ports.pipeline(commands.map(|command| self.mutate(command)))
    }

    fn another(&self) -> Self {
        Mutant { ports: self.ports.another(), mutation: self.mutation }
    }

    fn subscribe(&self, channel: Blob) -> impl Future<Output = Outcome<R::Subscription>> + Send {
        self.ports.subscribe(channel)
    }
}

impl<R> Mutant<R> {
    /// The command as it is sent.
    fn mutate(&self, command: Command) -> Command {
        match self.mutation {
            Some(mutation) => mutate(mutation, command),
            None => command,
        }
    }
}

impl<Z: ZooKeeper> ZooKeeper for Mutant<Z> {
    type Session = Mutant<Z::Session>;

    async fn connect(&self, timeout: Duration) -> Outcome<Self::Session> {
        let mutation = self.mutation;
        self.ports.connect(timeout).await.map(|ports| Mutant { ports, mutation })
    }
}

impl<S: Session> Session for Mutant<S> {
    type Watch = S::Watch;

    fn id(&self) -> SessionId {
        self.ports.id()
    }

    fn timeout(&self) -> Duration {
        self.ports.timeout()
    }

    fn state(&self) -> SessionState {
        self.ports.state()
    }

    fn changed(&self, from: SessionState) -> impl Future<Output = SessionState> + Send {
        self.ports.changed(from)
    }

    async fn ask(&self, request: Request) -> Outcome<Answer> {
        let request = match (self.mutation, request) {
            (Some(Mutation::PersistentNodes), Request::Write(Op::Create { path, data, mode }))
                if mode.is_sequential() =>
            {
                Request::Write(Op::Create { path, data, mode: CreateMode::PersistentSequential })
            }
            (Some(Mutation::NoRelease), Request::Write(Op::Delete { .. })) => return Outcome::Ok(Answer::Done),
            (Some(Mutation::DeleteFirst), Request::Write(Op::Delete { path, version })) => {
                Request::Write(Op::Delete { path: self.first_beside(path).await, version })
            }
            (_, request) => request,
        };
        self.show(self.ports.ask(request).await)
    }

    async fn ask_watching(&self, request: Request) -> (Outcome<Answer>, S::Watch) {
        let (answer, watch) = self.ports.ask_watching(request).await;
        (self.show(answer), watch)
    }

    fn close(&self) -> impl Future<Output = ()> + Send {
        self.ports.close()
    }
}

impl<E: Etcd> Etcd for Mutant<E> {
    type Watch = E::Watch;

    async fn ask(&self, request: etcd::Request) -> Outcome<etcd::Answered> {
        let done = |answer| Outcome::Ok(etcd::Answered { revision: 0, answer });
        let request = match (self.mutation, request) {
            (Some(Mutation::NoKeepAlive), etcd::Request::KeepAlive(_)) => {
                return done(etcd::Answer::KeptAlive { ttl_s: 1 });
            }
            (Some(Mutation::PersistentNodes), etcd::Request::Txn(txn)) => {
                etcd::Request::Txn(etcd::Txn { then: txn.then.into_iter().map(without_lease).collect(), ..txn })
            }
            (Some(Mutation::NoRelease), request) if deleted_by(&request).is_some() => {
                return done(etcd::Answer::Txn { succeeded: true, answers: Vec::new() });
            }
            (Some(Mutation::DeleteFirst), request) => match deleted_by(&request) {
                Some(keys) => delete_first_beside(&self.ports, keys).await,
                None => request,
            },
            (_, request) => request,
        };
        self.ports.ask(request).await
    }

    fn watch(&self, keys: etcd::Keys, from: etcd::Revision) -> impl Future<Output = Outcome<E::Watch>> + Send {
        self.ports.watch(keys, from)
    }
}

impl<S: Session> Mutant<S> {
    /// What the lock gets to see of an answer.
    fn show(&self, answer: Outcome<Answer>) -> Outcome<Answer> {
        match answer {
            Outcome::Ok(Answer::Children(mut names, stat))
                if self.mutation == Some(Mutation::FirstUnseen) && names.len() > 1 =>
            {
                names.sort_by(|left, right| compare(Order::Serial, left, right));
                names.remove(0);
                Outcome::Ok(Answer::Children(names, stat))
            }
            other => other,
        }
    }

    /// The first of the nodes that have the same parent, by the counters at their ends.
    async fn first_beside(&self, path: Blob) -> Blob {
        let slash = path.iter().rposition(|byte| *byte == b'/').unwrap_or_default();
        let parent = Blob::copy_from(&path[..slash]);
        let names = self.ports.children(parent.clone()).await.ok().unwrap_or_default();
        let first = names.into_iter().min_by(|left, right| compare(Order::Serial, left, right));
        first.map_or(path, |name| Blob::from(format!("{parent}/{name}")))
    }
}

fn without_lease(op: etcd::Op) -> etcd::Op {
    match op {
        etcd::Op::Put { key, value, prev, .. } => etcd::Op::Put { key, value, lease: 0, prev },
        other => other,
    }
}

/// The keys that a transaction is there to delete.
fn deleted_by(request: &etcd::Request) -> Option<&etcd::Keys> {
    match request {
        etcd::Request::Txn(txn) => match &txn.then[..] {
            [etcd::Op::Delete { keys, .. }] => Some(keys),
            _ => None,
        },
        _ => None,
    }
}

/// Deletes the oldest of the keys with the same prefix.
async fn delete_first_beside(cluster: &impl Etcd, keys: &etcd::Keys) -> etcd::Request {
    let slash = keys.first.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    let all = etcd::Keys::prefix(&Blob::copy_from(&keys.first[..slash]));
    let range = etcd::Range { sort: Some((etcd::SortBy::Created, false)), limit: 1, ..etcd::Range::of(all) };
    let first = cluster.range(range).await.ok().and_then(|(kvs, _)| kvs.first().map(|kv| kv.key.clone()));
    let keys = first.map_or_else(|| keys.clone(), |key| etcd::Keys::one(&key));
    let delete = etcd::Op::Delete { keys, prev: false };
    etcd::Request::Txn(etcd::Txn { then: vec![delete], ..etcd::Txn::default() })
}

/// The fencing token is the server's time, in microseconds.
const FENCE_FROM_CLOCK: &str = "if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  local now = redis.call('TIME')
  return now[1] * 1000000 + now[2]
end
return false";

/// Reads the token after an ambiguous reply, when the key shows that the lock was acquired.
const FENCE_READ_FROM_CLOCK: &str = "local now = redis.call('TIME')
return now[1] * 1000000 + now[2]";

fn is_release(command: &Command) -> bool {
    command.words().get(1).is_some_and(|body| body.starts_with(b"-- release"))
}

/// The command with the mistake in it.
fn mutate(mutation: Mutation, command: Command) -> Command {
    let words = command.words();
    let is_set = words[0].as_bytes() == b"SET" && words.len() > 3;
    let script = if words[0].as_bytes() == b"EVAL" { words[1].as_bytes() } else { b"" };
    let changed: Option<Vec<Blob>> = match mutation {
        Mutation::TtlInSeconds if is_set => {
            let ms = words[5].to_int().unwrap_or_default();
            Some([&words[..5], &[Blob::from_int((ms / 1000).max(1))]].concat())
        }
        Mutation::Text(edit) if !script.is_empty() => {
            edit.of(&words[1]).map(|script| [&words[..1], &[script], &words[2..]].concat())
        }
        Mutation::NoNx if is_set => Some([&words[..3], &words[4..]].concat()),
        Mutation::NoTtl if is_set => Some(words[..4].to_vec()),
        Mutation::ConstantFence if script.starts_with(b"-- read") || script.starts_with(b"-- write") => {
            Some([&words[..5], &[Blob::from_int(1)], &words[6..]].concat())
        }
        Mutation::FenceFromClock if script.starts_with(b"-- acquire with a fencing token") => {
            Some([&words[..1], &[FENCE_FROM_CLOCK.into()], &words[2..]].concat())
        }
        Mutation::FenceFromClock if words[0].as_bytes() == b"INCR" => {
            Some(vec!["EVAL".into(), FENCE_READ_FROM_CLOCK.into(), Blob::from_int(0)])
        }
        Mutation::ExtendUnowned if script.starts_with(b"-- extend") => {
            Some(vec![Blob::from("PEXPIRE"), words[3].clone(), words[5].clone()])
        }
        _ => None,
    };
    changed.map_or(command, Command::from_words)
}
