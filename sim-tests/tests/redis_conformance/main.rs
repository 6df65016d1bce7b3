//! The simulated Redis against redis-server 7: random sequences of several connections, every reply compared.

mod cluster;
mod cluster_failover;
mod failover;
mod generate;
mod group;
mod scripts;
mod wire;

use doublehold::world::real::servers::{ClusterServers, RedisServer};
use doublehold_models::resp::{Command, Value};
use doublehold_models::{Blob, ConnId, NodeClock, Output, Request, Response, Service, ServiceConfig, redis};
use doublehold_sim_tests::conformance::{Dialect, Step, Sweep, Tally, sweep};
use doublehold_sim_tests::redis_server_or_skip;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use wire::Connection;

/// Sequences of each family.
const SEQUENCES: u64 = 40;
const STEPS: usize = 60;
/// The rest may end early: at an error without a text, a page of SCAN, a hexadecimal score.
const COMPLETE_PERCENT_MIN: u64 = 90;
/// How long a replica may take for its first synchronization.
const SYNC_WAIT: Duration = Duration::from_secs(10);
/// How far the two clocks may be apart, as the model is asked a moment earlier.
const CLOCK_SKEW_MS_MAX: i64 = 200;

#[test]
fn random_sequences_get_the_same_replies() {
    if !redis_server_or_skip("the Redis conformance suite") {
        return;
    }
    let mut real = RealRedis::start();
    println!("Redis conformance: {}", sweep(&mut real, &plan(generate::sequence, SEQUENCES)));
}

/// So many sequences of each family.
fn plan(generate: fn(usize, u64, usize) -> Vec<Step>, sequences: u64) -> Sweep<'static> {
    let (steps, complete_percent_min) = (STEPS, COMPLETE_PERCENT_MIN);
    Sweep { families: &generate::FAMILIES, generate, sequences, steps, complete_percent_min }
}

/// Each script of the table runs twice on the same data with several keys and arguments, and is modelled.
#[test]
fn the_scripts_of_the_table_get_the_same_replies() {
    if !redis_server_or_skip("the Redis conformance suite (scripts)") {
        return;
    }
    let mut real = RealRedis::start();
    let mut tally = Tally::default();
    let data = ["SET k1 10", "RPUSH k2 a b c", "HSET k3 a 1 b 2", "ZADD k4 1 a 2.5 b", "SADD k5 a"];
    for script in scripts::FIXED {
        for args in ["2 k1 k2 5 a", "0", "1 k3 x 2 3"] {
            let words = ["EVAL", script].into_iter().chain(args.split(' '));
            let eval: Vec<Blob> = words.map(|word| Blob::copy_from(word.as_bytes())).collect();
            let mut steps: Vec<Step> = data.iter().map(|line| generate::plain(0, line)).collect();
            steps.extend([generate::send(0, eval.clone()), generate::send(0, eval)]);
            tally.compare(&mut real, script, &steps);
        }
    }
    println!("Redis conformance, {} scripts: {tally}", scripts::FIXED.len());
    assert_eq!(tally.complete, tally.sequences, "{:?}", tally.not_modelled);
}

/// What the real server has the model has too, or says that it does not have it: for no such name is it an unknown
/// command.
#[test]
fn no_command_of_the_real_server_is_unknown() {
    if !redis_server_or_skip("the Redis conformance suite (commands)") {
        return;
    }
    let mut real = RealRedis::start();
    real.admins[0].send(&Command::new("COMMAND").arg("LIST"));
    let Some(Value::Array(names)) = real.admins[0].receive() else { panic!("no list of commands") };
    assert!(names.len() > 200, "{} commands", names.len());
    for name in names.iter().filter_map(Value::as_blob) {
        let words = name.split(|byte| *byte == b'|').map(Blob::copy_from);
        let mut out = Vec::new();
        let conn = ConnId { client: 0, member: 0, lane: 0 };
        let request = Request::Redis(Command::from_words(words));
        Service::new(&real.config()).handle(&[NodeClock { wall_us: 0, mono_us: 0 }], conn, &request, &mut out);
        let unknown =
            |text: &Blob| text.starts_with(b"ERR unknown command") || text.starts_with(b"ERR unknown subcommand");
        let refused = matches!(out[0].response(), Some(Response::Redis(Value::Error(text))) if unknown(text));
        assert!(!refused, "{name}: {}", out[0].response().expect("matched above"));
    }
}

/// The same sequences on a primary and its replica: some commands go to the one, some to the other, and after each the
/// replica takes in what the primary has done.
#[test]
fn random_sequences_on_a_primary_and_its_replica_get_the_same_replies() {
    if !redis_server_or_skip("the Redis conformance suite (replication)") {
        return;
    }
    let mut real = RealRedis::start_replicated();
    let plan = plan(generate::replicated_sequence, SEQUENCES / 4);
    println!("Redis conformance, replication: {}", sweep(&mut real, &plan));
}

/// What each command has for keys is what the real server says.
#[test]
fn the_keys_of_commands_are_those_of_the_real_server() {
    if !redis_server_or_skip("the Redis conformance suite (keys of commands)") {
        return;
    }
    let mut real = RealRedis::start();
    let (mut compared, mut with_keys) = (0, 0);
    for (family, seed) in
        (0..generate::FAMILIES.len()).flat_map(|family| (0..SEQUENCES / 4).map(move |seed| (family, seed)))
    {
        for step in generate::clustered_sequence(family, seed, STEPS) {
            let Step::Send(_, request) = step else { continue };
            let command = command_of(&request);
            // Where its words are wrong, the real server looks for keys in one way here and in another one for MOVED,
            // which the sequences on a Cluster compare.
            if name_of(command).starts_with("XREAD") {
                continue;
            }
            let ask = ["COMMAND", "GETKEYS"].map(Blob::from).into_iter().chain(command.words().iter().cloned());
            real.admins[0].send(&Command::from_words(ask));
            let keys: Vec<Blob> = match real.admins[0].receive().expect("a reply") {
                Value::Array(keys) => keys.iter().filter_map(Value::as_blob).cloned().collect(),
                // The server would refuse the command without a look at its keys.
                error if show(&error).contains("Invalid command") || show(&error).contains("Invalid number") => {
                    continue;
                }
                _ => Vec::new(),
            };
            let model: Vec<Blob> = doublehold_models::keys::keys(command.words()).cloned().collect();
            assert_eq!(model, keys, "the model's keys (left) of {command}");
            (compared, with_keys) = (compared + 1, with_keys + u64::from(!keys.is_empty()));
        }
    }
    println!("Redis conformance, keys of commands: {compared} commands compared, {with_keys} of them with keys");
    assert!(with_keys * 2 > compared);
}

/// The same sequences on a Cluster of three primaries and a replica, each command on one of them.
#[test]
fn random_sequences_on_a_cluster_get_the_same_replies() {
    if !redis_server_or_skip("the Redis conformance suite (Cluster)") {
        return;
    }
    let mut real = RealRedis::start_cluster();
    let plan = plan(generate::clustered_sequence, SEQUENCES / 4);
    println!("Redis conformance, Cluster: {}", sweep(&mut real, &plan));
}

/// The real servers: one, a primary with a replica, or a Cluster.
struct RealRedis {
    config: redis::Config,
    ports: Vec<u16>,
    admins: Vec<Connection>,
    /// They run as long as this lives.
    _servers: (Vec<RedisServer>, Option<ClusterServers>),
    open: BTreeMap<ConnId, Connection>,
    /// What each connection has put aside inside MULTI.
    queued: BTreeMap<ConnId, Vec<Command>>,
}

impl RealRedis {
    fn of(config: redis::Config, servers: Vec<RedisServer>, cluster: Option<ClusterServers>) -> Self {
        let alone = servers.iter().map(RedisServer::port);
        let ports: Vec<u16> = alone.chain(cluster.iter().flat_map(ClusterServers::ports)).collect();
        let mut admins: Vec<Connection> = ports.iter().map(|port| Connection::open(*port)).collect();
        // The model collects expired keys only when they are looked at; let the real server look for them rarely.
        // What it writes to its disk nobody reads.
        for line in ["CONFIG SET hz 1", "CONFIG SET dynamic-hz no", "CONFIG SET appendonly no"] {
            admins.iter_mut().for_each(|admin| order(admin, line));
        }
        let (open, queued) = (BTreeMap::new(), BTreeMap::new());
        RealRedis { config, ports, admins, _servers: (servers, cluster), open, queued }
    }

    fn start() -> Self {
        RealRedis::of(redis::Config::default(), vec![RedisServer::start().expect("redis-server starts")], None)
    }

    /// A primary with one replica.
    fn start_replicated() -> Self {
        let replication = redis::Replication { replicas: 1, sentinels: None, ..redis::Replication::default() };
        let config = redis::Config { replication: Some(replication), ..redis::Config::default() };
        let servers = (0..2).map(|_| RedisServer::start().expect("redis-server starts")).collect();
        let mut real = RealRedis::of(config, servers, None);
        let replicate = Command::new("REPLICAOF").arg("127.0.0.1").arg(i64::from(real.ports[0]));
        real.admins[1].send(&replicate);
        let began = real.admins[1].receive();
        assert!(began.as_ref().is_some_and(Value::is_ok), "REPLICAOF: {began:?}");
        order(&mut real.admins[0], "CONFIG SET repl-diskless-sync-delay 0");
        real.wait_for_replica();
        real
    }

    /// Three primaries, the first with one replica.
    fn start_cluster() -> Self {
        let sharding = redis::Sharding { replicas: vec![1, 0, 0], ..redis::Sharding::default() };
        let timeout = Duration::from_millis(sharding.node_timeout_ms.into());
        let servers = ClusterServers::start(&sharding.replicas, timeout).expect("a Cluster starts");
        let config = redis::Config { cluster: Some(sharding), ..redis::Config::default() };
        let mut real = RealRedis::of(config, Vec::new(), Some(servers));
        real.admins.iter_mut().for_each(cluster::wait_until_usable);
        real.wait_for_replica();
        let count = real.admins.len();
        real.admins.iter_mut().for_each(|server| cluster::wait_until_known(server, count));
        real
    }

    fn wait_for_replica(&mut self) {
        let started = Instant::now();
        while !self.has_caught_up() {
            assert!(started.elapsed() < SYNC_WAIT, "the replica does not synchronize");
        }
    }

    /// Waits for up to a second until the first primary's replica has all that was written. True if it has.
    fn has_caught_up(&mut self) -> bool {
        // WAIT is about the writes before the connection's last command.
        self.admins[0].send(&Command::new("PING"));
        self.admins[0].receive();
        self.admins[0].send(&Command::new("WAIT").arg(1i64).arg(900i64));
        self.admins[0].receive() == Some(Value::Int(1))
    }

    fn has_replica(&self) -> bool {
        self.ports.len() > 1
    }
}

/// A command that must succeed.
fn order(connection: &mut Connection, line: &'static str) {
    connection.send(&Command::from_words(line.split(' ').map(Blob::from)));
    let reply = connection.receive();
    assert!(reply.as_ref().is_some_and(Value::is_ok), "{line}: {reply:?}");
}

impl Dialect for RealRedis {
    fn config(&self) -> ServiceConfig {
        ServiceConfig::Redis(self.config.clone())
    }

    fn settle(&mut self) {
        if self.has_replica() {
            assert!(self.has_caught_up(), "the replica does not catch up");
        }
        if self.config.cluster.is_some() {
            cluster::wait_until_published(&mut self.admins);
        }
    }

    fn ticks(&self) -> bool {
        false
    }

    fn reset(&mut self) {
        std::mem::take(&mut self.open).into_values().for_each(Connection::close);
        self.queued.clear();
        for admin in &mut self.admins {
            admin.send(&Command::new("FLUSHALL"));
            // A replica refuses it, and gets it from its primary.
            let reply = admin.receive().expect("a reply");
            assert!(reply.is_ok() || show(&reply).starts_with("-READONLY"), "FLUSHALL: {}", show(&reply));
            order(admin, "SCRIPT FLUSH");
        }
        self.settle();
    }

    fn send(&mut self, conn: ConnId, request: &Request) {
        let command = command_of(request);
        let port = self.ports[usize::from(conn.member)];
        self.open.entry(conn).or_insert_with(|| Connection::open(port)).send(command);
    }

    fn receive(&mut self, conn: ConnId) -> Option<Response> {
        let value = self.open.get_mut(&conn)?.receive()?;
        Some(Response::Redis(cluster::with_names(&value, &self.ports)))
    }

    fn close(&mut self, conn: ConnId) {
        self.queued.remove(&conn);
        if let Some(connection) = self.open.remove(&conn) {
            connection.close();
        }
    }

    fn difference(
        &mut self,
        conn: ConnId,
        request: Option<&Request>,
        model: &[Output],
        real: &mut [Option<Response>],
    ) -> Option<usize> {
        // The end of a connection is followed by nothing.
        let Some(request) = request else { return (!model.is_empty()).then_some(0) };
        let command = command_of(request);
        let name = name_of(command);
        align(command.words().len() == 1 && name.ends_with("UNSUBSCRIBE"), model, real);
        let queued = if name == "EXEC" { self.queued.get(&conn).map(Vec::as_slice) } else { None };
        let differs = |one: &Output, real: &Option<Response>| {
            let Some(Response::Redis(model)) = one.response() else { return true };
            real.as_ref().is_none_or(|real| !is_same(command, queued, value_of(real), model))
        };
        let first = model.iter().zip(real.iter()).position(|(one, real)| differs(one, real));
        match (name.as_str(), model.first().and_then(Output::response)) {
            ("EXEC" | "DISCARD", _) => drop(self.queued.remove(&conn)),
            (_, Some(Response::Redis(Value::Status(text)))) if text.as_bytes() == b"QUEUED" => {
                self.queued.entry(conn).or_default().push(command.clone());
            }
            _ => {}
        }
        first
    }

    fn probe(&self) -> Request {
        Request::Redis(Command::new("PING").arg("nothing is left"))
    }

    fn show_request(&self, request: &Request) -> String {
        let command = command_of(request);
        let words = command.words().iter().map(|word| format!("\"{}\"", word.escape_ascii()));
        words.collect::<Vec<_>>().join(" ")
    }

    fn show_response(&self, response: &Response) -> String {
        let value = value_of(response);
        show(value)
    }
}

/// # Panics
/// If the request is to a server of another kind.
fn command_of(request: &Request) -> &Command {
    match request {
        Request::Redis(command) => command,
        other => panic!("a request to another kind of server: {other}"),
    }
}

/// # Panics
/// If the response is from a server of another kind.
fn value_of(response: &Response) -> &Value {
    match response {
        Response::Redis(value) => value,
        other => panic!("a response from another kind of server: {other}"),
    }
}

fn name_of(command: &Command) -> String {
    command.name().to_text().to_uppercase()
}

/// A reply as it goes over the wire, on one line.
fn show(value: &Value) -> String {
    match value {
        Value::Nil => "nil".to_owned(),
        Value::Int(number) => format!(":{number}"),
        Value::Bulk(text) => format!("\"{}\"", text.escape_ascii()),
        Value::Status(text) => format!("+{}", text.escape_ascii()),
        Value::Error(text) => format!("-{}", text.escape_ascii()),
        Value::Array(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", ")),
    }
}

/// Puts the messages of the real server where the model has the same ones. The real server walks a hash of patterns and
/// of subscribers, so messages to one connection come in any order, and so do the confirmations of an
/// unsubscription from everything (`loose`), which count down.
fn align(loose: bool, model: &[Output], real: &mut [Option<Response>]) {
    for at in 0..model.len() {
        if model[at].as_reply().is_some() && !loose {
            continue;
        }
        let (conn, response) = (model[at].conn, model[at].response());
        let same = |other: &usize| model[*other].conn == conn && real[*other].as_ref() == response;
        if let Some(found) = (at..model.len()).find(same) {
            real.swap(at, found);
        }
    }
    if loose {
        align_names(model, real);
    }
}

/// Gives the confirmations of an unsubscription from everything the model's order, if they are for the same names.
fn align_names(model: &[Output], real: &mut [Option<Response>]) {
    fn name(response: &mut Response) -> Option<&mut Value> {
        match response {
            Response::Redis(Value::Array(items)) => items.get_mut(1),
            _ => None,
        }
    }
    let names = |all: &mut dyn Iterator<Item = Response>| -> Vec<Option<Value>> {
        all.map(|mut response| name(&mut response).cloned()).collect()
    };
    let wanted = names(&mut model.iter().filter_map(Output::response).cloned());
    let sorted = |mut names: Vec<Option<Value>>| {
        names.sort_by_key(|name| name.as_ref().map(show));
        names
    };
    if sorted(wanted.clone()) != sorted(names(&mut real.iter().flatten().cloned())) {
        return;
    }
    for (real, wanted) in real.iter_mut().zip(wanted) {
        if let (Some(place), Some(wanted)) = (real.as_mut().and_then(name), wanted) {
            *place = wanted;
        }
    }
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(sorted).collect();
            items.sort_by_key(show);
            Value::Array(items)
        }
        other => other.clone(),
    }
}

/// True if the two replies to a command are the same in all that the real server promises.
fn is_same(command: &Command, queued: Option<&[Command]>, real: &Value, model: &Value) -> bool {
    if real == model {
        return true;
    }
    if let (Some(queued), Value::Array(real), Value::Array(model)) = (queued, real, model) {
        let mut pairs = queued.iter().zip(real.iter().zip(model));
        return [real.len(), model.len()] == [queued.len(); 2]
            && pairs.all(|(command, (real, model))| is_same(command, None, real, model));
    }
    match name_of(command).as_str() {
        "TTL" | "EXPIRETIME" => is_near(real, model, 1),
        "PTTL" | "PEXPIRETIME" => is_near(real, model, CLOCK_SKEW_MS_MAX),
        "TIME" => match (real, model) {
            (Value::Array(real), Value::Array(model)) if real.len() == 2 && model.len() == 2 => {
                is_near(&integer(&real[0]), &integer(&model[0]), 1)
            }
            _ => false,
        },
        "XADD" => match (real.as_blob().map(milliseconds), model.as_blob().map(milliseconds)) {
            (Some(real), Some(model)) => is_near(&real, &model, CLOCK_SKEW_MS_MAX),
            _ => false,
        },
        "XPENDING" => is_same_pending(real, model),
        "SMEMBERS" | "SINTER" | "SUNION" | "SDIFF" | "KEYS" | "PUBSUB" => sorted(real) == sorted(model),
        // The real server may need more pages, and then says so with its cursor.
        "SCAN" => match (real, model) {
            (Value::Array(real), Value::Array(model)) if real.len() == 2 && model.len() == 2 => {
                real[0] != Value::Bulk("0".into()) || sorted(&real[1]) == sorted(&model[1])
            }
            _ => false,
        },
        // Addresses and offsets are the servers' own: the model counts the bytes of commands as clients send them.
        "ROLE" => match (real, model) {
            (Value::Array(real), Value::Array(model)) => role(real) == role(model),
            _ => false,
        },
        "RANDOMKEY" => !real.is_nil() && !model.is_nil(),
        _ => false,
    }
}

/// What a server says of its role without addresses and offsets: which it is, its number of replicas, the state of its
/// connection to the primary.
fn role(parts: &[Value]) -> (Option<&Value>, Option<usize>, Option<&Value>) {
    match parts {
        [role, Value::Int(_), Value::Array(replicas)] => (Some(role), Some(replicas.len()), None),
        [role, _, _, state, Value::Int(_)] => (Some(role), None, Some(state)),
        _ => (None, None, None),
    }
}

/// The first number of a stream's ID.
fn milliseconds(id: &Blob) -> Value {
    integer(&Value::Bulk(Blob::copy_from(id.split(|byte| *byte == b'-').next().unwrap_or_default())))
}

/// The same entries with the same consumers and numbers of deliveries, idle for about as long.
fn is_same_pending(real: &Value, model: &Value) -> bool {
    let (Value::Array(real), Value::Array(model)) = (real, model) else { return false };
    let is_same = |(real, model): (&Value, &Value)| match (real, model) {
        (Value::Array(real), Value::Array(model)) if real.len() == 4 && model.len() == 4 => {
            real[..2] == model[..2] && real[3] == model[3] && is_idle_as_long(&real[2], &model[2])
        }
        _ => real == model,
    };
    real.len() == model.len() && real.iter().zip(model).all(is_same)
}

/// As [`is_near`], where 0 is as good as a moment.
fn is_idle_as_long(real: &Value, model: &Value) -> bool {
    matches!((real, model), (Value::Int(real), Value::Int(model))
        if real.abs_diff(*model) <= CLOCK_SKEW_MS_MAX.unsigned_abs())
}

fn is_near(real: &Value, model: &Value, apart_max: i64) -> bool {
    matches!((real, model), (Value::Int(real), Value::Int(model))
        if real.signum() == model.signum() && real.abs_diff(*model) <= apart_max.unsigned_abs())
}

fn integer(value: &Value) -> Value {
    value.as_blob().and_then(|text| text.to_int()).map_or(Value::Nil, Value::Int)
}
