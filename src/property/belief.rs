//! Belief: never two clients that both think they hold the lock, but for those that may share it.

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
        "only clients that may hold the lock together believe at one time that they hold it"
    }

    fn check(&self, view: &dyn View, moment: &Moment) -> Option<String> {
        let Moment::Recorded { client, event: Event::Acquired { lock, mode, .. } } = moment else { return None };
        let others = || view.believers(lock).filter(|hold| hold.client != *client);
        if mode.may_join(others().map(|hold| hold.mode)) {
            return None;
        }
        let others: Vec<String> = others().map(|hold| format!("client-{}", hold.client)).collect();
        let (others, hold) = (others.join(" and "), if others.len() > 1 { "hold" } else { "holds" });
        Some(format!("client-{client} acquires {lock} while {others} {hold} it"))
    }
}
