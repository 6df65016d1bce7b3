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
            Keeper::Redises | Keeper::ZooKeeper | Keeper::Etcd => 3,
        }
    }

    /// So many servers, set up as their defaults are.
    pub fn services(self, servers: usize) -> Vec<ServiceSpec> {
        let members = || u8::try_from(servers).expect("an ensemble has few members");
        match self {
            Keeper::NoServer => Vec::new(),
            Keeper::Redis | Keeper::Redises => (0..servers).map(|server| redis(format!("redis-{server}"))).collect(),
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
    let config = redis::Config { persistence: redis::Persistence::Durable };
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
