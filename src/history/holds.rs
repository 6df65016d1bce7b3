//! Holds: who holds which lock, as the clients' own events tell it.

use super::{Event, Mode};
use crate::port::{Blob, Instant};
use smallvec::SmallVec;

/// The place of a hold among all holds: its fencing token if it has one, else its place in true time.
pub type HoldOrder = u64;

/// A client's latest hold on a lock.
#[derive(Clone, Debug)]
pub struct Hold {
    /// The client.
    pub client: usize,
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
    /// The client released it or was told that it is lost.
    pub ended: bool,
}

/// Each client's latest hold on each lock, and what each client waits for.
#[derive(Clone, Default)]
pub struct Holds {
    holds: SmallVec<[Hold; 3]>,
    /// Since when (its own clock) each client acquires, and how long it is ready to wait, in microseconds.
    acquiring: SmallVec<[Option<(u64, u64)>; 4]>,
    so_far: u64,
    /// Some hold had a fencing token.
    fenced: bool,
    /// How many requests were told that they got what they wanted.
    sold: u64,
}

impl Holds {
    /// Takes in an event of a client whose monotonic clock shows `mono_us`.
    pub fn take(&mut self, client: usize, mono_us: u64, event: &Event) {
        match event {
            Event::Acquiring { wait_us_max, .. } => self.set_acquiring(client, Some((mono_us, *wait_us_max))),
            Event::Acquired { lock, token, fence, valid_until, mode } => {
                self.set_acquiring(client, None);
                self.so_far += 1;
                self.fenced |= fence.is_some();
                let order = fence.unwrap_or(self.so_far);
                self.holds.retain(|hold| hold.client != client || hold.lock != *lock);
                let (lock, token) = (lock.clone(), token.clone());
                let (fence, valid_until, mode) = (*fence, *valid_until, *mode);
                self.holds.push(Hold { client, lock, token, fence, order, valid_until, mode, ended: false });
            }
            Event::NotAcquired { .. } => self.set_acquiring(client, None),
            Event::Extended { lock, valid_until } => self.change(client, lock, |hold| hold.valid_until = *valid_until),
            Event::Lost { lock } | Event::Releasing { lock } => self.change(client, lock, |hold| hold.ended = true),
            Event::Sold { .. } => self.sold += 1,
            Event::Released { .. } | Event::Read { .. } | Event::Wrote { .. } | Event::NotSold { .. } => {}
        }
    }

    fn set_acquiring(&mut self, client: usize, acquiring: Option<(u64, u64)>) {
        if self.acquiring.len() <= client {
            self.acquiring.resize(client + 1, None);
        }
        self.acquiring[client] = acquiring;
    }

    fn change(&mut self, client: usize, lock: &Blob, change: impl Fn(&mut Hold)) {
        self.holds.iter_mut().filter(|hold| hold.client == client && hold.lock == *lock).for_each(change);
    }

    /// Whether orders are fencing tokens, which later ones need not exceed.
    pub fn are_fenced(&self) -> bool {
        self.fenced
    }

    /// How many requests were told that they got what they wanted.
    pub fn sold(&self) -> u64 {
        self.sold
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Hold> + Clone {
        self.holds.iter()
    }

    /// Since when a client acquires, by its own clock, and how long it is ready to wait.
    pub fn acquiring(&self, client: usize) -> Option<(u64, u64)> {
        self.acquiring.get(client).copied().flatten()
    }

    /// The hold under which a client acts: its latest, even if it has ended, for then it should not act.
    pub fn current(&self, client: usize) -> Option<HoldOrder> {
        self.iter().filter(|hold| hold.client == client).map(|hold| hold.order).max()
    }

    /// The client whose token this is; where a token is used twice, the one's who has not released, or the latest.
    pub fn owner_of(&self, token: &Blob) -> Option<usize> {
        let holds = self.iter().filter(|hold| hold.token == *token);
        holds.max_by_key(|hold| (!hold.ended, hold.order)).map(|hold| hold.client)
    }

    /// The client has crashed: it waits for nothing.
    pub fn crashed(&mut self, client: usize) {
        self.set_acquiring(client, None);
    }
}
