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
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
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

/// A command that was sent.
enum Asked<'a> {
    Waits(Wait<'a>),
    Has(Outcome<Value>),
}

impl Asked<'_> {
    /// What became of it, as far as that is known.
    fn outcome(self) -> Outcome<Value> {
        match self {
            Asked::Waits(_) => Outcome::Indeterminate(Unknown::TimedOut),
            Asked::Has(outcome) => outcome,
        }
    }
}

/// Waits for what became of all of these.
fn poll_all(asked: &mut [Asked<'_>], cx: &mut Context<'_>) -> Poll<()> {
    let mut all = Poll::Ready(());
    for one in asked {
        if let Asked::Waits(wait) = one {
            match Pin::new(wait).poll(cx) {
                Poll::Ready(done) => *one = Asked::Has(redis_outcome(done.answer())),
                Poll::Pending => all = Poll::Pending,
            }
        }
    }
    all
}

/// For each command that it was certainly not done, as no server was there to do it.
fn refused<const N: usize>() -> [Outcome<Value>; N] {
    std::array::from_fn(|_| Outcome::Fail(Refusal::Refused))
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

    fn send(&self, node: u16, channel: u8, command: Command) -> Wait<'_> {
        let mut state = self.seat.lock();
        let id = state.open_slot();
        let (purpose, request) = (Purpose::Commands, Request::Redis(command));
        state.ask(id, (node, channel), purpose, request);
        Wait { seat: &self.seat, id, open: true }
    }

    /// Sends commands to a server over one connection, and waits for the replies.
    async fn ask<const N: usize>(&self, node: u16, commands: [Command; N]) -> [Outcome<Value>; N] {
        let mut asked = commands.map(|command| Asked::Waits(self.send(node, self.channel, command)));
        poll_fn(|cx| poll_all(&mut asked, cx)).await;
        asked.map(Asked::outcome)
    }

    /// Asks a member of a group, and closes the connection when no answer comes in time.
    async fn ask_within<const N: usize>(
        &self,
        group: &Group,
        (node, channel): (u16, u8),
        commands: [Command; N],
    ) -> [Outcome<Value>; N] {
        let (outcomes, in_time) = {
            let mut patience = pin!(self.seat.timer(group.patience));
            let mut asked = commands.map(|command| Asked::Waits(self.send(node, channel, command)));
            let in_time = poll_fn(|cx| match poll_all(&mut asked, cx) {
                Poll::Ready(()) => Poll::Ready(true),
                Poll::Pending => patience.as_mut().poll(cx).map(|_| false),
            })
            .await;
            (asked.map(Asked::outcome), in_time)
        };
        if !in_time {
            self.seat.lock().push(Outgoing::Close { node, channel });
        }
        outcomes
    }

    async fn ask_group<const N: usize>(&self, group: &Group, commands: [Command; N]) -> [Outcome<Value>; N] {
        match &group.by {
            By::Sentinels(sentinels) => self.ask_primary(group, sentinels, commands).await,
            By::Slot(slot) => self.ask_cluster(group, *slot, commands).await,
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

    /// One server is asked without the detour of a pipeline: most requests of searches are such.
    async fn call(&self, command: Command) -> Outcome<Value> {
        if let Route::Server(node) = &self.route {
            return redis_outcome(self.send(*node, self.channel, command).answer().await);
        }
        let [outcome] = self.pipeline([command]).await;
        outcome
    }

    async fn pipeline<const N: usize>(&self, commands: [Command; N]) -> [Outcome<Value>; N] {
        match &self.route {
            Route::Server(node) => self.ask(*node, commands).await,
            // Only this one is large.
            Route::Group(group) => Box::pin(self.ask_group(group, commands)).await,
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
