//! Link: one connection between a client and a node, with what is in flight on it.
//!
//! Both directions are FIFO and reliable until the connection ends. When the client's end is gone (the connection broke,
//! the client closed it, ended or crashed), the node's end lives on: what was sent may still be served, until the node
//! learns of the end ([`Act::HangUp`](super::choice::Act::HangUp)).

use super::choice::LinkName;
use super::message::Message;
use super::seat::{Purpose, WaitId};
use crate::base::shared::Shared;
use crate::history::HoldOrder;
use crate::port::{Outcome, Refusal};
use doublehold_models::{ClientId, Request, Response};
use smallvec::SmallVec;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// The moment, true time, until which something in flight must have arrived; `None`: nothing forces it.
pub type DueBy = Option<u64>;

/// The holds under which something was sent: of each guarded resource, by its place in the setup, the client's latest
/// on its lock.
pub type HoldTag = SmallVec<[(u8, HoldOrder); 1]>;

/// A request on its way to a node.
#[derive(Clone, Hash)]
pub struct InFlight {
    /// What the answer is for.
    pub id: WaitId,
    /// What it says.
    pub request: Arc<Message<Request>>,
    /// When it must be served.
    pub due_by: DueBy,
    /// The holds under which it was sent.
    pub holds: HoldTag,
}

/// A request that a node has and will answer when it can.
#[derive(Clone, Debug, Hash)]
pub struct Pending {
    /// What the answer is for.
    pub id: WaitId,
    /// The holds under which it was sent.
    pub holds: HoldTag,
}

/// Something on its way to a client.
#[derive(Clone, Hash)]
pub struct Arriving {
    /// What it is.
    pub what: Arrival,
    /// When it must have been delivered.
    pub due_by: DueBy,
}

/// What a client is about to be told.
#[derive(Clone, Hash)]
pub enum Arrival {
    /// The end of a request.
    Answer(WaitId, Message<Outcome<Response>>),
    /// A message that the node pushed.
    Message(Message<Response>),
    /// The connection has ended, and with it the requests that are still open.
    Ended {
        /// What comes before it may be lost: it broke, and the client may not have received that.
        lossy: bool,
    },
}

impl Arrival {
    /// The end of a request that no server took.
    pub fn refused(client: ClientId, id: WaitId) -> Arrival {
        Arrival::Answer(id, Message::new(client, Outcome::Fail(Refusal::Refused)))
    }
}

/// What a client has not been told when its end of a connection goes.
pub struct Unheard {
    /// What had been sent to it.
    arrivals: SmallVec<[Arriving; 1]>,
    /// The requests that it waits for.
    open: SmallVec<[WaitId; 4]>,
}

/// The client's end of a connection is gone.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Gone {
    /// When the node must have learnt of it.
    pub due_by: DueBy,
    /// What is in flight may be lost: the connection broke, or the process crashed. Otherwise the node learns of the end
    /// after everything that was sent before it.
    pub lossy: bool,
    /// The client's machine is gone: the node will never learn of the end.
    pub silent: bool,
}

/// One connection.
#[derive(Clone, Hash)]
pub struct Link {
    /// The client.
    pub client: ClientId,
    /// The node's place in the topology.
    pub node: u16,
    /// The number under which the node knows it.
    pub lane: u8,
    /// The number under which the client's code knows it.
    pub channel: u8,
    /// What the client uses it for.
    pub purpose: Purpose,
    /// Requests that the node has not served yet.
    pub requests: SmallVec<[InFlight; 1]>,
    /// What the client has not been told yet.
    pub arrivals: SmallVec<[Arriving; 1]>,
    /// Requests that the client still waits for.
    pub open: SmallVec<[WaitId; 4]>,
    /// Requests that the node has served and will answer when it can, oldest first.
    pub pending: SmallVec<[Pending; 1]>,
    /// It has gone silent: nothing gets through, and neither end is told.
    pub stalled: bool,
    /// It has not come about yet: the client tries, and is not answered.
    pub connecting: bool,
    /// It has gone silent because the node's end is gone, and the client cannot be told yet: the node's machine is gone too, or a
    /// partition is between the two.
    pub dark: bool,
    /// It is slow until nothing is on it any more: its messages may take longer than Δ.
    pub slow: bool,
    /// For how long the client bears its silence, in microseconds of its own clock; for ever if `None`.
    pub silence_us_max: Option<u64>,
    /// Since when it has been silent, by the client's own clock.
    silent_since_us: Option<u64>,
    /// The client's end is gone.
    pub gone: Option<Gone>,
}

/// The connections of a system, ordered by their names.
#[derive(Clone, Default)]
pub struct Links(Shared<Link>);

impl Links {
    /// The place of the first of which this is true.
    pub fn position(&self, is: impl Fn(&Link) -> bool) -> Option<usize> {
        self.0.iter().position(is)
    }

    /// The place of the one with this name.
    pub fn find(&self, name: LinkName) -> Option<usize> {
        Some(self.place(name)).filter(|at| self.0.get(*at).is_some_and(|link| link.name() == name))
    }

    /// The place that one with this name has or would have.
    fn place(&self, name: LinkName) -> usize {
        self.0.partition_point(|link| link.name() < name)
    }

    /// Takes one in; its place.
    pub fn insert(&mut self, fresh: Link) -> usize {
        let at = self.place(fresh.name());
        self.0.insert(at, fresh);
        at
    }
}

impl Deref for Links {
    type Target = Shared<Link>;
    fn deref(&self) -> &Shared<Link> {
        &self.0
    }
}

impl DerefMut for Links {
    fn deref_mut(&mut self) -> &mut Shared<Link> {
        &mut self.0
    }
}

impl Link {
    /// A fresh connection.
    pub fn new(client: ClientId, node: u16, lane: u8, channel: u8, purpose: Purpose) -> Self {
        Link {
            client,
            node,
            lane,
            channel,
            purpose,
            requests: SmallVec::new(),
            arrivals: SmallVec::new(),
            open: SmallVec::new(),
            pending: SmallVec::new(),
            stalled: false,
            connecting: false,
            dark: false,
            slow: false,
            silence_us_max: None,
            silent_since_us: None,
            gone: None,
        }
    }

    /// Its name in choices.
    pub fn name(&self) -> LinkName {
        LinkName { client: self.client.0 as u8, node: self.node as u8, lane: self.lane }
    }

    /// True if nothing is in flight, and the client neither waits nor watches for its silence.
    pub fn is_quiet(&self) -> bool {
        self.silence_us_max.is_none()
            && self.requests.is_empty()
            && self.arrivals.is_empty()
            && self.open.is_empty()
            && self.gone.is_none()
    }

    /// True if the client must be told of its end although it waits for nothing.
    pub fn tells_idle(&self) -> bool {
        self.purpose != Purpose::Commands
    }

    /// Takes the client's end off: what had been sent to the client, and what it waits for.
    pub fn detach(&mut self, gone: Gone) -> Unheard {
        (self.stalled, self.dark) = (false, false);
        (self.silence_us_max, self.silent_since_us) = (None, None);
        self.gone = Some(gone);
        Unheard { arrivals: std::mem::take(&mut self.arrivals), open: std::mem::take(&mut self.open) }
    }

    /// The node's end is gone. The client will be told, and may have received what was in flight to it.
    pub fn lose(&mut self, due_by: DueBy) {
        let unheard = self.detach(Gone { due_by: None, lossy: true, silent: false });
        self.gone = None;
        self.requests.clear();
        self.pending.clear();
        self.slow = false;
        self.end(unheard, due_by);
    }

    /// The client will be told of the end of a connection, if that matters to it, after what it may have received on it
    /// before.
    pub fn end(&mut self, unheard: Unheard, due_by: DueBy) {
        if self.tells_idle() || !unheard.open.is_empty() {
            (self.arrivals, self.open) = (unheard.arrivals, unheard.open);
            // Of an earlier end, which was about to be told, it is told once.
            self.arrivals.retain(|arriving| !matches!(arriving.what, Arrival::Ended { .. }));
            self.arrivals.push(Arriving { what: Arrival::Ended { lossy: true }, due_by });
        }
    }

    /// Of a connection that has ended the client reads nothing more but the end.
    pub fn discard_unread(&mut self) {
        let last = self.arrivals.len() - 1;
        self.arrivals.drain(..last);
    }

    /// True if what is sent on it reaches no server: it is silent, or has broken and the client has not been told yet.
    pub fn swallows(&self) -> bool {
        self.stalled || self.is_broken()
    }

    /// True if it has broken and the client has not been told yet.
    pub fn is_broken(&self) -> bool {
        self.arrivals.last().is_some_and(|last| matches!(last.what, Arrival::Ended { .. }))
    }

    /// The node closes it: requests in flight are lost, what the node had sent still arrives.
    pub fn close_at(&mut self, due_by: DueBy) {
        if self.stalled || self.is_broken() {
            return;
        }
        self.requests.clear();
        let answered =
            |id: &WaitId| self.arrivals.iter().any(|at| matches!(&at.what, Arrival::Answer(of, _) if of == id));
        if self.tells_idle() || !self.open.iter().all(answered) {
            self.arrivals.push(Arriving { what: Arrival::Ended { lossy: false }, due_by });
        }
    }

    /// Loses everything in flight without telling either end. The client's own monotonic clock shows `now_mono_us`.
    pub fn stall(&mut self, now_mono_us: u64) {
        self.requests.clear();
        self.arrivals.clear();
        self.stalled = true;
        self.silent_since_us.get_or_insert(now_mono_us);
    }

    /// The node does not answer from now on, for a while.
    pub fn unanswered(&mut self, now_mono_us: u64) {
        self.silent_since_us.get_or_insert(now_mono_us);
    }

    /// The node answers again, unless the client has given the connection up.
    pub fn answers_again(&mut self, now_mono_us: u64) {
        if !self.stalled && !self.is_given_up(now_mono_us) {
            self.silent_since_us = None;
        }
    }

    /// The client has not listened since its own clock showed `since_mono_us`: the connection counts as silent if that is longer
    /// than it bears.
    pub fn unheard_since(&mut self, since_mono_us: u64, now_mono_us: u64) {
        let too_long = self.silence_us_max.is_some_and(|max| now_mono_us.saturating_sub(since_mono_us) >= max);
        if too_long && self.silent_since_us.is_none() {
            self.silent_since_us = Some(since_mono_us);
        }
    }

    /// When the client will have borne its silence for too long, by the client's own clock.
    pub fn given_up_at(&self) -> Option<u64> {
        Some(self.silent_since_us?.saturating_add(self.silence_us_max?))
    }

    /// True if the client, whose monotonic clock shows `now_mono_us`, has borne its silence for too long.
    pub fn is_given_up(&self, now_mono_us: u64) -> bool {
        self.given_up_at().is_some_and(|at| at <= now_mono_us)
    }

    /// The client has its answer, or has given up.
    pub fn answered(&mut self, id: WaitId) {
        self.open.retain(|open| *open != id);
        self.settle();
    }

    /// A slow connection is an ordinary one again when nothing is on it.
    pub fn settle(&mut self) {
        self.slow &= !(self.open.is_empty() && self.requests.is_empty());
    }

    /// True if the client waits for this on it.
    pub fn waits_for(&self, id: WaitId) -> bool {
        self.open.contains(&id)
    }

    /// The client does not wait for this any more.
    pub fn forget(&mut self, id: WaitId) {
        self.answered(id);
        self.arrivals.retain(|arriving| !matches!(&arriving.what, Arrival::Answer(of, _) if *of == id));
    }
}
