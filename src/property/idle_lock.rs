//! Idle lock: a lock that a client waits for does not stay without a holder.

use super::{Judged, Memory, Moment, Property, View};
use crate::base::millis;
use crate::history::{Event, Hold};
use crate::port::{Blob, Instant};

/// A client waits, and for longer than a limit, by its own clock, no client holds the lock by the clients' own events.
/// The wait ends late, or in vain. What the waiting client was paused for does not count. A client that has crashed
/// counts as a holder for as long as it could have believed in its hold.
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

/// The locks of clients that have crashed, and until when these could have believed in their holds, by their own
/// monotonic clocks in microseconds. Those of the others are taken to agree with them.
type Gone = (Blob, u64);

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
        Memory::of((Vec::<Waiting>::new(), Vec::<Gone>::new()))
    }

    fn check(&self, memory: &mut Memory, view: &dyn View, moment: &Moment) -> Judged {
        let (waiting, gone) = memory.get::<(Vec<Waiting>, Vec<Gone>)>();
        let (client, event) = match moment {
            Moment::Recorded { client, event } => (client, event),
            Moment::Crashed { client } => {
                note_crash(waiting, gone, view, *client);
                return Judged::Silent;
            }
            _ => return Judged::Silent,
        };
        match event {
            Event::Acquiring { lock, .. } => {
                waiting.retain(|(of, wanted, _)| (of, wanted) != (client, lock));
                let idle = view.believers(lock).next().is_none();
                let since_us = idle_from(gone, view, *client, lock).filter(|_| idle);
                waiting.push((*client, lock.clone(), since_us));
                waiting.sort();
                Judged::Silent
            }
            Event::Releasing { lock, .. } | Event::Lost { lock, .. } => {
                if view.believers(lock).all(|(holder, _)| holder == *client) {
                    let waits = waiting.iter_mut().filter(|(of, wanted, _)| wanted == lock && of != client);
                    waits.for_each(|(of, _, since_us)| *since_us = since_us.or(idle_from(gone, view, *of, lock)));
                }
                Judged::Silent
            }
            Event::Acquired { lock, .. } | Event::NotAcquired { lock, .. } => {
                let Some(at) = waiting.iter().position(|(of, wanted, _)| (of, wanted) == (client, lock)) else {
                    return Judged::Silent;
                };
                let (.., since_us) = waiting.remove(at);
                if matches!(event, Event::Acquired { .. }) {
                    gone.retain(|(of, until_us)| of != lock || *until_us == u64::MAX);
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
        let idle_us = since_us.zip(view.client_mono_us(client)).map_or(0, |(since, now)| now.saturating_sub(since));
        let idle_us = idle_us.saturating_sub(paused_us);
        Judged::broken((idle_us > self.limit_us).then(|| {
            let (idle, allowed) = (millis(idle_us), millis(self.limit_us));
            format!("client-{client} waits for {lock}, which has no holder for {idle}, allowed {allowed}")
        }))
    }
}

/// From when on a lock without a holder is idle for a waiting client: now, or once clients that have crashed could not
/// have believed in their holds any more.
fn idle_from(gone: &[Gone], view: &dyn View, client: usize, lock: &Blob) -> Option<u64> {
    Some(view.client_mono_us(client)?.max(gone_until(gone, lock)))
}

/// Until when clients that have crashed could have believed that they hold a lock.
fn gone_until(gone: &[Gone], lock: &Blob) -> u64 {
    gone.iter().filter(|(of, _)| of == lock).map(|(_, until_us)| *until_us).max().unwrap_or_default()
}

/// Notes what this client holds when it crashes. A lock without another holder is idle once it could not have believed
/// in its hold any more. What it does not hold it may have been about to take or to release, by a request that arrives
/// at any time: nothing is said of such a lock any more.
fn note_crash(waiting: &mut Vec<Waiting>, gone: &mut Vec<Gone>, view: &dyn View, crashed: usize) {
    waiting.retain(|(of, ..)| *of != crashed);
    let Some(crashed_us) = view.client_mono_us(crashed) else { return };
    for (name, _) in view.locks() {
        let held = view.believers(&name).find(|(client, _)| *client == crashed);
        let last_us = |hold: &Hold| hold.valid_until.map_or(crashed_us, Instant::as_micros);
        let until_us = held.map_or(u64::MAX, |(_, hold)| last_us(hold));
        gone.push((name, until_us));
    }
    gone.sort();
    gone.dedup();
    for (of, lock, since_us) in waiting.iter_mut() {
        let others = view.believers(lock).any(|(client, _)| client != crashed);
        if !others && (since_us.is_none() || gone_until(gone, lock) == u64::MAX) {
            *since_us = idle_from(gone, view, *of, lock);
        }
    }
}
