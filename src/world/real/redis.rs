//! The Redis adapter: the redis crate behind the port.

use super::BadUrl;
use crate::port::{Blob, Command, Outcome, Redis, Refusal, Script, Subscription, Unknown, Value};
use ::redis::aio::MultiplexedConnection;
use ::redis::sentinel::{SentinelClient, SentinelServerType};
use ::redis::{AsyncConnectionConfig, Client, ErrorKind, RedisError};
use futures_util::StreamExt;
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
}

/// The name under which Sentinels know the primary.
const MASTER_NAME: &str = "mymaster";

/// A connection to a real Redis server, opened when needed and again after it broke. Requests are not sent again.
#[derive(Clone)]
pub struct RealRedis {
    source: Source,
    options: RedisOptions,
    connection: Arc<Mutex<Option<MultiplexedConnection>>>,
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

    /// The same with another time-out for answers.
    #[must_use]
    pub fn with_patience(mut self, response_timeout: Duration) -> Self {
        self.options.response_timeout = response_timeout;
        self
    }

    /// A client of the server that is asked now.
    async fn client(&self) -> Result<Client, RedisError> {
        match &self.source {
            Source::Server(client) => Ok(client.clone()),
            Source::Sentinels(sentinels) => sentinels.lock().await.async_get_client().await,
        }
    }

    async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        let mut connection = self.connection.lock().await;
        if let Some(open) = &*connection {
            return Ok(open.clone());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.options.connect_timeout))
            .set_response_timeout(Some(self.options.response_timeout));
        let open = self.client().await?.get_multiplexed_async_connection_with_config(&config).await?;
        *connection = Some(open.clone());
        Ok(open)
    }

    async fn forget_connection(&self) {
        *self.connection.lock().await = None;
    }

    async fn send(&self, command: &Command) -> Outcome<Value> {
        let mut connection = match self.connect().await {
            Ok(connection) => connection,
            // Whatever went wrong, the request was not sent.
            Err(_) => return Outcome::Fail(Refusal::Refused),
        };
        let mut words = command.words().iter();
        let mut request = ::redis::Cmd::new();
        words.by_ref().for_each(|word| {
            request.arg(word.as_bytes());
        });
        match request.query_async::<::redis::Value>(&mut connection).await {
            Ok(value) => Outcome::Ok(value_of(value)),
            Err(problem) => self.outcome_of(&problem).await,
        }
    }

    async fn outcome_of(&self, problem: &RedisError) -> Outcome<Value> {
        if let ErrorKind::Server(_) | ErrorKind::Extension = problem.kind() {
            let text = [problem.code().unwrap_or("ERR"), problem.detail().unwrap_or_default()].join(" ");
            if matches!(&self.source, Source::Sentinels(_)) && text.starts_with("READONLY") {
                // It was the primary, and is a replica now.
                self.forget_connection().await;
            }
            return Outcome::Fail(Refusal::Server(Blob::from(text.trim_end().to_owned())));
        }
        self.forget_connection().await;
        Outcome::Indeterminate(if problem.is_timeout() { Unknown::TimedOut } else { Unknown::ConnectionLost })
    }
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
        ::redis::Value::ServerError(problem) => Value::Error(Blob::from(problem.to_string())),
        // RESP3 only, which this adapter does not ask for.
        other => Value::Error(Blob::from(format!("ERR a reply that RESP2 does not have: {other:?}"))),
    }
}

impl Redis for RealRedis {
    type Subscription = RealSubscription;

    async fn call(&self, command: Command) -> Outcome<Value> {
        self.send(&command).await
    }

    /// By digest, and with the text where the server does not know it.
    async fn eval(&self, script: &Script, keys: &[Blob], args: &[Blob]) -> Outcome<Value> {
        let command = |name: &'static str, which: Blob| {
            let words = [Blob::from(name), which, Blob::from(keys.len() as i64)].into_iter();
            Command::from_words(words.chain(keys.iter().cloned()).chain(args.iter().cloned()))
        };
        let digest = Blob::from(::redis::Script::new(script.body).get_hash().to_owned());
        match self.send(&command("EVALSHA", digest)).await {
            Outcome::Fail(Refusal::Server(text)) if text.starts_with(b"NOSCRIPT") => {
                self.send(&command("EVAL", script.body.into())).await
            }
            other => other,
        }
    }

    fn another(&self) -> Self {
        RealRedis { connection: Arc::default(), ..self.clone() }
    }

    async fn subscribe(&self, channel: Blob) -> Outcome<RealSubscription> {
        let Ok(client) = self.client().await else { return Outcome::Fail(Refusal::Refused) };
        let Ok(mut pubsub) = client.get_async_pubsub().await else { return Outcome::Fail(Refusal::Refused) };
        match pubsub.subscribe(channel.as_bytes()).await {
            Ok(()) => Outcome::Ok(RealSubscription { pubsub }),
            Err(problem) => self.outcome_of(&problem).await.map(|_| unreachable!("an error is no answer")),
        }
    }
}

/// A channel that is listened to on a real Redis.
pub struct RealSubscription {
    pubsub: ::redis::aio::PubSub,
}

impl Subscription for RealSubscription {
    async fn next(&mut self) -> Option<Blob> {
        let message = self.pubsub.on_message().next().await?;
        Some(Blob::copy_from(message.get_payload_bytes()))
    }
}
