//! Runs a program's clients on the ports.
//!
//! A client keeps a log of everything that it observes. At its end it writes the log to a server, or tells it and
//! waits for ever: either way the final state of the system contains it. Clock readings are not in the log, only what
//! was decided by them.

use super::ast::{Ask, Cond, End, Fence, Op, Program, Server, Tell, Val};
use super::host::{
    Blob, Command, Contents, CreateMode, Event, Fact, Instant, LOG, Mode, MySql, MySqlSession, Outcome, Ports, Redis,
    SqlValue, Subscription, Unanswered, Value, WallTime, Workload, ZkRequest, ZkSession, ZkWatch, ZooKeeper, acquiring,
    etcd, mark, releasing,
};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

/// The clients of a program.
#[derive(Clone)]
pub(super) struct Interpreter(pub(super) Arc<Program>);

const LOCK: &str = "lock";
/// How long a client waits for a pushed message.
const PATIENCE: Duration = Duration::from_millis(5);

/// What an exact wall clock shows at the start.
const WALL_START_US: i64 = 1_700_000_000_000_000;

const COMPARE_DEL: &str = "-- delete if it is ours
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0";
const SET_UNLESS_SMALLER: &str = "-- set unless a smaller one is there
local owner = redis.call('GET', KEYS[1])
if owner and owner <= ARGV[1] then return owner end
redis.call('SET', KEYS[1], ARGV[1])
return 1";

const TABLES: [&str; 4] = [
    "CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY, n BIGINT NOT NULL)",
    "CREATE TABLE u (name VARCHAR(64) NOT NULL PRIMARY KEY)",
    "INSERT INTO t (id, n) VALUES (1, 0)",
    "INSERT INTO t (id, n) VALUES (2, 0)",
];

/// What a request gave.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Answer {
    Nothing,
    Int(i64),
    Text(String),
    Failed(String),
    Unknown(String),
    TimedOut,
}

impl Answer {
    fn of<T>(outcome: Outcome<T>, with: impl FnOnce(T) -> Answer) -> Answer {
        match outcome {
            Outcome::Ok(value) => with(value),
            Outcome::Fail(why) => Answer::Failed(why.to_string()),
            Outcome::Indeterminate(why) => Answer::Unknown(why.to_string()),
        }
    }

    fn text(text: &Blob) -> Answer {
        Answer::Text(text.to_text().into_owned())
    }

    fn to_val(&self) -> Blob {
        match self {
            Answer::Int(number) => (*number).into(),
            Answer::Text(text) => Blob::from(text.clone()),
            _ => "nothing".into(),
        }
    }
}

/// What the tasks of a client share.
#[derive(Default)]
struct Shared {
    log: Vec<String>,
    tasks: usize,
    waker: Option<Waker>,
}

/// What a request needs that no connection has to be kept for.
struct Voice<P: Ports> {
    ports: P,
    program: Arc<Program>,
    places: Vec<(usize, usize)>,
    own: Blob,
    last: Answer,
    lease: i64,
}

/// A task of a client.
struct Machine<P: Ports> {
    voice: Voice<P>,
    shared: Arc<Mutex<Shared>>,
    start: Option<Instant>,
    wall_start: Option<WallTime>,
    subscription: Option<<P::Redis as Redis>::Subscription>,
    zookeeper: BTreeMap<usize, <P::ZooKeeper as ZooKeeper>::Session>,
    created: Option<Blob>,
    watch: Option<<<P::ZooKeeper as ZooKeeper>::Session as ZkSession>::Watch>,
    etcd_watch: Option<<P::Etcd as etcd::Etcd>::Watch>,
    mysql: BTreeMap<usize, <P::MySql as MySql>::Session>,
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Workload for Interpreter {
    async fn run<P: Ports>(&self, ports: P) {
        // Asking for the number ends symmetry, so clients that run the same code do not.
        let client = if self.0.is_alike() { 0 } else { ports.client() };
        let shared = Arc::new(Mutex::new(Shared::default()));
        let mut machine = Machine::new(&ports, &self.0, &shared, self.0.code_of(client));
        let _stopped = machine.run(self.0.code_of(client)).await;
        std::future::poll_fn(|cx| {
            let mut shared = lock(&shared);
            shared.waker = Some(cx.waker().clone());
            if shared.tasks == 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let text = Blob::from(lock(&shared).log.join("; "));
        match self.0.end {
            End::Writes => {
                drop(machine);
                let own = ports.unique_id().to_text().into_owned();
                let name = own.split('/').next().unwrap_or_default();
                let key = Blob::from(format!("log:{name}"));
                let write = Command::new("SET").arg(key).arg(text);
                poll_once(ports.redis(self.0.log_node()).call(write)).await;
            }
            End::Waits => {
                let (lock, token) = (LOG.into(), text);
                ports.record(Event::Acquired { lock, token, fence: None, valid_until: None, mode: Mode::Shared });
                std::future::pending::<()>().await;
                drop(machine);
            }
        }
    }

    async fn prepare<P: Ports>(&self, ports: P) -> Result<(), Unanswered> {
        for (server, (node, _)) in self.0.servers.iter().zip(self.0.nodes()) {
            if *server == Server::MySql {
                let mut session = ports.mysql(node).session();
                for sql in TABLES {
                    super::host::answered(sql, session.run(sql, Vec::new()).await)?;
                }
            }
        }
        Ok(())
    }

    /// The final contents.
    async fn audit<P: Ports>(&self, ports: P) -> Result<Option<Fact>, Unanswered> {
        let mut found = Vec::new();
        let mut redis_nodes: Vec<usize> = (self.0.end == End::Writes).then(|| self.0.log_node()).into_iter().collect();
        for (server, (node, members)) in self.0.servers.iter().zip(self.0.nodes()) {
            match server {
                Server::Redis { .. } => redis_nodes.push(node),
                Server::Etcd(_) => {
                    let cluster = ports.etcd(node..node + members);
                    for key in [0, 1] {
                        let range = etcd::Range::of(etcd::Keys::one(&key_name(key)));
                        let answer = Answer::of(etcd::Etcd::range(&cluster, range).await, |(kvs, _)| kv_answer(&kvs));
                        found.push(format!("{node}: {} = {answer:?}", key_name(key)));
                    }
                }
                Server::MySql => {
                    let mut session = ports.mysql(node).session();
                    for sql in ["SELECT id, n FROM t ORDER BY id", "SELECT name FROM u ORDER BY name"] {
                        let answer = Answer::of(session.query(sql, Vec::new()).await, |rows| rows_answer(&rows));
                        found.push(format!("{node}: {sql}: {answer:?}"));
                    }
                }
                Server::ZooKeeper(_) => {}
            }
        }
        redis_nodes.dedup();
        for node in redis_nodes {
            let logs = (0..self.0.clients).map(|client| Blob::from(format!("log:client-{client}")));
            let keys = [key_name(0), key_name(1), "n".into()].into_iter().chain(logs);
            let mut asked: Vec<Command> = keys.map(|key| Command::new("GET").arg(key)).collect();
            asked.push(zrange());
            asked.push(lrange());
            for command in asked {
                let text = command.to_string();
                let answer = Answer::of(ports.redis(node).call(command).await, |value| redis_answer(&value));
                if answer != Answer::Nothing && answer != Answer::Text(String::new()) {
                    found.push(format!("{node}: {text}: {answer:?}"));
                }
            }
        }
        Ok(Some(Fact::of(&Contents(found))))
    }
}

/// Polls a future once: what it sends is sent.
async fn poll_once<T>(future: impl Future<Output = T>) {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| {
        let _sent = future.as_mut().poll(cx).is_pending();
        Poll::Ready(())
    })
    .await;
}

fn reads(code: &[Op], is: fn(&Cond) -> bool) -> bool {
    code.iter().any(|op| match op {
        Op::If(cond, inner) => is(cond) || reads(inner, is),
        _ => false,
    })
}

/// What a client does after a step.
#[derive(PartialEq, Eq)]
enum Next {
    GoOn,
    Stop,
}

impl<P: Ports> Voice<P> {
    fn val(&self, val: Val) -> Blob {
        match val {
            Val::Own => self.own.clone(),
            Val::Const => "x".into(),
            Val::Last => self.last.to_val(),
        }
    }

    async fn pipeline(&self, server: usize, first: Ask, second: Ask) -> (Answer, Answer) {
        let (mut first, mut second) = (pin!(self.plain(server, first)), pin!(self.plain(server, second)));
        let mut early = (None, None);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(answer) = first.as_mut().poll(cx) {
                early.0 = Some(answer);
            }
            if let Poll::Ready(answer) = second.as_mut().poll(cx) {
                early.1 = Some(answer);
            }
            Poll::Ready(())
        })
        .await;
        let second = match early.1 {
            Some(answer) => answer,
            None => second.await,
        };
        let first = match early.0 {
            Some(answer) => answer,
            None => first.await,
        };
        (first, second)
    }

    /// A request that needs nothing but a server.
    async fn plain(&self, server: usize, ask: Ask) -> Answer {
        let (node, members) = self.places[server];
        match self.program.servers[server] {
            Server::Redis { .. } => {
                let answer = self.ports.redis(node).call(self.command(ask)).await;
                Answer::of(answer, |value| match (ask, value) {
                    (Ask::Pttl(_), Value::Int(1..)) => Answer::Text("some time".to_owned()),
                    (_, value) => redis_answer(&value),
                })
            }
            Server::Etcd(_) => self.ask_etcd(self.ports.etcd(node..node + members), ask).await,
            server => panic!("{server:?} is not asked {ask:?} like that"),
        }
    }

    fn command(&self, ask: Ask) -> Command {
        let named = |name: &'static str, key: u8| Command::new(name).arg(key_name(key));
        let script = |body: &'static str, key: u8| Command::new("EVAL").arg(body).arg(1u64).arg(key_name(key));
        match ask {
            Ask::Set(key, val) => named("SET", key).arg(self.val(val)),
            Ask::SetNx(key, val) => named("SET", key).arg(self.val(val)).arg("NX"),
            Ask::SetNxPx(key, val, ttl) => named("SET", key).arg(self.val(val)).arg("NX").arg("PX").arg(ttl),
            Ask::Get(key) => named("GET", key),
            Ask::Del(key) => named("DEL", key),
            Ask::Incr => Command::new("INCR").arg("n"),
            Ask::Exists(key) => named("EXISTS", key),
            Ask::Pttl(key) => named("PTTL", key),
            Ask::Pexpire(key, ttl) => named("PEXPIRE", key).arg(ttl),
            Ask::Zadd(val) => Command::new("ZADD").arg("z").arg(0u64).arg(self.val(val)),
            Ask::Zrank(val) => Command::new("ZRANK").arg("z").arg(self.val(val)),
            Ask::Zrange => zrange(),
            Ask::Lpush(val) => Command::new("LPUSH").arg("l").arg(self.val(val)),
            Ask::Lrange => lrange(),
            Ask::CompareDel(key, val) => script(COMPARE_DEL, key).arg(self.val(val)),
            Ask::SetUnlessSmaller(key, val) => script(SET_UNLESS_SMALLER, key).arg(self.val(val)),
            Ask::Watch(key) => named("WATCH", key),
            Ask::Multi => Command::new("MULTI"),
            Ask::Exec => Command::new("EXEC"),
            Ask::Discard => Command::new("DISCARD"),
            Ask::Publish(val) => Command::new("PUBLISH").arg("news").arg(self.val(val)),
            other => panic!("{other:?} is no command of a Redis"),
        }
    }

    async fn ask_etcd(&self, cluster: P::Etcd, ask: Ask) -> Answer {
        use etcd::{Answer as Reply, Compare, Keys, Op, Range, Request, Txn};
        let put = |key, val, lease| Op::Put { key: key_name(key), value: self.val(val), lease, prev: false };
        let range = |key| Op::Range(Range::of(Keys::one(&key_name(key))));
        let request = match ask {
            Ask::Put(key, val) => Request::Op(put(key, val, 0)),
            Ask::PutLeased(key, val) => Request::Op(put(key, val, self.lease)),
            Ask::Range(key) => Request::Op(range(key)),
            Ask::DeleteKey(key) => Request::Op(Op::Delete { keys: Keys::one(&key_name(key)), prev: false }),
            Ask::PutIfAbsent(key, val) => {
                let when = vec![Compare::created(&key_name(key), 0)];
                Request::Txn(Txn { when, then: vec![put(key, val, 0)], otherwise: vec![range(key)] })
            }
            Ask::Revoke => Request::Revoke(self.lease),
            other => panic!("{other:?} is no request of an etcd"),
        };
        Answer::of(etcd::Etcd::ask(&cluster, request).await, |answered| match answered.answer {
            Reply::Range { kvs, .. } => kv_answer(&kvs),
            Reply::Txn { succeeded: true, .. } => Answer::Int(1),
            Reply::Txn { answers, .. } => match answers.first() {
                Some(Reply::Range { kvs, .. }) => kv_answer(kvs),
                _ => Answer::Int(0),
            },
            _ => Answer::Text("done".to_owned()),
        })
    }
}

impl<P: Ports> Machine<P> {
    fn new(ports: &P, program: &Arc<Program>, shared: &Arc<Mutex<Shared>>, code: &[Op]) -> Self {
        Machine {
            voice: Voice {
                program: Arc::clone(program),
                places: program.nodes(),
                own: ports.unique_id(),
                last: Answer::Nothing,
                lease: 0,
                ports: ports.clone(),
            },
            shared: Arc::clone(shared),
            start: reads(code, |cond| matches!(cond, Cond::Elapsed(_))).then(|| ports.monotonic()),
            wall_start: reads(code, |cond| matches!(cond, Cond::WallElapsed(_))).then(|| ports.wall()),
            subscription: None,
            zookeeper: BTreeMap::new(),
            created: None,
            watch: None,
            etcd_watch: None,
            mysql: BTreeMap::new(),
        }
    }

    fn log(&self, text: String) {
        lock(&self.shared).log.push(text);
    }

    fn run<'a>(&'a mut self, code: &'a [Op]) -> Pin<Box<dyn Future<Output = Next> + Send + 'a>> {
        Box::pin(async move {
            for op in code {
                if self.step(op).await == Next::Stop {
                    return Next::Stop;
                }
            }
            Next::GoOn
        })
    }

    async fn step(&mut self, op: &Op) -> Next {
        match op {
            Op::Ask(server, ask, within) => {
                let ports = self.voice.ports.clone();
                let answer = match within {
                    None => self.ask(*server, *ask).await,
                    Some(limit) => ports.timeout(ms(*limit), self.ask(*server, *ask)).await.unwrap_or(Answer::TimedOut),
                };
                self.answered(answer);
            }
            Op::Pipeline(server, first, second) => {
                let (first, second) = self.voice.pipeline(*server, *first, *second).await;
                self.answered(second);
                self.answered(first);
            }
            Op::Send(server, ask) => poll_once(self.ask(*server, *ask)).await,
            Op::Sleep(time) => self.voice.ports.sleep(ms(*time)).await,
            Op::If(cond, inner) => {
                let met = self.is_met(*cond);
                self.log(if met { "+" } else { "-" }.to_owned());
                if met {
                    return self.run(inner).await;
                }
            }
            Op::Spawn(inner) => {
                let mut machine = Machine::new(&self.voice.ports, &self.voice.program, &self.shared, inner);
                let (inner, shared) = (inner.clone(), Arc::clone(&self.shared));
                lock(&shared).tasks += 1;
                self.voice.ports.spawn(async move {
                    let _stopped = machine.run(&inner).await;
                    drop(machine);
                    let mut shared = lock(&shared);
                    shared.tasks -= 1;
                    if let Some(waker) = shared.waker.take() {
                        waker.wake();
                    }
                });
            }
            Op::Round(inner) => {
                let (ports, shared) = (self.voice.ports.clone(), Arc::default());
                let mut machine = Machine::new(&ports, &self.voice.program, &shared, inner);
                machine.voice.last = self.voice.last.clone();
                let round = async move {
                    let _stopped = machine.run(inner).await;
                    (std::mem::take(&mut lock(&shared).log), machine.voice.last.clone())
                };
                let (log, last) = ports.round(round).await;
                lock(&self.shared).log.extend(log);
                self.voice.last = last;
            }
            Op::Tell(tell) => self.tell(*tell),
            Op::Stop => return Next::Stop,
        }
        Next::GoOn
    }

    fn answered(&mut self, answer: Answer) {
        let text = match &answer {
            Answer::Nothing => "nil".to_owned(),
            Answer::Int(number) => number.to_string(),
            Answer::Text(text) => format!("'{text}'"),
            Answer::Failed(why) => format!("fail {why}"),
            Answer::Unknown(why) => format!("unknown {why}"),
            Answer::TimedOut => "timed out".to_owned(),
        };
        self.log(text);
        self.voice.last = answer;
    }

    fn is_met(&self, cond: Cond) -> bool {
        let mine = self.voice.own.to_text();
        match cond {
            Cond::Nothing => matches!(self.voice.last, Answer::Nothing | Answer::Int(0) | Answer::Failed(_)),
            Cond::Mine => matches!(&self.voice.last, Answer::Text(text) if *text == mine),
            Cond::SmallerThanMine => matches!(&self.voice.last, Answer::Text(text) if text.as_str() < &*mine),
            Cond::IsOk => match &self.voice.last {
                Answer::Int(number) => *number == 1,
                Answer::Text(text) => text == "OK",
                _ => false,
            },
            Cond::Done => matches!(self.voice.last, Answer::Nothing | Answer::Int(_) | Answer::Text(_)),
            Cond::Indeterminate => matches!(self.voice.last, Answer::Unknown(_) | Answer::TimedOut),
            Cond::Elapsed(limit) => {
                let now = self.voice.ports.monotonic();
                self.start.is_some_and(|start| now.since(start) >= ms(limit))
            }
            Cond::WallElapsed(limit) => {
                let now = self.voice.ports.wall();
                self.wall_start.is_some_and(|start| now >= start + ms(limit))
            }
            Cond::WallPast(limit) => self.voice.ports.wall() >= WallTime::from_micros(WALL_START_US) + ms(limit),
        }
    }

    fn tell(&self, tell: Tell) {
        let event = match tell {
            Tell::Acquiring => acquiring(LOCK),
            Tell::Acquired { valid_ms, fence } => Event::Acquired {
                lock: LOCK.into(),
                token: self.voice.own.clone(),
                fence: match (fence, &self.voice.last) {
                    (Fence::Wall, _) => u64::try_from(self.voice.ports.wall().as_micros()).ok(),
                    (Fence::Last, Answer::Int(number)) => u64::try_from(*number).ok(),
                    _ => None,
                },
                valid_until: valid_ms.map(|valid| self.voice.ports.monotonic() + ms(valid)),
                mode: Mode::Exclusive,
            },
            Tell::Releasing => releasing(LOCK, &self.voice.own),
            Tell::Wrote => {
                let value = if let Answer::Int(number) = self.voice.last { number } else { 0 };
                Event::Wrote { resource: key_name(0), base: 0, value, outcome: super::host::Ended::Ok }
            }
            Tell::Sold => mark(self.voice.last.to_val()),
        };
        self.voice.ports.record(event);
    }

    async fn ask(&mut self, server: usize, ask: Ask) -> Answer {
        let (node, members) = self.voice.places[server];
        match self.voice.program.servers[server] {
            Server::Redis { .. } => self.ask_redis(server, node, ask).await,
            Server::ZooKeeper(_) => self.ask_zookeeper(node, members, ask).await,
            Server::Etcd(_) => {
                let cluster = self.voice.ports.etcd(node..node + members);
                match ask {
                    Ask::Grant => {
                        let granted = etcd::Etcd::grant(&cluster, 2).await;
                        Answer::of(granted, |(lease, _)| {
                            self.voice.lease = lease;
                            Answer::Text("a lease".to_owned())
                        })
                    }
                    Ask::WatchKey(key) => {
                        let watch = etcd::Etcd::watch(&cluster, etcd::Keys::one(&key_name(key)), 0).await;
                        Answer::of(watch, |watch| {
                            self.etcd_watch = Some(watch);
                            Answer::Text("a watch".to_owned())
                        })
                    }
                    Ask::Event => {
                        let Some(watch) = &mut self.etcd_watch else { return Answer::Nothing };
                        match self.voice.ports.timeout(PATIENCE, etcd::Watch::next(watch)).await {
                            None => Answer::TimedOut,
                            Some(None) => Answer::Failed("broken".to_owned()),
                            Some(Some(events)) => Answer::Text(format!("{} events", events.len())),
                        }
                    }
                    _ => self.voice.ask_etcd(cluster, ask).await,
                }
            }
            Server::MySql => self.ask_mysql(node, ask).await,
        }
    }

    async fn ask_redis(&mut self, server: usize, node: usize, ask: Ask) -> Answer {
        match ask {
            Ask::Subscribe => {
                let subscription = self.voice.ports.redis(node).subscribe("news".into()).await;
                Answer::of(subscription, |subscription| {
                    self.subscription = Some(subscription);
                    Answer::Text("subscribed".to_owned())
                })
            }
            Ask::Unsubscribe => {
                self.subscription = None;
                Answer::Nothing
            }
            Ask::Message => {
                let Some(subscription) = &mut self.subscription else { return Answer::Nothing };
                match self.voice.ports.timeout(PATIENCE, subscription.next()).await {
                    None => Answer::TimedOut,
                    Some(None) => Answer::Failed("broken".to_owned()),
                    Some(Some(message)) => Answer::text(&message),
                }
            }
            _ => self.voice.plain(server, ask).await,
        }
    }

    async fn ask_zookeeper(&mut self, node: usize, members: usize, ask: Ask) -> Answer {
        let path = |key: u8| Blob::from(format!("/{}", key_name(key).to_text()));
        if let Ask::Fired = ask {
            let Some(watch) = &mut self.watch else { return Answer::Nothing };
            let fired = self.voice.ports.timeout(PATIENCE, watch.fired()).await;
            return fired.map_or(Answer::TimedOut, |event| Answer::Text(format!("{event:?}")));
        }
        let session = match self.zookeeper.get(&node) {
            Some(session) => session.clone(),
            None => match self.voice.ports.zookeeper(node..node + members).connect(ms(4_000)).await {
                Outcome::Ok(session) => {
                    self.zookeeper.insert(node, session.clone());
                    session
                }
                other => return Answer::of(other, |_| Answer::Nothing),
            },
        };
        match ask {
            Ask::Create { path: key, ephemeral, sequential } => {
                let mode = match (ephemeral, sequential) {
                    (false, false) => CreateMode::Persistent,
                    (false, true) => CreateMode::PersistentSequential,
                    (true, false) => CreateMode::Ephemeral,
                    (true, true) => CreateMode::EphemeralSequential,
                };
                Answer::of(session.create(path(key), Blob::EMPTY, mode).await, |(path, _)| {
                    self.created = Some(path.clone());
                    Answer::text(&path)
                })
            }
            Ask::Delete(key) => Answer::of(session.delete(path(key)).await, |()| Answer::Int(1)),
            Ask::DeleteOwn => match self.created.take() {
                Some(created) => Answer::of(session.delete(created).await, |()| Answer::Int(1)),
                None => Answer::Nothing,
            },
            Ask::PathExists(key) => {
                Answer::of(session.exists(path(key)).await, |stat| Answer::Int(stat.is_some().into()))
            }
            Ask::Children => {
                let request = ZkRequest::GetChildren { path: "/".into(), watch: false };
                Answer::of(session.ask(request).await, |answer| names(&answer))
            }
            Ask::WatchPath(key) => {
                let request = ZkRequest::Exists { path: path(key), watch: true };
                let (outcome, watch) = session.ask_watching(request).await;
                self.watch = Some(watch);
                Answer::of(outcome, |_| Answer::Int(1))
            }
            Ask::WatchChildren => {
                let (outcome, watch) = session.watch_children("/".into()).await;
                self.watch = Some(watch);
                Answer::of(outcome, joined)
            }
            Ask::CloseSession => {
                self.zookeeper.remove(&node);
                session.close().await;
                Answer::Nothing
            }
            other => panic!("{other:?} is no request of a ZooKeeper"),
        }
    }

    async fn ask_mysql(&mut self, node: usize, ask: Ask) -> Answer {
        if ask == Ask::DropSession {
            self.mysql.remove(&node);
            return Answer::Nothing;
        }
        let id = |key: u8| SqlValue::Int(i64::from(key) + 1);
        let (sql, params, is_query) = match ask {
            Ask::Begin => ("BEGIN", Vec::new(), false),
            Ask::Commit => ("COMMIT", Vec::new(), false),
            Ask::Rollback => ("ROLLBACK", Vec::new(), false),
            Ask::Select(key) => ("SELECT n FROM t WHERE id = ?", vec![id(key)], true),
            Ask::SelectForUpdate(key) => ("SELECT n FROM t WHERE id = ? FOR UPDATE", vec![id(key)], true),
            Ask::Add(key) => ("UPDATE t SET n = n + 1 WHERE id = ?", vec![id(key)], false),
            Ask::Insert(val) => ("INSERT INTO u (name) VALUES (?)", vec![(&self.voice.val(val)).into()], false),
            Ask::GetLock => ("SELECT GET_LOCK(?, ?)", vec!["l".into(), SqlValue::Int(1)], true),
            Ask::TryLock => ("SELECT GET_LOCK(?, ?)", vec!["l".into(), SqlValue::Int(0)], true),
            Ask::ReleaseLock => ("SELECT RELEASE_LOCK(?)", vec!["l".into()], true),
            other => panic!("{other:?} is no statement of a MySQL"),
        };
        let session = self.mysql.entry(node).or_insert_with(|| self.voice.ports.mysql(node).session());
        if is_query {
            Answer::of(session.query(sql, params).await, |rows| rows_answer(&rows))
        } else {
            Answer::of(session.run(sql, params).await, |changed| Answer::Int(changed.affected as i64))
        }
    }
}

fn key_name(key: u8) -> Blob {
    if key == 0 { "a".into() } else { "b".into() }
}

fn zrange() -> Command {
    Command::new("ZRANGE").arg("z").arg(0u64).arg("-1")
}

fn lrange() -> Command {
    Command::new("LRANGE").arg("l").arg(0u64).arg("-1")
}

fn redis_answer(value: &Value) -> Answer {
    match value {
        Value::Nil => Answer::Nothing,
        Value::Int(number) => Answer::Int(*number),
        Value::Bulk(text) | Value::Status(text) => Answer::text(text),
        Value::Error(text) => Answer::Failed(text.to_text().into_owned()),
        Value::Array(items) => Answer::Text(items.iter().map(Value::to_string).collect::<Vec<_>>().join(",")),
    }
}

fn kv_answer(kvs: &[etcd::Kv]) -> Answer {
    kvs.first().map_or(Answer::Nothing, |kv| Answer::text(&kv.value))
}

fn rows_answer(rows: &[Vec<SqlValue>]) -> Answer {
    match rows {
        [] => Answer::Nothing,
        [row] if row.len() == 1 => row[0].as_int().map_or(Answer::Text(format!("{:?}", row[0])), Answer::Int),
        rows => Answer::Text(format!("{rows:?}")),
    }
}

fn joined(mut names: Vec<Blob>) -> Answer {
    names.sort();
    let names: Vec<String> = names.iter().map(|name| name.to_text().into_owned()).collect();
    Answer::Text(names.join(","))
}

fn names(answer: &super::host::ZkAnswer) -> Answer {
    match answer {
        super::host::ZkAnswer::Children(names, _) => joined(names.clone()),
        other => panic!("children were asked for, and answered was {other:?}"),
    }
}
