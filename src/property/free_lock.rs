//! Free lock: nobody gives up on a lock that nobody has.

use super::{Judged, Memory, Moment, Property, View};
use crate::history::Event;
use crate::lock::NotAcquired;
use crate::port::Blob;

/// A client is told that a lock is held, although from the moment when it asked nobody held it, by the servers' state or by what
/// clients believe, and nobody else wanted it.
#[derive(Debug)]
pub struct FreeLock;

/// An attempt: the client, the lock, and whether somebody else was in its way.
type Attempt = (usize, Blob, bool);

impl Property for FreeLock {
    fn name(&self) -> &'static str {
        "free-lock"
    }

    fn is_about_locks(&self) -> bool {
        true
    }

    fn demands(&self) -> &'static str {
        "nobody is refused a lock that nobody else holds or wants"
    }

    fn memory(&self) -> Memory {
        Memory::of(Vec::<Attempt>::new())
    }

    fn check(&self, memory: &mut Memory, view: &dyn View, moment: &Moment) -> Judged {
        let attempts = memory.get::<Vec<Attempt>>();
        match moment {
            Moment::Recorded { client, event: Event::Acquiring { lock, .. } } => {
                attempts.retain(|(of, wanted, _)| (of, wanted) != (client, lock));
                attempts.iter_mut().filter(|(_, wanted, _)| wanted == lock).for_each(|(.., hindered)| *hindered = true);
                attempts.push((*client, lock.clone(), is_taken(view, *client, lock)));
                attempts.sort();
                Judged::Silent
            }
            Moment::Recorded { client, event: Event::Acquired { lock, .. } } => {
                attempts.retain(|(of, wanted, _)| (of, wanted) != (client, lock));
                Judged::Silent
            }
            Moment::Recorded { client, event: Event::NotAcquired { lock, why } } => {
                let Some(at) = attempts.iter().position(|(of, wanted, _)| (of, wanted) == (client, lock)) else {
                    return Judged::Silent;
                };
                let (.., hindered) = attempts.remove(at);
                let refused = *why == NotAcquired::Held.to_string();
                let wrong = refused && !hindered && !is_taken(view, *client, lock);
                Judged::broken(wrong.then(|| format!("client-{client} gives up on {lock}, which nobody has or wants")))
            }
            Moment::LockChanged { lock, after: Some(holder), .. } => {
                let (name, _) = &view.locks()[*lock];
                let owner = view.owner_of(*lock, &holder.token);
                let hindered = attempts.iter_mut().filter(|(of, wanted, _)| wanted == name && owner != Some(*of));
                hindered.for_each(|(.., hindered)| *hindered = true);
                Judged::Silent
            }
            _ => Judged::Silent,
        }
    }
}

/// True if somebody else has the lock, or wants it.
fn is_taken(view: &dyn View, client: usize, lock: &Blob) -> bool {
    let wanted = view.holds().wanting(lock).any(|other| other != client);
    let held = view
        .locks()
        .iter()
        .enumerate()
        .filter(|(_, (name, _))| name == lock)
        .any(|(number, (_, services))| services.iter().any(|service| view.holder_on(number, *service).is_some()));
    wanted || held
}
