//! Deadlock: no client waits for something that can never happen.

use super::{Judged, Memory, Moment, Property, View};

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

    fn check(&self, _memory: &mut Memory, view: &dyn View, moment: &Moment) -> Judged {
        match moment {
            Moment::Stuck => {}
            Moment::Quiescent => return Judged::Fine,
            _ => return Judged::Silent,
        }
        let waiting: Vec<String> = view.waiting_clients().iter().map(|client| format!("client-{client}")).collect();
        Judged::Broken(format!("{} waits for ever", waiting.join(", ")))
    }
}
