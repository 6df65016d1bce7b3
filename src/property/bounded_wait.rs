//! Bounded wait: an acquire comes back by the deadline that it was given.

use super::{Moment, Property, View};
use crate::history::Event;
use crate::world::fault::millis;

/// An acquire that takes longer, by the client's own clock, than its deadline and one attempt.
#[derive(Debug)]
pub struct BoundedWait {
    /// How long the last attempt may take after the deadline, in microseconds.
    pub slack_us: u64,
}

impl Property for BoundedWait {
    fn name(&self) -> &'static str {
        "bounded-wait"
    }

    fn demands(&self) -> &'static str {
        "an acquire ends by its deadline, give or take one attempt"
    }

    fn check(&self, view: &dyn View, moment: &Moment) -> Option<String> {
        let Moment::Recorded { client, event } = moment else { return None };
        let (Event::Acquired { lock, .. } | Event::NotAcquired { lock, .. }) = event else { return None };
        let (since_us, wait_us_max) = view.holds().acquiring(*client)?;
        let waited_us = view.client_mono_us(*client) - since_us;
        (waited_us > wait_us_max + self.slack_us).then(|| {
            let (waited, allowed) = (millis(waited_us), millis(wait_us_max + self.slack_us));
            format!("client-{client} waited {waited} for {lock}, allowed {allowed}")
        })
    }
}
