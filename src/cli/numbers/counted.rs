//! Counted: ports that count what the database is asked.

use crate::history::Event;
use crate::port::mysql::{MySql, Reply, Request, Session};
use crate::port::{Blob, Host, Instant, Outcome, Ports, RedisGroup, WallTime};
use std::future::Future;
use std::hash::Hash;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What was asked of the database, by all clients.
#[derive(Debug, Default)]
pub(super) struct Count {
    statements: AtomicU64,
    last_us: AtomicU64,
}

impl Count {
    /// The statements.
    pub(super) fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// Begins again at nothing for what one client has asked so far: it has connected.
    pub(super) fn connected(&self) {
        self.statements.fetch_sub(1, Ordering::Relaxed);
    }

    /// When the last one was answered, by the client's monotonic clock, in microseconds.
    pub(super) fn last_us(&self) -> u64 {
        self.last_us.load(Ordering::Relaxed)
    }
}

/// Ports whose sessions are counted.
#[derive(Clone)]
pub(super) struct Counted<P> {
    ports: P,
    count: Arc<Count>,
}

impl<P> Counted<P> {
    pub(super) fn new(ports: P, count: &Arc<Count>) -> Self {
        Counted { ports, count: Arc::clone(count) }
    }
}

impl<P: Ports> Host for Counted<P> {
    fn monotonic(&self) -> Instant {
        self.ports.monotonic()
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

    fn random(&self) -> u64 {
        self.ports.random()
    }

    fn unique_id(&self) -> Blob {
        self.ports.unique_id()
    }

    fn record(&self, event: Event) {
        self.ports.record(event);
    }

    fn round<T: Hash + Send>(&self, inner: impl Future<Output = T> + Send) -> impl Future<Output = T> + Send {
        self.ports.round(inner)
    }
}

impl<P: Ports> Ports for Counted<P> {
    type Redis = P::Redis;
    type ZooKeeper = P::ZooKeeper;
    type Etcd = P::Etcd;
    type Kafka = P::Kafka;
    type MySql = CountedServer<P>;

    fn redis(&self, server: usize) -> P::Redis {
        self.ports.redis(server)
    }

    fn redis_group(&self, at: RedisGroup) -> P::Redis {
        self.ports.redis_group(at)
    }

    fn zookeeper(&self, servers: Range<usize>) -> P::ZooKeeper {
        self.ports.zookeeper(servers)
    }

    fn etcd(&self, servers: Range<usize>) -> P::Etcd {
        self.ports.etcd(servers)
    }

    fn kafka(&self, server: usize) -> P::Kafka {
        self.ports.kafka(server)
    }

    fn mysql(&self, server: usize) -> CountedServer<P> {
        CountedServer { counted: self.clone(), server: self.ports.mysql(server) }
    }

    fn client(&self) -> usize {
        self.ports.client()
    }
}

/// A server whose sessions are counted.
#[derive(Clone)]
pub(super) struct CountedServer<P: Ports> {
    counted: Counted<P>,
    server: P::MySql,
}

impl<P: Ports> MySql for CountedServer<P> {
    type Session = CountedSession<P>;

    fn session(&self) -> CountedSession<P> {
        CountedSession { counted: self.counted.clone(), session: self.server.session() }
    }
}

/// A session that is counted.
pub(super) struct CountedSession<P: Ports> {
    counted: Counted<P>,
    session: <P::MySql as MySql>::Session,
}

impl<P: Ports> Session for CountedSession<P> {
    async fn ask(&mut self, request: Request) -> Outcome<Reply> {
        let answer = self.session.ask(request).await;
        let Counted { ports, count } = &self.counted;
        count.statements.fetch_add(1, Ordering::Relaxed);
        count.last_us.fetch_max(ports.monotonic().as_micros(), Ordering::Relaxed);
        answer
    }

    fn is_open(&self) -> bool {
        self.session.is_open()
    }
}
