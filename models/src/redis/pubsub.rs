//! Publish and subscribe: at most once, and gone with the connection.

use super::call::{Call, Spec};
use super::keys::glob;
use super::reply::{QUOTED_BYTES_MAX, Reply, error, error_quoting};
use super::subscribers::{Subscribers, Subscriptions};
use crate::resp::Value;
use crate::{Blob, ConnId};
use std::collections::BTreeSet;

/// A subscribed connection may use only a few commands.
pub(super) fn refuse(call: &Call, spec: &Spec, words: &[Blob]) -> Option<Blob> {
    let allowed = spec.name.ends_with("SUBSCRIBE") || spec.name == "PING";
    (!allowed && call.state.subscribers.is_subscribed(call.conn)).then(|| {
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
        let count = call.state.subscribers.change(call.conn, |all| {
            all.channels.insert(channel.clone());
        });
        confirm(call, "subscribe", Value::Bulk(channel.clone()), count);
    }
    Ok(Value::Nil)
}

pub(super) fn psubscribe(call: &mut Call, args: &[Blob]) -> Reply {
    for pattern in args {
        let count = call.state.subscribers.change(call.conn, |all| {
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
        call.state.subscribers.change(call.conn, |all| names = pick(all).iter().cloned().collect());
    }
    if names.is_empty() {
        let count = call.state.subscribers.change(call.conn, |_| ());
        confirm(call, what, Value::Nil, count);
    }
    for name in names {
        let count = call.state.subscribers.change(call.conn, |all| {
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

/// What the subscribers of this server receive when this is published.
pub(super) fn deliveries(subscribers: &Subscribers, channel: &Blob, message: &Blob) -> Vec<(ConnId, Value)> {
    let mut published = Vec::new();
    for (conn, subscriptions) in subscribers.all() {
        if subscriptions.channels.contains(channel) {
            let parts = [Blob::from("message"), channel.clone(), message.clone()];
            published.push((*conn, Value::Array(parts.map(Value::Bulk).to_vec())));
        }
        for pattern in subscriptions.patterns.iter().filter(|pattern| glob(pattern, channel)) {
            let parts = [Blob::from("pmessage"), pattern.clone(), channel.clone(), message.clone()];
            published.push((*conn, Value::Array(parts.map(Value::Bulk).to_vec())));
        }
    }
    published
}

pub(super) fn publish(call: &mut Call, args: &[Blob]) -> Reply {
    let (channel, message) = (&args[0], &args[1]);
    let published = deliveries(&call.state.subscribers, channel, message);
    call.announced.push((channel.clone(), message.clone()));
    let receivers = published.len();
    call.published.extend(published);
    Ok(Value::Int(receivers as i64))
}

pub(super) fn pubsub(call: &mut Call, args: &[Blob]) -> Reply {
    let listeners =
        |channel: &Blob| call.state.subscribers.all().filter(|(_, all)| all.channels.contains(channel)).count();
    match (args[0].to_ascii_uppercase().as_slice(), &args[1..]) {
        (b"CHANNELS", patterns) if patterns.len() <= 1 => {
            let channels: BTreeSet<&Blob> = call.state.subscribers.all().flat_map(|(_, all)| &all.channels).collect();
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
            let patterns: BTreeSet<&Blob> = call.state.subscribers.all().flat_map(|(_, all)| &all.patterns).collect();
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
