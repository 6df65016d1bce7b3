//! Seat: a client's side of the ports in the explored and the simulated world.
//!
//! Sans-IO: the client's code leaves what it wants in the outbox, and the host of the world puts in
//! what has happened ([`Seat::tell`]) before it polls the code again. Between two polls nothing moves.
//!
//! | file | what it holds |
//! |---|---|
//! | `exchange` | what the code asks of the world, and what it is told |
//! | `client` | the client's seat: its tasks, what they wait for, what they have seen |
//! | `inbox`, `messages` | what a node sends of its own accord |
//! | `kept`, `libraries` | the state of the client libraries, and the dispatch of events to them |
//! | `sessions` | the client's book of ZooKeeper sessions |
//! | `slots` | what a client of a Redis Cluster knows of its slots |
//! | `redis`, `mysql`, `zookeeper`, `etcd`, `kafka` | the ports |

mod client;
mod etcd;
mod exchange;
mod inbox;
mod kafka;
mod kept;
mod libraries;
mod messages;
mod mysql;
mod redis;
mod sessions;
mod slots;
mod zookeeper;

use crate::history::Event;
use crate::port::{Blob, Host, Instant, Ports, RedisGroup, WallTime};
use client::{Round, Running};
pub use client::{Seat, Task, Tasks};
use etcd::SeatEtcd;
pub use exchange::{Outgoing, Purpose, Told, WaitId};
use kafka::SeatKafka;
use mysql::SeatMySql;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use redis::SeatRedis;
use smallvec::SmallVec;
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use zookeeper::SeatZooKeeper;

/// The ports of a client of the explored or the simulated world.
#[derive(Clone)]
pub struct SeatPorts {
    seat: Arc<Seat>,
}

impl SeatPorts {
    /// The ports of the client in this seat.
    pub fn new(seat: &Arc<Seat>) -> Self {
        SeatPorts { seat: Arc::clone(seat) }
    }
}

impl Host for SeatPorts {
    fn monotonic(&self) -> Instant {
        let mut state = self.seat.lock();
        state.read_clock = true;
        let (round, now) = (state.round(), state.now);
        state.see(round, 2, |digest| digest.write_u64(now.mono_us));
        now.instant()
    }

    fn wall(&self) -> WallTime {
        let mut state = self.seat.lock();
        state.read_clock = true;
        let (round, now) = (state.round(), state.now);
        state.see(round, 3, |digest| digest.write_u64(now.wall_us as u64));
        now.wall()
    }

    async fn sleep(&self, duration: Duration) {
        self.seat.timer(duration).await;
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut state = self.seat.lock();
        if !state.dead {
            state.spawned.push(Running { task: Box::pin(task), background: false });
        }
    }

    fn spawn_background(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut state = self.seat.lock();
        if !state.dead {
            state.spawned.push(Running { task: Box::pin(task), background: true });
        }
    }

    fn random(&self) -> u64 {
        let mut state = self.seat.lock();
        state.draws += 1;
        let seed = state.seed;
        state.random.get_or_insert_with(|| Box::new(ChaCha8Rng::from_seed(seed))).next_u64()
    }

    fn unique_id(&self) -> Blob {
        let mut state = self.seat.lock();
        state.unique_ids += 1;
        let (client, number) = (i64::from(state.client), i64::from(state.unique_ids));
        let mut text = SmallVec::<[u8; 24]>::new();
        text.extend_from_slice(b"client-");
        text.extend_from_slice(&Blob::from_int(client));
        text.push(b'/');
        text.extend_from_slice(&Blob::from_int(number));
        Blob::copy_from(&text)
    }

    fn round<T: Hash + Send>(&self, inner: impl Future<Output = T> + Send) -> impl Future<Output = T> + Send {
        let number = self.seat.lock().begin_round();
        Round { seat: &self.seat, inner, number, ended: false }
    }

    fn record(&self, event: Event) {
        self.seat.lock().push(Outgoing::Record(event));
    }
}

impl Ports for SeatPorts {
    type Redis = SeatRedis;
    type ZooKeeper = SeatZooKeeper;
    type Etcd = SeatEtcd;
    type Kafka = SeatKafka;
    type MySql = SeatMySql;

    fn redis(&self, server: usize) -> SeatRedis {
        SeatRedis::new(&self.seat, place(server))
    }

    fn redis_group(&self, at: RedisGroup) -> SeatRedis {
        SeatRedis::of_group(&self.seat, at)
    }

    fn kafka(&self, server: usize) -> SeatKafka {
        SeatKafka { seat: Arc::clone(&self.seat), node: place(server) }
    }

    fn mysql(&self, server: usize) -> SeatMySql {
        SeatMySql { seat: Arc::clone(&self.seat), node: place(server) }
    }

    fn zookeeper(&self, servers: Range<usize>) -> SeatZooKeeper {
        SeatZooKeeper { seat: Arc::clone(&self.seat), servers: places(servers) }
    }

    fn etcd(&self, servers: Range<usize>) -> SeatEtcd {
        SeatEtcd { seat: Arc::clone(&self.seat), servers: places(servers) }
    }

    fn client(&self) -> usize {
        let mut state = self.seat.lock();
        state.told_apart = true;
        usize::from(state.client)
    }
}

fn place(server: usize) -> u16 {
    u16::try_from(server).expect("a topology has fewer servers than 65536")
}

fn places(servers: Range<usize>) -> Range<u16> {
    place(servers.start)..place(servers.end)
}
