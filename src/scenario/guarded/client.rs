//! What each client does with the lock and what it guards, and what it tells the history.

use super::{ETCD_PREFIX, Guarded, LOCK, LockKind, STOCK, Store, USER, Work, ZK_PATH};
use crate::flow::sale::{NotSold, Sale};
use crate::history::{Ended, Event};
use crate::lock::etcd::counter::EtcdCounter;
use crate::lock::etcd::{self, EtcdLock};
use crate::lock::in_process::InProcessLock;
use crate::lock::mysql::{self, LockTable, UserLock};
use crate::lock::redis::RedisLock;
use crate::lock::redlock::RedLock;
use crate::lock::reentrant::{Record, Reentrant};
use crate::lock::resource::{Access, Counter, Resource};
use crate::lock::zookeeper::{Client, Kind, ZkLock};
use crate::lock::{Acquire, Guard, Lock, NotAcquired, zookeeper};
use crate::port::Ports;
use std::sync::Arc;
use std::time::Duration;

impl Guarded {
    /// Runs a client to its end. Each lock's future has a box of its own: the largest of them would be copied for all.
    pub(super) async fn run_with<P: Ports>(&self, ports: &P) {
        match &self.lock {
            LockKind::None => Box::pin(self.repeat_unlocked(ports)).await,
            LockKind::LockTable(config) => {
                Box::pin(self.repeat(ports, &LockTable::new(ports, ports.mysql(0), LOCK, *config))).await;
            }
            LockKind::UserLock => Box::pin(self.repeat(ports, &UserLock::new(ports, ports.mysql(0), LOCK))).await,
            LockKind::InProcess => {
                let lock = InProcessLock::new(ports, LOCK, Duration::from_millis(10));
                Box::pin(self.repeat(ports, &lock)).await;
            }
            LockKind::Redis(config) => {
                let lock = RedisLock::new(ports, ports.redis(0), LOCK, config.clone());
                Box::pin(self.repeat(ports, &lock)).await;
            }
            LockKind::RedLock(config) => {
                let servers = (0..self.servers).map(|server| ports.redis(server)).collect();
                let lock = RedLock::new(ports, servers, LOCK, config.clone());
                Box::pin(self.repeat(ports, &lock)).await;
            }
            LockKind::ZooKeeper(config) => {
                let client = Client::new(ports, ports.zookeeper(0..self.servers), config.client);
                Box::pin(self.repeat(ports, &ZkLock::new(&client, ZK_PATH, *config))).await;
            }
            LockKind::ZooKeeperReadWrite(config) => {
                let kind = if ports.client().is_multiple_of(3) { Kind::Writer } else { Kind::Reader };
                let client = Client::new(ports, ports.zookeeper(0..self.servers), config.client);
                Box::pin(self.repeat(ports, &ZkLock::new(&client, ZK_PATH, zookeeper::Config { kind, ..*config })))
                    .await;
            }
            LockKind::ZooKeeperReentrant(config, reentry) => {
                let client = Client::new(ports, ports.zookeeper(0..self.servers), config.client);
                let lock = ZkLock::new(&client, ZK_PATH, *config);
                Box::pin(self.repeat(ports, &Reentrant::new(&lock, &Arc::new(Record::default()), 0, *reentry))).await;
            }
            LockKind::Etcd(config) => {
                let client = etcd::Client::new(ports, ports.etcd(0..self.servers), config.client);
                Box::pin(self.repeat(ports, &EtcdLock::new(&client, ETCD_PREFIX, *config))).await;
            }
        }
    }

    async fn repeat<P: Ports, L: Lock>(&self, ports: &P, lock: &L) {
        let mut client = self.client(ports);
        for _ in 0..self.operations {
            self.think(ports).await;
            if let Some(guard) = self.acquire(ports, lock).await {
                let guard = self.work(ports, guard, client.as_mut()).await;
                drop(guard.release().await);
            }
        }
    }

    async fn repeat_unlocked<P: Ports>(&self, ports: &P) {
        let Some(mut client) = self.client(ports) else { panic!("without a lock there must be something to sell") };
        for _ in 0..self.operations {
            self.think(ports).await;
            self.serve(ports, &mut client, None, || true).await;
        }
    }

    async fn think<P: Ports>(&self, ports: &P) {
        if !self.think.is_zero() {
            ports.sleep(ports.random_between(Duration::ZERO, self.think)).await;
        }
    }

    /// A client of the shop's database, if there is a shop.
    fn client<P: Ports>(&self, ports: &P) -> Option<mysql::Client<P::MySql>> {
        let needed = matches!(self.work, Work::Sell(_) | Work::Draw(_));
        needed.then(|| mysql::Client::new(ports.mysql(self.database())))
    }

    /// Serves one request of the shop.
    async fn serve<P: Ports>(
        &self,
        ports: &P,
        client: &mut mysql::Client<P::MySql>,
        fence: Option<u64>,
        holds: impl Fn() -> bool + Send + Sync,
    ) {
        let request = ports.unique_id();
        let served = match self.work {
            Work::Sell(sell) => self.shop(sell).sell(ports, client, &request, fence, holds).await,
            Work::Draw(once) => self.draw(once).draw(ports, client, &USER.into(), &request).await,
            _ => Err(NotSold::Unavailable),
        };
        ports.record(Event::told(&match served {
            Ok(()) => Sale::Sold { request },
            Err(why) => Sale::NotSold { request, why },
        }));
    }

    /// Acquires as the workload says.
    async fn acquire<P: Ports, L: Lock>(&self, ports: &P, lock: &L) -> Option<Guard<L>> {
        let acquired = match (self.wait, self.interrupt) {
            (Duration::ZERO, _) => lock.try_times(self.tries).await,
            (wait, None) => match lock.acquire(wait).await {
                Err(_) if self.tries > 1 => lock.try_times(self.tries - 1).await,
                acquired => acquired,
            },
            (wait, Some(limit)) => {
                let acquired = ports.timeout(limit, lock.acquire(wait)).await;
                acquired.unwrap_or(Err(NotAcquired::Held))
            }
        };
        acquired.ok()
    }

    async fn work<P: Ports, L: Lock>(
        &self,
        ports: &P,
        mut guard: Guard<L>,
        client: Option<&mut mysql::Client<P::MySql>>,
    ) -> Guard<L> {
        match self.work {
            Work::Sell(_) | Work::Draw(_) => {
                let client = client.expect("whoever sells has a client of the database");
                self.serve(ports, client, guard.fence(), || guard.is_valid()).await;
            }
            Work::Hold(time) => ports.sleep(time).await,
            Work::HoldUntilLost(time) => {
                let _lost = hold_until_lost(ports, &guard, time).await;
            }
            Work::HoldThenReenter(time) => {
                if hold_until_lost(ports, &guard, time).await {
                    ports.sleep(time).await;
                }
                if let Some(again) = self.acquire(ports, guard.lock()).await {
                    let _lost = hold_until_lost(ports, &again, time).await;
                    drop(again.release().await);
                }
            }
            Work::Plain => self.decrement(ports, &guard, None).await,
            Work::Fenced => self.decrement(ports, &guard, guard.fence()).await,
            Work::ExtendThenPlain => {
                if guard.extend().await.is_ok() {
                    self.decrement(ports, &guard, None).await;
                }
            }
        }
        guard
    }

    /// Reads the stock and writes it back, one less, as long as the lease is valid by the client's own clock.
    async fn decrement<P: Ports, L: Lock>(&self, ports: &P, guard: &Guard<L>, fence: Option<u64>) {
        match self.store {
            Store::Redis => decrement(ports, guard, &Counter::new(ports.redis(self.servers), STOCK), fence).await,
            Store::LockEtcd => {
                let owner = etcd::key_of_lease(&ETCD_PREFIX.into(), guard.lease().session.unwrap_or_default());
                let counter = EtcdCounter::new(ports.etcd(0..self.servers), STOCK, owner);
                decrement(ports, guard, &counter, fence).await;
            }
        }
    }
}

async fn decrement<P: Ports, L: Lock>(ports: &P, guard: &Guard<L>, counter: &impl Resource, fence: Option<u64>) {
    if !guard.is_valid() {
        return;
    }
    let Some(Access::Accepted(stock)) = counter.read(fence).await.ok() else { return };
    ports.record(Event::Read { resource: STOCK.into(), value: stock });
    if !guard.is_valid() {
        return;
    }
    let outcome = counter.write(fence, stock - 1).await;
    let outcome = Ended::of(&outcome, |access| *access == Access::Accepted(()));
    ports.record(Event::Wrote { resource: STOCK.into(), base: stock, value: stock - 1, outcome });
}

/// Holds for a while, and stops when the lock tells that the hold is lost: then true.
async fn hold_until_lost<P: Ports, L: Lock>(ports: &P, guard: &Guard<L>, time: Duration) -> bool {
    ports.timeout(time, guard.lost()).await.is_some()
}
