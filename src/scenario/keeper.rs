//! Keeper: the servers that keep a lock.

use crate::world::setup::ServiceSpec;
use doublehold_models::{ServiceConfig, etcd, kafka, mysql, redis, zookeeper};

/// What keeps a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// No server.
    NoServer,
    /// One Redis server.
    Redis,
    /// A primary with replicas, and Sentinels.
    Sentinels,
    /// A Redis Cluster.
    Cluster,
    /// Several Redis servers.
    Redises,
    /// A ZooKeeper ensemble.
    ZooKeeper,
    /// An etcd cluster.
    Etcd,
    /// The MySQL server.
    MySql,
}

impl Keeper {
    /// The default number of servers.
    pub fn servers(self) -> usize {
        match self {
            Keeper::NoServer => 0,
            Keeper::Redis | Keeper::MySql => 1,
            Keeper::Sentinels => 2 + SENTINELS,
            Keeper::Cluster => PRIMARIES + 1,
            Keeper::Redises | Keeper::ZooKeeper | Keeper::Etcd => 3,
        }
    }

    /// So many servers, set up as their defaults are.
    pub fn services(self, servers: usize) -> Vec<ServiceSpec> {
        let members = || u8::try_from(servers).expect("an ensemble has few members");
        match self {
            Keeper::NoServer => Vec::new(),
            Keeper::Redis | Keeper::Redises => (0..servers).map(|server| redis(format!("redis-{server}"))).collect(),
            Keeper::Sentinels => vec![replicated("redis".to_owned(), servers)],
            Keeper::Cluster => vec![cluster("redis".to_owned(), servers)],
            Keeper::ZooKeeper => {
                let config = zookeeper::Config { servers: members(), ..zookeeper::Config::default() };
                vec![ServiceSpec { name: "zk".to_owned(), config: ServiceConfig::ZooKeeper(config) }]
            }
            Keeper::Etcd => {
                let config = etcd::Config { servers: members(), ..etcd::Config::default() };
                vec![ServiceSpec { name: "etcd".to_owned(), config: ServiceConfig::Etcd(config) }]
            }
            Keeper::MySql => vec![database()],
        }
    }
}

/// A Redis server that keeps everything.
pub fn redis(name: String) -> ServiceSpec {
    let config = redis::Config { persistence: redis::Persistence::Durable, ..redis::Config::default() };
    ServiceSpec { name, config: ServiceConfig::Redis(config) }
}

/// How many Sentinels watch a group of Redis servers.
pub const SENTINELS: usize = 3;
/// How many do where there are few nodes.
pub const FEW_SENTINELS: usize = 1;
/// So many nodes are few.
const FEW_NODES_MAX: usize = 4;

/// How many nodes of a group are Sentinels: its last ones.
pub fn sentinels_among(nodes: usize) -> usize {
    if nodes > FEW_NODES_MAX { SENTINELS } else { FEW_SENTINELS }
}

/// Redis servers that keep everything, and Sentinels that find one down that has not answered for 20 ms: so many nodes
/// together.
pub fn replicated(name: String, nodes: usize) -> ServiceSpec {
    let count = sentinels_among(nodes);
    let number = |count: usize| u8::try_from(count).expect("a group has few nodes");
    let sentinels =
        redis::Sentinels { count: number(count), quorum: number(count / 2 + 1), down_after_ms: 20, hello_ms: 10 };
    let replicas = number(nodes - count - 1);
    let replication = redis::Replication { replicas, sentinels: Some(sentinels), ..redis::Replication::default() };
    let config = redis::Config {
        persistence: redis::Persistence::Durable,
        replication: Some(replication),
        ..redis::Config::default()
    };
    ServiceSpec { name, config: ServiceConfig::Redis(config) }
}

/// How many primaries a Redis Cluster has.
const PRIMARIES: usize = 3;
/// The primary that has the replicas: the key of the lock is in one of its slots.
const REPLICATED: usize = 1;

/// A Redis Cluster that keeps everything, of so many nodes, and finds one down that has not answered for 20 ms.
pub fn cluster(name: String, nodes: usize) -> ServiceSpec {
    let replicas = nodes.checked_sub(PRIMARIES).expect("a Cluster has three primaries");
    let mut sharding =
        redis::Sharding { replicas: vec![0; PRIMARIES], node_timeout_ms: 20, ..redis::Sharding::default() };
    sharding.replicas[REPLICATED] = u8::try_from(replicas).expect("a Cluster has few nodes");
    let config =
        redis::Config { persistence: redis::Persistence::Durable, cluster: Some(sharding), ..redis::Config::default() };
    ServiceSpec { name, config: ServiceConfig::Redis(config) }
}

/// The MySQL server.
pub fn database() -> ServiceSpec {
    ServiceSpec { name: "mysql".to_owned(), config: ServiceConfig::MySql(mysql::Config::default()) }
}

/// A Kafka broker that syncs each message and has no initial rebalance delay.
pub fn kafka() -> ServiceSpec {
    let config = kafka::Config { initial_delay_ms: 0, flush: kafka::Flush::EachMessage };
    ServiceSpec { name: "kafka".to_owned(), config: ServiceConfig::Kafka(config) }
}
