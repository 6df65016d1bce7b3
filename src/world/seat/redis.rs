//! The Redis port of a seat: one server, or the primary that Sentinels name.
//!
//! With Sentinels it does as the [guidelines for Redis
//! clients](https://redis.io/docs/latest/develop/reference/sentinel-clients/) say: the first Sentinel that answers
//! names the primary, that server is asked for its role, and the client stays with it until a connection ends, an
//! answer does not come in time, or the server says that it is none.

use super::client::{Seat, State, Wait};
use super::exchange::{Outgoing, Purpose};
use super::messages::Messages;
use crate::port::{Blob, Command, Outcome, Redis, Refusal, Subscription, Unknown, Value};
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
    pub(super) seat: Arc<Seat>,
    pub(super) route: Route,
    /// The client's number for the connection.
    pub(super) channel: u8,
}

/// How a client finds its server.
#[derive(Clone)]
pub(super) enum Route {
    /// It is this one.
    Server(u16),
    /// It is the primary among these.
    Primary(Arc<Group>),
}

/// Servers of which one is the primary, and the Sentinels that know which.
pub(super) struct Group {
    pub servers: Range<u16>,
    pub sentinels: Range<u16>,
    pub patience: Duration,
}

/// The name under which Sentinels know the primary.
const MASTER_NAME: &str = "mymaster";

/// How often a request that certainly did not happen is sent, each time to the primary that is then named.
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

impl State {
    /// The server that the client takes for the primary of a group.
    fn primary(&mut self, group: &Group) -> &mut Option<u16> {
        let known = self.kept.primaries.iter().position(|(first, _)| *first == group.servers.start);
        let at = known.unwrap_or_else(|| {
            self.kept.primaries.push((group.servers.start, None));
            self.kept.primaries.len() - 1
        });
        &mut self.kept.primaries[at].1
    }
}

impl SeatRedis {
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

    /// The server that the client takes for the primary; looks for it if there is none.
    async fn find(&self, group: &Group) -> Option<u16> {
        if let Some(known) = *self.seat.lock().primary(group) {
            return Some(known);
        }
        let found = self.look(group).await?;
        *self.seat.lock().primary(group) = Some(found);
        Some(found)
    }

    /// Looks for the primary: the first Sentinel that answers names it, and the server must say that it is one.
    async fn look(&self, group: &Group) -> Option<u16> {
        for sentinel in group.sentinels.clone() {
            let which = Command::new("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(MASTER_NAME);
            let Some(named) = self.ask_within(group, sentinel, 0, which).await.ok() else { continue };
            let node = server_at(group, &named)?;
            let role = self.ask_within(group, node, self.channel, Command::new("ROLE")).await.ok()?;
            let is_primary =
                matches!(&role, Value::Array(parts) if parts.first() == Some(&Value::Bulk("master".into())));
            return is_primary.then_some(node);
        }
        None
    }

    /// The primary is looked for anew, unless another task of this client has done so already.
    fn give_up(&self, group: &Group, node: u16) {
        self.seat.lock().primary(group).take_if(|known| *known == node);
    }

    async fn call_primary(&self, group: &Group, command: Command) -> Outcome<Value> {
        let mut refused = Outcome::Fail(Refusal::Refused);
        for _ in 0..TRIES_MAX {
            let Some(node) = self.find(group).await else { return refused };
            let outcome = self.ask_within(group, node, self.channel, command.clone()).await;
            match &outcome {
                Outcome::Indeterminate(_) => self.give_up(group, node),
                Outcome::Fail(why) if is_no_primary(why) => {
                    self.give_up(group, node);
                    refused = outcome;
                    continue;
                }
                Outcome::Fail(_) | Outcome::Ok(_) => {}
            }
            return outcome;
        }
        refused
    }
}

/// The server of a group that a Sentinel names.
fn server_at(group: &Group, address: &Value) -> Option<u16> {
    let Value::Array(parts) = address else { return None };
    let member: u16 = parts.first()?.as_blob()?.to_text().strip_prefix("member-")?.parse().ok()?;
    Some(group.servers.start + member).filter(|node| group.servers.contains(node))
}

/// True if a refusal says that the server is not there, or is no primary.
fn is_no_primary(why: &Refusal) -> bool {
    match why {
        Refusal::Refused => true,
        Refusal::Server(text) => {
            [&b"READONLY"[..], b"MASTERDOWN", b"LOADING"].iter().any(|code| text.starts_with(code))
        }
        _ => false,
    }
}

impl Redis for SeatRedis {
    type Subscription = SeatSubscription;

    async fn call(&self, command: Command) -> Outcome<Value> {
        match &self.route {
            Route::Server(node) => self.ask(*node, self.channel, command).await,
            // Only this one is large.
            Route::Primary(group) => Box::pin(self.call_primary(group, command)).await,
        }
    }

    fn another(&self) -> SeatRedis {
        SeatRedis { channel: self.seat.lock().next_lane(), ..self.clone() }
    }

    async fn subscribe(&self, channel: Blob) -> Outcome<SeatSubscription> {
        let node = match &self.route {
            Route::Server(node) => *node,
            Route::Primary(group) => match Box::pin(self.find(group)).await {
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
            other => panic!("a Redis sent {other} of its own accord"),
        }
    }
}
