//! Service: what every simulated server, or ensemble of servers, can be asked to do, whatever its kind.

use crate::resp::{Command, Value};
use crate::{Blob, ClientId, etcd, mysql, redis, zookeeper};
use serde::{Deserialize, Serialize};
use std::hash::{Hash, Hasher};

/// A connection, by its ends. After [`Service::disconnect`] the same name stands for the client's next connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnId {
    /// The client's number.
    pub client: u16,
    /// The node's place within its service.
    pub member: u8,
    /// 0 for the connection that carries commands; further ones carry subscriptions.
    pub lane: u8,
}

impl Hash for ConnId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let ConnId { client, member, lane } = *self;
        ClientId(client).hash(state);
        state.write_u16(u16::from(member) << 8 | u16::from(lane));
    }
}

/// What a node may know of time: its own clocks, never true time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeClock {
    /// The node's wall clock, microseconds since the epoch.
    pub wall_us: i64,
    /// The node's monotonic clock, microseconds.
    pub mono_us: u64,
}

impl NodeClock {
    /// The wall clock in whole milliseconds, rounded down.
    pub fn wall_ms(&self) -> i64 {
        self.wall_us.div_euclid(1000)
    }
}

/// What a member loses when it goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Its process: what it had handed to the operating system still reaches the disk.
    Process,
    /// Power: what was not synced to the disk is gone.
    Power,
}

/// A request to a server of any kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// To a Redis.
    Redis(Command),
    /// To a ZooKeeper.
    ZooKeeper(zookeeper::wire::Request),
    /// To an etcd.
    Etcd(etcd::wire::Request),
    /// To a MySQL.
    MySql(mysql::wire::Request),
}

/// A server's answer, or a message that it sends by itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Response {
    /// From a Redis.
    Redis(Value),
    /// From a ZooKeeper.
    ZooKeeper(zookeeper::wire::Reply),
    /// From an etcd.
    Etcd(etcd::wire::Reply),
    /// From a MySQL.
    MySql(mysql::wire::Reply),
}

impl Request {
    /// The name of what is asked.
    pub fn name(&self) -> Blob {
        match self {
            Request::Redis(command) => command.name().clone(),
            Request::ZooKeeper(request) => request.name().into(),
            Request::Etcd(request) => request.name().into(),
            Request::MySql(request) => request.name(),
        }
    }

    /// True if the answer may depend on the server's wall clock otherwise than by what ends by itself.
    pub fn may_ask_time(&self) -> bool {
        const TIME: &[u8] = b"TIME";
        let names_time = |word: &Blob| word.windows(TIME.len()).any(|part| part.eq_ignore_ascii_case(TIME));
        match self {
            Request::Redis(command) => command.words().iter().any(names_time),
            Request::ZooKeeper(_) | Request::Etcd(_) => false,
            Request::MySql(_) => true,
        }
    }

    /// True if the request names this key or path.
    pub fn mentions(&self, key: &Blob) -> bool {
        match self {
            Request::Redis(command) => command.words().iter().any(|word| word == key),
            Request::ZooKeeper(request) => request.paths().contains(&key),
            Request::Etcd(request) => request.mentions(key),
            Request::MySql(request) => request.mentions(key),
        }
    }
}

impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Request::Redis(command) => command.fmt(f),
            Request::ZooKeeper(request) => request.fmt(f),
            Request::Etcd(request) => request.fmt(f),
            Request::MySql(request) => request.fmt(f),
        }
    }
}

impl std::fmt::Display for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Response::Redis(value) => value.fmt(f),
            Response::ZooKeeper(reply) => reply.fmt(f),
            Response::Etcd(reply) => reply.fmt(f),
            Response::MySql(reply) => reply.fmt(f),
        }
    }
}

/// Something that a node does to a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The connection.
    pub conn: ConnId,
    /// What it does.
    pub sent: Sent,
}

/// What a node does to a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Answers the request just served.
    Reply(Response),
    /// Sends something of its own accord.
    Message(Response),
    /// Closes it; what was sent before still arrives.
    Close,
    /// Nothing: the request, or what it led to, needs something that the model does not have, in one phrase. What a real
    /// server would do is unknown, so an execution ends here. The service is not to be asked for anything more.
    NotModelled(String),
}

impl Output {
    /// The answer to the request just served.
    pub fn reply(conn: ConnId, response: Response) -> Self {
        Output { conn, sent: Sent::Reply(response) }
    }

    /// A message of the node's own accord.
    pub fn message(conn: ConnId, response: Response) -> Self {
        Output { conn, sent: Sent::Message(response) }
    }

    /// The end of a connection.
    pub fn close(conn: ConnId) -> Self {
        Output { conn, sent: Sent::Close }
    }

    /// The model does not have what was asked for.
    pub fn not_modelled(conn: ConnId, what: impl Into<String>) -> Self {
        Output { conn, sent: Sent::NotModelled(what.into()) }
    }

    /// What it carries, if it carries something.
    pub fn response(&self) -> Option<&Response> {
        match &self.sent {
            Sent::Reply(response) | Sent::Message(response) => Some(response),
            Sent::Close | Sent::NotModelled(_) => None,
        }
    }

    /// The answer, if it is one.
    pub fn as_reply(&self) -> Option<&Response> {
        match &self.sent {
            Sent::Reply(response) => Some(response),
            Sent::Message(_) | Sent::Close | Sent::NotModelled(_) => None,
        }
    }

    /// What the model does not have, if it says so.
    pub fn as_not_modelled(&self) -> Option<&str> {
        match &self.sent {
            Sent::NotModelled(what) => Some(what),
            Sent::Reply(_) | Sent::Message(_) | Sent::Close => None,
        }
    }
}

/// A moment of one of a node's own clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// Of its wall clock, microseconds since the epoch.
    Wall(i64),
    /// Of its monotonic clock, microseconds.
    Monotonic(u64),
}

/// How a service is set up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ServiceConfig {
    /// A Redis server.
    Redis(redis::Config),
    /// A ZooKeeper ensemble.
    #[serde(rename = "zookeeper")]
    ZooKeeper(zookeeper::Config),
    /// An etcd cluster.
    Etcd(etcd::Config),
    /// A MySQL server.
    #[serde(rename = "mysql")]
    MySql(mysql::Config),
}

/// A simulated server of any kind, or several that keep one state together.
///
/// The nodes of a service are its *members*; what they say to each other is the service's own affair. Where the
/// moment of such an internal step can be told apart by a client, it is a step that somebody else decides on
/// ([`lag`](Service::lag), [`catch_up`](Service::catch_up)).
///
/// The contract: [`handle`](Service::handle) takes one request and pushes everything that follows from it;
/// [`next_timer`](Service::next_timer) says when a member next wants to be woken by its own clock;
/// [`tick`](Service::tick) wakes it. The members' clocks are handed in (`clocks`, by place; `clock`, the one's that is asked).
///
/// Its hash is its part of a state's fingerprint: see [`Digest`](crate::Digest). Deadlines count as they are, so the clocks must be in the
/// fingerprint too.
#[derive(Clone, Hash)]
pub enum Service {
    /// A Redis server.
    Redis(redis::Node),
    /// A ZooKeeper ensemble.
    ZooKeeper(Box<zookeeper::Ensemble>),
    /// An etcd cluster.
    Etcd(Box<etcd::Cluster>),
    /// A MySQL server.
    MySql(Box<mysql::Server>),
}

impl ServiceConfig {
    /// How many nodes it has.
    pub fn members(&self) -> u8 {
        match self {
            ServiceConfig::Redis(_) | ServiceConfig::MySql(_) => 1,
            ServiceConfig::ZooKeeper(config) => config.servers,
            ServiceConfig::Etcd(config) => config.servers,
        }
    }
}

impl Service {
    /// A service whose nodes have just started for the first time.
    pub fn new(config: &ServiceConfig) -> Self {
        match config {
            ServiceConfig::Redis(config) => Service::Redis(redis::Node::new(config.clone())),
            ServiceConfig::ZooKeeper(config) => Service::ZooKeeper(Box::new(zookeeper::Ensemble::new(config.clone()))),
            ServiceConfig::Etcd(config) => Service::Etcd(Box::new(etcd::Cluster::new(config.clone()))),
            ServiceConfig::MySql(config) => Service::MySql(Box::new(mysql::Server::new(config.clone()))),
        }
    }

    /// Serves one request.
    pub fn handle(&mut self, clocks: &[NodeClock], conn: ConnId, request: &Request, out: &mut Vec<Output>) {
        match (self, request) {
            (Service::Redis(node), Request::Redis(command)) => node.handle(clocks[0], conn, command, out),
            (Service::ZooKeeper(ensemble), Request::ZooKeeper(request)) => ensemble.handle(clocks, conn, request, out),
            (Service::Etcd(cluster), Request::Etcd(request)) => cluster.handle(clocks, conn, request, out),
            (Service::MySql(server), Request::MySql(request)) => server.handle(clocks[0], conn, request, out),
            (_, request) => panic!("a service of another kind was asked for {request}: a mistake of the scenario"),
        }
    }

    /// Takes note that a connection has ended.
    pub fn disconnect(&mut self, clocks: &[NodeClock], conn: ConnId) {
        match self {
            Service::Redis(node) => node.disconnect(conn),
            Service::ZooKeeper(ensemble) => ensemble.disconnect(clocks, conn),
            Service::Etcd(cluster) => cluster.disconnect(conn),
            Service::MySql(server) => server.disconnect(clocks[0], conn),
        }
    }

    /// True if something is kept for a connection and would be lost with it: a transaction, a subscription, a session.
    pub fn keeps(&self, conn: ConnId) -> bool {
        match self {
            Service::Redis(node) => node.keeps(conn),
            Service::ZooKeeper(ensemble) => ensemble.keeps(conn),
            Service::Etcd(cluster) => cluster.keeps(conn),
            Service::MySql(server) => server.keeps(conn),
        }
    }

    /// The connections whose requests had to wait and may go on now, in whatever order.
    pub fn ready(&self) -> Vec<ConnId> {
        match self {
            Service::MySql(server) => server.ready().collect(),
            Service::Redis(_) | Service::ZooKeeper(_) | Service::Etcd(_) => Vec::new(),
        }
    }

    /// Lets a request go on that had to wait, on a connection that is [`ready`](Service::ready).
    pub fn go_on(&mut self, clocks: &[NodeClock], conn: ConnId, out: &mut Vec<Output>) {
        match self {
            Service::MySql(server) => server.go_on(clocks[0], conn, out),
            Service::Redis(_) | Service::ZooKeeper(_) | Service::Etcd(_) => panic!("nobody waits here"),
        }
    }

    /// True if a request on a connection was served and will be answered when it can be.
    pub fn is_waiting(&self, conn: ConnId) -> bool {
        match self {
            Service::MySql(server) => server.is_waiting(conn),
            Service::Redis(_) | Service::ZooKeeper(_) | Service::Etcd(_) => false,
        }
    }

    /// Takes note that the client at the other end of an open connection has fallen silent, or is heard again. Until it
    /// falls silent it is taken to send its pings in time.
    pub fn hear(&mut self, clocks: &[NodeClock], conn: ConnId, heard: bool) {
        match self {
            Service::Redis(_) | Service::Etcd(_) | Service::MySql(_) => {}
            Service::ZooKeeper(ensemble) => ensemble.hear(clocks, conn, heard),
        }
    }

    /// The earliest moment of a member's own clocks at which the state changes by itself: a key expires, a
    /// periodic fsync falls due.
    pub fn next_timer(&self, clock: NodeClock, member: u8) -> Option<Due> {
        match self {
            Service::Redis(node) => node.next_timer(clock).map(Due::Wall),
            Service::ZooKeeper(ensemble) => ensemble.next_timer(member),
            Service::Etcd(cluster) => cluster.next_timer(member),
            Service::MySql(server) => server.next_timer(),
        }
    }

    /// True if what falls due may be felt by clients that ask for nothing: a watch fires, a connection is closed.
    pub fn wakes_clients(&self) -> bool {
        match self {
            Service::Redis(_) => false,
            Service::ZooKeeper(_) | Service::Etcd(_) | Service::MySql(_) => true,
        }
    }

    /// True if something has fallen due at a member: [`tick`](Service::tick) would do something.
    pub fn is_due(&self, clock: NodeClock, member: u8) -> bool {
        match self {
            Service::Redis(node) => node.is_due(clock),
            Service::ZooKeeper(ensemble) => ensemble.is_due(clock, member),
            Service::Etcd(cluster) => cluster.is_due(clock, member),
            Service::MySql(server) => server.is_due(clock),
        }
    }

    /// Does what has fallen due by a member's own clocks.
    pub fn tick(&mut self, clocks: &[NodeClock], member: u8, out: &mut Vec<Output>) {
        match self {
            Service::Redis(node) => node.tick(clocks[usize::from(member)]),
            Service::ZooKeeper(ensemble) => ensemble.tick(clocks, member, out),
            Service::Etcd(cluster) => cluster.tick(clocks, member, out),
            Service::MySql(server) => server.tick(clocks[0], out),
        }
    }

    /// True if a member can fall behind the others; of a MySQL, the replica behind it.
    pub fn can_lag(&self, member: u8) -> bool {
        match self {
            Service::Redis(_) => false,
            Service::MySql(server) => server.can_lag(),
            Service::ZooKeeper(ensemble) => ensemble.can_lag(member),
            Service::Etcd(cluster) => cluster.can_lag(member),
        }
    }

    /// A member falls behind: from now on it takes in what the others know only in steps of
    /// [`catch_up`](Service::catch_up).
    pub fn lag(&mut self, member: u8) {
        match self {
            Service::Redis(_) => {}
            Service::MySql(server) => server.lag(),
            Service::ZooKeeper(ensemble) => ensemble.lag(member),
            Service::Etcd(cluster) => cluster.lag(member),
        }
    }

    /// True if a member is behind.
    pub fn is_behind(&self, member: u8) -> bool {
        match self {
            Service::Redis(_) => false,
            Service::MySql(server) => server.is_behind(),
            Service::ZooKeeper(ensemble) => ensemble.is_behind(member),
            Service::Etcd(cluster) => cluster.is_behind(member),
        }
    }

    /// A member that is behind takes in one thing more; with the last one it is no longer behind.
    pub fn catch_up(&mut self, member: u8, out: &mut Vec<Output>) {
        match self {
            Service::Redis(_) => {}
            Service::MySql(server) => server.catch_up(),
            Service::ZooKeeper(ensemble) => ensemble.catch_up(member, out),
            Service::Etcd(cluster) => cluster.catch_up(member, out),
        }
    }

    /// True if a member syncs to its disk beside its answers, and no such sync takes long yet.
    pub fn can_sync_slowly(&self) -> bool {
        match self {
            Service::Redis(node) => node.can_sync_slowly(),
            Service::MySql(server) => server.can_sync_slowly(),
            Service::ZooKeeper(_) | Service::Etcd(_) => false,
        }
    }

    /// True while a sync takes long.
    pub fn syncs_slowly(&self) -> bool {
        match self {
            Service::Redis(node) => node.syncs_slowly(),
            Service::MySql(server) => server.syncs_slowly(),
            Service::ZooKeeper(_) | Service::Etcd(_) => false,
        }
    }

    /// A sync takes long from now on, or is over.
    pub fn set_slow_sync(&mut self, slow: bool) {
        match self {
            Service::Redis(node) => node.set_slow_sync(slow),
            Service::MySql(server) => server.set_slow_sync(slow),
            Service::ZooKeeper(_) | Service::Etcd(_) => {}
        }
    }

    /// The clients that have a session here and no connection.
    pub fn cut_off(&self) -> Vec<u16> {
        match self {
            Service::Redis(_) | Service::Etcd(_) | Service::MySql(_) => Vec::new(),
            Service::ZooKeeper(ensemble) => ensemble.cut_off(),
        }
    }

    /// The sessions of a client without a connection expire.
    pub fn expire(&mut self, clocks: &[NodeClock], client: u16, out: &mut Vec<Output>) {
        match self {
            Service::Redis(_) | Service::Etcd(_) | Service::MySql(_) => {}
            Service::ZooKeeper(ensemble) => ensemble.expire(clocks, client, out),
        }
    }

    /// A member goes down, and loses what only `lost` had. Its connections end.
    pub fn crash(&mut self, clocks: &[NodeClock], member: u8, lost: Lost, out: &mut Vec<Output>) {
        match self {
            Service::Redis(node) => node.crash(lost),
            // They sync what they answer.
            Service::ZooKeeper(ensemble) => ensemble.crash(clocks, member, out),
            Service::Etcd(cluster) => cluster.crash(clocks, member, out),
            Service::MySql(server) => server.crash(lost),
        }
    }

    /// What was done so far has reached the disks: it was done long ago.
    pub fn flush(&mut self) {
        match self {
            Service::MySql(server) => server.flush(),
            Service::Redis(_) | Service::ZooKeeper(_) | Service::Etcd(_) => {}
        }
    }

    /// A member starts again from what its disk still holds.
    pub fn restart(&mut self, clocks: &[NodeClock], member: u8, out: &mut Vec<Output>) {
        match self {
            Service::ZooKeeper(ensemble) => ensemble.restart(clocks, member, out),
            Service::Etcd(cluster) => cluster.restart(clocks, member, out),
            Service::MySql(server) => server.restart(),
            Service::Redis(node) => node.restart(clocks[usize::from(member)]),
        }
    }

    /// For a Redis: the value and the expiry (milliseconds of the node's wall clock) of a string key
    /// that is alive by the node's own clock.
    pub fn redis_string(&self, clocks: &[NodeClock], key: &Blob) -> Option<(Blob, Option<i64>)> {
        match self {
            Service::Redis(node) => node.string(clocks[0], key),
            Service::ZooKeeper(_) | Service::Etcd(_) | Service::MySql(_) => None,
        }
    }

    /// For a ZooKeeper: the child of `path` that was created first, and whether it ends with a session that there is.
    pub fn zookeeper_first(&self, path: &Blob) -> Option<(Blob, bool)> {
        match self {
            Service::ZooKeeper(ensemble) => ensemble.first_child(path),
            Service::Redis(_) | Service::Etcd(_) | Service::MySql(_) => None,
        }
    }

    /// For an etcd: the value of the key that was created first of those with this prefix, and whether it ends with a lease.
    pub fn etcd_first(&self, prefix: &Blob) -> Option<(Blob, bool)> {
        match self {
            Service::Etcd(cluster) => cluster.first_created(prefix),
            Service::Redis(_) | Service::ZooKeeper(_) | Service::MySql(_) => None,
        }
    }

    /// The names of the children of a ZooKeeper's path; the values of an etcd's keys with this prefix; nothing else where.
    pub fn queue(&self, below: &Blob) -> Vec<Blob> {
        match self {
            Service::ZooKeeper(ensemble) => ensemble.child_names(below).collect(),
            Service::Etcd(cluster) => cluster.values_below(below).collect(),
            Service::Redis(_) | Service::MySql(_) => Vec::new(),
        }
    }

    /// The value of a key, where there are keys with values: a string of a Redis, a key of an etcd, the committed rows of a table of
    /// a MySQL.
    pub fn value(&self, clocks: &[NodeClock], key: &Blob) -> Option<Blob> {
        match self {
            Service::Redis(_) => self.redis_string(clocks, key).map(|(value, _)| value),
            Service::Etcd(cluster) => cluster.value(key),
            Service::MySql(server) => server.committed_text(key),
            Service::ZooKeeper(_) => None,
        }
    }

    /// For a MySQL: the owner in the committed row of the table `locks (fence, name, owner, expires_at)` with this name that
    /// has not ended by the node's own clock, and whether it will.
    pub fn mysql_lock_row(&self, clocks: &[NodeClock], name: &Blob) -> Option<(Blob, bool)> {
        match self {
            Service::MySql(server) => server.lock_row(clocks[0], name),
            Service::Redis(_) | Service::ZooKeeper(_) | Service::Etcd(_) => None,
        }
    }

    /// For a MySQL: the connection whose session has this user lock.
    pub fn mysql_user_lock(&self, name: &Blob) -> Option<ConnId> {
        match self {
            Service::MySql(server) => server.user_lock_owner(name),
            Service::Redis(_) | Service::ZooKeeper(_) | Service::Etcd(_) => None,
        }
    }
}
