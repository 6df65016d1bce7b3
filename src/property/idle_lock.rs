//! Idle lock: a lock that a client waits for does not stay without a holder.

use super::{Judged, Memory, Moment, Property, View};
use crate::base::millis;
use crate::history::Event;
use crate::port::Blob;

/// A client waits, and for longer than a limit, by its own clock, no client holds the lock by the clients' own events.
/// The wait ends late, or in vain. What the waiting client was paused for does not count.
///
/// The limit must allow for one round of the lock's algorithm. It is no property of every lock: what another client
/// took and does not know of, because its answer is late or it is paused, is idle too.
#[derive(Debug)]
pub struct IdleLock {
    /// How long a lock may be idle, in microseconds.
    pub limit_us: u64,
}

/// A waiting client, its lock, and since when that has no holder, by the client's own clock in microseconds.
type Waiting = (usize, Blob, Option<u64>);

impl Property for IdleLock {
    fn name(&self) -> &'static str {
        "idle-lock"
    }

    fn is_about_locks(&self) -> bool {
        true
    }

    fn demands(&self) -> &'static str {
        "a lock that a client waits for is not without a holder for longer than the scenario allows"
    }

    fn memory(&self) -> Memory {
        Memory::of(Vec::<Waiting>::new())
    }

    fn check(&self, memory: &mut Memory, view: &dyn View, moment: &Moment) -> Judged {
        let waiting = memory.get::<Vec<Waiting>>();
        let Moment::Recorded { client, event } = moment else { return Judged::Silent };
        match event {
            Event::Acquiring { lock, .. } => {
                waiting.retain(|(of, wanted, _)| (of, wanted) != (client, lock));
                let idle = view.believers(lock).next().is_none();
                waiting.push((*client, lock.clone(), view.client_mono_us(*client).filter(|_| idle)));
                waiting.sort();
                Judged::Silent
            }
            Event::Releasing { lock, .. } | Event::Lost { lock, .. } => {
                if view.believers(lock).all(|(holder, _)| holder == *client) {
                    let waits = waiting.iter_mut().filter(|(of, wanted, _)| wanted == lock && of != client);
                    waits.for_each(|(of, _, since_us)| *since_us = since_us.or(view.client_mono_us(*of)));
                }
                Judged::Silent
            }
            Event::Acquired { lock, .. } | Event::NotAcquired { lock, .. } => {
                let Some(at) = waiting.iter().position(|(of, wanted, _)| (of, wanted) == (client, lock)) else {
                    return Judged::Silent;
                };
                let (.., since_us) = waiting.remove(at);
                if matches!(event, Event::Acquired { .. }) {
                    let others = waiting.iter_mut().filter(|(_, wanted, _)| wanted == lock);
                    others.for_each(|(.., since_us)| *since_us = None);
                }
                self.judge(view, *client, lock, since_us)
            }
            _ => Judged::Silent,
        }
    }
}

impl IdleLock {
    /// Judges the end of a wait for a lock that has had no holder since then.
    fn judge(&self, view: &dyn View, client: usize, lock: &Blob, since_us: Option<u64>) -> Judged {
        let paused_us = view.holds().told(client).map_or(0, |told| told.paused_us);
        let idle_us = since_us.zip(view.client_mono_us(client)).map_or(0, |(since, now)| now - since);
        let idle_us = idle_us.saturating_sub(paused_us);
        Judged::broken((idle_us > self.limit_us).then(|| {
            let (idle, allowed) = (millis(idle_us), millis(self.limit_us));
            format!("client-{client} waits for {lock}, which has no holder for {idle}, allowed {allowed}")
        }))
    }
}
