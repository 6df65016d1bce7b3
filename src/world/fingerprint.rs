//! Fingerprint: a hash of everything that can still matter in a state.
//!
//! It holds each node's state, what is in flight, the clocks, the budgets left, what the oracles
//! remember, and for each client the digest of the inputs that its code has seen: a future is opaque,
//! and its inputs are the only sound stand-in for its state. True time is in it, since clients may have
//! read it. What is provably dead is not: the inputs of a client that has ended, or of a finished round.
//!
//! Where clients are identical, they are numbered by what is theirs (their canonical order), so that states that
//! differ only in who is who are one. A state in which some client has seen another's name keeps its own numbers.

use super::link::{Arrival, Link};
use super::seat::WaitId;
use super::system::{Status, System};
use crate::history::HoldOrder;
use doublehold_models::Digest;
use smallvec::SmallVec;
use std::hash::{Hash, Hasher};

impl System {
    /// The state's fingerprint; with `symmetry`, identical clients may change places.
    pub fn fingerprint(&self, symmetry: bool) -> u64 {
        let orders = self.live_orders();
        let mut mentioned = 0;
        let mut locals: SmallVec<[u64; 4]> = SmallVec::new();
        for client in 0..self.clients.len() {
            let (local, names) = self.digest_client(client, &orders);
            locals.push(local);
            mentioned |= names;
        }
        let mut numbers: SmallVec<[u8; 4]> = (0..self.clients.len() as u8).collect();
        let few = self.clients.len() <= Digest::RENAMED_CLIENTS_MAX;
        let symmetric = symmetry && self.setup().symmetric && mentioned == 0 && few;
        if symmetric {
            let mut order: SmallVec<[u8; 4]> = numbers.clone();
            order.sort_by_key(|client| locals[usize::from(*client)]);
            order.iter().enumerate().for_each(|(number, client)| numbers[usize::from(*client)] = number as u8);
            locals.sort_unstable();
        }
        let mut digest = if symmetric { Digest::renaming(&numbers) } else { Digest::new() };
        locals.iter().for_each(|local| digest.write_u64(*local));
        self.digest_world(&mut digest, &orders);
        digest.finish()
    }

    /// The orders of holds that can still be compared, smallest first.
    fn live_orders(&self) -> Orders {
        let mut orders: SmallVec<[HoldOrder; 8]> = SmallVec::new();
        if self.holds.are_fenced() {
            return Orders(None);
        }
        orders.extend(self.holds.iter().filter(|hold| self.is_live(hold.client)).map(|hold| hold.order));
        for link in &self.links {
            orders.extend(link.requests.iter().filter_map(|flight| flight.hold));
            orders.extend(link.unanswered.iter().filter_map(|unanswered| unanswered.hold));
        }
        orders.extend(self.latest.iter().copied());
        orders.sort_unstable();
        orders.dedup();
        Orders(Some(orders))
    }

    fn is_live(&self, client: usize) -> bool {
        !matches!(self.clients[client].status, Status::Finished | Status::Crashed)
    }

    /// What is one client's, with its own name written as "mine"; and the other clients named in it.
    fn digest_client(&self, client: usize, orders: &Orders) -> (u64, u32) {
        let state = &self.clients[client];
        let mut digest = Digest::naming_self(client);
        digest.write_u64(match state.status {
            Status::NotStarted => 0,
            Status::Running => 1,
            Status::Paused(_) => 2,
            Status::Finished => 3,
            Status::Crashed => 4,
        });
        if let Status::Paused(since) = state.status {
            digest.write_u64(since);
        }
        if !self.is_live(client) {
            // What it had sent may still arrive.
            for link in self.links.iter().filter(|link| usize::from(link.client) == client) {
                self.digest_link(link, &mut digest, orders);
            }
            return (digest.finish(), digest.mentioned());
        }
        digest.write_u64(state.clock.drift_ppm as u64);
        digest.write_u64(state.clock.offset_us as u64);
        digest.write_u64(state.seen);
        digest.write_u64(state.timers.len() as u64);
        state.timers.iter().for_each(|(_, at)| digest.write_u64(*at));
        if let Some((since, wait)) = self.holds.acquiring(client) {
            digest.write_u64(since);
            digest.write_u64(wait);
        }
        for hold in self.holds.iter().filter(|hold| hold.client == client) {
            hold.lock.hash(&mut digest);
            digest.write_u64(hold.ended.into());
            digest.write_u64(hold.valid_until.map_or(0, |until| until.0));
            digest.write_u64(orders.rank(hold.order));
        }
        for link in self.links.iter().filter(|link| usize::from(link.client) == client) {
            self.digest_link(link, &mut digest, orders);
        }
        (digest.finish(), state.mentioned | digest.mentioned())
    }

    fn digest_world(&self, digest: &mut Digest, orders: &Orders) {
        digest.write_u64(self.now_us);
        digest.write_u64(u64::from(self.clocks_set));
        for (fault, left) in self.budgets.iter() {
            digest.write_u64((fault as u64) << 8 | u64::from(left));
        }
        digest.write_u64(self.expiries_left.map_or(u64::MAX, u64::from));
        digest.write_u64(self.holds.sold());
        self.latest.iter().for_each(|latest| digest.write_u64(orders.rank(*latest)));
        for state in &self.nodes {
            digest.write_u64(state.down_since.map_or(u64::MAX, |since| since));
            digest.write_u64(state.clock.drift_ppm as u64);
            digest.write_u64(state.clock.offset_us as u64);
        }
        for service in &self.services {
            service.hash(digest);
        }
    }

    fn digest_link(&self, link: &Link, digest: &mut Digest, orders: &Orders) {
        // When a message was sent matters only where it must arrive in time.
        let timed = self.setup().assumptions.delay_us_max.is_some_and(|delay| delay > 0);
        let sent = |sent_us: u64| if timed { sent_us } else { 0 };
        digest.write_u64(
            u64::from(link.node) << 16
                | u64::from(link.lane) << 8
                | u64::from(link.slow) << 1
                | u64::from(link.stalled),
        );
        // The client's code knows its requests by their order, not by their numbers.
        let place = |id: &WaitId| link.open.iter().position(|open| open == id).map_or(u64::MAX, |place| place as u64);
        digest.write_u64(link.requests.len() as u64);
        for flight in &link.requests {
            digest.write_u64(place(&flight.id));
            digest.write_u64(sent(flight.sent_us));
            digest.write_u64(flight.hold.map_or(u64::MAX, |hold| orders.rank(hold)));
            flight.request.hash(digest);
        }
        for unanswered in &link.unanswered {
            digest.write_u64(place(&unanswered.id));
            digest.write_u64(unanswered.hold.map_or(u64::MAX, |hold| orders.rank(hold)));
        }
        digest.write_u64(link.open.len() as u64);
        digest.write_u64(link.silence_us_max.unwrap_or(u64::MAX));
        digest.write_u64(link.given_up_at().unwrap_or(u64::MAX));
        for arriving in &link.arrivals {
            digest.write_u64(sent(arriving.sent_us));
            std::mem::discriminant(&arriving.what).hash(digest);
            match &arriving.what {
                Arrival::Answer(id, outcome) => {
                    digest.write_u64(place(id));
                    outcome.hash(digest);
                }
                Arrival::Message(message) => message.hash(digest),
                Arrival::Broken(ids) => digest.write_u64(ids.len() as u64),
            }
        }
    }
}

/// The orders that are alive: a later hold comes after all of them, so that only their ranks matter. But a fencing token
/// may come from a counter that has lost its value; where there are any, orders count as they are.
struct Orders(Option<SmallVec<[HoldOrder; 8]>>);

impl Orders {
    fn rank(&self, order: HoldOrder) -> u64 {
        match &self.0 {
            Some(orders) => orders.binary_search(&order).map_or(u64::MAX, |rank| rank as u64),
            None => order,
        }
    }
}
