//! Foreign release: no client removes a lock that another client holds.

use super::{Moment, Property, View};

/// A client's request takes another client's live token off a server.
#[derive(Debug)]
pub struct ForeignRelease;

impl Property for ForeignRelease {
    fn name(&self) -> &'static str {
        "foreign-release"
    }

    fn demands(&self) -> &'static str {
        "no client releases a lock that another client holds"
    }

    fn check(&self, view: &dyn View, moment: &Moment) -> Option<String> {
        let Moment::LockServed { client, service, lock, before: Some(before), after } = moment else { return None };
        let owner = view.owner_of(&before.token)?;
        let gone = after.as_ref().is_none_or(|after| after.token != before.token);
        (gone && owner != *client).then(|| {
            let (name, service) = (&view.locks()[*lock].0, view.service_name(*service));
            format!("client-{client} takes {} of {name} off {service}", before.token)
        })
    }
}
