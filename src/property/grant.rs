//! Grant: never two owners by the servers' own state.

use super::{Moment, Property, View};

/// Two tokens that each have the quorum which the lock asks for.
#[derive(Debug)]
pub struct Grant;

impl Property for Grant {
    fn name(&self) -> &'static str {
        "grant"
    }

    fn demands(&self) -> &'static str {
        "by the servers' own state a lock has at most one owner"
    }

    fn check(&self, view: &dyn View, moment: &Moment) -> Option<String> {
        let Moment::LockServed { lock, after: Some(_), .. } = moment else { return None };
        let owners = view.owners(*lock);
        let [first, second, ..] = owners.as_slice() else { return None };
        let name = &view.locks()[*lock].0;
        Some(format!("the servers grant {name} to {first} and to {second} at once"))
    }
}
