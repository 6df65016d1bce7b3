//! A failover on real Sentinels and on the simulated ones: the same course of events, all replies compared.

use super::show;
use super::wire::Connection;
use doublehold::world::real::servers::{RedisServer, SentinelServer, Server, Watch};
use doublehold_models::resp::{Command, Value};
use doublehold_models::{
    Blob, ConnId, Lost, NodeClock, Output, Request, Response, Service, ServiceConfig, Steps, redis,
};
use doublehold_sim_tests::redis_server_or_skip;
use std::time::{Duration, Instant};

const SERVERS: u8 = 2;
const SENTINELS: u8 = 3;
const QUORUM: u8 = 2;
const DOWN_AFTER: Duration = Duration::from_millis(500);
/// How often Sentinels say hello here, and look at servers.
const HELLO_MS: u32 = 200;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);
const SCRIPT: &str = "return redis.call('INCR', KEYS[1])";

/// A primary, its replica and Sentinels, real or simulated. The servers are the first members.
trait Group {
    fn ask(&mut self, member: u8, command: &Command) -> Value;
    fn kill(&mut self, server: u8);
    fn restart(&mut self, server: u8);
    /// Lets time pass until a member answers so.
    fn wait_until(&mut self, member: u8, command: &Command, is: &dyn Fn(&Value) -> bool);
    /// What a subscriber of a Sentinel has been told.
    fn told(&mut self) -> Value;
}

#[test]
fn a_failover_goes_as_on_real_sentinels() {
    if !redis_server_or_skip("the Redis conformance suite (failover)") {
        return;
    }
    let (simulated, real) = (course(&mut Simulated::start()), course(&mut Real::start()));
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
        log.push(format!("{member}> {line}: {}", show(&known_names(&reply))));
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
    log.push(format!("told: {}", show(&known_names(&group.told()))));
    log
}

fn who_is_primary() -> Command {
    Command::new("SENTINEL").arg("get-master-addr-by-name").arg("mymaster")
}

fn is_server(number: u8) -> impl Fn(&Value) -> bool {
    move |value| show(&known_names(value)).contains(&format!("server-{number}"))
}

/// A reply in which servers have names, and offsets are left out.
fn known_names(value: &Value) -> Value {
    match value {
        Value::Array(parts) => match &parts[..] {
            [role @ Value::Bulk(name), Value::Int(_), Value::Array(replicas)] if name.as_bytes() == b"master" => {
                Value::Array(vec![role.clone(), Value::Int(replicas.len() as i64)])
            }
            [role @ Value::Bulk(name), _, _, state, Value::Int(_)] if name.as_bytes() == b"slave" => {
                Value::Array(vec![role.clone(), state.clone()])
            }
            _ => Value::Array(parts.iter().map(known_names).collect()),
        },
        other => other.clone(),
    }
}

/// Puts `server-0` and `server-1` where the addresses are.
fn rename(value: &Value, addresses: &[[String; 2]]) -> Value {
    match value {
        Value::Array(parts) => match &parts[..] {
            [Value::Bulk(host), Value::Bulk(port)]
                if addresses.iter().any(|[a, b]| *a == host.to_text() && *b == port.to_text()) =>
            {
                let is = |[a, b]: &[String; 2]| *a == host.to_text() && *b == port.to_text();
                let number = addresses.iter().position(is).expect("it was there");
                Value::Bulk(format!("server-{number}").into())
            }
            _ => Value::Array(parts.iter().map(|part| rename(part, addresses)).collect()),
        },
        Value::Bulk(text) => {
            let named =
                addresses.iter().enumerate().fold(text.to_text().into_owned(), |text, (number, [host, port])| {
                    text.replace(&format!("{host} {port}"), &format!("server-{number}"))
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

    fn addresses(&self) -> Vec<[String; 2]> {
        let address = |port: &u16| ["127.0.0.1".to_owned(), port.to_string()];
        self.ports[..usize::from(SERVERS)].iter().map(address).collect()
    }
}

/// Asks over a connection of its own.
fn tell(port: u16, command: &Command) -> Value {
    let mut connection = Connection::open(port);
    connection.send(command);
    let reply = connection.receive().expect("a server that runs replies");
    connection.close();
    reply
}

fn shows(value: &Value, text: &str) -> bool {
    show(value).contains(text)
}

fn replicas(port: u16) -> usize {
    match tell(port, &Command::new("ROLE")) {
        Value::Array(parts) => matches!(&parts[..], [_, _, Value::Array(all)] if all.len() == 1).into(),
        _ => 0,
    }
}

fn wait(mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < PATIENCE, "it takes too long");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Real {
    /// Asks over a connection of its own, WAIT behind a read: it is about what was written before the connection's last
    /// command.
    fn try_to_ask(&mut self, member: u8, command: &Command) -> Option<Value> {
        let mut connection = Connection::open(self.ports[usize::from(member)]);
        if command.name().to_text() == "WAIT" {
            connection.send(&Command::new("GET").arg("a"));
            connection.receive()?;
        }
        connection.send(command);
        let reply = connection.receive()?;
        connection.close();
        Some(rename(&reply, &self.addresses()))
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

struct Simulated {
    model: Service,
    now_us: u64,
    told: Vec<Value>,
}

const SUBSCRIBER: ConnId = ConnId { client: 9, member: SERVERS, lane: 0 };

impl Simulated {
    fn start() -> Self {
        let sentinels = redis::Sentinels {
            count: SENTINELS,
            quorum: QUORUM,
            down_after_ms: DOWN_AFTER.as_millis() as u32,
            hello_ms: HELLO_MS,
        };
        let replication =
            redis::Replication { replicas: SERVERS - 1, sentinels: Some(sentinels), ..redis::Replication::default() };
        let config = redis::Config { replication: Some(replication), ..redis::Config::default() };
        let mut group = Simulated { model: Service::new(&ServiceConfig::Redis(config)), now_us: 0, told: Vec::new() };
        group.send(SUBSCRIBER, &Command::new("SUBSCRIBE").arg("+switch-master"));
        group.told.clear();
        group
    }

    fn clocks(&self) -> Vec<NodeClock> {
        vec![NodeClock { wall_us: self.now_us as i64, mono_us: self.now_us }; usize::from(SERVERS + SENTINELS)]
    }

    fn take(&mut self, out: Vec<Output>, conn: ConnId) -> Option<Value> {
        let mut reply = None;
        for output in out {
            match output.response() {
                Some(Response::Redis(value)) if output.conn == SUBSCRIBER => self.told.push(value.clone()),
                Some(Response::Redis(value)) if output.conn == conn => reply = Some(value.clone()),
                _ => {}
            }
        }
        reply
    }

    fn send(&mut self, conn: ConnId, command: &Command) -> Option<Value> {
        let mut out = Vec::new();
        let clocks = self.clocks();
        self.model.handle(&clocks, conn, &Request::Redis(command.clone()), &mut out);
        assert!(!out.iter().any(|one| one.as_not_modelled().is_some()), "{command}: {out:?}");
        self.take(out, conn)
    }

    /// Everything that can happen by itself does, and then a moment passes.
    fn go_on(&mut self, conn: ConnId) -> Option<Value> {
        let mut reply = None;
        loop {
            let mut steps = Steps::new();
            self.model.steps(&mut steps);
            let Some((at, step)) = steps.into_iter().find(|(_, step)| step.is_of_group()) else { break };
            let mut out = Vec::new();
            let clocks = self.clocks();
            self.model.step(&clocks, at, step, &mut out);
            reply = reply.or(self.take(out, conn));
        }
        self.now_us += 10_000;
        for member in 0..SERVERS + SENTINELS {
            let mut out = Vec::new();
            if self.model.is_due(self.clocks()[0], member) {
                let clocks = self.clocks();
                self.model.tick(&clocks, member, &mut out);
            }
            reply = reply.or(self.take(out, conn));
        }
        reply
    }
}

impl Group for Simulated {
    fn ask(&mut self, member: u8, command: &Command) -> Value {
        let conn = ConnId { client: 0, member, lane: 0 };
        if command.name().to_text() == "WAIT" {
            self.send(conn, &Command::new("GET").arg("a"));
        }
        let mut reply = self.send(conn, command);
        while reply.is_none() {
            reply = self.go_on(conn);
        }
        let clocks = self.clocks();
        self.model.disconnect(&clocks, conn);
        let addresses: Vec<[String; 2]> =
            (0..SERVERS).map(|server| [format!("member-{server}"), "6379".to_owned()]).collect();
        rename(&reply.expect("just found"), &addresses)
    }

    fn kill(&mut self, server: u8) {
        let mut out = Vec::new();
        let clocks = self.clocks();
        self.model.crash(&clocks, server, Lost::Process, &mut out);
    }

    fn restart(&mut self, server: u8) {
        let mut out = Vec::new();
        let clocks = self.clocks();
        self.model.restart(&clocks, server, &mut out);
    }

    fn wait_until(&mut self, member: u8, command: &Command, is: &dyn Fn(&Value) -> bool) {
        for _ in 0..10_000 {
            if is(&self.ask(member, command)) {
                return;
            }
            self.go_on(SUBSCRIBER);
        }
        panic!("member {member} never answers {command} as it should");
    }

    fn told(&mut self) -> Value {
        let addresses: Vec<[String; 2]> =
            (0..SERVERS).map(|server| [format!("member-{server}"), "6379".to_owned()]).collect();
        rename(&self.told.remove(0), &addresses)
    }
}
