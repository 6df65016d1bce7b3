//! Progress: whoever tries again after a conflict gets through in the end.

use super::{Moment, Property, View};
use crate::history::{Event, NotSold};

/// A request gave up after conflicts. Each conflict means that another request got through since the last try; whoever is allowed more tries than
/// there are other requests must get through.
#[derive(Debug)]
pub struct Progress;

impl Property for Progress {
    fn name(&self) -> &'static str {
        "progress"
    }

    fn demands(&self) -> &'static str {
        "with as many tries as there are requests, none gives up because of the others"
    }

    fn check(&self, _view: &dyn View, moment: &Moment) -> Option<String> {
        let Moment::Recorded { client, event: Event::NotSold { request, why: NotSold::Conflict } } = moment else {
            return None;
        };
        Some(format!("client-{client} gives up on {request}: each of its tries ended in a conflict"))
    }
}
