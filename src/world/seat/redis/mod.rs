//! The Redis port of a seat: one server, the primary that Sentinels name, or the primaries of a Cluster.

mod cluster;
mod primary;

use super::client::{Seat, Wait};
use super::exchange::{Outgoing, Purpose};
use super::messages::Messages;
use crate::port::{Blob, Command, FoundBy, Outcome, Redis, RedisGroup, Refusal, Subscription, Unknown, Value};
use doublehold_models::{Request, Response};
use std::future::{Future, poll_fn};
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// A connection to a simulated Redis.
#[derive(Clone)]
pub struct SeatRedis {
    seat: Arc<Seat>,
    route: Route,
    /// The client's number for the connection.
    channel: u8,
}

/// How a client finds its server.
#[derive(Clone)]
enum Route {
    /// It is this one.
    Server(u16),
    /// It is one of these.
    Group(Arc<Group>),
}

/// Servers of which the client finds the one to ask.
struct Group {
    servers: Range<u16>,
    by: By,
    patience: Duration,
}

impl Group {
    /// The number among them of the server with this name.
    fn member(&self, host: &str) -> Option<u16> {
        let member: u16 = host.strip_prefix("member-")?.parse().ok()?;
        Some(member).filter(|member| usize::from(*member) < self.servers.len())
    }
}

/// How it does.
enum By {
    /// These Sentinels name the primary.
    Sentinels(Range<u16>),
    /// They are a Cluster; this slot is that of commands without keys.
    Slot(u16),
}

/// How often a request that certainly did not happen is sent, each time to the server that is then named.
const TRIES_MAX: usize = 2;

/// The answer as the port gives it: an error reply means that nothing was done.
fn redis_outcome(outcome: Outcome<Response>) -> Outcome<Value> {
    match outcome {
        Outcome::Ok(Response::Redis(Value::Error(text))) => Outcome::Fail(Refusal::Server(text)),
        other => other.map(|response| match response {
            Response::Redis(value) => value,
            other => panic!("a Redis answered with {other}"),
        }),
    }
}

impl SeatRedis {
    /// A connection to this server.
    pub(super) fn new(seat: &Arc<Seat>, server: u16) -> Self {
        SeatRedis { seat: Arc::clone(seat), route: Route::Server(server), channel: 0 }
    }

    /// A connection to the primary of a group.
    pub(super) fn of_group(seat: &Arc<Seat>, at: RedisGroup) -> Self {
        let by = match at.found_by {
            FoundBy::Sentinels(sentinels) => By::Sentinels(super::places(sentinels)),
            FoundBy::Slot(key) => By::Slot(doublehold_models::slots::slot_of(&key)),
        };
        let group = Group { servers: super::places(at.servers), by, patience: at.patience };
        SeatRedis { seat: Arc::clone(seat), route: Route::Group(Arc::new(group)), channel: 0 }
    }

    async fn ask(&self, node: u16, channel: u8, command: Command) -> Outcome<Value> {
        let wait = {
            let mut state = self.seat.lock();
            let id = state.open_slot();
            let (purpose, request) = (Purpose::Commands, Request::Redis(command));
            state.ask(id, (node, channel), purpose, request);
            Wait { seat: &self.seat, id, open: true }
        };
        redis_outcome(wait.answer().await)
    }

    /// Asks a member of a group, and closes the connection when no answer comes in time.
    async fn ask_within(&self, group: &Group, node: u16, channel: u8, command: Command) -> Outcome<Value> {
        let answered = {
            let mut answer = pin!(self.ask(node, channel, command));
            let mut patience = pin!(self.seat.timer(group.patience));
            poll_fn(|cx| match answer.as_mut().poll(cx) {
                Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
                Poll::Pending => patience.as_mut().poll(cx).map(|_| None),
            })
            .await
        };
        answered.unwrap_or_else(|| {
            self.seat.lock().push(Outgoing::Close { node, channel });
            Outcome::Indeterminate(Unknown::TimedOut)
        })
    }

    async fn call_group(&self, group: &Group, command: Command) -> Outcome<Value> {
        match &group.by {
            By::Sentinels(sentinels) => self.call_primary(group, sentinels, command).await,
            By::Slot(slot) => self.call_cluster(group, *slot, command).await,
        }
    }

    /// The server whose channels a client listens to.
    async fn find(&self, group: &Group) -> Option<u16> {
        match &group.by {
            By::Sentinels(sentinels) => self.find_primary(group, sentinels).await,
            By::Slot(slot) => self.find_owner(group, *slot).await,
        }
    }
}

impl Redis for SeatRedis {
    type Subscription = SeatSubscription;

    async fn call(&self, command: Command) -> Outcome<Value> {
        match &self.route {
            Route::Server(node) => self.ask(*node, self.channel, command).await,
            // Only this one is large.
            Route::Group(group) => Box::pin(self.call_group(group, command)).await,
        }
    }

    fn another(&self) -> SeatRedis {
        SeatRedis { channel: self.seat.lock().next_lane(), ..self.clone() }
    }

    async fn subscribe(&self, channel: Blob) -> Outcome<SeatSubscription> {
        let node = match &self.route {
            Route::Server(node) => *node,
            Route::Group(group) => match Box::pin(self.find(group)).await {
                Some(node) => node,
                None => return Outcome::Fail(Refusal::Refused),
            },
        };
        let request = Request::Redis(Command::new("SUBSCRIBE").arg(channel));
        let (reply, messages) = Messages::open(&self.seat, node, request).await;
        redis_outcome(reply).map(|_| SeatSubscription { messages })
    }
}

/// A channel that is listened to on a simulated Redis.
pub struct SeatSubscription {
    messages: Messages,
}

impl Subscription for SeatSubscription {
    async fn next(&mut self) -> Option<Blob> {
        match self.messages.next().await? {
            Response::Redis(Value::Array(parts)) => parts.last().and_then(Value::as_blob).cloned(),
            other => panic!("not a message of a Redis channel: {other}"),
        }
    }
}
