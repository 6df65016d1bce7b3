//! Deadlock: no client waits for something that can never happen.

use super::{Moment, Property, View};

/// Nothing is in flight and no timer runs, but a client has not ended.
#[derive(Debug)]
pub struct Deadlock;

impl Property for Deadlock {
    fn name(&self) -> &'static str {
        "deadlock"
    }

    fn demands(&self) -> &'static str {
        "every client that has not crashed comes to its end"
    }

    fn check(&self, view: &dyn View, moment: &Moment) -> Option<String> {
        let Moment::Stuck = moment else { return None };
        let waiting: Vec<String> = view.waiting_clients().iter().map(|client| format!("client-{client}")).collect();
        Some(format!("{} waits for ever", waiting.join(", ")))
    }
}
