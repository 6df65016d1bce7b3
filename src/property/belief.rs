//! Belief: never two holders that both think they hold the lock, but for those that may share it.

use super::{Judged, Memory, Moment, Property, View};
use crate::history::{Event, Hold, Mode};
use crate::port::Blob;

/// A client acquires or extends a lock while another hold on it is believed in: from its successful acquire to its release, to the
/// loss that it was told of, or to the end of the validity that the lock gave it. Two tasks of one client that hold with two
/// tokens are two holders.
#[derive(Debug)]
pub struct Belief;

impl Property for Belief {
    fn name(&self) -> &'static str {
        "belief"
    }

    fn is_about_locks(&self) -> bool {
        true
    }

    fn demands(&self) -> &'static str {
        "only clients that may hold the lock together believe at one time that they hold it"
    }

    fn check(&self, _memory: &mut Memory, view: &dyn View, moment: &Moment) -> Judged {
        let Moment::Recorded { client, event } = moment else { return Judged::Silent };
        match event {
            Event::Acquired { lock, token, mode, .. } => judge(view, *client, (lock, token), *mode, "acquires"),
            Event::Extended { lock, token, .. } => {
                let own = |(of, hold): &(usize, &Hold)| of == client && hold.lock == *lock && hold.token == *token;
                let mode = view.holds().iter().find(own).map_or(Mode::Exclusive, |(_, hold)| hold.mode);
                judge(view, *client, (lock, token), mode, "extends")
            }
            _ => Judged::Silent,
        }
    }
}

fn judge(view: &dyn View, client: usize, (lock, token): (&Blob, &Blob), mode: Mode, does: &str) -> Judged {
    let others = || view.believers(lock).filter(|(of, hold)| *of != client || hold.token != *token);
    if mode.may_join(others().map(|(_, hold)| hold.mode)) {
        return Judged::Fine;
    }
    let named = |(of, hold): (usize, &Hold)| match of == client {
        true => format!("another of its tasks ({})", hold.token),
        false => format!("client-{of}"),
    };
    let others: Vec<String> = others().map(named).collect();
    let (others, hold) = (others.join(" and "), if others.len() > 1 { "hold" } else { "holds" });
    Judged::Broken(format!("client-{client} {does} {lock} while {others} {hold} it"))
}
