//! Kinds: the list of all kinds of simulated servers.

/// Hands the list to a macro: each kind's name in code and in configurations, its module, what keeps its state, its
/// requests and its responses.
macro_rules! each_kind {
    ($then:ident) => {
        $then! {
            /// A Redis server, or several that keep one data set.
            Redis "redis" redis crate::redis::Servers: crate::resp::Command => crate::resp::Value;
            /// A ZooKeeper ensemble.
            ZooKeeper "zookeeper" zookeeper Box<crate::zookeeper::Ensemble>:
                crate::zookeeper::wire::Request => crate::zookeeper::wire::Reply;
            /// An etcd cluster.
            Etcd "etcd" etcd Box<crate::etcd::Cluster>: crate::etcd::wire::Request => crate::etcd::wire::Reply;
            /// A Kafka broker.
            Kafka "kafka" kafka Box<crate::kafka::Broker>: crate::kafka::wire::Request => crate::kafka::wire::Reply;
            /// A MySQL server.
            MySql "mysql" mysql Box<crate::mysql::Server>: crate::mysql::wire::Request => crate::mysql::wire::Reply;
        }
    };
}
