//! A queue in a Redis stream with a group of consumers.
//!
//! XADD appends; XREADGROUP gives each entry to one consumer, which has it until XACK; XAUTOCLAIM takes over what
//! another consumer has had for too long. Entries stay in the stream when they are acknowledged: cutting it is the
//! operator's. A message whose effect always fails comes again for ever.

use super::{Message, Queue};
use crate::port::{Blob, Command, Outcome, Ports, Redis, Unanswered, Value, answered};
use std::time::Duration;

const STREAM: &str = "queue";
const GROUP: &str = "consumers";
const BODY: &str = "body";

/// How the queue is used.
#[derive(Clone, Copy, Debug)]
pub struct StreamConfig {
    /// The place of the Redis server in the topology.
    pub server: usize,
    /// At most so many messages at once.
    pub batch: i64,
    /// What a consumer has not committed for so long goes to another.
    pub idle: Duration,
}

/// A stream on a Redis server.
pub struct RedisStream<P: Ports> {
    ports: P,
    server: P::Redis,
    config: StreamConfig,
    /// What this consumer is called in the group.
    consumer: Blob,
}

impl<P: Ports> RedisStream<P> {
    /// A connection to the stream.
    pub fn new(ports: &P, config: StreamConfig) -> Self {
        let server = ports.redis(config.server);
        RedisStream { ports: ports.clone(), server, config, consumer: Blob::from(format!("client-{}", ports.client())) }
    }

    async fn call(&self, command: Command) -> Outcome<Value> {
        self.ports.round(self.server.call(command)).await
    }

    /// What no consumer has been given yet.
    async fn new_ones(&self, count: i64) -> Vec<Message> {
        let read = Command::new("XREADGROUP").arg("GROUP").arg(GROUP).arg(&self.consumer);
        let read = read.arg("COUNT").arg(count).arg("STREAMS").arg(STREAM).arg(">");
        // [[stream, entries]], or nil.
        let Some(Value::Array(streams)) = self.call(read).await.ok() else { return Vec::new() };
        let Some(Value::Array(stream)) = streams.first() else { return Vec::new() };
        stream.get(1).map(messages).unwrap_or_default()
    }

    /// What a consumer has had for too long, this one included.
    async fn abandoned_ones(&self) -> Vec<Message> {
        let claim = Command::new("XAUTOCLAIM").arg(STREAM).arg(GROUP).arg(&self.consumer);
        let idle_ms = i64::try_from(self.config.idle.as_millis()).unwrap_or(i64::MAX);
        let claim = claim.arg(idle_ms).arg("0").arg("COUNT").arg(self.config.batch);
        // [next, entries, deleted].
        let Some(Value::Array(claimed)) = self.call(claim).await.ok() else { return Vec::new() };
        claimed.get(1).map(messages).unwrap_or_default()
    }
}

/// The messages of a list of entries.
fn messages(entries: &Value) -> Vec<Message> {
    let Value::Array(entries) = entries else { return Vec::new() };
    let message = |entry: &Value| {
        let Value::Array(entry) = entry else { return None };
        let [Value::Bulk(id), Value::Array(words)] = &entry[..] else { return None };
        let [_, Value::Bulk(body)] = &words[..] else { return None };
        Some(Message { id: id.clone(), body: body.clone() })
    };
    entries.iter().filter_map(message).collect()
}

impl<P: Ports> Queue for RedisStream<P> {
    /// The stream and its group.
    async fn create(&mut self) -> Result<(), Unanswered> {
        let create = Command::new("XGROUP").arg("CREATE").arg(STREAM).arg(GROUP).arg("0").arg("MKSTREAM");
        answered("XGROUP CREATE", self.server.call(create).await).map(drop)
    }

    async fn publish(&mut self, body: &Blob) -> Outcome<()> {
        let add = Command::new("XADD").arg(STREAM).arg("*").arg(BODY).arg(body);
        self.call(add).await.map(drop)
    }

    async fn poll(&mut self) -> Vec<Message> {
        // What is read as new must not be claimed in the same poll: it would be there twice.
        let mut messages = self.abandoned_ones().await;
        let left = self.config.batch - messages.len() as i64;
        if left > 0 {
            messages.extend(self.new_ones(left).await);
        }
        messages
    }

    async fn commit(&mut self, message: &Message) {
        let acknowledge = Command::new("XACK").arg(STREAM).arg(GROUP).arg(&message.id);
        drop(self.call(acknowledge).await);
    }

    /// What consumers have had and not acknowledged, and what none has had yet. The auditor has that from now on.
    async fn backlog(&mut self) -> Result<Vec<i64>, Unanswered> {
        let pending = Command::new("XPENDING").arg(STREAM).arg(GROUP);
        let pending = answered("XPENDING", self.server.call(pending).await)?;
        let pending = match &pending {
            Value::Array(summary) => summary.first().and_then(Value::as_int).unwrap_or_default(),
            _ => 0,
        };
        Ok(vec![pending + self.new_ones(i64::from(i32::MAX)).await.len() as i64])
    }

    /// Nothing waits for it: what it has is claimed by others in the same time.
    async fn leave(&mut self) {}
}
