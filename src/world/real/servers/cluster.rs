//! A Redis Cluster: several redis-servers that know each other from the start.

use super::redis::{PORT_TRIES, RedisServer};
use super::{SpawnError, free_port};
use doublehold_models::slots::last_slots;
use std::io;
use std::time::Duration;

/// The running servers of a Cluster: the primaries, and then their replicas, the first primary's first.
pub struct ClusterServers {
    servers: Vec<RedisServer>,
}

/// A server's place in the Cluster.
struct Place {
    port: u16,
    bus_port: u16,
    /// The number of its primary; its own if it is one.
    primary: usize,
}

impl ClusterServers {
    /// Starts as many primaries as there are numbers, each with so many replicas, on free ports of loopback. Whether
    /// the Cluster is usable yet its servers tell (`CLUSTER INFO`).
    pub fn start(replicas: &[u8], node_timeout: Duration) -> Result<Self, SpawnError> {
        let mut last = None;
        for _ in 0..PORT_TRIES {
            match ClusterServers::start_on(&places(replicas)?, replicas.len(), node_timeout) {
                Err(problem @ SpawnError::DoesNotStart { .. }) => last = Some(problem),
                other => return other,
            }
        }
        Err(last.expect("it was tried"))
    }

    fn start_on(places: &[Place], primaries: usize, node_timeout: Duration) -> Result<Self, SpawnError> {
        let start = |(number, place): (usize, &Place)| {
            let options = [
                ("--cluster-enabled", "yes".to_owned()),
                ("--cluster-config-file", "nodes.conf".to_owned()),
                ("--cluster-node-timeout", node_timeout.as_millis().to_string()),
                ("--cluster-port", place.bus_port.to_string()),
            ];
            let options = options.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
            RedisServer::start_in_cluster(place.port, options.collect(), &nodes(places, primaries, number))
        };
        Ok(ClusterServers { servers: places.iter().enumerate().map(start).collect::<Result<_, _>>()? })
    }

    /// The port of each server.
    pub fn ports(&self) -> Vec<u16> {
        self.servers.iter().map(RedisServer::port).collect()
    }

    /// The URL of each server.
    pub fn urls(&self) -> Vec<String> {
        self.servers.iter().map(RedisServer::url).collect()
    }

    /// The servers, one by one.
    pub fn into_servers(self) -> Vec<RedisServer> {
        self.servers
    }

    /// The server with this number.
    pub fn server_mut(&mut self, number: usize) -> &mut RedisServer {
        &mut self.servers[number]
    }
}

/// Free ports for all.
fn places(replicas: &[u8]) -> io::Result<Vec<Place>> {
    let behind = replicas.iter().enumerate().flat_map(|(shard, count)| (0..*count).map(move |_| shard));
    let place = |primary| Ok(Place { port: free_port()?, bus_port: free_port()?, primary });
    (0..replicas.len()).chain(behind).map(place).collect()
}

/// The `nodes.conf` of a server, in which all servers have met and the slots are divided.
fn nodes(places: &[Place], primaries: usize, me: usize) -> String {
    let id = |number: usize| format!("{number:040x}");
    let last = last_slots(primaries);
    let line = |(number, place): (usize, &Place)| {
        let myself = if number == me { "myself," } else { "" };
        let first = number.checked_sub(1).map_or(0, |before| last.get(before).map_or(0, |slot| slot + 1));
        let (role, primary, slots) = match last.get(number) {
            Some(last) => ("master", "-".to_owned(), format!(" {first}-{last}")),
            None => ("slave", id(place.primary), String::new()),
        };
        let Place { port, bus_port, primary: shard } = place;
        let (id, epoch) = (id(number), shard + 1);
        format!("{id} 127.0.0.1:{port}@{bus_port} {myself}{role} {primary} 0 0 {epoch} connected{slots}\n")
    };
    let lines: String = places.iter().enumerate().map(line).collect();
    format!("{lines}vars currentEpoch {primaries} lastVoteEpoch 0\n")
}
