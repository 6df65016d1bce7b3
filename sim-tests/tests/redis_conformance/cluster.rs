//! A real Cluster: its names, and when it is usable.

use super::wire::Connection;
use doublehold_models::Blob;
use doublehold_models::resp::{Command, Value};
use std::time::{Duration, Instant};

/// How long a Cluster may take to find itself usable.
const USABLE_WAIT: Duration = Duration::from_secs(20);

/// Waits until a server tells of so many servers with slots: of a replica only once it has heard how far that one is.
pub(crate) fn wait_until_known(server: &mut Connection, servers: usize) {
    let started = Instant::now();
    loop {
        server.send(&Command::new("CLUSTER").arg("SLOTS"));
        let slots = server.receive().expect("a reply");
        if servers_in(&slots) == servers {
            return;
        }
        assert!(started.elapsed() < USABLE_WAIT, "not all {servers} servers are told of: {slots:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// How many servers a reply to `CLUSTER SLOTS` tells of, each of which has one range of slots.
fn servers_in(slots: &Value) -> usize {
    let Value::Array(ranges) = slots else { return 0 };
    // A range has its first and its last slot, and then its servers.
    let servers = |range: &Value| if let Value::Array(parts) = range { parts.len().saturating_sub(2) } else { 0 };
    ranges.iter().map(servers).sum()
}

/// Waits until a server finds the Cluster usable.
pub(crate) fn wait_until_usable(server: &mut Connection) {
    let started = Instant::now();
    loop {
        let info = info(server);
        if info.contains("cluster_state:ok") {
            return;
        }
        assert!(started.elapsed() < USABLE_WAIT, "the Cluster is not usable: {info}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until the bus has delivered what was published.
pub(crate) fn wait_until_published(servers: &mut [Connection]) {
    let started = Instant::now();
    loop {
        let infos: Vec<String> = servers.iter_mut().map(info).collect();
        let total = |what: &str| infos.iter().map(|info| counter(info, what)).sum::<u64>();
        if total("cluster_stats_messages_publish_sent:") == total("cluster_stats_messages_publish_received:") {
            return;
        }
        assert!(started.elapsed() < USABLE_WAIT, "what was published does not arrive: {infos:?}");
    }
}

fn info(server: &mut Connection) -> String {
    server.send(&Command::new("CLUSTER").arg("INFO"));
    let info = server.receive().expect("a reply");
    info.as_blob().map(|text| text.to_text().into_owned()).unwrap_or_default()
}

/// A number of `CLUSTER INFO`, where those that are 0 are missing.
fn counter(info: &str, name: &str) -> u64 {
    info.lines().find_map(|line| line.strip_prefix(name)?.parse().ok()).unwrap_or_default()
}

/// A reply in which servers have the names that they have in the model.
pub(crate) fn with_names(value: &Value, ports: &[u16]) -> Value {
    let name = |port: &str| ports.iter().position(|known| known.to_string() == port).map(|at| format!("member-{at}"));
    match value {
        Value::Error(text) => match text.to_text().split_once(" 127.0.0.1:") {
            Some((moved, port)) if moved.starts_with("MOVED") => {
                Value::Error(format!("{moved} {}:6379", name(port).expect("a server of the Cluster")).into())
            }
            _ => value.clone(),
        },
        Value::Array(parts) => match &parts[..] {
            [Value::Bulk(host), Value::Int(port), rest @ ..] if host.as_bytes() == b"127.0.0.1" => {
                let host = Value::Bulk(name(&port.to_string()).map_or_else(|| host.clone(), Blob::from));
                Value::Array([host, Value::Int(6379)].into_iter().chain(rest.iter().cloned()).collect())
            }
            _ => Value::Array(parts.iter().map(|part| with_names(part, ports)).collect()),
        },
        other => other.clone(),
    }
}
