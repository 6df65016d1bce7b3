//! Stale read: a holder reads no value that the guarded resource had only before.

use super::{Judged, Memory, Moment, Property, View};
use crate::history::Event;
use crate::port::Blob;

/// A holder reads from the guarded resource a value that it has not had since the hold was acquired. What it had then
/// counts as well as what is written since, also by a client that no longer holds.
///
/// It knows what clients write. It is no property of a resource that a restart or a failover sets back.
#[derive(Debug)]
pub struct StaleRead;

/// A resource and a value of it.
type Value = (Blob, String);

/// What resources hold, of those that were written, and what each client that holds may read.
#[derive(Clone, Default, Hash)]
struct Known {
    last: Vec<Value>,
    since: Vec<(usize, Vec<Value>)>,
}

impl Known {
    fn write(&mut self, resource: &Blob, before: &str, value: &str) {
        // A number that is not there is 0.
        let before = if before.parse::<i64>().is_ok() { before } else { "0" };
        let (before, value) = ((resource.clone(), before.to_owned()), (resource.clone(), value.to_owned()));
        self.last.retain(|(known, _)| known != resource);
        self.last.push(value.clone());
        self.last.sort();
        for (_, seen) in &mut self.since {
            // Of what was not written before, the holder may have read what was there.
            if seen.iter().all(|(known, _)| known != resource) {
                seen.push(before.clone());
            }
            if !seen.contains(&value) {
                seen.push(value.clone());
                seen.sort();
            }
        }
    }

    /// The values that a client may read; `None` if it does not hold, or the resource has not been written before.
    fn readable(&self, client: usize, resource: &Blob) -> Option<Vec<&str>> {
        let (_, seen) = self.since.iter().find(|(holder, _)| *holder == client)?;
        let values: Vec<&str> =
            seen.iter().filter(|(known, _)| known == resource).map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then_some(values)
    }
}

impl Property for StaleRead {
    fn name(&self) -> &'static str {
        "stale-read"
    }

    fn is_about_locks(&self) -> bool {
        true
    }

    fn demands(&self) -> &'static str {
        "a holder reads what the guarded resource has, or has had since the hold was acquired"
    }

    fn memory(&self) -> Memory {
        Memory::of(Known::default())
    }

    fn check(&self, memory: &mut Memory, _view: &dyn View, moment: &Moment) -> Judged {
        let known = memory.get::<Known>();
        let (client, event) = match moment {
            Moment::ResourceWritten { resource, change: (from, to), .. } => {
                known.write(resource, from, to);
                return Judged::Silent;
            }
            Moment::Crashed { client } => {
                known.since.retain(|(holder, _)| holder != client);
                return Judged::Silent;
            }
            Moment::Recorded { client, event } => (*client, event),
            _ => return Judged::Silent,
        };
        match event {
            Event::Acquired { .. } => {
                known.since.retain(|(holder, _)| *holder != client);
                known.since.push((client, known.last.clone()));
                known.since.sort();
                Judged::Silent
            }
            Event::Releasing { .. } => {
                known.since.retain(|(holder, _)| *holder != client);
                Judged::Silent
            }
            Event::Read { resource, value } => {
                let Some(readable) = known.readable(client, resource) else { return Judged::Silent };
                let value = value.to_string();
                Judged::broken((!readable.contains(&value.as_str())).then(|| {
                    let had = readable.join(", ");
                    format!("client-{client} reads {value} from {resource}, which has had only {had} since it acquired")
                }))
            }
            _ => Judged::Silent,
        }
    }
}
