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

use super::link::Link;
use super::seat::WaitId;
use super::system::System;
use crate::history::HoldOrder;
use doublehold_models::Digest;
use smallvec::SmallVec;
use std::hash::{Hash, Hasher};

/// The orders of holds that can still be compared, smallest first; `None` where orders count as they are.
type Orders = Option<SmallVec<[u64; 8]>>;

/// A digest that writes each client under this number; under its own if there are none.
fn naming(numbers: &[u8]) -> Digest {
    if numbers.is_empty() { Digest::new() } else { Digest::renaming(numbers) }
}

impl System {
    /// The state's fingerprint; with `symmetry`, identical clients may change places.
    pub fn fingerprint(&self, symmetry: bool) -> u128 {
        let orders = self.live_orders();
        let clients = self.clients.len();
        let mut locals: SmallVec<[u128; 4]> = (0..clients).map(|client| self.local(client, &orders)).collect();
        let mut numbers: SmallVec<[u8; 4]> = SmallVec::new();
        if symmetry && clients <= Digest::RENAMED_CLIENTS_MAX {
            let mut order: SmallVec<[u8; 4]> = (0..clients as u8).collect();
            order.sort_by_key(|client| locals[usize::from(*client)]);
            numbers.clone_from(&order);
            order.iter().enumerate().for_each(|(number, client)| numbers[usize::from(*client)] = number as u8);
            locals.sort_unstable();
        }
        let mut digest = naming(&numbers);
        if let Some(orders) = orders {
            digest.rank(HoldOrder::SERIES, orders);
        }
        locals.iter().for_each(|local| digest.write_u128(*local));
        self.digest_world(&mut digest);
        self.digest_services(&numbers, &mut digest);
        digest.finish128()
    }

    /// The digest of what is one client's, from before if nothing in it has changed.
    fn local(&self, client: usize, orders: &Orders) -> u128 {
        let links = self.links_of(client).map(|at| self.links.version(at));
        let versions = std::iter::once(self.holds.version(client)).chain(links);
        let ranked = orders.as_ref().filter(|_| self.has_orders(client));
        let ranked = ranked.into_iter().flat_map(|orders| std::iter::once(0).chain(orders.iter().copied()));
        let depends_on = Digest::of_words(versions.chain(ranked));
        self.clients.digest(client, |_| depends_on, || (self.digest_client(client, orders), 0))
    }

    /// True if some order of a hold is in what is this client's.
    fn has_orders(&self, client: usize) -> bool {
        let told = self.holds.told(client).is_some_and(|told| !told.holds.is_empty() || !told.latest.is_empty());
        told || self.links_of(client).any(|at| {
            let link = &self.links[at];
            let sent = link.requests.iter().map(|flight| &flight.holds);
            sent.chain(link.pending.iter().map(|pending| &pending.holds)).any(|holds| !holds.is_empty())
        })
    }

    fn links_of(&self, client: usize) -> impl Iterator<Item = usize> {
        let is_of = move |link: &Link| usize::from(link.client) == client;
        self.links.iter().enumerate().filter(move |(_, link)| is_of(link)).map(|(at, _)| at)
    }

    /// The orders of holds that can still be compared, smallest first: a later hold comes after all of them, so that only their
    /// ranks matter. But a fencing token may come from a counter that has lost its value; where there are any, orders count as
    /// they are.
    fn live_orders(&self) -> Orders {
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
    fn digest_client(&self, client: usize, orders: &Orders) -> u128 {
        let mut digest = Digest::naming_self(client);
        let mut waits: SmallVec<[u64; 8]> = SmallVec::new();
        waits.extend(self.clients[client].timers.iter().map(|(id, _)| id.0.into()));
        for link in self.links_of(client).map(|at| &self.links[at]) {
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
        self.links_of(client).for_each(|at| self.links[at].hash(&mut digest));
        digest.finish128()
    }

    fn digest_world(&self, digest: &mut Digest) {
        (self.now_us, self.clocks_set, self.budgets, self.cut, self.expiries_left).hash(digest);
        (&self.latest, &self.nodes, &self.placed, &self.memories).hash(digest);
    }

    fn digest_services(&self, numbers: &[u8], digest: &mut Digest) {
        let renames = |names: u32| {
            let named = numbers.iter().enumerate().filter(|(client, _)| names & 1 << client.min(&31) != 0);
            let renamed = named.map(|(client, number)| (client as u64) << 8 | u64::from(*number));
            Digest::of_words(std::iter::once(numbers.len() as u64).chain(renamed))
        };
        for (at, service) in self.services.iter().enumerate() {
            let compute = || {
                let mut digest = naming(numbers);
                service.hash(&mut digest);
                (digest.finish128(), digest.named())
            };
            digest.write_u128(self.services.digest(at, renames, compute));
        }
    }
}
