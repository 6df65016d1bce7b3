//! The ZooKeeper port on the zookeeper-client crate.

use crate::port::zookeeper::{
    ANY_VERSION, Answer, CreateMode, Error, EventKind, Op, Request, Session, SessionId, SessionState, Stat, Watch,
    WatchEvent, ZooKeeper,
};
use crate::port::{Blob, Outcome, Refusal, Unknown};
use ::zookeeper_client as zk;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// An ensemble of real servers.
#[derive(Clone, Debug)]
pub struct RealZooKeeper {
    cluster: String,
}

impl RealZooKeeper {
    /// The ensemble at these addresses, such as `127.0.0.1:2181`.
    pub fn new(addresses: &[String]) -> Self {
        RealZooKeeper { cluster: addresses.join(",") }
    }
}

impl ZooKeeper for RealZooKeeper {
    type Session = RealSession;

    async fn connect(&self, timeout: Duration) -> Outcome<RealSession> {
        match zk::Client::connector().with_session_timeout(timeout).connect(&self.cluster).await {
            Ok(client) => Outcome::Ok(RealSession::new(client)),
            // Nobody has a session that was not opened.
            Err(_) => Outcome::Fail(Refusal::Refused),
        }
    }
}

/// A session with real servers. It ends with its last clone, or when it is closed.
#[derive(Clone)]
pub struct RealSession {
    client: Arc<Mutex<Option<zk::Client>>>,
    id: SessionId,
    timeout: Duration,
}

impl RealSession {
    fn new(client: zk::Client) -> Self {
        let (id, timeout) = (client.session_id().0, client.session_timeout());
        RealSession { client: Arc::new(Mutex::new(Some(client))), id, timeout }
    }

    fn client(&self) -> Option<zk::Client> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn state_of(state: zk::SessionState) -> SessionState {
    match state {
        zk::SessionState::SyncConnected | zk::SessionState::ConnectedReadOnly => SessionState::Connected,
        zk::SessionState::Disconnected => SessionState::Suspended,
        _ => SessionState::Lost,
    }
}

fn stat_of(stat: &zk::Stat) -> Stat {
    Stat {
        czxid: stat.czxid,
        mzxid: stat.mzxid,
        pzxid: stat.pzxid,
        version: stat.version,
        cversion: stat.cversion,
        ephemeral_owner: stat.ephemeral_owner,
        data_length: stat.data_length,
        num_children: stat.num_children,
    }
}

fn error_of(problem: &zk::Error) -> Option<Error> {
    Some(match problem {
        zk::Error::NoNode => Error::NoNode,
        zk::Error::NodeExists => Error::NodeExists,
        zk::Error::BadVersion => Error::BadVersion,
        zk::Error::NotEmpty => Error::NotEmpty,
        zk::Error::NoChildrenForEphemerals => Error::NoChildrenForEphemerals,
        zk::Error::BadArguments(_) => Error::BadArguments,
        zk::Error::SessionExpired | zk::Error::ClientClosed => Error::SessionExpired,
        zk::Error::SessionMoved => Error::SessionMoved,
        zk::Error::RuntimeInconsistent => Error::RuntimeInconsistency,
        _ => return None,
    })
}

fn refused<T>(problem: &zk::Error) -> Outcome<T> {
    match (error_of(problem), problem) {
        (Some(error), _) => Outcome::Fail(Refusal::ZooKeeper(error)),
        (None, zk::Error::Timeout) => Outcome::Indeterminate(Unknown::TimedOut),
        (None, zk::Error::NoHosts) => Outcome::Fail(Refusal::Refused),
        (None, _) => Outcome::Indeterminate(Unknown::ConnectionLost),
    }
}

fn outcome(result: Result<Answer, zk::Error>) -> Outcome<Answer> {
    result.map_or_else(|problem| refused(&problem), Outcome::Ok)
}

fn options(mode: CreateMode) -> zk::CreateOptions<'static> {
    let mode = match mode {
        CreateMode::Persistent => zk::CreateMode::Persistent,
        CreateMode::Ephemeral => zk::CreateMode::Ephemeral,
        CreateMode::PersistentSequential => zk::CreateMode::PersistentSequential,
        CreateMode::EphemeralSequential => zk::CreateMode::EphemeralSequential,
        CreateMode::Container => zk::CreateMode::Container,
    };
    mode.with_acls(zk::Acls::anyone_all())
}

fn version_of(version: i32) -> Option<i32> {
    (version != ANY_VERSION).then_some(version)
}

fn created(path: &Blob, mode: CreateMode, stat: &zk::Stat, sequence: zk::CreateSequence) -> Answer {
    let path = if mode.is_sequential() { Blob::from(format!("{path}{sequence}")) } else { path.clone() };
    Answer::Created { path, stat: stat_of(stat) }
}

fn children(names: Vec<String>, stat: &zk::Stat) -> Answer {
    Answer::Children(names.into_iter().map(Blob::from).collect(), stat_of(stat))
}

async fn write(client: &zk::Client, op: &Op) -> Result<Answer, zk::Error> {
    let path = op.path().to_text();
    Ok(match op {
        Op::Create { path: name, data, mode } => {
            let (stat, sequence) = client.create(&path, data, &options(*mode)).await?;
            created(name, *mode, &stat, sequence)
        }
        Op::Delete { version, .. } => {
            client.delete(&path, version_of(*version)).await?;
            Answer::Done
        }
        Op::SetData { data, version, .. } => {
            Answer::Stat(stat_of(&client.set_data(&path, data, version_of(*version)).await?))
        }
        Op::Check { .. } => return multi(client, std::slice::from_ref(op)).await,
    })
}

async fn multi(client: &zk::Client, ops: &[Op]) -> Result<Answer, zk::Error> {
    let mut writer = client.new_multi_writer();
    for op in ops {
        let path = op.path().to_text();
        match op {
            Op::Create { data, mode, .. } => writer.add_create(&path, data, &options(*mode))?,
            Op::Delete { version, .. } => writer.add_delete(&path, version_of(*version))?,
            Op::SetData { data, version, .. } => writer.add_set_data(&path, data, version_of(*version))?,
            Op::Check { version, .. } => writer.add_check_version(&path, *version)?,
        }
    }
    match writer.commit().await {
        Ok(results) => {
            let answers = ops.iter().zip(results).map(|(op, result)| match (op, result) {
                (_, zk::MultiWriteResult::Create { path, stat }) => {
                    Answer::Created { path: Blob::from(path), stat: stat_of(&stat) }
                }
                (_, zk::MultiWriteResult::SetData { stat }) => Answer::Stat(stat_of(&stat)),
                _ => Answer::Done,
            });
            Ok(Answer::Multi(answers.collect()))
        }
        Err(zk::MultiWriteError::OperationFailed { index, source }) => {
            let error = error_of(&source).unwrap_or(Error::BadArguments);
            let why = |at: usize| match at.cmp(&index) {
                std::cmp::Ordering::Less => None,
                std::cmp::Ordering::Equal => Some(error),
                std::cmp::Ordering::Greater => Some(Error::RuntimeInconsistency),
            };
            Ok(Answer::MultiFailed((0..ops.len()).map(why).collect()))
        }
        Err(zk::MultiWriteError::RequestFailed { source }) => Err(source),
    }
}

impl Session for RealSession {
    type Watch = RealWatch;

    fn id(&self) -> SessionId {
        self.id
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn state(&self) -> SessionState {
        self.client().map_or(SessionState::Lost, |client| state_of(client.state()))
    }

    async fn changed(&self, from: SessionState) -> SessionState {
        let Some(mut watcher) = self.client().map(|client| client.state_watcher()) else { return SessionState::Lost };
        let mut now = state_of(watcher.state());
        while now == from {
            now = state_of(watcher.changed().await);
        }
        now
    }

    async fn ask(&self, request: Request) -> Outcome<Answer> {
        let Some(client) = self.client() else { return Outcome::Fail(Refusal::ZooKeeper(Error::SessionExpired)) };
        outcome(match &request {
            Request::Write(op) => write(&client, op).await,
            Request::Multi(ops) => multi(&client, ops).await,
            Request::Exists { path, .. } => client
                .check_stat(&path.to_text())
                .await
                .and_then(|stat| stat.map(|stat| Answer::Stat(stat_of(&stat))).ok_or(zk::Error::NoNode)),
            Request::GetData { path, .. } => {
                let read = client.get_data(&path.to_text()).await;
                read.map(|(data, stat)| Answer::Data(Blob::from(data), stat_of(&stat)))
            }
            Request::GetChildren { path, .. } => {
                client.get_children(&path.to_text()).await.map(|(names, stat)| children(names, &stat))
            }
            Request::Sync { path } => client.sync(&path.to_text()).await.map(|()| Answer::Done),
            Request::Connect { .. } | Request::SetWatches { .. } | Request::CloseSession => {
                panic!("{request} is the adapter's own affair")
            }
        })
    }

    async fn ask_watching(&self, request: Request) -> (Outcome<Answer>, RealWatch) {
        let none = |outcome| (outcome, RealWatch { event: Box::pin(std::future::pending()) });
        let Some(client) = self.client() else {
            return none(Outcome::Fail(Refusal::ZooKeeper(Error::SessionExpired)));
        };
        let result = match &request {
            Request::Exists { path, .. } => {
                client.check_and_watch_stat(&path.to_text()).await.map(|(stat, watcher)| {
                    let missing = Outcome::Fail(Refusal::ZooKeeper(Error::NoNode));
                    (stat.map_or(missing, |stat| Outcome::Ok(Answer::Stat(stat_of(&stat)))), watcher)
                })
            }
            Request::GetChildren { path, .. } => client
                .get_and_watch_children(&path.to_text())
                .await
                .map(|(names, stat, watcher)| (Outcome::Ok(children(names, &stat)), watcher)),
            Request::GetData { path, .. } => client
                .get_and_watch_data(&path.to_text())
                .await
                .map(|(data, stat, watcher)| (Outcome::Ok(Answer::Data(Blob::from(data), stat_of(&stat))), watcher)),
            other => panic!("{other} leaves no watch"),
        };
        match result {
            Ok((answer, watcher)) => (answer, RealWatch::new(watcher)),
            Err(problem) => none(refused(&problem)),
        }
    }

    /// The client ends its session when the last of its clones is gone; requests under way keep it a little longer.
    async fn close(&self) {
        drop(self.client.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// A watch on a real server.
pub struct RealWatch {
    event: Pin<Box<dyn Future<Output = WatchEvent> + Send>>,
}

impl RealWatch {
    fn new(watcher: zk::OneshotWatcher) -> Self {
        let event = async move {
            match watcher.changed().await.event_type {
                zk::EventType::NodeCreated => WatchEvent::Node(EventKind::Created),
                zk::EventType::NodeDeleted => WatchEvent::Node(EventKind::Deleted),
                zk::EventType::NodeDataChanged => WatchEvent::Node(EventKind::DataChanged),
                zk::EventType::NodeChildrenChanged => WatchEvent::Node(EventKind::ChildrenChanged),
                zk::EventType::Session => WatchEvent::Lost,
            }
        };
        RealWatch { event: Box::pin(event) }
    }
}

impl Watch for RealWatch {
    async fn fired(&mut self) -> WatchEvent {
        let event = (&mut self.event).await;
        // It fires once; whoever asks again waits for ever, as with any watch that is gone.
        self.event = Box::pin(std::future::pending());
        event
    }
}
