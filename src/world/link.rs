//! Link: one connection between a client and a node, with what is in flight on it.

use super::seat::WaitId;
use crate::explore::choice::LinkName;
use crate::history::HoldOrder;
use crate::port::Outcome;
use doublehold_models::{Request, Response};
use smallvec::SmallVec;
use std::rc::Rc;

/// A request on its way to a node.
#[derive(Clone)]
pub struct InFlight {
    /// What the answer is for.
    pub id: WaitId,
    /// What it says.
    pub request: Rc<Request>,
    /// When it was sent, true time.
    pub sent_us: u64,
    /// The hold under which it was sent, if any.
    pub hold: Option<HoldOrder>,
}

/// A request that a node has and will answer when it can.
#[derive(Clone, Copy, Debug)]
pub struct Unanswered {
    /// What the answer is for.
    pub id: WaitId,
    /// The hold under which it was sent, if any.
    pub hold: Option<HoldOrder>,
}

/// Something on its way to a client.
#[derive(Clone)]
pub struct Arriving {
    /// What it is.
    pub what: Arrival,
    /// When it was sent, true time.
    pub sent_us: u64,
}

/// What a client is about to be told.
#[derive(Clone)]
pub enum Arrival {
    /// The end of a request.
    Answer(WaitId, Outcome<Response>),
    /// A message that the node sent of its own accord.
    Message(Response),
    /// The connection has broken; these requests were open on it.
    Broken(SmallVec<[WaitId; 4]>),
}

/// One connection. Both directions are FIFO and reliable until it breaks.
#[derive(Clone)]
pub struct Link {
    /// The client.
    pub client: u16,
    /// The node's place in the topology.
    pub node: u16,
    /// 0 for commands, further ones for subscriptions.
    pub lane: u8,
    /// Requests that the node has not served yet.
    pub requests: SmallVec<[InFlight; 1]>,
    /// What the client has not been told yet.
    pub arrivals: SmallVec<[Arriving; 1]>,
    /// Requests that the client still waits for.
    pub open: SmallVec<[WaitId; 4]>,
    /// Requests that the node has served and will answer when it can, oldest first.
    pub unanswered: SmallVec<[Unanswered; 1]>,
    /// The node keeps something for it as long as it lasts, and sends nothing of its own accord: a session with a database.
    pub stateful: bool,
    /// It has gone silent: nothing gets through, and nobody is told.
    pub stalled: bool,
    /// It is slow until nothing is on it any more: its messages may take longer than Δ.
    pub slow: bool,
    /// For how long the client bears its silence, in microseconds of its own clock; for ever if `None`.
    pub silence_us_max: Option<u64>,
    /// Since when it has been silent, by the client's own clock.
    silent_since_us: Option<u64>,
    /// The client has ended: nobody is there to be told anything.
    left: bool,
}

impl Link {
    /// A fresh connection.
    pub fn new(client: u16, node: u16, lane: u8) -> Self {
        Link {
            client,
            node,
            lane,
            requests: SmallVec::new(),
            arrivals: SmallVec::new(),
            open: SmallVec::new(),
            unanswered: SmallVec::new(),
            stateful: false,
            stalled: false,
            slow: false,
            silence_us_max: None,
            silent_since_us: None,
            left: false,
        }
    }

    /// Its name in choices.
    pub fn name(&self) -> LinkName {
        LinkName { client: self.client as u8, node: self.node as u8, lane: self.lane }
    }

    /// True if nothing is in flight, nobody waits or watches, and nothing would be lost with it.
    pub fn is_idle(&self) -> bool {
        self.silence_us_max.is_none()
            && !self.stateful
            && self.requests.is_empty()
            && self.arrivals.is_empty()
            && self.open.is_empty()
    }

    /// Breaks it: everything in flight is lost, and the client will be told.
    pub fn break_at(&mut self, now_us: u64) {
        let mut open: SmallVec<[WaitId; 4]> = SmallVec::new();
        for arriving in &self.arrivals {
            // A break that the client has not been told of yet is still to be told.
            if let Arrival::Broken(ids) = &arriving.what {
                open.extend_from_slice(ids);
            }
        }
        open.append(&mut self.open);
        self.requests.clear();
        self.arrivals.clear();
        self.unanswered.clear();
        (self.stalled, self.slow, self.silent_since_us) = (false, false, None);
        if !self.left && (self.lane > 0 || !open.is_empty()) {
            self.arrivals.push(Arriving { what: Arrival::Broken(open), sent_us: now_us });
        }
    }

    /// True if what is sent on it reaches nobody: it is silent, or has broken, which a client is told of before its commands go to
    /// a new one.
    pub fn swallows(&self) -> bool {
        self.stalled || (self.lane > 0 && self.is_broken())
    }

    /// True if it has broken and the client has not been told yet.
    pub fn is_broken(&self) -> bool {
        self.arrivals.iter().any(|arriving| matches!(arriving.what, Arrival::Broken(_)))
    }

    /// The node closes it: requests in flight are lost, what the node had sent still arrives.
    pub fn close_at(&mut self, now_us: u64) {
        if self.stalled || self.is_broken() {
            return;
        }
        self.requests.clear();
        let answered =
            |id: &WaitId| self.arrivals.iter().any(|at| matches!(&at.what, Arrival::Answer(of, _) if of == id));
        let unanswered: SmallVec<[WaitId; 4]> = self.open.iter().copied().filter(|id| !answered(id)).collect();
        self.open.retain(|id| !unanswered.contains(id));
        if !self.left && (self.lane > 0 || !unanswered.is_empty()) {
            self.arrivals.push(Arriving { what: Arrival::Broken(unanswered), sent_us: now_us });
        }
    }

    /// Loses everything in flight without telling anybody. The client's own monotonic clock shows `now_mono_us`.
    pub fn stall(&mut self, now_mono_us: u64) {
        self.requests.clear();
        self.arrivals.clear();
        self.stalled = true;
        self.silent_since_us = Some(now_mono_us);
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

    /// The client has ended; what it had sent is still on its way.
    pub fn leave(&mut self) {
        self.arrivals.clear();
        self.open.clear();
        (self.left, self.silence_us_max) = (true, None);
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

    /// The client does not wait for this any more.
    pub fn forget(&mut self, id: WaitId) {
        self.answered(id);
        self.arrivals.retain(|arriving| !matches!(&arriving.what, Arrival::Answer(of, _) if *of == id));
    }
}
