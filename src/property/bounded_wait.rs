//! Bounded wait: an acquire comes back by the deadline that it was given.

use super::{Judged, Memory, Moment, Property, View};
use crate::base::millis;
use crate::history::Event;

/// An acquire that takes longer, by the client's own clock, than its deadline and one attempt. What the client was paused
/// for does not count.
#[derive(Debug)]
pub struct BoundedWait {
    /// How long the last attempt may take after the deadline, in microseconds.
    pub slack_us: u64,
}

impl BoundedWait {
    /// What [`all`](super::all) allows for the last attempt: a second, in microseconds.
    pub const SLACK_US: u64 = 1_000_000;
}

impl Property for BoundedWait {
    fn name(&self) -> &'static str {
        "bounded-wait"
    }

    fn is_about_locks(&self) -> bool {
        true
    }

    fn demands(&self) -> &'static str {
        "an acquire ends by its deadline, give or take one attempt"
    }

    fn check(&self, _memory: &mut Memory, view: &dyn View, moment: &Moment) -> Judged {
        let Moment::Recorded { client, event } = moment else { return Judged::Silent };
        let (Event::Acquired { lock, .. } | Event::NotAcquired { lock, .. }) = event else { return Judged::Silent };
        let Some(told) = view.holds().told(*client) else { return Judged::Silent };
        let Some((_, since_us, wait_us_max)) = &told.acquiring else { return Judged::Silent };
        let now_us = view.client_mono_us(*client).unwrap_or(*since_us);
        let waited_us = (now_us - since_us).saturating_sub(told.paused_us);
        Judged::broken((waited_us > wait_us_max.saturating_add(self.slack_us)).then(|| {
            let (waited, allowed) = (millis(waited_us), millis(wait_us_max + self.slack_us));
            format!("client-{client} waited {waited} for {lock}, allowed {allowed}")
        }))
    }
}
