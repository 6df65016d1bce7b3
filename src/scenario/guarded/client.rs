//! What each client does with the lock and what it guards, and what it tells the history.

use super::{ETCD_PREFIX, Guarded, LOCK, STOCK, Store, USER, Work};
use crate::flow::sale::{NotSold, Sale};
use crate::history::{Ended, Event};
use crate::lock::any::AnyLock;
use crate::lock::etcd::counter::EtcdCounter;
use crate::lock::resource::{Access, Counter, Resource};
use crate::lock::{Acquire, Guard, Lock, NotAcquired};
use crate::lock::{etcd, mysql};
use crate::port::Ports;
use futures_util::future::join_all;
use std::time::Duration;

/// Where the primary of a group and its replica are before any failover.
const PRIMARY: usize = 0;
const REPLICA: usize = 1;

/// A hold on a lock of whichever kind it is.
type Held<P> = Guard<AnyLock<P>>;

impl Guarded {
    /// Runs a client to its end.
    pub(super) async fn run_with<P: Ports>(&self, ports: &P) {
        let Some(make) = self.lock.locks(ports, 0..self.servers) else { return self.repeat_unlocked(ports).await };
        match self.threads {
            1 => self.repeat(ports, &make(&LOCK.into())).await,
            threads => {
                let locks: Vec<AnyLock<P>> = (0..threads).map(|_| make(&LOCK.into())).collect();
                join_all(locks.iter().map(|lock| self.repeat(ports, lock))).await;
            }
        }
    }

    async fn repeat<P: Ports>(&self, ports: &P, lock: &AnyLock<P>) {
        let mut client = self.client(ports);
        for _ in 0..self.operations {
            self.think(ports).await;
            if let Work::LeaseThenHold { lease, .. } = self.work {
                let leased = lock.leased(lease).expect("holds of this lock can have leases of their own");
                if let Some(guard) = self.acquire(ports, &leased).await {
                    drop(guard.release().await);
                }
            }
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
    async fn acquire<P: Ports>(&self, ports: &P, lock: &AnyLock<P>) -> Option<Held<P>> {
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

    async fn work<P: Ports>(
        &self,
        ports: &P,
        mut guard: Held<P>,
        client: Option<&mut mysql::Client<P::MySql>>,
    ) -> Held<P> {
        match self.work {
            Work::Sell(_) | Work::Draw(_) => {
                let client = client.expect("whoever sells has a client of the database");
                self.serve(ports, client, guard.fence(), || guard.is_valid()).await;
            }
            Work::Hold(time) | Work::LeaseThenHold { hold: time, .. } => ports.sleep(time).await,
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
            Work::HoldThenExtend(time) => {
                ports.sleep(time).await;
                if guard.extend().await.is_ok() {
                    ports.sleep(time).await;
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
    async fn decrement<P: Ports>(&self, ports: &P, guard: &Held<P>, fence: Option<u64>) {
        match self.store {
            Store::Redis => decrement(ports, guard, &Counter::new(ports.redis(self.servers), STOCK), fence).await,
            Store::LockPrimary => {
                decrement(ports, guard, &Counter::new(ports.redis(PRIMARY), STOCK), fence).await;
            }
            Store::LockReplica => {
                let counter = Counter::new(ports.redis(PRIMARY), STOCK).reading_from(ports.redis(REPLICA));
                decrement(ports, guard, &counter, fence).await;
            }
            Store::LockEtcd => {
                let owner = etcd::key_of_lease(&ETCD_PREFIX.into(), guard.lease().session.unwrap_or_default());
                let counter = EtcdCounter::new(ports.etcd(0..self.servers), STOCK, owner);
                decrement(ports, guard, &counter, fence).await;
            }
        }
    }
}

async fn decrement<P: Ports>(ports: &P, guard: &Held<P>, counter: &impl Resource, fence: Option<u64>) {
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
async fn hold_until_lost<P: Ports>(ports: &P, guard: &Held<P>, time: Duration) -> bool {
    ports.timeout(time, guard.lost()).await.is_some()
}
