//! Grant: never two owners by the servers' own state.

use super::{Judged, Memory, Moment, Property, View};

/// Two tokens that each have the quorum which the lock asks for.
#[derive(Debug)]
pub struct Grant;

impl Property for Grant {
    fn name(&self) -> &'static str {
        "grant"
    }

    fn is_about_locks(&self) -> bool {
        true
    }

    fn demands(&self) -> &'static str {
        "by the servers' own state a lock has at most one owner"
    }

    fn check(&self, _memory: &mut Memory, view: &dyn View, moment: &Moment) -> Judged {
        let Moment::LockChanged { lock, after: Some(_), .. } = moment else { return Judged::Silent };
        let owners = view.owners(*lock);
        let [first, second, ..] = owners.as_slice() else { return Judged::Fine };
        let name = &view.locks()[*lock].0;
        Judged::Broken(format!("the servers grant {name} to {first} and to {second} at once"))
    }
}
