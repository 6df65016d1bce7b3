//! Belief: never two clients that both think they hold the lock.

use super::{Moment, Property, View};
use crate::history::Event;

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

    fn check(&self, view: &dyn View, moment: &Moment) -> Option<String> {
        let Moment::Recorded { client, event: Event::Acquired { lock, .. } } = moment else { return None };
        let other = view.believers(lock).find(|other| other != client)?;
        Some(format!("client-{client} acquires {lock} while client-{other} holds it"))
    }
}
