//! The Redis adapter: the redis crate behind the port.

use super::BadUrl;
use crate::port::{Blob, Command, Outcome, Redis, Refusal, Script, Subscription, Unknown, Value};
use ::redis::aio::{MultiplexedConnection, PubSub};
use ::redis::cluster::{ClusterClient, ClusterConfig};
use ::redis::cluster_async::ClusterConnection;
use ::redis::cluster_routing::{Route, SingleNodeRoutingInfo, SlotAddr};
use ::redis::sentinel::{SentinelClient, SentinelServerType};
use ::redis::{AsyncConnectionConfig, Client, Cmd, ErrorKind, Pipeline, RedisError, ServerErrorKind};
use doublehold_models::keys::keys;
use doublehold_models::slots::slot_of;
use futures_util::StreamExt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// How patient the adapter is.
#[derive(Clone, Copy, Debug)]
pub struct RedisOptions {
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long to wait for an answer; after that the request is indeterminate.
    pub response_timeout: Duration,
}

impl Default for RedisOptions {
    fn default() -> Self {
        RedisOptions { connect_timeout: Duration::from_secs(1), response_timeout: Duration::from_secs(1) }
    }
}

/// Where connections come from.
#[derive(Clone)]
enum Source {
    /// This server.
    Server(Client),
    /// The primary that Sentinels name.
    Sentinels(Arc<Mutex<SentinelClient>>),
    /// The primaries of a Cluster.
    Cluster(Box<Cluster>),
}

/// A Cluster, and where in it commands without keys go.
#[derive(Clone)]
struct Cluster {
    client: ClusterClient,
    /// Servers that know the others, each by itself.
    servers: Arc<[Client]>,
    /// The slot of commands without keys.
    slot: u16,
}

/// An open connection.
#[derive(Clone)]
enum Open {
    One(MultiplexedConnection),
    /// One to each server of a Cluster.
    Cluster(ClusterConnection),
}

/// The name under which Sentinels know the primary.
const MASTER_NAME: &str = "mymaster";

/// A connection to a real Redis server, opened when needed and again after it broke. Requests are not sent again.
#[derive(Clone)]
pub struct RealRedis {
    source: Source,
    options: RedisOptions,
    connection: Arc<Mutex<Option<Open>>>,
}

impl RealRedis {
    /// The server at this URL; nothing is connected yet.
    pub fn new(url: &str, options: RedisOptions) -> Result<Self, BadUrl> {
        let bad = |problem: RedisError| BadUrl { url: url.to_owned(), why: problem.to_string() };
        let source = Source::Server(Client::open(url).map_err(bad)?);
        Ok(RealRedis { source, options, connection: Arc::default() })
    }

    /// The primary that the Sentinels at these URLs name; nothing is connected yet.
    pub fn by_sentinels(urls: &[String], options: RedisOptions) -> Result<Self, BadUrl> {
        let bad = |problem: RedisError| BadUrl { url: urls.join(","), why: problem.to_string() };
        let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
        let client = SentinelClient::build(urls, MASTER_NAME.to_owned(), None, SentinelServerType::Master);
        let source = Source::Sentinels(Arc::new(Mutex::new(client.map_err(bad)?)));
        Ok(RealRedis { source, options, connection: Arc::default() })
    }

    /// The Cluster of which the servers at these URLs know; nothing is connected yet.
    pub fn of_cluster(urls: &[String], options: RedisOptions) -> Result<Self, BadUrl> {
        let bad = |problem: RedisError| BadUrl { url: urls.join(","), why: problem.to_string() };
        // The library would send again what may have been done.
        let client = ClusterClient::builder(urls.iter().map(String::as_str)).retries(0).build().map_err(bad)?;
        let servers = urls.iter().map(|url| Client::open(url.as_str())).collect::<Result<_, _>>().map_err(bad)?;
        let source = Source::Cluster(Box::new(Cluster { client, servers, slot: slot_of(b"") }));
        Ok(RealRedis { source, options, connection: Arc::default() })
    }

    /// The same, over the same connection, with commands without keys sent to the primary of this key's slot.
    #[must_use]
    pub fn near(mut self, key: &Blob) -> Self {
        if let Source::Cluster(cluster) = &mut self.source {
            cluster.slot = slot_of(key);
        }
        self
    }

    /// The same with another time-out for answers.
    #[must_use]
    pub fn with_patience(mut self, response_timeout: Duration) -> Self {
        self.options.response_timeout = response_timeout;
        self
    }

    /// A client of the server that is asked now; of a Cluster, of each that is known.
    async fn clients(&self) -> Result<Vec<Client>, RedisError> {
        Ok(match &self.source {
            Source::Server(client) => vec![client.clone()],
            Source::Sentinels(sentinels) => vec![sentinels.lock().await.async_get_client().await?],
            Source::Cluster(cluster) => cluster.servers.to_vec(),
        })
    }

    async fn connect(&self) -> Result<Open, RedisError> {
        let mut connection = self.connection.lock().await;
        if let Some(open) = &*connection {
            return Ok(open.clone());
        }
        let RedisOptions { connect_timeout, response_timeout } = self.options;
        let open = if let Source::Cluster(cluster) = &self.source {
            let config =
                ClusterConfig::new().set_connection_timeout(connect_timeout).set_response_timeout(response_timeout);
            Open::Cluster(cluster.client.get_async_connection_with_config(config).await?)
        } else {
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(connect_timeout))
                .set_response_timeout(Some(response_timeout));
            Open::One(self.clients().await?[0].get_multiplexed_async_connection_with_config(&config).await?)
        };
        *connection = Some(open.clone());
        Ok(open)
    }

    /// A connection for subscriptions: of a Cluster any server has all channels.
    async fn open_pubsub(&self) -> Option<PubSub> {
        for client in self.clients().await.ok()? {
            if let Ok(open) = client.get_async_pubsub().await {
                return Some(open);
            }
        }
        None
    }

    async fn forget_connection(&self) {
        *self.connection.lock().await = None;
    }

    /// Sends commands one after the other over one connection.
    async fn send<const N: usize>(&self, commands: &[Command; N]) -> [Outcome<Value>; N] {
        let Ok(mut connection) = self.connect().await else {
            // Whatever went wrong, nothing was sent.
            return std::array::from_fn(|_| Outcome::Fail(Refusal::Refused));
        };
        let pipeline = pipeline_of(commands);
        let answers = match (&mut connection, &self.source) {
            (Open::One(connection), _) => connection.send_packed_commands(&pipeline, 0, N).await,
            (Open::Cluster(connection), Source::Cluster(cluster)) => cluster.ask(connection, commands, &pipeline).await,
            (Open::Cluster(_), _) => unreachable!("only a Cluster is connected so"),
        };
        let answers: Vec<Result<::redis::Value, RedisError>> = match answers {
            Ok(values) => values.into_iter().map(value_or_error).collect(),
            Err(problem) => return self.outcomes_of(commands, &problem).await,
        };
        assert_eq!(answers.len(), N, "each command of a pipeline has a reply");
        let mut answers = answers.into_iter();
        let mut outcomes = [const { Outcome::Fail(Refusal::Refused) }; N];
        for outcome in &mut outcomes {
            *outcome = match answers.next().expect("as many as there are commands") {
                Ok(value) => Outcome::Ok(value_of(value)),
                Err(problem) => self.outcome_of(&problem).await,
            };
        }
        outcomes
    }

    /// What became of commands of which the library tells one error for all. A server of a Cluster refuses a command
    /// for its keys: where only the first has keys, it is the one that was refused.
    async fn outcomes_of<const N: usize>(&self, commands: &[Command; N], problem: &RedisError) -> [Outcome<Value>; N] {
        let outcome = self.outcome_of(problem).await;
        let is_known = |at: usize| match outcome {
            Outcome::Fail(Refusal::Server(_)) => at == 0 && !others_have_keys(commands),
            _ => true,
        };
        let unknown = Outcome::Indeterminate(Unknown::ConnectionLost);
        std::array::from_fn(|at| if is_known(at) { outcome.clone() } else { unknown.clone() })
    }

    async fn outcome_of(&self, problem: &RedisError) -> Outcome<Value> {
        if let ErrorKind::Server(_) | ErrorKind::Extension = problem.kind() {
            let text = error_text(problem.code().unwrap_or("ERR"), problem.detail());
            if matches!(&self.source, Source::Sentinels(_)) && text.starts_with(b"READONLY") {
                // It was the primary, and is a replica now.
                self.forget_connection().await;
            }
            return Outcome::Fail(Refusal::Server(text));
        }
        if problem.kind() == ErrorKind::ClusterConnectionNotFound {
            // It was not sent.
            return Outcome::Fail(Refusal::Refused);
        }
        self.forget_connection().await;
        Outcome::Indeterminate(if problem.is_timeout() { Unknown::TimedOut } else { Unknown::ConnectionLost })
    }
}

/// How often a request is sent that a server of a Cluster did not run, as another one has the slot.
const TRIES_MAX: usize = 3;

impl Cluster {
    /// Asks the primary of the slot of the commands' keys; what a server refuses with MOVED is sent again.
    async fn ask(
        &self,
        connection: &mut ClusterConnection,
        commands: &[Command],
        pipeline: &Pipeline,
    ) -> Result<Vec<::redis::Value>, RedisError> {
        let slot = commands.iter().find_map(|command| keys(command.words()).next().map(|key| slot_of(key)));
        let route = SingleNodeRoutingInfo::SpecificNode(Route::new(slot.unwrap_or(self.slot), SlotAddr::Master));
        let mut tries = 1;
        loop {
            let answers = connection.route_pipeline(pipeline.clone(), 0, commands.len(), route.clone()).await;
            // So the library tells what concerns the slot, of a pipeline too.
            let is_moved = |problem: &RedisError| problem.kind() == ErrorKind::Server(ServerErrorKind::Moved);
            let undone = answers.as_ref().is_err_and(is_moved) && !others_have_keys(commands);
            if !undone || tries == TRIES_MAX {
                return answers;
            }
            tries += 1;
        }
    }
}

/// True if another command than the first has keys.
fn others_have_keys(commands: &[Command]) -> bool {
    commands.iter().skip(1).any(|command| keys(command.words()).next().is_some())
}

/// The redis crate's pipeline of these commands.
fn pipeline_of(commands: &[Command]) -> Pipeline {
    let mut pipeline = Pipeline::new();
    for command in commands {
        let mut request = Cmd::new();
        command.words().iter().for_each(|word| {
            request.arg(word.as_bytes());
        });
        pipeline.add_command(request);
    }
    pipeline
}

/// A reply, with what a server refuses told apart: the library gives it as a value.
fn value_or_error(value: ::redis::Value) -> Result<::redis::Value, RedisError> {
    match value {
        ::redis::Value::ServerError(problem) => Err(problem.into()),
        value => Ok(value),
    }
}

/// An error as the server sent it.
fn error_text(code: &str, detail: Option<&str>) -> Blob {
    Blob::from([code, detail.unwrap_or_default()].join(" ").trim_end().to_owned())
}

/// A reply of the redis crate in the port's words.
fn value_of(value: ::redis::Value) -> Value {
    match value {
        ::redis::Value::Nil => Value::Nil,
        ::redis::Value::Int(number) => Value::Int(number),
        ::redis::Value::BulkString(bytes) => Value::Bulk(Blob::from(bytes)),
        ::redis::Value::SimpleString(text) => Value::Status(Blob::from(text)),
        ::redis::Value::Okay => Value::OK,
        ::redis::Value::Array(items) => Value::Array(items.into_iter().map(value_of).collect()),
        ::redis::Value::ServerError(problem) => Value::Error(error_text(problem.code(), problem.details())),
        // RESP3 only, which this adapter does not ask for.
        other => Value::Error(Blob::from(format!("ERR a reply that RESP2 does not have: {other:?}"))),
    }
}

impl Redis for RealRedis {
    type Subscription = RealSubscription;

    async fn pipeline<const N: usize>(&self, commands: [Command; N]) -> [Outcome<Value>; N] {
        // The library's futures are nested deeply: without a name for their type, those of locks stay simple.
        let sent: Pin<Box<dyn Future<Output = [Outcome<Value>; N]> + Send + '_>> = Box::pin(self.send(&commands));
        sent.await
    }

    /// By digest, and with the text where the server does not know it.
    async fn eval(&self, script: &Script, keys: &[Blob], args: &[Blob]) -> Outcome<Value> {
        let command = |name: &'static str, which: Blob| {
            let words = [Blob::from(name), which, Blob::from(keys.len() as i64)].into_iter();
            Command::from_words(words.chain(keys.iter().cloned()).chain(args.iter().cloned()))
        };
        let digest = Blob::from(::redis::Script::new(script.body).get_hash().to_owned());
        match self.call(command("EVALSHA", digest)).await {
            Outcome::Fail(Refusal::Server(text)) if text.starts_with(b"NOSCRIPT") => {
                self.call(command("EVAL", script.body.into())).await
            }
            other => other,
        }
    }

    fn another(&self) -> Self {
        RealRedis { connection: Arc::default(), ..self.clone() }
    }

    async fn subscribe(&self, channel: Blob) -> Outcome<RealSubscription> {
        let Some(mut pubsub) = self.open_pubsub().await else { return Outcome::Fail(Refusal::Refused) };
        match pubsub.subscribe(channel.as_bytes()).await {
            Ok(()) => Outcome::Ok(RealSubscription { pubsub }),
            Err(problem) => self.outcome_of(&problem).await.map(|_| unreachable!("an error is no answer")),
        }
    }
}

/// A channel that is listened to on a real Redis.
pub struct RealSubscription {
    pubsub: PubSub,
}

impl Subscription for RealSubscription {
    async fn next(&mut self) -> Option<Blob> {
        let message = self.pubsub.on_message().next().await?;
        Some(Blob::copy_from(message.get_payload_bytes()))
    }
}
