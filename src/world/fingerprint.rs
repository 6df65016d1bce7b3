//! Fingerprint: a 128-bit hash of everything that can still matter in a state.
//!
//! Every type of the state derives its hash, so a field is in the fingerprint unless its type says why not
//! ([`Inputs`](super::clients::Inputs)). It holds each node's state, what is in flight, the clocks, the budgets left, what the
//! oracles can read and remember, and for each client the digest of the inputs that its code has seen: a future is opaque,
//! and its inputs are the only sound stand-in for its state. True time is in it, since clients may have
//! read it. What is provably dead is not: what a client that has ended had seen, the inputs of a finished scope.
//!
//! Orders of holds and numbers of requests count by their rank among those that are alive. Identical clients are sorted by
//! local digest, so permutations share a fingerprint.
//!
//! With n states the probability that any two of them share a fingerprint is below n² / 2^129: for a billion states, 2^-69.

use super::seat::WaitId;
use super::system::System;
use crate::history::HoldOrder;
use doublehold_models::Digest;
use smallvec::SmallVec;
use std::hash::{Hash, Hasher};

impl System {
    /// The state's fingerprint; with `symmetry`, identical clients may change places.
    pub fn fingerprint(&self, symmetry: bool) -> u128 {
        let orders = self.live_orders();
        let mut locals: SmallVec<[u128; 4]> =
            (0..self.clients.len()).map(|client| self.digest_client(client, &orders)).collect();
        let mut digest = if symmetry && self.clients.len() <= Digest::RENAMED_CLIENTS_MAX {
            let mut order: SmallVec<[u8; 4]> = (0..self.clients.len() as u8).collect();
            order.sort_by_key(|client| locals[usize::from(*client)]);
            let mut numbers: SmallVec<[u8; 4]> = order.clone();
            order.iter().enumerate().for_each(|(number, client)| numbers[usize::from(*client)] = number as u8);
            locals.sort_unstable();
            Digest::renaming(&numbers)
        } else {
            Digest::new()
        };
        if let Some(orders) = orders {
            digest.rank(HoldOrder::SERIES, orders);
        }
        locals.iter().for_each(|local| digest.write_u128(*local));
        self.digest_world(&mut digest);
        digest.finish128()
    }

    /// The orders of holds that can still be compared, smallest first: a later hold comes after all of them, so that only their
    /// ranks matter. But a fencing token may come from a counter that has lost its value; where there are any, orders count as
    /// they are.
    fn live_orders(&self) -> Option<SmallVec<[u64; 8]>> {
        if self.holds.are_fenced() {
            return None;
        }
        let in_flight = self.links.iter().flat_map(|link| {
            let requests = link.requests.iter().map(|flight| &flight.holds);
            requests.chain(link.pending.iter().map(|pending| &pending.holds))
        });
        let sent = in_flight.flatten().map(|(_, order)| *order);
        let orders = self.holds.orders().chain(sent).chain(self.latest.iter().copied());
        let mut orders: SmallVec<[u64; 8]> = orders.map(|order| order.0).collect();
        orders.sort_unstable();
        orders.dedup();
        Some(orders)
    }

    /// What is one client's, with its own name written as "mine".
    fn digest_client(&self, client: usize, orders: &Option<SmallVec<[u64; 8]>>) -> u128 {
        let mut digest = Digest::naming_self(client);
        let links = || self.links.iter().filter(|link| usize::from(link.client) == client);
        let mut waits: SmallVec<[u64; 8]> = SmallVec::new();
        waits.extend(self.clients[client].timers.iter().map(|(id, _)| id.0.into()));
        for link in links() {
            link.requests.iter().for_each(|flight| waits.push(flight.id.0.into()));
            link.pending.iter().for_each(|pending| waits.push(pending.id.0.into()));
            link.open.iter().for_each(|id| waits.push(id.0.into()));
        }
        waits.sort_unstable();
        waits.dedup();
        digest.rank(WaitId::SERIES, waits);
        if let Some(orders) = orders {
            digest.rank(HoldOrder::SERIES, SmallVec::from_slice(orders));
        }
        self.clients[client].hash(&mut digest);
        self.holds.told(client).hash(&mut digest);
        links().for_each(|link| link.hash(&mut digest));
        digest.finish128()
    }

    fn digest_world(&self, digest: &mut Digest) {
        (self.now_us, self.clocks_set, self.budgets, self.cut, self.expiries_left).hash(digest);
        (&self.latest, &self.nodes, &self.placed, &self.memories).hash(digest);
        self.services.iter().for_each(|service| service.hash(digest));
    }
}
