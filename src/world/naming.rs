//! Naming: what choices are called in schedules.

use super::choice::{Act, Choice, Target};
use super::cut::{Cut, Way};
use super::system::System;
use std::fmt;

impl Choice {
    /// Its name in schedules: the same in every build and every run, and it says what happens.
    pub fn name(&self, system: &System) -> String {
        let subject = Subject { choice: *self, system };
        match self.act {
            Act::Cut(cut) => format!("{subject}: {}", Told(cut, system)),
            act => format!("{subject}: {act}"),
        }
    }
}

/// What a choice happens to, as schedules write it.
struct Subject<'a> {
    choice: Choice,
    system: &'a System,
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Subject { choice: Choice { at, act }, system } = self;
        let link = match at {
            Target::Time => return f.write_str("time"),
            Target::Network => return f.write_str("network"),
            Target::Client(client) => return write!(f, "client-{client}"),
            Target::Node(node) => return f.write_str(&system.node_name(usize::from(*node))),
            Target::Link(link) => *link,
        };
        let arrow = match act {
            Act::Serve | Act::Take(_) | Act::HangUp => "→",
            Act::Deliver | Act::DeliverEnd(_) => "←",
            _ => "–",
        };
        write!(f, "client-{} {arrow} {}", link.client, system.node_name(usize::from(link.node)))?;
        if link.lane > 0 {
            write!(f, "/{}", link.lane)?;
        }
        match act {
            Act::Serve => match system.request_at(link) {
                Some((id, name)) => write!(f, " {name} #{id}"),
                None => Ok(()),
            },
            Act::Deliver => write!(f, " {}", system.arrival_at(link)),
            _ => Ok(()),
        }
    }
}

/// A partition, as schedules write it.
struct Told<'a>(Cut, &'a System);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Told(Cut { apart, way }, system) = self;
        let clients = (0..system.clients.len()).filter(|client| apart.has_client(*client));
        let nodes = (0..system.nodes.len()).filter(|node| apart.has_node(*node)).map(|node| system.node_name(node));
        let names: Vec<String> = clients.map(|client| format!("client-{client}")).chain(nodes).collect();
        match way {
            Way::Both => write!(f, "nothing passes between {} and the others", names.join(", ")),
            Way::Out => write!(f, "nothing from {} reaches the others", names.join(", ")),
        }
    }
}
