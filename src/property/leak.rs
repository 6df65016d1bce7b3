//! Leak: a client that has ended leaves no lock behind.

use super::{Moment, Property};
use crate::world::system::System;

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

    fn check(&self, system: &System, moment: &Moment) -> Option<String> {
        let Moment::Quiescent = moment else { return None };
        for (number, spec) in system.setup().locks.iter().enumerate() {
            for node in &spec.nodes {
                let Some(holder) = system.holder_on(number, *node) else { continue };
                let crashed = system.owner_of(&holder.token).is_some_and(|owner| system.has_crashed(owner));
                let node = &system.setup().nodes[*node].name;
                match (crashed, holder.expires) {
                    (true, true) => {}
                    (true, false) => {
                        return Some(format!(
                            "{} is held on {node} for ever by {}, which crashed",
                            spec.name, holder.token
                        ));
                    }
                    (false, true) => {
                        return Some(format!("{} is left on {node} until its TTL by {}", spec.name, holder.token));
                    }
                    (false, false) => {
                        return Some(format!("{} is left on {node} for ever by {}", spec.name, holder.token));
                    }
                }
            }
        }
        None
    }
}
