//! Progress: whoever tries again after a conflict gets through in the end.

use crate::flow::sale::{NotSold, Sale};
use crate::property::{Judged, Memory, Moment, Property, View};

/// A request gave up after conflicts. Each conflict means that another request got through since the last try;
/// a request that is allowed more tries than there are other requests must get through.
#[derive(Debug)]
pub struct Progress;

impl Property for Progress {
    fn name(&self) -> &'static str {
        "progress"
    }

    fn demands(&self) -> &'static str {
        "with as many tries as there are requests, none gives up because of the others"
    }

    fn check(&self, _memory: &mut Memory, _view: &dyn View, moment: &Moment) -> Judged {
        let Moment::Recorded { client, event } = moment else { return Judged::Silent };
        let request = match event.fact() {
            Some(Sale::NotSold { request, why: NotSold::Conflict }) => request,
            Some(Sale::Sold { .. }) => return Judged::Fine,
            _ => return Judged::Silent,
        };
        Judged::Broken(format!("client-{client} gives up on {request}: each of its tries ended in a conflict"))
    }
}
