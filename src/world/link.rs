//! Link: one connection between a client and a node, with what is in flight on it.

use super::seat::WaitId;
use crate::explore::choice::LinkName;
use crate::history::HoldOrder;
use crate::port::{Outcome, Value};
use doublehold_models::{ConnId, Request, Response};
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
    /// A message on a subscription.
    Message(Value),
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
    /// It has gone silent: nothing gets through, and nobody is told.
    pub stalled: bool,
    /// It is slow until nothing is on it any more: its messages may take longer than Δ.
    pub slow: bool,
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
            stalled: false,
            slow: false,
        }
    }

    /// Its name in choices.
    pub fn name(&self) -> LinkName {
        LinkName { client: self.client as u8, node: self.node as u8, lane: self.lane }
    }

    /// The node's name for it.
    pub fn conn(&self) -> ConnId {
        ConnId { client: self.client, lane: self.lane }
    }

    /// True if nothing is in flight and nobody waits.
    pub fn is_idle(&self) -> bool {
        self.requests.is_empty() && self.arrivals.is_empty() && self.open.is_empty()
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
        (self.stalled, self.slow) = (false, false);
        if self.lane > 0 || !open.is_empty() {
            self.arrivals.push(Arriving { what: Arrival::Broken(open), sent_us: now_us });
        }
    }

    /// Loses everything in flight without telling anybody.
    pub fn stall(&mut self) {
        self.requests.clear();
        self.arrivals.clear();
        self.stalled = true;
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
