//! Dispatch: from a lock by its kind to code that is generic over locks.

use super::{LockKind, On, Owner};
use crate::flow::redis_at::RedisAt;
use crate::lock::auto_extended::AutoExtended;
use crate::lock::etcd::{self, EtcdLock};
use crate::lock::in_process::InProcessLock;
use crate::lock::local::{Forget, Registry};
use crate::lock::multi::{self, MultiLock};
use crate::lock::mysql::{LockTable, UserLock};
use crate::lock::redis::{self, RedisLock, TokenOf, Tokens};
use crate::lock::redisson::{self, RedissonLock};
use crate::lock::redlock::{self, RedLock};
use crate::lock::reentrant::{Record, Reentrant};
use crate::lock::timestamp::TimestampLock;
use crate::lock::two_level::TwoLevel;
use crate::lock::zookeeper::{Client, Kind, ZkLock};
use crate::lock::{Lock, zookeeper};
use crate::port::{Blob, FoundBy, Ports, RedisGroup};
use crate::scenario::keeper::sentinels_among;
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// How long a thread that waits for a mutex of its own process sleeps before it looks again.
const IN_PROCESS_RETRY: Duration = Duration::from_millis(10);

/// Code that needs locks of some kind.
pub trait WithLocks<P: Ports> {
    /// Runs with locks that `make` makes, given their names.
    fn run<L: Lock<Host = P>>(
        self,
        make: impl Fn(&Blob) -> L + Send + Sync + 'static,
    ) -> impl Future<Output = ()> + Send;

    /// Runs without any.
    fn run_unlocked(self) -> impl Future<Output = ()> + Send;
}

impl LockKind {
    /// Runs code with locks of this kind, which are kept on these servers. Each lock's future has a box of its own:
    /// the largest of them would be copied for all.
    pub async fn with_locks<P: Ports>(&self, ports: &P, servers: Range<usize>, code: impl WithLocks<P> + Send) {
        let (host, first) = (ports.clone(), servers.start);
        match self.clone() {
            LockKind::None => Box::pin(code.run_unlocked()).await,
            LockKind::InProcess => {
                Box::pin(code.run(move |name| InProcessLock::new(&host, name.clone(), IN_PROCESS_RETRY))).await;
            }
            LockKind::Redis(config, on) => Box::pin(code.run(redis_locks(host, servers, config, on))).await,
            LockKind::TwoLevel(config, owner, forget) => {
                Box::pin(code.run(two_level_locks(host, first, config, owner, forget))).await;
            }
            LockKind::Redisson(config, on) => Box::pin(code.run(redisson_locks(host, servers, config, on))).await,
            LockKind::RedissonReadWrite(config, writer) => {
                let kind = if writes(ports) { writer } else { redisson::Kind::Reader };
                let config = redisson::Config { kind, ..config };
                Box::pin(code.run(redisson_locks(host, servers, config, On::Server))).await;
            }
            LockKind::RedissonMulti(each, config) => {
                Box::pin(code.run(redisson_multi_locks(host, servers, each, config))).await;
            }
            LockKind::Timestamp(config) => {
                let server = ports.redis(first);
                Box::pin(code.run(move |name| TimestampLock::new(&host, server.clone(), name.clone(), config))).await;
            }
            LockKind::RedLock(config) => Box::pin(code.run(redlocks(host, servers, config))).await,
            LockKind::RedLockExtended(config, extended) => {
                let redlock = redlocks(host, servers, config);
                Box::pin(code.run(move |name| AutoExtended::new(redlock(name), extended))).await;
            }
            LockKind::ZooKeeper(config) => Box::pin(code.run(zookeeper_locks(ports, servers, config))).await,
            LockKind::ZooKeeperReadWrite(config) => {
                let kind = if writes(ports) { Kind::Writer } else { Kind::Reader };
                let config = zookeeper::Config { kind, ..config };
                Box::pin(code.run(zookeeper_locks(ports, servers, config))).await;
            }
            LockKind::ZooKeeperReentrant(config, reentry) => {
                let (lock, record) = (zookeeper_locks(ports, servers, config), Arc::new(Record::default()));
                Box::pin(code.run(move |name| Reentrant::new(&lock(name), &record, 0, reentry))).await;
            }
            LockKind::Etcd(config) => {
                let client = etcd::Client::new(ports, ports.etcd(servers), config.client);
                Box::pin(code.run(move |name| EtcdLock::new(&client, Blob::from(format!("{name}/")), config))).await;
            }
            LockKind::LockTable(config) => {
                let server = ports.mysql(first);
                Box::pin(code.run(move |name| LockTable::new(&host, server.clone(), name.clone(), config))).await;
            }
            LockKind::UserLock => {
                let server = ports.mysql(first);
                Box::pin(code.run(move |name| UserLock::new(&host, server.clone(), name.clone()))).await;
            }
        }
    }
}

/// What makes a lock, given its name.
macro_rules! locks {
    ($lock:ty) => { impl Fn(&Blob) -> $lock + Send + Sync + use<P> };
}

fn redis_locks<P: Ports>(host: P, nodes: Range<usize>, config: redis::Config, on: On) -> locks!(RedisLock<P>) {
    move |name| {
        let lock = RedisLock::new(&host, on.find(&host, nodes.clone(), name), name.clone(), config.clone());
        match config.fencing {
            // Of a group, the second server is a replica at first.
            Some(Tokens::ReadFromReplica) => lock.reading_from(host.redis(nodes.start + 1)),
            _ => lock,
        }
    }
}

fn two_level_locks<P: Ports>(
    host: P,
    server: usize,
    config: redis::Config,
    owner: Owner,
    forget: Forget,
) -> locks!(TwoLevel<RedisLock<P>>) {
    let token_of = match owner {
        Owner::Acquisition => TokenOf::Acquisition,
        Owner::Process => TokenOf::Owner(host.unique_id()),
    };
    let (server, registry) = (host.redis(server), Arc::new(Registry::new(forget)));
    let config = redis::Config { token_of, ..config };
    move |name| TwoLevel::new(&registry, RedisLock::new(&host, server.clone(), name.clone(), config.clone()))
}

fn redisson_locks<P: Ports>(host: P, nodes: Range<usize>, config: redisson::Config, on: On) -> locks!(RedissonLock<P>) {
    move |name| RedissonLock::new(&host, on.find(&host, nodes.clone(), name), name.clone(), config.clone())
}

fn redisson_multi_locks<P: Ports>(
    host: P,
    servers: Range<usize>,
    each: redisson::Config,
    config: multi::Config,
) -> locks!(MultiLock<RedissonLock<P>>) {
    let servers: Vec<P::Redis> = servers.map(|server| host.redis(server)).collect();
    move |name| {
        let owner = host.unique_id();
        let member =
            |server: &P::Redis| RedissonLock::owned(&host, server.clone(), name.clone(), owner.clone(), each.clone());
        MultiLock::new(servers.iter().map(member).collect(), config)
    }
}

fn redlocks<P: Ports>(host: P, servers: Range<usize>, config: redlock::Config) -> locks!(RedLock<P>) {
    let servers: Vec<P::Redis> = servers.map(|server| host.redis(server)).collect();
    move |name| RedLock::new(&host, servers.clone(), name.clone(), config.clone())
}

fn zookeeper_locks<P: Ports>(ports: &P, servers: Range<usize>, config: zookeeper::Config) -> locks!(ZkLock<P>) {
    let client = Client::new(ports, ports.zookeeper(servers), config.client);
    move |name| ZkLock::new(&client, path(name), config)
}

impl On {
    /// The Redis that keeps the lock with this name. The last of a group's nodes are its Sentinels.
    fn find<P: Ports>(self, ports: &P, nodes: Range<usize>, name: &Blob) -> P::Redis {
        match self {
            On::Server => ports.redis(nodes.start),
            On::Primary(patience) => {
                // Real servers have no places: their addresses are known otherwise.
                let sentinels = sentinels_among(nodes.len()).min(nodes.end);
                let servers = nodes.len().saturating_sub(sentinels);
                RedisAt::Primary { first: nodes.start, servers, sentinels, patience }.find(ports)
            }
            On::Cluster(patience) => {
                ports.redis_group(RedisGroup { servers: nodes, found_by: FoundBy::Slot(name.clone()), patience })
            }
        }
    }
}

/// Whether this client of a read/write lock writes.
fn writes(ports: &impl Ports) -> bool {
    ports.client().is_multiple_of(3)
}

fn path(name: &Blob) -> String {
    format!("/{name}")
}
