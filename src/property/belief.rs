//! Belief: never two clients that both think they hold the lock.

use super::{Moment, Property};
use crate::history::Event;
use crate::world::system::System;

/// A client acquires a lock while another believes that it holds it: from its successful acquire to
/// its release, to the loss that it was told of, or to the end of the validity that the lock gave it.
#[derive(Debug)]
pub struct Belief;

impl Property for Belief {
    fn name(&self) -> &'static str {
        "belief"
    }

    fn demands(&self) -> &'static str {
        "at most one client at a time believes that it holds the lock"
    }

    fn check(&self, system: &System, moment: &Moment) -> Option<String> {
        let Moment::Recorded { client, event: Event::Acquired { lock, .. } } = moment else { return None };
        let other = system.believers(lock).find(|other| other != client)?;
        Some(format!("client-{client} acquires {lock} while client-{other} holds it"))
    }
}
