//! Foreign release: no client removes a lock that another client holds.

use super::{Judged, Memory, Moment, Property, View};

/// A client's request takes off a server the token of another client, which believes in its hold.
#[derive(Debug)]
pub struct ForeignRelease;

impl Property for ForeignRelease {
    fn name(&self) -> &'static str {
        "foreign-release"
    }

    fn is_about_locks(&self) -> bool {
        true
    }

    fn demands(&self) -> &'static str {
        "no client releases a lock that another client holds"
    }

    fn check(&self, _memory: &mut Memory, view: &dyn View, moment: &Moment) -> Judged {
        let Moment::LockChanged { by: Some(client), service, lock, before: Some(before), after } = moment else {
            return Judged::Silent;
        };
        if after.as_ref().is_some_and(|after| after.token == before.token) {
            return Judged::Silent;
        }
        let (name, _) = &view.locks()[*lock];
        let owner = view.owner_of(*lock, &before.token);
        // Whose validity has ended may be taken over.
        let believes =
            |owner: &usize| view.believers(name).any(|(of, hold)| of == *owner && hold.token == before.token);
        let foreign = owner.filter(|owner| owner != client).filter(believes);
        Judged::broken(foreign.map(|owner| {
            let service = view.service_name(*service);
            format!("client-{client} takes {} of {name}, which client-{owner} holds, off {service}", before.token)
        }))
    }
}
