//! Merchants: the workloads behind what article crm claims of its lock. They are measured, not judged.

use super::Workload;
use crate::lock::Acquire;
use crate::lock::segmented::{Segmented, Segments};
use crate::lock::zookeeper::{Client, Config, ZkLock};
use crate::port::{Blob, Ports};
use std::time::Duration;

/// What all locks' paths begin with.
const PATH: &str = "/merchants";

/// Client number `n` handles orders of merchant `n % merchants`, one after the other, each under the merchant's lock.
#[derive(Clone, Debug)]
pub struct Orders {
    /// The lock.
    pub lock: Config,
    /// The servers.
    pub servers: usize,
    /// How many merchants there are.
    pub merchants: usize,
    /// A lock for each merchant, or so many for all.
    pub segments: Segments,
    /// How many orders a client handles.
    pub orders: usize,
    /// How long an order takes under the lock.
    pub work: Duration,
    /// How long to wait for the lock.
    pub wait: Duration,
}

impl Workload for Orders {
    async fn run<P: Ports>(&self, ports: P) {
        let number = ports.client();
        let client = Client::new(&ports, ports.zookeeper(0..self.servers), self.lock.client);
        let config = self.lock;
        let locks = {
            let client = client.clone();
            Segmented::new(self.segments, move |segment| ZkLock::new(&client, format!("{PATH}/{segment}"), config))
        };
        let merchant = Blob::from((number % self.merchants) as u64);
        for _ in 0..self.orders {
            let Ok(guard) = locks.acquire(&merchant, self.wait).await else { continue };
            ports.sleep(self.work).await;
            drop(guard.release().await);
        }
        client.close().await;
    }
}

/// The first client takes the lock and dies; the others come one after the other and wait for it.
#[derive(Clone, Debug)]
pub struct DeadHolder {
    /// The lock.
    pub lock: Config,
    /// The servers.
    pub servers: usize,
    /// The time from one client to the next.
    pub every: Duration,
    /// How long each waits.
    pub wait: Duration,
}

impl Workload for DeadHolder {
    async fn run<P: Ports>(&self, ports: P) {
        let number = ports.client();
        ports.sleep(self.every * number as u32).await;
        let client = Client::new(&ports, ports.zookeeper(0..self.servers), self.lock.client);
        let lock = ZkLock::new(&client, PATH, self.lock);
        if let Ok(guard) = lock.acquire(self.wait).await {
            if number == 0 {
                // Its process ends without a word: the node stays until the session has expired.
                std::mem::forget(guard);
                return;
            }
            drop(guard.release().await);
        }
        client.close().await;
    }
}
