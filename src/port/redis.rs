//! The Redis port: commands, scripts, subscriptions.

use super::{Blob, Outcome};
pub use doublehold_models::resp::{Command, Value};
use std::future::Future;
use std::ops::Range;
use std::time::Duration;

/// Redis servers that replicate each other: a client finds the one to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisGroup {
    /// The places of the servers in the topology.
    pub servers: Range<usize>,
    /// How a client finds the one to ask.
    pub found_by: FoundBy,
    /// How long a client waits for an answer.
    pub patience: Duration,
}

/// How a client finds the Redis server to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundBy {
    /// It is the primary that the Sentinels at these places name.
    Sentinels(Range<usize>),
    /// They are a Cluster. It is the primary that serves the slot of the command's keys, and of this key for a command
    /// without any: WAIT is about what was written under it.
    Slot(Blob),
}

/// A connection to one Redis server, opened when needed and again after it broke.
pub trait Redis: Clone + Send + Sync + 'static {
    /// What [`subscribe`](Redis::subscribe) gives.
    type Subscription: Subscription;

    /// Sends one command. An error reply is a [`Outcome::Fail`]: the server says that it did nothing.
    fn call(&self, command: Command) -> impl Future<Output = Outcome<Value>> + Send {
        async move {
            let [outcome] = self.pipeline([command]).await;
            outcome
        }
    }

    /// Sends commands one after the other over one connection, without waiting for a reply in between: if that
    /// connection ends, a later one of them does not reach the server over a new one. What becomes of the first decides
    /// whether a group is asked again at another server.
    fn pipeline<const N: usize>(&self, commands: [Command; N]) -> impl Future<Output = [Outcome<Value>; N]> + Send;

    /// Runs a script on the server, atomically.
    fn eval(&self, script: &Script, keys: &[Blob], args: &[Blob]) -> impl Future<Output = Outcome<Value>> + Send {
        self.call(script.command(keys, args))
    }

    /// A further connection to the same server, as pools keep them: requests on two connections overtake each other.
    fn another(&self) -> Self;

    /// Listens to a channel on a connection of its own.
    fn subscribe(&self, channel: Blob) -> impl Future<Output = Outcome<Self::Subscription>> + Send;
}

/// A channel that is listened to. Messages sent while the connection is down are lost.
pub trait Subscription: Send {
    /// The next message, or `None` once the connection has broken.
    fn next(&mut self) -> impl Future<Output = Option<Blob>> + Send;
}

/// A Lua script that runs on the server.
#[derive(Debug)]
pub struct Script {
    /// The text. Its first line is a comment that names it in traces.
    pub body: &'static str,
}

impl Script {
    /// The command that runs it.
    pub fn command(&self, keys: &[Blob], args: &[Blob]) -> Command {
        let command = Command::new("EVAL").arg(self.body).arg(keys.len() as i64);
        keys.iter().chain(args).fold(command, Command::arg)
    }
}
