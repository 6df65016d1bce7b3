//! A failover on real Sentinels and on the simulated ones: the same course of events, all replies compared.

use super::group::{Group, Simulated, shows, tell, try_to_ask, wait, without_offsets};
use super::show;
use super::wire::Connection;
use doublehold::world::real::servers::{RedisServer, SentinelServer, Server, Watch};
use doublehold_models::resp::{Command, Value};
use doublehold_models::{Blob, redis};
use doublehold_sim_tests::redis_server_or_skip;
use std::time::Duration;

const SERVERS: u8 = 2;
const SENTINELS: u8 = 3;
const QUORUM: u8 = 2;
const DOWN_AFTER: Duration = Duration::from_millis(500);
/// How often Sentinels say hello here, and look at servers.
const HELLO_MS: u32 = 200;
const SCRIPT: &str = "return redis.call('INCR', KEYS[1])";

#[test]
fn a_failover_goes_as_on_real_sentinels() {
    if !redis_server_or_skip("the Redis conformance suite (failover)") {
        return;
    }
    let (simulated, real) = (course(&mut simulated()), course(&mut Real::start()));
    for (model, real) in simulated.iter().zip(&real) {
        assert_eq!(model, real, "the model (left) differs from the real servers");
    }
    assert_eq!(simulated.len(), real.len());
    println!("Redis conformance, failover: {} replies compared", real.len());
    real.iter().for_each(|line| println!("  {line}"));
}

/// What happens, and what is replied.
fn course(group: &mut dyn Group) -> Vec<String> {
    let mut log = Vec::new();
    let mut ask = |group: &mut dyn Group, member: u8, line: &str| {
        let command = Command::from_words(line.split(' ').map(|word| Blob::copy_from(word.as_bytes())));
        let reply = group.ask(member, &command);
        log.push(format!("{member}> {line}: {}", show(&without_offsets(&reply))));
        reply
    };
    let load = Command::new("SCRIPT").arg("LOAD").arg(SCRIPT);
    let Value::Bulk(sha) = group.ask(0, &load) else { panic!("a script is loaded") };
    let evalsha = format!("EVALSHA {} 1 n", sha.to_text());
    for sentinel in SERVERS..SERVERS + SENTINELS {
        ask(group, sentinel, "PING");
        ask(group, sentinel, "SENTINEL get-master-addr-by-name mymaster");
        ask(group, sentinel, "SENTINEL get-master-addr-by-name another");
    }
    for line in ["ROLE", "SET a 1", &evalsha, "WAIT 1 1000", "SET ttl x PX 100000"] {
        ask(group, 0, line);
    }
    group.wait_until(1, &Command::new("GET").arg("ttl"), &|value| !value.is_nil());
    for line in ["ROLE", "GET a", "GET n", "SET a 2", "EVAL redis.call('SET','a','2') 0", &evalsha, "WAIT 0 0"] {
        ask(group, 1, line);
    }
    group.kill(0);
    for sentinel in SERVERS..SERVERS + SENTINELS {
        group.wait_until(sentinel, &who_is_primary(), &is_server(1));
        ask(group, sentinel, "SENTINEL get-master-addr-by-name mymaster");
    }
    for line in ["ROLE", "GET a", "GET n", "TYPE ttl", &evalsha, "SET b 2", "WAIT 1 50"] {
        ask(group, 1, line);
    }
    // The old primary knows nothing of this, and takes writes.
    group.restart(0);
    for line in ["ROLE", "GET a", "SET c 3", "GET b"] {
        ask(group, 0, line);
    }
    ask(group, SERVERS, "SENTINEL get-master-addr-by-name mymaster");
    // In the end it is set right, and what it took is lost.
    group.wait_until(0, &Command::new("GET").arg("b"), &|value| !value.is_nil());
    for line in ["ROLE", "GET a", "GET b", "GET c", "SET d 4"] {
        ask(group, 0, line);
    }
    for line in ["SET d 4", "WAIT 1 1000", "ROLE"] {
        ask(group, 1, line);
    }
    log.push(format!("told: {}", show(&without_offsets(&group.told()))));
    log
}

fn who_is_primary() -> Command {
    Command::new("SENTINEL").arg("get-master-addr-by-name").arg("mymaster")
}

fn is_server(number: u8) -> impl Fn(&Value) -> bool {
    move |value| show(&without_offsets(value)).contains(&format!("member-{number}"))
}

/// The model of them.
fn simulated() -> Simulated {
    let sentinels = redis::Sentinels {
        count: SENTINELS,
        quorum: QUORUM,
        down_after_ms: DOWN_AFTER.as_millis() as u32,
        hello_ms: HELLO_MS,
    };
    let replication =
        redis::Replication { replicas: SERVERS - 1, sentinels: Some(sentinels), ..redis::Replication::default() };
    let config = redis::Config { replication: Some(replication), ..redis::Config::default() };
    Simulated::start(config, SERVERS, "+switch-master")
}

/// Puts the model's addresses where the real ones are.
fn rename(value: &Value, addresses: &[[String; 2]]) -> Value {
    let number =
        |host: &Blob, port: &Blob| addresses.iter().position(|[a, b]| *a == host.to_text() && *b == port.to_text());
    match value {
        Value::Array(parts) => match &parts[..] {
            [Value::Bulk(host), Value::Bulk(port)] if number(host, port).is_some() => {
                let number = number(host, port).unwrap_or_default();
                Value::Array(
                    [format!("member-{number}"), "6379".to_owned()].map(|word| Value::Bulk(word.into())).to_vec(),
                )
            }
            _ => Value::Array(parts.iter().map(|part| rename(part, addresses)).collect()),
        },
        Value::Bulk(text) => {
            let named =
                addresses.iter().enumerate().fold(text.to_text().into_owned(), |text, (number, [host, port])| {
                    text.replace(&format!("{host} {port}"), &format!("member-{number} 6379"))
                });
            Value::Bulk(named.into())
        }
        other => other.clone(),
    }
}

struct Real {
    servers: Vec<RedisServer>,
    _sentinels: Vec<SentinelServer>,
    ports: Vec<u16>,
    subscriber: Connection,
}

impl Real {
    fn start() -> Self {
        let servers: Vec<RedisServer> =
            (0..SERVERS).map(|_| RedisServer::start().expect("redis-server starts")).collect();
        let mut ports: Vec<u16> = servers.iter().map(RedisServer::port).collect();
        let replicate = Command::new("REPLICAOF").arg("127.0.0.1").arg(i64::from(ports[0]));
        let speed = Command::from_words("CONFIG SET repl-diskless-sync-delay 0".split(' ').map(Blob::from));
        servers.iter().for_each(|server| assert!(tell(server.port(), &speed).is_ok()));
        assert!(tell(ports[1], &replicate).is_ok(), "REPLICAOF");
        wait(|| shows(&tell(ports[0], &Command::new("ROLE")), "master") && replicas(ports[0]) == 1);
        let watch = Watch {
            primary: ports[0],
            quorum: QUORUM,
            down_after: DOWN_AFTER,
            failover_timeout: Duration::from_secs(1),
        };
        let sentinels: Vec<SentinelServer> =
            (0..SENTINELS).map(|_| SentinelServer::start(watch).expect("a Sentinel starts")).collect();
        for sentinel in &sentinels {
            let port: u16 = sentinel.url().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
            let words = format!("SENTINEL DEBUG INFO-PERIOD {HELLO_MS} PUBLISH-PERIOD {HELLO_MS} PING-PERIOD 100");
            let hurry = Command::from_words(words.split(' ').map(|word| Blob::copy_from(word.as_bytes())));
            assert!(tell(port, &hurry).is_ok(), "SENTINEL DEBUG");
            ports.push(port);
        }
        // They must have found each other, and the replica.
        let known = Command::from_words("SENTINEL CKQUORUM mymaster".split(' ').map(Blob::from));
        let replicas = Command::from_words("SENTINEL REPLICAS mymaster".split(' ').map(Blob::from));
        for port in &ports[usize::from(SERVERS)..] {
            wait(|| shows(&tell(*port, &known), "3 usable"));
            wait(|| matches!(tell(*port, &replicas), Value::Array(all) if all.len() == 1 && shows(&all[0], "\"ok\"")));
        }
        let mut subscriber = Connection::open(ports[usize::from(SERVERS)]);
        subscriber.send(&Command::new("SUBSCRIBE").arg("+switch-master"));
        subscriber.receive().expect("a subscription is confirmed");
        Real { servers, _sentinels: sentinels, ports, subscriber }
    }

    fn try_to_ask(&self, member: u8, command: &Command) -> Option<Value> {
        Some(rename(&try_to_ask(self.ports[usize::from(member)], command)?, &self.addresses()))
    }

    fn addresses(&self) -> Vec<[String; 2]> {
        let address = |port: &u16| ["127.0.0.1".to_owned(), port.to_string()];
        self.ports[..usize::from(SERVERS)].iter().map(address).collect()
    }
}

fn replicas(port: u16) -> usize {
    match tell(port, &Command::new("ROLE")) {
        Value::Array(parts) => matches!(&parts[..], [_, _, Value::Array(all)] if all.len() == 1).into(),
        _ => 0,
    }
}

impl Group for Real {
    fn ask(&mut self, member: u8, command: &Command) -> Value {
        self.try_to_ask(member, command).expect("a server that runs replies")
    }

    fn kill(&mut self, server: u8) {
        self.servers[usize::from(server)].kill().expect("a process can be killed");
    }

    fn restart(&mut self, server: u8) {
        self.servers[usize::from(server)].restart().expect("redis-server starts");
        // The model's servers load at once.
        let port = self.ports[usize::from(server)];
        wait(|| !shows(&tell(port, &Command::new("PING")), "LOADING"));
    }

    fn wait_until(&mut self, member: u8, command: &Command, is: &dyn Fn(&Value) -> bool) {
        // A server that gets another role ends its clients' connections.
        wait(|| self.try_to_ask(member, command).is_some_and(|reply| is(&reply)));
    }

    fn told(&mut self) -> Value {
        let message = self.subscriber.receive().expect("a subscriber is told");
        rename(&message, &self.addresses())
    }
}
