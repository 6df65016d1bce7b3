//! Continuity: between a hold and its extension no other client held.

use super::{Judged, Memory, Moment, Property, View};
use crate::base::Mode;
use crate::history::Event;
use crate::port::Blob;

/// A client extends its hold, and another client has acquired the lock, exclusively, after it. What the first one knows
/// of the resource is out of date, although its lock says that it has held all the time.
#[derive(Debug)]
pub struct Continuity;

impl Property for Continuity {
    fn name(&self) -> &'static str {
        "continuity"
    }

    fn is_about_locks(&self) -> bool {
        true
    }

    fn demands(&self) -> &'static str {
        "a hold is extended only if no other client has acquired the lock after it"
    }

    fn memory(&self) -> Memory {
        Memory::of(Vec::<(Blob, usize)>::new())
    }

    fn check(&self, memory: &mut Memory, _view: &dyn View, moment: &Moment) -> Judged {
        let latest = memory.get::<Vec<(Blob, usize)>>();
        match moment {
            Moment::Recorded { client, event: Event::Acquired { lock, mode: Mode::Exclusive, .. } } => {
                latest.retain(|(of, _)| of != lock);
                latest.push((lock.clone(), *client));
                latest.sort();
                Judged::Silent
            }
            Moment::Recorded { client, event: Event::Extended { lock, .. } } => {
                let later = latest.iter().find(|(of, holder)| of == lock && holder != client);
                Judged::broken(later.map(|(_, other)| {
                    format!("client-{client} extends its hold on {lock}, which client-{other} has acquired after it")
                }))
            }
            _ => Judged::Silent,
        }
    }
}
