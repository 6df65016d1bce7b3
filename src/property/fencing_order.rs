//! Fencing order: each hold's fencing token is larger than those of all holds before it.

use super::{Judged, Memory, Moment, Property, View};
use crate::history::Event;
use crate::port::Blob;
use doublehold_models::ClientId;
use std::collections::BTreeMap;

/// A client acquires with a fencing token that is not larger than one given before.
#[derive(Debug)]
pub struct FencingOrder;

/// What was given so far.
#[derive(Clone, Default, Hash)]
struct Fences {
    /// Of each lock, the largest token of a hold that has ended.
    ended: BTreeMap<Blob, u64>,
    /// The holds that have not: lock, client, token on the servers, fencing token.
    live: Vec<(Blob, ClientId, Blob, u64)>,
    /// Of each lock and each client that acquires it, the largest token that was told before it began to.
    floors: Vec<(Blob, ClientId, u64)>,
}

impl Fences {
    fn begin(&mut self, client: ClientId, lock: &Blob) {
        let live = self.live.iter().filter(|live| live.0 == *lock).map(|live| live.3);
        let told = live.chain(self.ended.get(lock).copied()).max();
        self.take_floor(client, lock);
        self.floors.extend(told.map(|told| (lock.clone(), client, told)));
    }

    fn take_floor(&mut self, client: ClientId, lock: &Blob) -> Option<u64> {
        let at = self.floors.iter().position(|(of, acquires, _)| of == lock && *acquires == client)?;
        Some(self.floors.remove(at).2)
    }

    fn end(&mut self, client: ClientId, lock: &Blob, token: &Blob) {
        let ends =
            |(of, holder, held, _): &(Blob, ClientId, Blob, u64)| of == lock && *holder == client && held == token;
        for (lock, _, _, fence) in self.live.extract_if(.., |hold| ends(hold)) {
            let ended = self.ended.entry(lock).or_default();
            *ended = fence.max(*ended);
        }
    }
}

impl Property for FencingOrder {
    fn name(&self) -> &'static str {
        "fencing-order"
    }

    fn is_about_locks(&self) -> bool {
        true
    }

    fn demands(&self) -> &'static str {
        "fencing tokens never repeat, and never fall while the lock changes hands"
    }

    fn memory(&self) -> Memory {
        Memory::symmetric(Fences::default())
    }

    fn check(&self, memory: &mut Memory, _view: &dyn View, moment: &Moment) -> Judged {
        let Moment::Recorded { client, event } = moment else { return Judged::Silent };
        let fences: &mut Fences = memory.get();
        let (number, client) = (*client, ClientId(*client as u16));
        match event {
            Event::Acquiring { lock, .. } => {
                fences.begin(client, lock);
                Judged::Silent
            }
            Event::NotAcquired { lock, .. } => {
                fences.take_floor(client, lock);
                Judged::Silent
            }
            Event::Releasing { lock, token } | Event::Lost { lock, token } => {
                fences.end(client, lock, token);
                Judged::Silent
            }
            Event::Acquired { lock, token, fence: Some(fence), .. } => {
                let again = fences
                    .live
                    .iter()
                    .any(|(of, holder, held, had)| (of, *holder, held, had) == (lock, client, token, fence));
                if again {
                    return Judged::Silent;
                }
                // Of two holds whose acquisitions overlapped, either may be reported first.
                let floor = fences.take_floor(client, lock);
                let ended = fences.ended.get(lock).copied().max(floor).filter(|before| before >= fence);
                let twin = fences.live.iter().find(|(of, _, _, had)| of == lock && had == fence).map(|live| live.3);
                fences.end(client, lock, token);
                fences.live.push((lock.clone(), client, token.clone(), *fence));
                Judged::broken(ended.or(twin).map(|other| {
                    format!("client-{number} gets fencing token {fence} for {lock} after {other} was given")
                }))
            }
            _ => Judged::Silent,
        }
    }
}
