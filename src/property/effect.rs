//! Effect: no write of a client that no longer holds reaches the guarded resource.

use super::{Judged, Memory, Moment, Property, View};

/// The resource takes a write under one hold on its lock after it has served a later hold. Holds are ordered by
/// their fencing tokens, or by when they were acquired if they have none.
#[derive(Debug)]
pub struct Effect;

impl Property for Effect {
    fn name(&self) -> &'static str {
        "effect"
    }

    fn is_about_locks(&self) -> bool {
        true
    }

    fn demands(&self) -> &'static str {
        "the guarded resource takes no write from a hold older than one it has served"
    }

    fn check(&self, _memory: &mut Memory, _view: &dyn View, moment: &Moment) -> Judged {
        let Moment::ResourceWritten { client, resource, hold, latest, change: (from, to) } = moment else {
            return Judged::Silent;
        };
        Judged::broken((hold < latest).then(|| {
            format!("client-{client} overwrites {resource}, {from} with {to}, after a later holder has been at it")
        }))
    }
}
