//! Telling: what a recorder writes down of a system's transitions.

use super::choice::{Act, Choice, Target};
use super::recorder::{Recorder, TraceEvent};
use super::system::System;
use crate::history::{Entry, Event};
use crate::property::View;
use doublehold_models::{Output, Request, Response, Step};

impl Recorder {
    /// A choice is about to be made.
    pub(crate) fn choice(&mut self, system: &System, choice: Choice) {
        if !self.on {
            return;
        }
        let name = choice.name(system);
        let (who, what) = name.split_once(": ").unwrap_or((&name, ""));
        match (choice.at, choice.act) {
            (_, Act::Serve | Act::Take(Step::Grant) | Act::Deliver | Act::DeliverEnd(_)) => {}
            (Target::Link(_), _) => self.push(system, "network", None, &name),
            (at, _) => {
                let own_us = at.client().map(|client| system.client_clock(client.into()).mono_us as i64);
                self.push(system, who, own_us, what);
            }
        }
        self.decisions.push(name);
    }

    /// A node has served a request.
    pub(crate) fn served(
        &mut self,
        system: &System,
        client: usize,
        node: usize,
        request: &Request,
        outputs: &[Output],
    ) {
        if !self.on {
            return;
        }
        let own_us = system.node_clock(node).wall_us;
        let replies = replies(outputs);
        let name = system.node_name(node);
        let replies = if replies.is_empty() { "(waits)".to_owned() } else { replies.join(", ") };
        let what = format!("client-{client}: {request} → {replies}");
        self.push(system, &name, Some(own_us), &what);
    }

    /// A node has gone on with a request that had to wait.
    pub(crate) fn went_on(&mut self, system: &System, client: usize, node: usize, outputs: &[Output]) {
        if !self.on {
            return;
        }
        let own_us = system.node_clock(node).wall_us;
        let replies = replies(outputs);
        let replies = if replies.is_empty() { "(waits again)".to_owned() } else { replies.join(", ") };
        self.push(system, &system.node_name(node), Some(own_us), &format!("client-{client}: goes on → {replies}"));
    }

    /// A client has done or learnt something; the holds are those before it.
    pub(crate) fn event(&mut self, system: &System, client: usize, event: &Event) {
        if !self.on {
            return;
        }
        let own_us = system.client_clock(client).mono_us as i64;
        self.push(system, &format!("client-{client}"), Some(own_us), &event.to_string());
        let holders = &mut self.events.last_mut().expect("pushed above").holders;
        match event {
            Event::Acquired { .. } if !holders.contains(&client) => holders.push(client),
            Event::Releasing { .. } | Event::Lost { .. } => holders.retain(|holder| *holder != client),
            _ => {}
        }
        self.history.push(Entry { at_us: system.now_us, client, event: event.clone() });
    }

    fn push(&mut self, system: &System, who: &str, own_us: Option<i64>, what: &str) {
        let mut holders: Vec<usize> = lock_believers(system);
        holders.sort_unstable();
        let (who, what) = (who.to_owned(), what.to_owned());
        self.events.push(TraceEvent { at_us: system.now_us, who, own_us, what, holders });
    }
}

/// The replies among what a node does, and what it has none for.
fn replies(outputs: &[Output]) -> Vec<String> {
    let text = |output: &Output| match output.as_not_modelled() {
        Some(what) => Some(format!("not modelled: {what}")),
        None => output.as_reply().map(Response::to_string),
    };
    outputs.iter().filter_map(text).collect()
}

fn lock_believers(system: &System) -> Vec<usize> {
    let view: &dyn View = system;
    system.setup().locks.iter().flat_map(|lock| view.believers(&lock.name).map(|(client, _)| client)).collect()
}
