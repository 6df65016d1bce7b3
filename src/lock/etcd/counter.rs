//! A number in etcd that is written under the mutex's own guard.
//!
//! The write is one transaction with the condition that the holder's key was created by the revision that it knows: etcd
//! itself refuses a holder whose lease has ended, whatever that holder believes. This mends what Jepsen found of etcd 3.4.3's locks
//! ([report](https://jepsen.io/analyses/etcd-3.4.3), "Locks"): a lease can end while its holder works.

use crate::lock::resource::{Access, Resource};
use crate::port::etcd::{Answer, Compare, Etcd, Keys, Op, Range, Request, Revision, Txn};
use crate::port::{Blob, Outcome};

/// A number at a key.
#[derive(Clone)]
pub struct EtcdCounter<E: Etcd> {
    cluster: E,
    key: Blob,
    /// The key of the hold under which it is written.
    owner: Blob,
}

impl<E: Etcd> EtcdCounter<E> {
    /// The number at `key`, absent is 0, for the hold whose key is `owner`.
    pub fn new(cluster: E, key: impl Into<Blob>, owner: Blob) -> Self {
        EtcdCounter { cluster, key: key.into(), owner }
    }
}

impl<E: Etcd> Resource for EtcdCounter<E> {
    fn name(&self) -> &Blob {
        &self.key
    }

    /// Reads. A read needs no guard: what was read is only used if the write is let in, and between them is nobody's write.
    async fn read(&self, _fence: Option<u64>) -> Outcome<Access<i64>> {
        let reply = self.cluster.range(Range::of(Keys::one(&self.key))).await;
        reply.map(|(kvs, _)| Access::Accepted(kvs.first().and_then(|kv| kv.value.to_int()).unwrap_or_default()))
    }

    /// Writes; with the creation revision of the hold's key only as long as that key is there.
    async fn write(&self, fence: Option<u64>, number: i64) -> Outcome<Access<()>> {
        let put = Op::Put { key: self.key.clone(), value: Blob::from_int(number), lease: 0, prev: false };
        let held = |created: u64| Compare::created(&self.owner, Revision::try_from(created).unwrap_or(Revision::MAX));
        let txn = Txn { when: fence.map(held).into_iter().collect(), then: vec![put], otherwise: Vec::new() };
        let reply = self.cluster.ask(Request::Txn(txn)).await;
        reply.map(|answered| match answered.answer {
            Answer::Txn { succeeded: true, .. } => Access::Accepted(()),
            _ => Access::Stale,
        })
    }
}
