//! Publish and subscribe: at most once, and gone with the connection.

use super::call::{Call, Reply, error, error_quoting};
use super::commands::{QUOTED_BYTES_MAX, Spec};
use super::keys::glob;
use crate::escape::Unordered;
use crate::resp::Value;
use crate::{Blob, ConnId};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// What one connection listens to.
#[derive(Clone, Default, Hash)]
struct Subscriptions {
    channels: BTreeSet<Blob>,
    patterns: BTreeSet<Blob>,
}

impl Subscriptions {
    fn count(&self) -> Value {
        Value::Int((self.channels.len() + self.patterns.len()) as i64)
    }
}

/// The connections that listen to something; most listen to nothing.
#[derive(Clone, Default, Hash)]
pub(super) struct Subscribers(Option<Rc<Unordered<BTreeMap<ConnId, Subscriptions>>>>);

impl Subscribers {
    fn all(&self) -> impl Iterator<Item = (&ConnId, &Subscriptions)> {
        self.0.iter().flat_map(|all| all.iter())
    }

    pub(super) fn is_subscribed(&self, conn: ConnId) -> bool {
        self.0.as_ref().is_some_and(|all| all.contains_key(&conn))
    }

    /// Changes a connection's subscriptions; one that listens to nothing is an ordinary one again.
    fn change(&mut self, conn: ConnId, change: impl FnOnce(&mut Subscriptions)) -> Value {
        let all = Rc::make_mut(self.0.get_or_insert_default());
        let subscriptions = all.entry(conn).or_default();
        change(subscriptions);
        let count = subscriptions.count();
        if count == Value::Int(0) {
            all.remove(&conn);
        }
        self.0.take_if(|all| all.is_empty());
        count
    }

    /// Forgets a connection.
    pub(super) fn forget(&mut self, conn: ConnId) {
        if self.is_subscribed(conn) {
            self.change(conn, |subscriptions| *subscriptions = Subscriptions::default());
        }
    }
}

/// A subscribed connection may use only a few commands.
pub(super) fn refuse(call: &Call, spec: &Spec, words: &[Blob]) -> Option<Blob> {
    let allowed = spec.name.ends_with("SUBSCRIBE") || spec.name == "PING";
    (!allowed && call.node.subscribers.is_subscribed(call.conn)).then(|| {
        let name = spec.full_name(words);
        let only = "only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context";
        error(format!("ERR Can't execute '{name}': {only}"))
    })
}

fn confirm(call: &mut Call, what: &'static str, channel: Value, count: Value) {
    call.replies.push(Value::Array(vec![Value::Bulk(what.into()), channel, count]));
}

pub(super) fn subscribe(call: &mut Call, args: &[Blob]) -> Reply {
    for channel in args {
        let count = call.node.subscribers.change(call.conn, |all| {
            all.channels.insert(channel.clone());
        });
        confirm(call, "subscribe", Value::Bulk(channel.clone()), count);
    }
    Ok(Value::Nil)
}

pub(super) fn psubscribe(call: &mut Call, args: &[Blob]) -> Reply {
    for pattern in args {
        let count = call.node.subscribers.change(call.conn, |all| {
            all.patterns.insert(pattern.clone());
        });
        confirm(call, "psubscribe", Value::Bulk(pattern.clone()), count);
    }
    Ok(Value::Nil)
}

fn unsubscribe_from(
    call: &mut Call,
    args: &[Blob],
    what: &'static str,
    pick: fn(&mut Subscriptions) -> &mut BTreeSet<Blob>,
) -> Reply {
    let mut names = args.to_vec();
    if names.is_empty() {
        call.node.subscribers.change(call.conn, |all| names = pick(all).iter().cloned().collect());
    }
    if names.is_empty() {
        let count = call.node.subscribers.change(call.conn, |_| ());
        confirm(call, what, Value::Nil, count);
    }
    for name in names {
        let count = call.node.subscribers.change(call.conn, |all| {
            pick(all).remove(&name);
        });
        confirm(call, what, Value::Bulk(name), count);
    }
    Ok(Value::Nil)
}

pub(super) fn unsubscribe(call: &mut Call, args: &[Blob]) -> Reply {
    unsubscribe_from(call, args, "unsubscribe", |all| &mut all.channels)
}

pub(super) fn punsubscribe(call: &mut Call, args: &[Blob]) -> Reply {
    unsubscribe_from(call, args, "punsubscribe", |all| &mut all.patterns)
}

pub(super) fn publish(call: &mut Call, args: &[Blob]) -> Reply {
    let (channel, message) = (&args[0], &args[1]);
    let mut published = Vec::new();
    for (conn, subscriptions) in call.node.subscribers.all() {
        if subscriptions.channels.contains(channel) {
            let parts = [Blob::from("message"), channel.clone(), message.clone()];
            published.push((*conn, Value::Array(parts.map(Value::Bulk).to_vec())));
        }
        for pattern in subscriptions.patterns.iter().filter(|pattern| glob(pattern, channel)) {
            let parts = [Blob::from("pmessage"), pattern.clone(), channel.clone(), message.clone()];
            published.push((*conn, Value::Array(parts.map(Value::Bulk).to_vec())));
        }
    }
    let receivers = published.len();
    call.published.extend(published);
    Ok(Value::Int(receivers as i64))
}

pub(super) fn pubsub(call: &mut Call, args: &[Blob]) -> Reply {
    let listeners =
        |channel: &Blob| call.node.subscribers.all().filter(|(_, all)| all.channels.contains(channel)).count();
    match (args[0].to_ascii_uppercase().as_slice(), &args[1..]) {
        (b"CHANNELS", patterns) if patterns.len() <= 1 => {
            let channels: BTreeSet<&Blob> = call.node.subscribers.all().flat_map(|(_, all)| &all.channels).collect();
            let wanted = channels.into_iter().filter(|channel| patterns.iter().all(|pattern| glob(pattern, channel)));
            Ok(Value::Array(wanted.cloned().map(Value::Bulk).collect()))
        }
        (b"NUMSUB", channels) => Ok(Value::Array(
            channels
                .iter()
                .flat_map(|channel| [Value::Bulk(channel.clone()), Value::Int(listeners(channel) as i64)])
                .collect(),
        )),
        (b"NUMPAT", []) => {
            let patterns: BTreeSet<&Blob> = call.node.subscribers.all().flat_map(|(_, all)| &all.patterns).collect();
            Ok(Value::Int(patterns.len() as i64))
        }
        _ => Err(error_quoting(
            "ERR unknown subcommand or wrong number of arguments for '",
            &args[0],
            QUOTED_BYTES_MAX,
            "'. Try PUBSUB HELP.",
        )
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{Mutation, each_shows};

    #[test]
    fn every_field_is_in_the_digest() {
        const CONN: ConnId = ConnId { client: 1, member: 0, lane: 1 };
        fn insert(all: &mut Subscribers, conn: ConnId, name: &'static str, is_pattern: bool) {
            all.change(conn, |one| {
                let names = if is_pattern { &mut one.patterns } else { &mut one.channels };
                names.insert(name.into());
            });
        }
        let mut subscribers = Subscribers::default();
        insert(&mut subscribers, CONN, "a", false);
        let changes: &[Mutation<Subscribers>] = &[
            ("a channel", |all| insert(all, CONN, "b", false)),
            ("a pattern", |all| insert(all, CONN, "b", true)),
            ("another client", |all| insert(all, ConnId { client: 2, ..CONN }, "a", false)),
            ("another connection", |all| insert(all, ConnId { lane: 2, ..CONN }, "a", false)),
            ("nobody", |all| all.forget(CONN)),
        ];
        each_shows(&subscribers, changes);
        subscribers.forget(CONN);
        assert!(subscribers.0.is_none());
    }
}
