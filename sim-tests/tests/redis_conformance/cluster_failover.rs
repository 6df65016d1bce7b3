//! A failover of a real Cluster and of the simulated one: the same course of events, all replies compared.

use super::cluster::{wait_until_usable, with_names};
use super::group::{Group, Simulated, shows, try_to_ask, wait, without_offsets};
use super::show;
use super::wire::Connection;
use doublehold::world::real::servers::{ClusterServers, Server};
use doublehold_models::resp::{Command, Value};
use doublehold_models::{Blob, redis};
use doublehold_sim_tests::redis_server_or_skip;
use std::time::Duration;

const NODE_TIMEOUT_MS: u32 = 1000;
/// The replica of the first of three primaries.
const REPLICA: u8 = 3;
/// A server that stays.
const WITNESS: u8 = 1;

fn sharding() -> redis::Sharding {
    redis::Sharding { replicas: vec![1, 0, 0], node_timeout_ms: NODE_TIMEOUT_MS, ..redis::Sharding::default() }
}

#[test]
fn a_failover_goes_as_in_a_real_cluster() {
    if !redis_server_or_skip("the Redis conformance suite (failover of a Cluster)") {
        return;
    }
    let config = redis::Config { cluster: Some(sharding()), ..redis::Config::default() };
    let simulated = course(&mut Simulated::start(config, WITNESS, "ch"));
    let real = course(&mut Real::start());
    for (model, real) in simulated.iter().zip(&real) {
        assert_eq!(model, real, "the model (left) differs from the real servers");
    }
    assert_eq!(simulated.len(), real.len());
    println!("Redis conformance, failover of a Cluster: {} replies compared", real.len());
    real.iter().for_each(|line| println!("  {line}"));
}

fn command(line: &str) -> Command {
    Command::from_words(line.split(' ').map(|word| Blob::copy_from(word.as_bytes())))
}

/// What happens, and what is replied. `b` is the first primary's key, `c` the witness's.
fn course(group: &mut dyn Group) -> Vec<String> {
    let mut log = Vec::new();
    let mut ask = |group: &mut dyn Group, member: u8, line: &str| {
        let reply = group.ask(member, &command(line));
        log.push(format!("{member}> {line}: {}", show(&without_offsets(&reply))));
    };
    let until = |group: &mut dyn Group, member: u8, line: &str, text: &'static str| {
        group.wait_until(member, &command(line), &|reply| shows(reply, text));
    };
    // A replica is named once it has told its offset.
    until(group, 0, "CLUSTER SLOTS", "member-3");
    for line in ["ROLE", "SET b 1", "INCR n", "WAIT 1 1000", "CLUSTER SLOTS", "GET c", "MSET b 1 c 2"] {
        ask(group, 0, line);
    }
    for line in ["ROLE", "GET b", "SET b 2", "PUBLISH ch hello", "WAIT 0 0"] {
        ask(group, REPLICA, line);
    }
    // Slots without a primary: nothing is served.
    group.kill(0);
    until(group, WITNESS, "GET c", "CLUSTERDOWN");
    for line in ["GET c", "GET b", "PING", "WAIT 0 0", "EVAL return(1) 0", "EVAL return(1) 1 c"] {
        ask(group, WITNESS, line);
    }
    until(group, REPLICA, "GET b", "\"1\"");
    until(group, WITNESS, "GET b", "member-3");
    for line in ["ROLE", "GET b", "SET b 2", "WAIT 1 50", "GET c"] {
        ask(group, REPLICA, line);
    }
    for line in ["GET b", "GET c", "CLUSTER SLOTS"] {
        ask(group, WITNESS, line);
    }
    // The old primary is a replica as soon as it knows.
    group.restart(0);
    until(group, 0, "GET b", "MOVED");
    until(group, 0, "ROLE", "connected");
    until(group, WITNESS, "CLUSTER SLOTS", "member-0");
    for line in ["GET b", "ROLE", "SET b 3"] {
        ask(group, 0, line);
    }
    for line in ["SET b 3", "WAIT 1 1000", "ROLE"] {
        ask(group, REPLICA, line);
    }
    ask(group, WITNESS, "CLUSTER SLOTS");
    // Without a majority nothing is served either.
    group.kill(1);
    group.kill(2);
    until(group, REPLICA, "GET b", "CLUSTERDOWN");
    for line in ["GET b", "GET c", "SET b 4"] {
        ask(group, REPLICA, line);
    }
    log.push(format!("told: {}", show(&group.told())));
    log
}

struct Real {
    servers: ClusterServers,
    ports: Vec<u16>,
    subscriber: Connection,
}

impl Real {
    fn start() -> Self {
        let redis::Sharding { replicas, node_timeout_ms, .. } = &sharding();
        let timeout = Duration::from_millis(u64::from(*node_timeout_ms));
        let servers = ClusterServers::start(replicas, timeout).expect("a Cluster starts");
        let ports = servers.ports();
        ports.iter().for_each(|port| wait_until_usable(&mut Connection::open(*port)));
        let mut subscriber = Connection::open(ports[usize::from(WITNESS)]);
        subscriber.send(&Command::new("SUBSCRIBE").arg("ch"));
        subscriber.receive().expect("a subscription is confirmed");
        let real = Real { servers, ports, subscriber };
        wait(|| real.try_to_ask(0, &command("ROLE")).is_some_and(|role| shows(&without_offsets(&role), ":1")));
        real
    }

    fn try_to_ask(&self, member: u8, command: &Command) -> Option<Value> {
        Some(with_names(&try_to_ask(self.ports[usize::from(member)], command)?, &self.ports))
    }
}

impl Group for Real {
    fn ask(&mut self, member: u8, command: &Command) -> Value {
        self.try_to_ask(member, command).expect("a server that runs replies")
    }

    fn kill(&mut self, member: u8) {
        self.servers.server_mut(member.into()).kill().expect("a process can be killed");
    }

    fn restart(&mut self, member: u8) {
        self.servers.server_mut(member.into()).restart().expect("redis-server starts");
        wait(|| !self.try_to_ask(member, &command("PING")).is_some_and(|reply| shows(&reply, "LOADING")));
    }

    fn wait_until(&mut self, member: u8, command: &Command, is: &dyn Fn(&Value) -> bool) {
        wait(|| self.try_to_ask(member, command).is_some_and(|reply| is(&reply)));
    }

    fn told(&mut self) -> Value {
        self.subscriber.receive().expect("a subscriber is told")
    }
}
