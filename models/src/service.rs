//! Service: what every simulated server, or ensemble of servers, can be asked to do, whatever its kind.

use crate::wire::{Request, Response};
use crate::{Blob, ClientId};
use smallvec::SmallVec;
use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};

/// A connection, by its ends. After [`ServiceKind::disconnect`] the same name stands for the client's next connection.
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
    /// Ends all connections of the member that this one leads to, with everything in flight.
    CloseAll,
    /// Nothing: the request, or what it led to, needs something that the model does not have, in one phrase. What a
    /// real server would do is unknown, so an execution ends here. The service is not to be asked for anything more.
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
            Sent::Close | Sent::CloseAll | Sent::NotModelled(_) => None,
        }
    }

    /// The answer, if it is one.
    pub fn as_reply(&self) -> Option<&Response> {
        match &self.sent {
            Sent::Reply(response) => Some(response),
            Sent::Message(_) | Sent::Close | Sent::CloseAll | Sent::NotModelled(_) => None,
        }
    }

    /// What the model does not have, if it says so.
    pub fn as_not_modelled(&self) -> Option<&str> {
        match &self.sent {
            Sent::NotModelled(what) => Some(what),
            Sent::Reply(_) | Sent::Message(_) | Sent::Close | Sent::CloseAll => None,
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

/// An internal step of a service. A client can observe when it happens, so its caller schedules it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// A request that had to wait is granted what it waits for.
    Grant,
    /// A member falls behind the others; of a MySQL, the replica behind it.
    Lag,
    /// A member that is behind takes in one thing more; with the last one it is no longer behind.
    CatchUp,
    /// A sync to a member's disk takes long from now on, beside its answers.
    SlowSync,
    /// It is over.
    Synced,
    /// The sessions of this client, which has no connection, expire.
    Expire(u8),
    /// A member that watches the others makes one of them the primary.
    FailOver,
    /// A member becomes a replica of the new primary.
    Follow,
    /// A member of a Cluster learns of new owners of slots.
    Learn,
}

impl Step {
    /// True for the steps that members of a group take without a fault.
    pub fn is_of_group(self) -> bool {
        matches!(self, Step::CatchUp | Step::FailOver | Step::Follow | Step::Learn)
    }

    /// The step of a member that is behind, or can fall behind.
    pub(crate) fn of_lag(is_behind: bool, can_lag: bool) -> Option<Step> {
        if is_behind { Some(Step::CatchUp) } else { can_lag.then_some(Step::Lag) }
    }

    /// The same where clients have these numbers; `None` if its client is not there.
    pub fn renamed(self, number: impl Fn(u8) -> Option<u8>) -> Option<Step> {
        Some(match self {
            Step::Expire(client) => Step::Expire(number(client)?),
            step => step,
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Grant => f.write_str("granted"),
            Step::Lag => f.write_str("falls behind"),
            Step::CatchUp => f.write_str("catches up"),
            Step::SlowSync => f.write_str("a sync takes long"),
            Step::Synced => f.write_str("synced at last"),
            Step::Expire(client) => write!(f, "the session of client-{client} expires"),
            Step::FailOver => f.write_str("fails over"),
            Step::Follow => f.write_str("follows the new primary"),
            Step::Learn => f.write_str("learns of the new owners"),
        }
    }
}

/// Where in a service a step is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// At a member, by its place.
    Member(u8),
    /// At a connection.
    Conn(ConnId),
}

/// The steps that a service may take.
pub type Steps = SmallVec<[(At, Step); 4]>;

/// A token on a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// What the lock's owner put there.
    pub token: Blob,
    /// How it goes away if its owner does nothing.
    pub ends: Ends,
}

/// How a token goes away if its owner does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// It stays.
    Never,
    /// By time: a TTL, a lease or a session runs out.
    ByTime,
    /// With its owner's connection, once the server has learnt that this is gone.
    WithConnection(ConnId),
}

impl Ends {
    /// By time, or never.
    pub fn by_time(ends: bool) -> Ends {
        if ends { Ends::ByTime } else { Ends::Never }
    }
}

/// What a simulated server of one kind, or several that keep one state together, must offer.
///
/// The nodes of a service are its *members*; what they say to each other is the service's own affair. Where the
/// moment of such an internal step can be observed by a client, it is a [`Step`] that the caller schedules
/// ([`steps`](ServiceKind::steps), [`step`](ServiceKind::step)).
///
/// The contract: [`handle`](ServiceKind::handle) takes one request and pushes everything that follows from it;
/// [`next_timer`](ServiceKind::next_timer) says when a member next wants to be woken by its own clock;
/// [`tick`](ServiceKind::tick) wakes it. The members' clocks are handed in (`clocks`, by place; `clock`, the one's
/// that is asked).
pub trait ServiceKind: Any {
    /// Serves one request. What the model does not have it says so ([`Sent::NotModelled`]).
    ///
    /// # Panics
    /// If the request is for a service of another kind.
    fn handle(&mut self, clocks: &[NodeClock], conn: ConnId, request: &Request, out: &mut Vec<Output>);

    /// Takes note that a connection has ended.
    fn disconnect(&mut self, clocks: &[NodeClock], conn: ConnId);

    /// True if something is kept for a connection and would be lost with it: a transaction, a subscription, a session.
    fn keeps(&self, conn: ConnId) -> bool;

    /// True if a request on a connection was served and will be answered when it can be.
    fn is_waiting(&self, _conn: ConnId) -> bool {
        false
    }

    /// Takes note that the client at the other end of an open connection has fallen silent, or is heard again. Until it
    /// falls silent it is taken to send its pings in time.
    fn hear(&mut self, _clocks: &[NodeClock], _conn: ConnId, _heard: bool) {}

    /// The steps that it may take by itself now, in whatever order.
    fn steps(&self, _into: &mut Steps) {}

    /// Takes a step.
    ///
    /// # Panics
    /// If it is none of its [`steps`](ServiceKind::steps).
    fn step(&mut self, _clocks: &[NodeClock], at: At, step: Step, _out: &mut Vec<Output>) {
        panic!("{at:?}: {step:?} is not possible here");
    }

    /// True if processes other than the member's own clients can observe when it takes this step. Otherwise the step
    /// commutes with everything until one of those clients waits for the member, and is offered only then.
    /// `endangered`: members may still go down or be cut off, which can disable the step.
    fn matters(&self, _at: At, _step: Step, _endangered: bool) -> bool {
        true
    }

    /// True if it may end a connection although nothing has happened to that.
    fn hangs_up(&self) -> bool {
        false
    }

    /// True if members go on while others are paused or out of reach, and the service says what each then does.
    fn is_group(&self) -> bool {
        false
    }

    /// A member of a group stops for a while, or goes on.
    fn pause(&mut self, _clocks: &[NodeClock], _member: u8, _paused: bool, _out: &mut Vec<Output>) {}

    /// Which members of a group what one sends reaches has changed: `passes(from, to)`.
    fn cut(&mut self, _clocks: &[NodeClock], _passes: &dyn Fn(u8, u8) -> bool, _out: &mut Vec<Output>) {}

    /// How many messages of other members are on their way to a member.
    fn in_flight(&self, _member: u8) -> usize {
        0
    }

    /// The first of them arrives, since a message takes no longer. False if it cannot, or the member has fallen behind.
    fn arrive(&mut self, _clocks: &[NodeClock], _member: u8, _out: &mut Vec<Output>) -> bool {
        false
    }

    /// True if sessions of clients without a connection can expire here.
    fn has_sessions(&self) -> bool {
        false
    }

    /// True if clients can be told apart by what it gives them: the numbers of sessions, leases, transactions.
    fn numbers_clients(&self) -> bool {
        true
    }

    /// The earliest moment of a member's own clocks at which the state changes by itself: a key expires, a
    /// periodic fsync falls due.
    fn next_timer(&self, clock: NodeClock, member: u8) -> Option<Due>;

    /// True if what falls due may be felt by clients that ask for nothing: a watch fires, a connection is closed.
    fn wakes_clients(&self) -> bool {
        true
    }

    /// True if something has fallen due at a member: [`tick`](ServiceKind::tick) would do something.
    fn is_due(&self, clock: NodeClock, member: u8) -> bool;

    /// Does what has fallen due by a member's own clocks.
    fn tick(&mut self, clocks: &[NodeClock], member: u8, out: &mut Vec<Output>);

    /// A member goes down, and loses what only `lost` had. Its connections end.
    fn crash(&mut self, clocks: &[NodeClock], member: u8, lost: Lost, out: &mut Vec<Output>);

    /// A member starts again from what its disk still holds.
    fn restart(&mut self, clocks: &[NodeClock], member: u8, out: &mut Vec<Output>);

    /// What was done so far has reached the disks: it was done long ago.
    fn flush(&mut self) {}

    /// Who holds the lock that is kept at this place, a key, path, prefix or name, by the members' own clocks.
    fn holder(&self, clocks: &[NodeClock], place: &Blob) -> Option<Holder>;

    /// True if tokens can wait behind a holder's.
    fn has_queue(&self) -> bool {
        false
    }

    /// The tokens at this place: the holder's, and those that wait behind it.
    fn tokens(&self, clocks: &[NodeClock], place: &Blob) -> Vec<Blob> {
        self.holder(clocks, place).into_iter().map(|holder| holder.token).collect()
    }

    /// The value of a key, where there are keys with values.
    fn value(&self, clocks: &[NodeClock], key: &Blob) -> Option<Blob>;
}

impl dyn ServiceKind {
    /// The same as what it is, if it is of this kind.
    pub fn of<K: ServiceKind>(&self) -> Option<&K> {
        (self as &dyn Any).downcast_ref()
    }

    /// The connections whose requests had to wait and may go on now.
    pub fn ready(&self) -> SmallVec<[ConnId; 2]> {
        let mut steps = Steps::new();
        self.steps(&mut steps);
        let granted = |(at, step): &(At, Step)| match (at, step) {
            (At::Conn(conn), Step::Grant) => Some(*conn),
            _ => None,
        };
        steps.iter().filter_map(granted).collect()
    }
}
