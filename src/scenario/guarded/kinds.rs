//! Kinds: the locks of each kind.

use super::{LockKind, On, Owner};
use crate::flow::redis_at::RedisAt;
use crate::lock::any::AnyLock;
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
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// How long a thread that waits for a mutex of its own process sleeps before it looks again.
const IN_PROCESS_RETRY: Duration = Duration::from_millis(10);

/// Makes locks, given their names.
pub type MakeLock<P> = Box<dyn Fn(&Blob) -> AnyLock<P> + Send + Sync>;

impl LockKind {
    /// What makes locks of this kind, which are kept on these servers. `None` if there is no lock.
    pub fn locks<P: Ports>(&self, ports: &P, servers: Range<usize>) -> Option<MakeLock<P>> {
        let (host, first) = (ports.clone(), servers.start);
        Some(match self.clone() {
            LockKind::None => return None,
            LockKind::InProcess => any(move |name| InProcessLock::new(&host, name.clone(), IN_PROCESS_RETRY)),
            LockKind::Redis(config, on) => any(redis_locks(host, servers, config, on)),
            LockKind::TwoLevel(config, owner, forget) => any(two_level_locks(host, first, config, owner, forget)),
            LockKind::Redisson(config, on) => any(redisson_locks(host, servers, config, on)),
            LockKind::RedissonReadWrite(config, writer) => {
                let kind = if writes(ports) { writer } else { redisson::Kind::Reader };
                any(redisson_locks(host, servers, redisson::Config { kind, ..config }, On::Server))
            }
            LockKind::RedissonMulti(each, config) => any(redisson_multi_locks(host, servers, each, config)),
            LockKind::Timestamp(config) => {
                let server = ports.redis(first);
                any(move |name| TimestampLock::new(&host, server.clone(), name.clone(), config))
            }
            LockKind::RedLock(config) => any(redlocks(host, servers, config)),
            LockKind::RedLockExtended(config, extended) => {
                let redlock = redlocks(host, servers, config);
                any(move |name| AutoExtended::new(redlock(name), extended))
            }
            LockKind::ZooKeeper(config) => any(zookeeper_locks(ports, servers, config)),
            LockKind::ZooKeeperReadWrite(config) => {
                let kind = if writes(ports) { Kind::Writer } else { Kind::Reader };
                any(zookeeper_locks(ports, servers, zookeeper::Config { kind, ..config }))
            }
            LockKind::ZooKeeperReentrant(config, reentry) => {
                let (lock, record) = (zookeeper_locks(ports, servers, config), Arc::new(Record::default()));
                any(move |name| Reentrant::new(&lock(name), &record, 0, reentry))
            }
            LockKind::Etcd(config) => {
                let client = etcd::Client::new(ports, ports.etcd(servers), config.client);
                any(move |name| EtcdLock::new(&client, Blob::from(format!("{name}/")), config))
            }
            LockKind::LockTable(config) => {
                let server = ports.mysql(first);
                any(move |name| LockTable::new(&host, server.clone(), name.clone(), config))
            }
            LockKind::UserLock => {
                let server = ports.mysql(first);
                any(move |name| UserLock::new(&host, server.clone(), name.clone()))
            }
        })
    }
}

/// The same locks, without their type.
fn any<P: Ports, L: Lock<Host = P>>(make: impl Fn(&Blob) -> L + Send + Sync + 'static) -> MakeLock<P> {
    Box::new(move |name| AnyLock::new(make(name)))
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
