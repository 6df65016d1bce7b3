//! Leak: a client that has ended leaves no lock behind.

use super::{Moment, Property, View};

/// After quiescence a server still holds the token of a client that ended in order, or holds the token of a
/// crashed one without a TTL.
#[derive(Debug)]
pub struct Leak;

impl Property for Leak {
    fn name(&self) -> &'static str {
        "leak"
    }

    fn demands(&self) -> &'static str {
        "after quiescence no lock is left behind, but for that of a crashed client until its TTL"
    }

    fn check(&self, view: &dyn View, moment: &Moment) -> Option<String> {
        let Moment::Quiescent = moment else { return None };
        for (number, (name, services)) in view.locks().into_iter().enumerate() {
            for service in services {
                let Some(holder) = view.holder_on(number, service) else { continue };
                let crashed = view.owner_of(&holder.token).is_some_and(|owner| view.has_crashed(owner));
                let service = view.service_name(service);
                match (crashed, holder.expires) {
                    (true, true) => {}
                    (true, false) => {
                        return Some(format!(
                            "{} is held on {service} for ever by {}, which crashed",
                            name, holder.token
                        ));
                    }
                    (false, true) => {
                        return Some(format!("{} is left on {service} until its TTL by {}", name, holder.token));
                    }
                    (false, false) => {
                        return Some(format!("{} is left on {service} for ever by {}", name, holder.token));
                    }
                }
            }
        }
        None
    }
}
