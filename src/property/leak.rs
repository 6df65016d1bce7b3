//! Leak: a client that has ended leaves no lock behind.

use super::{Ends, Judged, Memory, Moment, Property, View};

/// After quiescence a server still holds the token of a client that ended in order, or holds the token of a
/// crashed one without a TTL. What a broken connection delivers late counts as a crashed client's, and so does what one leaves that
/// a partition had cut off.
#[derive(Debug)]
pub struct Leak;

impl Property for Leak {
    fn name(&self) -> &'static str {
        "leak"
    }

    fn is_about_locks(&self) -> bool {
        true
    }

    fn demands(&self) -> &'static str {
        "after quiescence no lock is left behind, but for that of a crashed client, or one that was cut off, until its TTL"
    }

    fn check(&self, _memory: &mut Memory, view: &dyn View, moment: &Moment) -> Judged {
        let Moment::Quiescent = moment else { return Judged::Silent };
        let mut looked = Judged::Silent;
        for (number, (name, services)) in view.locks().into_iter().enumerate() {
            for service in services {
                looked = Judged::Fine;
                let Some(holder) = view.holder_on(number, service) else { continue };
                // A client that was cut off may have had to give its release up.
                let hindered = |client| view.has_crashed(client) || view.was_cut_off(client);
                let hindered = match view.owner_of(number, &holder.token) {
                    Some(owner) => hindered(owner),
                    None => (0..view.clients()).any(hindered),
                };
                // A request that was given up and lands late is nothing that its client could undo.
                let excused = hindered || view.came_late(number, &holder.token);
                let (token, service) = (&holder.token, view.service_name(service));
                let what = match (excused, holder.ends != Ends::Never) {
                    (true, true) => continue,
                    (true, false) => {
                        format!("{name} is held on {service} for ever by {token}, whose client crashed or gave up")
                    }
                    (false, true) => format!("{name} is left on {service} until its TTL by {token}"),
                    (false, false) => format!("{name} is left on {service} for ever by {token}"),
                };
                return Judged::Broken(what);
            }
        }
        looked
    }
}
