//! The real world: the same code on tokio, against real servers.
//!
//! [`RealPorts`] is what a production service uses: give it the servers' URLs and hand it to a lock.
//!
//! **Time.** A lease runs on while its holder's machine is suspended. So on Linux and Android leases are timed by
//! `CLOCK_BOOTTIME`, which counts suspension, and a sleep whose end came meanwhile ends at most 50 ms after the machine has
//! woken. Elsewhere they are timed by `CLOCK_MONOTONIC`: macOS counts suspension in it; where a system does not, a holder that
//! was suspended believes in its lease for too long by that time, and only fencing tokens guard what it writes. The time-outs of requests
//! and the sessions of the ZooKeeper client are timed by the client crates, which do not count suspension: after it a
//! session counts as connected until its client has heard from a server.

#[cfg(feature = "real-etcd")]
mod etcd;
#[cfg(feature = "real-kafka")]
mod kafka;
#[cfg(feature = "real-mysql")]
mod mysql;
mod redis;
pub mod servers;
#[cfg(feature = "real-zookeeper")]
mod zookeeper;

use crate::history::{Entry, Event};
use crate::port::{Blob, FoundBy, Host, Instant, Ports, RedisGroup, WallTime};
#[cfg(feature = "real-etcd")]
pub use etcd::{BadAddress, EtcdOptions, RealEtcd};
#[cfg(feature = "real-kafka")]
pub use kafka::{KafkaOptions, RealKafka};
#[cfg(feature = "real-mysql")]
pub use mysql::{BadMySqlUrl, MySqlOptions, RealMySql, RealSession};
pub use redis::{RealRedis, RedisOptions};
use rustix::time::ClockId;
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
#[cfg(feature = "real-zookeeper")]
pub use zookeeper::RealZooKeeper;

/// Where a client's history goes; `None` where nobody wants it.
pub type Journal = Option<Arc<dyn Fn(Entry) + Send + Sync>>;

/// The ports of one client of the real world.
#[derive(Clone)]
pub struct RealPorts {
    client: usize,
    servers: Arc<[RealRedis]>,
    by_sentinel: Option<RealRedis>,
    cluster: Option<RealRedis>,
    #[cfg(feature = "real-zookeeper")]
    zookeeper: Arc<[String]>,
    #[cfg(feature = "real-etcd")]
    etcd: Option<RealEtcd>,
    #[cfg(feature = "real-kafka")]
    kafka: Option<RealKafka>,
    #[cfg(feature = "real-mysql")]
    mysql: Option<RealMySql>,
    journal: Journal,
}

/// A server's address cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("'{url}' is not a Redis URL such as redis://127.0.0.1:6379: {why}")]
pub struct BadUrl {
    /// What was given.
    pub url: String,
    /// What is wrong with it.
    pub why: String,
}

impl RealPorts {
    /// The ports of client number `client`, with connections of its own to these servers. Nothing is connected yet.
    pub fn new(client: usize, urls: &[String], options: RedisOptions, journal: Journal) -> Result<Self, BadUrl> {
        let servers = urls.iter().map(|url| RealRedis::new(url, options)).collect::<Result<Vec<_>, BadUrl>>()?;
        Ok(RealPorts {
            client,
            servers: servers.into(),
            by_sentinel: None,
            cluster: None,
            #[cfg(feature = "real-zookeeper")]
            zookeeper: Arc::default(),
            #[cfg(feature = "real-etcd")]
            etcd: None,
            #[cfg(feature = "real-kafka")]
            kafka: None,
            #[cfg(feature = "real-mysql")]
            mysql: None,
            journal,
        })
    }

    /// The same with the primary that the Sentinels at these URLs name.
    pub fn with_sentinels(self, urls: &[String], options: RedisOptions) -> Result<Self, BadUrl> {
        Ok(RealPorts { by_sentinel: Some(RealRedis::by_sentinels(urls, options)?), ..self })
    }

    /// The same with the Redis Cluster of which the servers at these URLs know.
    pub fn with_cluster(self, urls: &[String], options: RedisOptions) -> Result<Self, BadUrl> {
        Ok(RealPorts { cluster: Some(RealRedis::of_cluster(urls, options)?), ..self })
    }

    /// The same with a ZooKeeper ensemble at these addresses, such as `127.0.0.1:2181`.
    #[cfg(feature = "real-zookeeper")]
    #[must_use]
    pub fn with_zookeeper(self, addresses: &[String]) -> Self {
        RealPorts { zookeeper: addresses.into(), ..self }
    }

    /// The same with an etcd cluster.
    #[cfg(feature = "real-etcd")]
    #[must_use]
    pub fn with_etcd(self, cluster: &RealEtcd) -> Self {
        RealPorts { etcd: Some(cluster.clone()), ..self }
    }

    /// The same with a Kafka cluster.
    #[cfg(feature = "real-kafka")]
    #[must_use]
    pub fn with_kafka(self, cluster: &RealKafka) -> Self {
        RealPorts { kafka: Some(cluster.clone()), ..self }
    }

    /// The same with a MySQL or MariaDB server.
    #[cfg(feature = "real-mysql")]
    #[must_use]
    pub fn with_mysql(self, server: &RealMySql) -> Self {
        RealPorts { mysql: Some(server.clone()), ..self }
    }
}

/// The clock of leases: it counts the time that the machine is suspended.
#[cfg(any(target_os = "linux", target_os = "android"))]
const CLOCK: ClockId = ClockId::Boottime;
/// The clock of leases, where no clock is known to count the time that the machine is suspended.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const CLOCK: ClockId = ClockId::Monotonic;

/// Timers stand still while the machine is suspended: a sleeper looks at the clock at least this often.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The machine's monotonic clock, microseconds. The same in all processes of one machine.
pub fn monotonic_us() -> u64 {
    let now = rustix::time::clock_gettime(CLOCK);
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1000
}

/// Bytes from the operating system's random source.
fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// Sleeps until this clock has moved so far.
async fn sleep_by(clock: impl Fn() -> u64 + Send, duration: Duration) {
    let until_us = clock().saturating_add(duration.as_micros() as u64);
    loop {
        let left = Duration::from_micros(until_us.saturating_sub(clock()));
        tokio::time::sleep(left.min(LOOK_EVERY)).await;
        if clock() >= until_us {
            return;
        }
    }
}

impl Host for RealPorts {
    fn monotonic(&self) -> Instant {
        Instant::read(monotonic_us())
    }

    fn wall(&self) -> WallTime {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        WallTime::read(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send {
        sleep_by(monotonic_us, duration)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // Outside a runtime there is nothing to run on: a guard that is dropped there keeps its key until the TTL.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn(task));
        }
    }

    fn random(&self) -> u64 {
        u64::from_le_bytes(random_bytes())
    }

    /// Twenty random bytes, as the Redis document advises, in hexadecimal.
    fn unique_id(&self) -> Blob {
        let text: String = random_bytes::<20>().iter().map(|byte| format!("{byte:02x}")).collect();
        Blob::from(text)
    }

    fn record(&self, event: Event) {
        if let Some(journal) = &self.journal {
            journal(Entry { at_us: monotonic_us(), client: self.client, event });
        }
    }
}

impl Ports for RealPorts {
    type Redis = RealRedis;
    #[cfg(feature = "real-zookeeper")]
    type ZooKeeper = RealZooKeeper;
    #[cfg(not(feature = "real-zookeeper"))]
    type ZooKeeper = crate::port::Absent;
    #[cfg(feature = "real-etcd")]
    type Etcd = RealEtcd;
    #[cfg(not(feature = "real-etcd"))]
    type Etcd = crate::port::Absent;
    #[cfg(feature = "real-kafka")]
    type Kafka = RealKafka;
    #[cfg(not(feature = "real-kafka"))]
    type Kafka = crate::port::Absent;
    #[cfg(feature = "real-mysql")]
    type MySql = RealMySql;
    #[cfg(not(feature = "real-mysql"))]
    type MySql = crate::port::Absent;

    /// Where a workload asks for a server behind those of the lock, it gets the first: the guarded resource lives there.
    fn redis(&self, server: usize) -> RealRedis {
        let server = if server < self.servers.len() { server } else { 0 };
        self.servers[server].clone()
    }

    /// There is one group; its client finds the primary by itself.
    fn redis_group(&self, at: RedisGroup) -> RealRedis {
        let found = match &at.found_by {
            FoundBy::Sentinels(_) => {
                self.by_sentinel.clone().expect("these ports have no Sentinels: give them their addresses")
            }
            FoundBy::Slot(near) => {
                self.cluster.clone().expect("these ports have no Redis Cluster: give them its addresses").near(near)
            }
        };
        found.with_patience(at.patience)
    }

    /// There is one ensemble; its client finds the servers by itself.
    #[cfg(feature = "real-zookeeper")]
    fn zookeeper(&self, _servers: Range<usize>) -> RealZooKeeper {
        assert!(!self.zookeeper.is_empty(), "these ports have no ZooKeeper ensemble: give them its addresses");
        RealZooKeeper::new(&self.zookeeper)
    }

    #[cfg(not(feature = "real-zookeeper"))]
    fn zookeeper(&self, _servers: Range<usize>) -> crate::port::Absent {
        panic!("this build has no ZooKeeper adapter: build it with the feature `real-zookeeper`")
    }

    /// There is one cluster; its client finds a server that answers by itself.
    #[cfg(feature = "real-etcd")]
    fn etcd(&self, _servers: Range<usize>) -> RealEtcd {
        self.etcd.clone().expect("these ports have no etcd cluster: give them its addresses")
    }

    #[cfg(not(feature = "real-etcd"))]
    fn etcd(&self, _servers: Range<usize>) -> crate::port::Absent {
        panic!("this build has no etcd adapter: build it with the feature `real-etcd`")
    }

    /// There is one cluster.
    #[cfg(feature = "real-kafka")]
    fn kafka(&self, _server: usize) -> RealKafka {
        self.kafka.clone().expect("these ports have no Kafka cluster: give them its addresses")
    }

    #[cfg(not(feature = "real-kafka"))]
    fn kafka(&self, _server: usize) -> crate::port::Absent {
        panic!("this build has no Kafka adapter: build it with the feature `real-kafka`")
    }

    /// There is one server.
    #[cfg(feature = "real-mysql")]
    fn mysql(&self, _server: usize) -> RealMySql {
        self.mysql.clone().expect("these ports have no MySQL server: give them its URL")
    }

    #[cfg(not(feature = "real-mysql"))]
    fn mysql(&self, _server: usize) -> crate::port::Absent {
        panic!("this build has no MySQL adapter: build it with the feature `real-mysql`")
    }

    fn client(&self) -> usize {
        self.client
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// How long a sleep takes of an hour by a clock that jumps ahead by `jump` after its first reading.
    fn sleep_an_hour(jump: Duration) -> Option<Duration> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("tokio starts");
        let (started, readings) = (std::time::Instant::now(), AtomicU64::new(0));
        let clock = || {
            let ahead = if readings.fetch_add(1, Ordering::Relaxed) > 0 { jump } else { Duration::ZERO };
            u64::try_from((started.elapsed() + ahead).as_micros()).expect("it is not that late")
        };
        let slept = sleep_by(clock, Duration::from_secs(3600));
        let slept = runtime.block_on(async { tokio::time::timeout(Duration::from_millis(500), slept).await });
        slept.ok().map(|()| started.elapsed())
    }

    #[test]
    fn a_sleep_ends_with_its_clock_and_not_with_the_timer() {
        assert!(sleep_an_hour(Duration::from_secs(3600)).is_some(), "the machine was suspended for an hour");
        assert!(sleep_an_hour(Duration::from_secs(1800)).is_none(), "the machine was suspended for half an hour");
    }

    #[test]
    fn a_sleep_is_not_shorter_than_asked_for() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("tokio starts");
        for ms in [0, 1, 49, 51, 120] {
            let started = monotonic_us();
            runtime.block_on(sleep_by(monotonic_us, Duration::from_millis(ms)));
            assert!(monotonic_us() - started >= ms * 1000, "{ms} ms");
        }
    }
}
