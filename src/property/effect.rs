//! Effect: no write of a client that no longer holds reaches the guarded resource.

use super::{Moment, Property, View};

/// The resource takes a write under one hold after it has served a later hold. Holds are ordered by
/// their fencing tokens, or by when they were acquired if they have none.
#[derive(Debug)]
pub struct Effect;

impl Property for Effect {
    fn name(&self) -> &'static str {
        "effect"
    }

    fn demands(&self) -> &'static str {
        "the guarded resource takes no write from a hold older than one it has served"
    }

    fn check(&self, _view: &dyn View, moment: &Moment) -> Option<String> {
        let Moment::ResourceWritten { client, hold, latest, change: (from, to) } = moment else { return None };
        (hold < latest).then(|| {
            format!("client-{client} overwrites {from} with {to} after a later holder has been at the resource")
        })
    }
}
