//! Sometimes: what a search must have seen at least once, or its verdict says nothing.

use super::{Judged, Memory, Moment, Property, View};
use crate::history::{Ended, Event, HoldOrder};
use crate::port::Blob;

/// Something that must happen in some execution. It is never broken: where it never happened, *holds* becomes *unknown (vacuous)*.
/// A scenario declares it among its properties.
#[derive(Clone, Copy, Debug)]
pub struct Sometimes {
    /// Its name in verdicts.
    pub name: &'static str,
    /// What must happen, in one sentence.
    pub demands: &'static str,
    /// Whether it happens now.
    pub reached: fn(&dyn View, &Moment) -> bool,
}

impl Sometimes {
    /// A lease ends by itself.
    pub const LEASE_ENDS: Sometimes = Sometimes {
        name: "sometimes-lease-ends",
        demands: "in some execution a lease ends by itself while a server has it",
        reached: |_, moment| matches!(moment, Moment::LockChanged { by: None, before: Some(_), .. }),
    };

    /// A client waits until the holder releases the lock.
    pub const WAITED_FOR: Sometimes = Sometimes {
        name: "sometimes-waited-for",
        demands: "in some execution a client gives a lock back that another one waits for",
        reached: |view, moment| {
            let Moment::Recorded { client, event: Event::Releasing { lock, .. } } = moment else { return false };
            view.holds().wanting(lock).any(|other| other != *client)
        },
    };

    /// A client gives up because another client holds the lock.
    pub const GAVE_UP: Sometimes = Sometimes {
        name: "sometimes-gave-up",
        demands: "in some execution a client gives up a lock that another one holds",
        reached: |view, moment| {
            let Moment::Recorded { client, event: Event::NotAcquired { lock, .. } } = moment else { return false };
            view.holds().iter().any(|(other, hold)| other != *client && hold.lock == *lock)
        },
    };

    /// A lock outlives the client that held it.
    pub const TAKEN_OVER: Sometimes = Sometimes {
        name: "sometimes-taken-over",
        demands: "in some execution a client acquires after another one has crashed",
        reached: |view, moment| {
            let acquires = matches!(moment, Moment::Recorded { event: Event::Acquired { .. }, .. });
            acquires && (0..view.clients()).any(|client| view.has_crashed(client))
        },
    };

    /// A fence does what it is there for.
    pub const FENCED_OFF: Sometimes = Sometimes {
        name: "sometimes-fenced-off",
        demands: "in some execution the write of an earlier holder is refused",
        reached: |view, moment| {
            let Moment::Recorded { client, event } = moment else { return false };
            let refused = matches!(event, Event::Wrote { outcome: Ended::Fail, .. });
            refused && is_earlier(view, *client)
        },
    };
}

/// True if another client has acquired a lock after this one.
fn is_earlier(view: &dyn View, client: usize) -> bool {
    let later = |lock: &Blob, than: HoldOrder| {
        (0..view.clients()).any(|other| view.holds().latest(other, lock).is_some_and(|order| order > than))
    };
    view.locks().iter().any(|(lock, _)| view.holds().latest(client, lock).is_some_and(|order| later(lock, order)))
}

impl Property for Sometimes {
    fn name(&self) -> &'static str {
        self.name
    }

    fn demands(&self) -> &'static str {
        self.demands
    }

    fn must_be_seen(&self) -> bool {
        true
    }

    fn check(&self, _memory: &mut Memory, view: &dyn View, moment: &Moment) -> Judged {
        if (self.reached)(view, moment) { Judged::Fine } else { Judged::Silent }
    }
}
