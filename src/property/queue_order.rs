//! Queue order: clients get a lock in the order in which they wait in its queue.

use super::{Judged, Memory, Moment, Property, View};
use crate::history::Event;
use crate::port::{Blob, Instant};
use doublehold_models::ClientId;

/// A client acquires a lock before another one that had a place in the lock's queue when the first one began to
/// acquire, and has it still, by its own clock. A client that holds the lock already, and takes it again, overtakes
/// none.
#[derive(Debug)]
pub struct QueueOrder;

/// Who waits, and behind whom.
#[derive(Clone, Default, Hash)]
struct Queues {
    /// The clients that have a place in a lock's queue, and until when they certainly have it.
    places: Vec<(Blob, ClientId, Instant)>,
    /// A client that acquires a lock, and one that had a place in its queue when it began to.
    behind: Vec<(Blob, ClientId, ClientId)>,
    /// A client that acquires a lock, and began to behind another one.
    began_behind: Vec<(Blob, ClientId)>,
}

impl Queues {
    fn begin(&mut self, view: &dyn View, client: ClientId, lock: &Blob) {
        self.end(client, lock);
        let live = |(of, other, until): &&(Blob, ClientId, Instant)| {
            of == lock && *other != client && is_live(view, *other, *until)
        };
        for (_, other, _) in self.places.iter().filter(live) {
            self.behind.push((lock.clone(), client, *other));
        }
        if self.behind.iter().any(|(of, behind, _)| of == lock && *behind == client) {
            self.began_behind.push((lock.clone(), client));
        }
    }

    /// Its place is good until then. If it was not until now, the client waits anew.
    fn queue(&mut self, view: &dyn View, client: ClientId, lock: &Blob, until: Instant) {
        let at = self.places.iter().position(|(of, other, _)| of == lock && *other == client);
        let known = at.map(|at| self.places.remove(at).2);
        if !known.is_some_and(|known| is_live(view, client, known)) {
            self.forget(client, lock);
        }
        self.places.push((lock.clone(), client, until));
    }

    /// None is behind it any more.
    fn forget(&mut self, client: ClientId, lock: &Blob) {
        self.places.retain(|(of, other, _)| of != lock || *other != client);
        self.behind.retain(|(of, _, before)| of != lock || *before != client);
    }

    /// It does not acquire any more.
    fn end(&mut self, client: ClientId, lock: &Blob) {
        self.forget(client, lock);
        self.behind.retain(|(of, behind, _)| of != lock || *behind != client);
        self.began_behind.retain(|(of, behind)| of != lock || *behind != client);
    }

    /// A client that this one overtakes if it acquires now.
    fn overtaken(&self, view: &dyn View, client: ClientId, lock: &Blob) -> Option<ClientId> {
        let ahead = self.behind.iter().filter(|(of, behind, _)| of == lock && *behind == client);
        let place = |other: ClientId| self.places.iter().find(move |(of, has, _)| of == lock && *has == other);
        let waits = |other: &ClientId| place(*other).is_some_and(|(.., until)| is_live(view, *other, *until));
        ahead.map(|(.., before)| *before).find(waits)
    }
}

/// True if a place is good by its client's own clock. A client that has ended has none.
fn is_live(view: &dyn View, client: ClientId, until: Instant) -> bool {
    let now_us = view.client_mono_us(usize::from(client.0));
    now_us.is_some_and(|now_us| Instant::from_micros(now_us) < until)
}

impl Property for QueueOrder {
    fn name(&self) -> &'static str {
        "queue-order"
    }

    fn is_about_locks(&self) -> bool {
        true
    }

    fn demands(&self) -> &'static str {
        "a client that waits in a lock's queue is overtaken by none that begins to acquire later"
    }

    fn memory(&self) -> Memory {
        Memory::symmetric(Queues::default())
    }

    fn check(&self, memory: &mut Memory, view: &dyn View, moment: &Moment) -> Judged {
        let Moment::Recorded { client, event } = moment else { return Judged::Silent };
        let queues: &mut Queues = memory.get();
        let (number, client) = (*client, ClientId(*client as u16));
        match event {
            Event::Acquiring { lock, .. } => queues.begin(view, client, lock),
            Event::Queued { lock, valid_until } => queues.queue(view, client, lock, *valid_until),
            Event::Dequeued { lock } => queues.forget(client, lock),
            Event::NotAcquired { lock, .. } => queues.end(client, lock),
            Event::Acquired { lock, .. } => {
                let again = view.believers(lock).any(|(holder, _)| holder == number);
                let overtaken = queues.overtaken(view, client, lock).filter(|_| !again);
                let judges = queues.began_behind.iter().any(|(of, behind)| of == lock && *behind == client);
                queues.end(client, lock);
                return match overtaken {
                    Some(other) => Judged::Broken(format!(
                        "client-{number} gets {lock} before client-{}, which waited in its queue when client-{number} \
                         began to acquire",
                        other.0
                    )),
                    None if judges => Judged::Fine,
                    None => Judged::Silent,
                };
            }
            _ => {}
        }
        Judged::Silent
    }
}
