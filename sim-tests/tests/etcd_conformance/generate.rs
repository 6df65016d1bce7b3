//! Random sequences of etcd requests by several clients.

use doublehold_models::etcd::wire::{
    Compare, Keys, LeaseId, Op, Range, Relation, Request, Revision, SortBy, Target, Txn,
};
use doublehold_models::{Blob, ConnId, Request as AnyRequest};
use doublehold_sim_tests::conformance::Step;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What the families are about, by their numbers.
pub(crate) const FAMILIES: [&str; 5] = ["keys", "transactions", "leases", "watches", "history"];
const CLIENTS: u16 = 3;
/// Longer than any sequence takes: leases end by request, not by time.
const TTL_S: i64 = 600;
const KEYS: [&str; 7] = ["a", "a/1", "a/2", "a\u{7f}", "b", "b/1", "c"];

struct Generator {
    random: ChaCha8Rng,
    steps: Vec<Step>,
    /// The next connection that nobody has used, of each client.
    lanes: [u8; CLIENTS as usize],
    /// The watches that are open.
    watches: Vec<ConnId>,
}

/// A sequence of a family.
pub(crate) fn sequence(family: usize, seed: u64, steps: usize) -> Vec<Step> {
    let random = ChaCha8Rng::seed_from_u64(seed ^ (family as u64) << 32);
    let mut generator = Generator { random, steps: Vec::new(), lanes: [1; CLIENTS as usize], watches: Vec::new() };
    while generator.steps.len() < steps {
        generator.step(FAMILIES[family]);
    }
    let everything = Keys { first: "\0".into(), end: "\0".into() };
    generator.send(0, Request::Op(Op::Range(Range::of(everything))));
    (1..4).for_each(|lease| generator.send(0, Request::TimeToLive(lease)));
    generator.steps
}

impl Generator {
    fn below(&mut self, below: usize) -> usize {
        self.random.next_u64() as usize % below
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn send(&mut self, client: u16, request: Request) {
        self.steps.push(Step::Send(ConnId { client, member: 0, lane: 0 }, AnyRequest::Etcd(request)));
    }

    fn step(&mut self, family: &str) {
        let client = self.below(CLIENTS.into()) as u16;
        match family {
            "watches" if self.chance(15) => self.watch(client),
            "watches" if self.chance(10) && !self.watches.is_empty() => {
                let at = self.below(self.watches.len());
                let conn = self.watches.remove(at);
                self.steps.push(Step::Close(conn));
            }
            "leases" if self.chance(45) => {
                let request = self.lease_request();
                self.send(client, request);
            }
            "transactions" | "watches" if self.chance(50) => {
                let txn = self.txn(family);
                self.send(client, Request::Txn(txn));
            }
            _ => {
                let op = self.op(family);
                self.send(client, Request::Op(op));
            }
        }
    }

    fn watch(&mut self, client: u16) {
        let lane = &mut self.lanes[usize::from(client)];
        let conn = ConnId { client, member: 0, lane: *lane };
        *lane += 1;
        // Revision 1 of the model is the real server's emptying.
        let from = if self.chance(50) { 0 } else { self.revision() + 1 };
        let keys = self.keys();
        self.watches.push(conn);
        self.steps.push(Step::Send(conn, AnyRequest::Etcd(Request::Watch { keys, from })));
    }

    fn lease_request(&mut self) -> Request {
        let id = self.lease().max(1);
        match self.below(10) {
            0..4 => Request::Grant { id, ttl_s: TTL_S },
            4..6 => Request::Revoke(id),
            6..8 => Request::KeepAlive(id),
            _ => Request::TimeToLive(id),
        }
    }

    fn key(&mut self) -> Blob {
        match self.below(60) {
            0 => Blob::EMPTY,
            _ => KEYS[self.below(KEYS.len())].into(),
        }
    }

    fn keys(&mut self) -> Keys {
        let key = self.key();
        match self.below(8) {
            0 => Keys::prefix(&"a".into()),
            1 => Keys::prefix(&"a/".into()),
            2 => Keys { first: "\0".into(), end: "\0".into() },
            3 => Keys { first: key, end: "\0".into() },
            4 => Keys { first: "a".into(), end: self.key() },
            _ if key.is_empty() => Keys::one(&"a".into()),
            _ => Keys::one(&key),
        }
    }

    fn lease(&mut self) -> LeaseId {
        self.below(4) as LeaseId
    }

    fn revision(&mut self) -> Revision {
        1 + self.below(30) as Revision
    }

    fn op(&mut self, family: &str) -> Op {
        match self.below(10) {
            0..5 => self.put(family),
            5..7 => Op::Delete { keys: self.keys(), prev: self.chance(50) },
            _ => Op::Range(self.range(family)),
        }
    }

    fn put(&mut self, family: &str) -> Op {
        let value = Blob::from(format!("{}", self.below(4)));
        let lease = if family == "leases" { self.lease() } else { 0 };
        Op::Put { key: self.key(), value, lease, prev: self.chance(50) }
    }

    fn range(&mut self, family: &str) -> Range {
        let mut range = Range::of(self.keys());
        range.serializable = self.chance(20);
        if family != "history" {
            return range;
        }
        range.revision = if self.chance(50) { self.revision() } else { 0 };
        range.limit = self.below(4) as i64;
        range.count_only = self.chance(10);
        range.created_max = if self.chance(30) { self.revision() } else { 0 };
        let by = [SortBy::Key, SortBy::Created, SortBy::Modified][self.below(3)];
        range.sort = self.chance(60).then(|| (by, self.chance(50)));
        range
    }

    fn txn(&mut self, family: &str) -> Txn {
        let compares = self.below(3);
        let when = (0..compares).map(|_| self.compare()).collect();
        let mut ops = |most: usize| {
            let count = self.below(most + 1);
            (0..count).map(|_| self.op(family)).collect::<Vec<Op>>()
        };
        Txn { when, then: ops(3), otherwise: ops(2) }
    }

    fn compare(&mut self) -> Compare {
        let relation = [Relation::Equal, Relation::Greater, Relation::Less, Relation::NotEqual][self.below(4)];
        let number = self.below(4) as i64;
        let revision = if self.chance(30) { 0 } else { self.revision() };
        let target = match self.below(5) {
            0 => Target::Version(number),
            1 => Target::Created(revision),
            2 => Target::Modified(revision),
            3 => Target::Lease(number),
            _ => Target::Value(Blob::from(format!("{number}"))),
        };
        Compare { key: self.key(), relation, target }
    }
}
