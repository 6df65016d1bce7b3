//! Holds: which client holds which lock, as the clients' own events tell it.
//!
//! What an oracle may read here is what a state's fingerprint holds: the fold forgets what can no longer matter, and
//! everything that it keeps is hashed.

use super::{Event, Mode};
use crate::base::shared::Shared;
use crate::port::{Blob, Instant};
use smallvec::SmallVec;
use std::hash::{Hash, Hasher};

/// The place of a hold among all holds of its lock: its fencing token if it has one, else its place in true time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct HoldOrder(pub u64);

impl HoldOrder {
    /// The series of orders for hashers that rank them.
    pub const SERIES: u16 = 0;
}

impl Hash for HoldOrder {
    /// Only the order among those that are alive matters, so a fingerprint's hasher takes the rank.
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        doublehold_models::ranked(Self::SERIES, self.0, hasher);
    }
}

/// A hold that its client believes in, or believed in until its validity ended.
#[derive(Clone, Debug, Hash)]
pub struct Hold {
    /// The lock.
    pub lock: Blob,
    /// What marks it on the servers.
    pub token: Blob,
    /// The fencing token.
    pub fence: Option<u64>,
    /// Its place among all holds.
    pub order: HoldOrder,
    /// The end of its validity by the client's own monotonic clock.
    pub valid_until: Option<Instant>,
    /// Who may hold it at the same time.
    pub mode: Mode,
    /// How often it was taken and not given back: more than once by a client that re-enters.
    pub depth: u32,
}

/// What one client has told.
#[derive(Clone, Debug, Default, Hash)]
pub struct Told {
    /// Its holds: neither released, nor told to be lost.
    pub holds: SmallVec<[Hold; 1]>,
    /// The order of its latest hold on each lock, ended or not.
    pub latest: SmallVec<[(Blob, HoldOrder); 1]>,
    /// The lock that it acquires, since when (its own clock), and how long it is ready to wait, in microseconds.
    pub acquiring: Option<(Blob, u64, u64)>,
    /// How long it has been paused while it acquires, in microseconds of its own clock.
    pub paused_us: u64,
}

/// Each client's holds on each lock, and what each client waits for.
#[derive(Clone, Default)]
pub struct Holds {
    clients: Shared<Told>,
    so_far: u64,
    /// Some hold had a fencing token.
    fenced: bool,
}

impl Holds {
    /// Takes in an event of a client whose monotonic clock shows `mono_us`.
    pub fn take(&mut self, client: usize, mono_us: u64, event: &Event) {
        match event {
            Event::Acquiring { lock, wait_us_max } => {
                let told = self.told_mut(client);
                told.acquiring = Some((lock.clone(), mono_us, *wait_us_max));
                told.paused_us = 0;
            }
            Event::Acquired { .. } => self.acquired(client, mono_us, event),
            Event::NotAcquired { .. } => self.told_mut(client).acquiring = None,
            Event::Extended { lock, token, valid_until } => {
                if let Some(hold) = self.hold_mut(client, lock, token) {
                    hold.valid_until = *valid_until;
                }
            }
            Event::Lost { lock, token } => self.end(client, lock, token),
            Event::Releasing { lock, token } => {
                if let Some(hold) = self.hold_mut(client, lock, token) {
                    hold.depth -= 1;
                    if hold.depth == 0 {
                        self.end(client, lock, token);
                    }
                }
            }
            Event::Queued { .. }
            | Event::Dequeued { .. }
            | Event::Released { .. }
            | Event::Read { .. }
            | Event::Wrote { .. }
            | Event::Told(_) => {}
        }
    }

    fn acquired(&mut self, client: usize, mono_us: u64, event: &Event) {
        let Event::Acquired { lock, token, fence, valid_until, mode } = event else { return };
        self.told_mut(client).acquiring = None;
        let valid = |hold: &Hold| hold.valid_until.is_none_or(|until| mono_us < until.as_micros());
        let again = self.hold_mut(client, lock, token).filter(|hold| valid(hold));
        let depth = again.map_or(0, |hold| hold.depth) + 1;
        self.end(client, lock, token);
        self.so_far += 1;
        self.fenced |= fence.is_some();
        let order = HoldOrder(fence.unwrap_or(self.so_far));
        let (lock, token) = (lock.clone(), token.clone());
        let (fence, valid_until, mode) = (*fence, *valid_until, *mode);
        let told = self.told_mut(client);
        told.latest.retain(|(of, _)| *of != lock);
        told.latest.push((lock.clone(), order));
        told.holds.push(Hold { lock, token, fence, order, valid_until, mode, depth });
    }

    fn told_mut(&mut self, client: usize) -> &mut Told {
        while self.clients.len() <= client {
            self.clients.push(Told::default());
        }
        &mut self.clients[client]
    }

    fn hold_mut(&mut self, client: usize, lock: &Blob, token: &Blob) -> Option<&mut Hold> {
        self.told_mut(client).holds.iter_mut().find(|hold| hold.lock == *lock && hold.token == *token)
    }

    fn end(&mut self, client: usize, lock: &Blob, token: &Blob) {
        self.told_mut(client).holds.retain(|hold| hold.lock != *lock || hold.token != *token);
    }

    /// Whether orders are fencing tokens, which later ones need not exceed.
    pub fn are_fenced(&self) -> bool {
        self.fenced
    }

    /// What a client has told; nothing if it has ended.
    pub fn told(&self, client: usize) -> Option<&Told> {
        self.clients.get(client)
    }

    /// What stands for what a client has told until that changes.
    pub fn version(&self, client: usize) -> u64 {
        self.clients.version(client)
    }

    /// All holds, each with its client.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Hold)> + Clone {
        self.clients.iter().enumerate().flat_map(|(client, told)| told.holds.iter().map(move |hold| (client, hold)))
    }

    /// The orders that a later event may still be compared with.
    pub fn orders(&self) -> impl Iterator<Item = HoldOrder> {
        self.clients.iter().flat_map(|told| {
            told.holds.iter().map(|hold| hold.order).chain(told.latest.iter().map(|(_, order)| *order))
        })
    }

    /// The clients that acquire this lock now, or hold it.
    pub fn wanting<'a>(&'a self, lock: &'a Blob) -> impl Iterator<Item = usize> + 'a {
        let wants = move |told: &Told| {
            told.acquiring.as_ref().is_some_and(|(wanted, ..)| wanted == lock)
                || told.holds.iter().any(|hold| hold.lock == *lock)
        };
        self.clients.iter().enumerate().filter(move |(_, told)| wants(told)).map(|(client, _)| client)
    }

    /// The order of a client's latest hold on a lock, even if it has ended, for then the client should not act.
    pub fn latest(&self, client: usize, lock: &Blob) -> Option<HoldOrder> {
        self.told(client)?.latest.iter().find(|(of, _)| of == lock).map(|(_, order)| *order)
    }

    /// The client was paused for so long, by its own clock.
    pub fn paused(&mut self, client: usize, us: u64) {
        let told = self.told_mut(client);
        if told.acquiring.is_some() {
            told.paused_us += us;
        }
    }

    /// The client has ended or crashed: it waits for nothing and believes nothing.
    pub fn ended(&mut self, client: usize) {
        if client < self.clients.len() {
            self.clients[client] = Told::default();
        }
    }
}
