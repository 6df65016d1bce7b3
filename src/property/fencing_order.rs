//! Fencing order: each hold's fencing token is larger than those of all holds before it.

use super::{Moment, Property, View};
use crate::history::Event;

/// A client acquires with a fencing token that is not larger than one given before.
#[derive(Debug)]
pub struct FencingOrder;

impl Property for FencingOrder {
    fn name(&self) -> &'static str {
        "fencing-order"
    }

    fn demands(&self) -> &'static str {
        "fencing tokens never repeat, and never fall while the lock changes hands"
    }

    fn check(&self, view: &dyn View, moment: &Moment) -> Option<String> {
        let Moment::Recorded { client, event: Event::Acquired { lock, fence: Some(fence), .. } } = moment else {
            return None;
        };
        let earlier = view.holds().iter().find(|hold| {
            let comparable = hold.lock == *lock && hold.client != *client;
            // Of two holds whose acquisitions overlapped, either may be reported first.
            comparable && hold.fence.is_some_and(|other| other == *fence || (other > *fence && hold.ended))
        })?;
        let other = earlier.fence.unwrap_or_default();
        Some(format!(
            "client-{client} gets fencing token {fence} for {lock} after client-{} had {other}",
            earlier.client
        ))
    }
}
