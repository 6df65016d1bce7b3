//! Dispatch: from a lock by its kind to code that is generic over locks.

use super::{LockKind, On, Owner};
use crate::flow::redis_at::RedisAt;
use crate::lock::auto_extended::AutoExtended;
use crate::lock::etcd::{self, EtcdLock};
use crate::lock::in_process::InProcessLock;
use crate::lock::local::Registry;
use crate::lock::multi::MultiLock;
use crate::lock::mysql::{LockTable, UserLock};
use crate::lock::redis::{self, RedisLock, TokenOf, Tokens};
use crate::lock::redisson::{self, RedissonLock};
use crate::lock::redlock::RedLock;
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
            LockKind::LockTable(config) => {
                let server = ports.mysql(first);
                Box::pin(code.run(move |name| LockTable::new(&host, server.clone(), name.clone(), config))).await;
            }
            LockKind::UserLock => {
                let server = ports.mysql(first);
                Box::pin(code.run(move |name| UserLock::new(&host, server.clone(), name.clone()))).await;
            }
            LockKind::Redis(config, on) => {
                let make = move |name: &Blob| {
                    let server = on.find(&host, servers.clone(), name);
                    let lock = RedisLock::new(&host, server, name.clone(), config.clone());
                    // Of a group, the second server is a replica at first.
                    if config.tokens == Tokens::ReadFromReplica {
                        lock.reading_from(host.redis(first + 1))
                    } else {
                        lock
                    }
                };
                Box::pin(code.run(make)).await;
            }
            LockKind::TwoLevel(config, owner, forget) => {
                let (server, registry) = (ports.redis(first), Arc::new(Registry::new(forget)));
                let token_of = match owner {
                    Owner::Acquisition => TokenOf::Acquisition,
                    Owner::Process => TokenOf::Owner(ports.unique_id()),
                };
                let config = redis::Config { token_of, ..config };
                let make = move |name: &Blob| {
                    TwoLevel::new(&registry, RedisLock::new(&host, server.clone(), name.clone(), config.clone()))
                };
                Box::pin(code.run(make)).await;
            }
            LockKind::Redisson(config, on) => {
                let make = move |name: &Blob| {
                    RedissonLock::new(&host, on.find(&host, servers.clone(), name), name.clone(), config.clone())
                };
                Box::pin(code.run(make)).await;
            }
            LockKind::RedissonReadWrite(config, writer) => {
                let server = ports.redis(first);
                let kind = if writes(ports) { writer } else { redisson::Kind::Reader };
                let config = redisson::Config { kind, ..config };
                let make = move |name: &Blob| RedissonLock::new(&host, server.clone(), name.clone(), config.clone());
                Box::pin(code.run(make)).await;
            }
            LockKind::Timestamp(config) => {
                let server = ports.redis(first);
                Box::pin(code.run(move |name| TimestampLock::new(&host, server.clone(), name.clone(), config))).await;
            }
            LockKind::RedissonMulti(each, config) => {
                let servers: Vec<P::Redis> = servers.map(|server| ports.redis(server)).collect();
                let make = move |name: &Blob| {
                    let owner = host.unique_id();
                    let member = |server: &P::Redis| {
                        RedissonLock::owned(&host, server.clone(), name.clone(), owner.clone(), each.clone())
                    };
                    MultiLock::new(servers.iter().map(member).collect(), config)
                };
                Box::pin(code.run(make)).await;
            }
            LockKind::RedLock(config) => {
                let servers: Vec<P::Redis> = servers.map(|server| ports.redis(server)).collect();
                Box::pin(code.run(move |name| RedLock::new(&host, servers.clone(), name.clone(), config.clone())))
                    .await;
            }
            LockKind::RedLockExtended(config, extended) => {
                let servers: Vec<P::Redis> = servers.map(|server| ports.redis(server)).collect();
                let make = move |name: &Blob| {
                    AutoExtended::new(RedLock::new(&host, servers.clone(), name.clone(), config.clone()), extended)
                };
                Box::pin(code.run(make)).await;
            }
            LockKind::ZooKeeper(config) => {
                let client = Client::new(ports, ports.zookeeper(servers), config.client);
                Box::pin(code.run(move |name| ZkLock::new(&client, path(name), config))).await;
            }
            LockKind::ZooKeeperReadWrite(config) => {
                let kind = if writes(ports) { Kind::Writer } else { Kind::Reader };
                let client = Client::new(ports, ports.zookeeper(servers), config.client);
                let config = zookeeper::Config { kind, ..config };
                Box::pin(code.run(move |name| ZkLock::new(&client, path(name), config))).await;
            }
            LockKind::ZooKeeperReentrant(config, reentry) => {
                let client = Client::new(ports, ports.zookeeper(servers), config.client);
                let record = Arc::new(Record::default());
                let make =
                    move |name: &Blob| Reentrant::new(&ZkLock::new(&client, path(name), config), &record, 0, reentry);
                Box::pin(code.run(make)).await;
            }
            LockKind::Etcd(config) => {
                let client = etcd::Client::new(ports, ports.etcd(servers), config.client);
                Box::pin(code.run(move |name| EtcdLock::new(&client, Blob::from(format!("{name}/")), config))).await;
            }
        }
    }
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
