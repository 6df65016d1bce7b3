//! Network: what a system's connections carry, and what becomes of it.

use super::link::{Arrival, Arriving, InFlight, Link, Unanswered};
use super::seat::{Told, WaitId};
use super::system::{Agenda, Run, Status, System, Violation};
use crate::explore::choice::LinkName;
use crate::port::{Blob, Outcome, Refusal};
use crate::property::NOT_MODELLED;
use crate::trace::Recorder;
use doublehold_models::{ConnId, Output, Request, Sent, Service};
use std::rc::Rc;

impl System {
    /// The place of a connection that a choice names.
    pub(super) fn place_of(&self, at: LinkName) -> usize {
        self.find_link(at).unwrap_or_else(|| panic!("a choice names a connection that is not there: {at:?}"))
    }

    /// The place of a connection in the list.
    pub(super) fn find_link(&self, at: LinkName) -> Option<usize> {
        self.links.binary_search_by_key(&at, Link::name).ok()
    }

    /// The place of a connection in the list; it is added if it was never used.
    fn link(&mut self, client: u16, node: u16, lane: u8) -> usize {
        let name = LinkName { client: client as u8, node: node as u8, lane };
        match self.links.binary_search_by_key(&name, Link::name) {
            Ok(at) => at,
            Err(at) => {
                self.links.insert(at, Link::new(client, node, lane));
                at
            }
        }
    }

    /// A service's name for a connection.
    pub(super) fn conn(&self, link: &Link) -> ConnId {
        ConnId { client: link.client, member: self.nodes[usize::from(link.node)].member, lane: link.lane }
    }

    pub(super) fn send(&mut self, client: usize, id: WaitId, node: u16, lane: u8, request: Request) {
        let (sent_us, hold) = (self.now_us, self.holds.current(client));
        let down = self.nodes[usize::from(node)].down_since.is_some();
        let at = self.link(client as u16, node, lane);
        let link = &mut self.links[at];
        link.open.push(id);
        if down {
            let what = Arrival::Answer(id, Outcome::Fail(Refusal::Refused));
            link.arrivals.push(Arriving { what, sent_us });
            let name = link.name();
            self.note(Agenda::Deliver(name));
        } else if !link.swallows() {
            link.stateful |= matches!(request, Request::MySql(_));
            link.requests.push(InFlight { id, request: Rc::new(request), sent_us, hold });
            let name = link.name();
            self.note(Agenda::Serve(name));
        }
    }

    pub(super) fn forget(&mut self, client: usize, id: WaitId) {
        let timers = self.clients[client].timers.len();
        self.clients[client].timers.retain(|(timer, _)| *timer != id);
        self.footprint.timed |= timers != self.clients[client].timers.len();
        for at in 0..self.links.len() {
            let link = &mut self.links[at];
            if usize::from(link.client) != client {
                continue;
            }
            link.forget(id);
            if link.stalled && link.open.is_empty() && link.silence_us_max.is_none() {
                // The client has given up on the silent connection; its next request opens a new one.
                self.break_link(at);
            }
        }
    }

    /// The client closes a connection.
    pub(super) fn close(&mut self, client: usize, node: u16, lane: u8) {
        let at = self.link(client as u16, node, lane);
        let conn = self.conn(&self.links[at]);
        self.links.remove(at);
        self.hang_up(usize::from(node), conn);
    }

    /// The client watches a connection: it takes one that has been silent for so long for broken.
    pub(super) fn keep_alive(&mut self, client: usize, node: u16, lane: u8, silence_us_max: u64) {
        let at = self.link(client as u16, node, lane);
        self.links[at].silence_us_max = Some(silence_us_max);
    }

    /// A node learns that a connection has ended.
    fn hang_up(&mut self, node: usize, conn: ConnId) {
        let (service, clocks) = (self.service_of(node), self.clocks_of(node));
        Rc::make_mut(&mut self.services[service]).disconnect(&clocks, conn);
        self.note_ready(node);
    }

    /// A node learns that its client has fallen silent on all its connections, or is heard again.
    pub(super) fn hear(&mut self, client: usize, heard: bool) {
        let now_mono_us = self.client_clock(client).mono_us;
        for at in 0..self.links.len() {
            let link = &self.links[at];
            let watched = link.silence_us_max.is_some() && !link.stalled && !link.is_given_up(now_mono_us);
            if usize::from(link.client) == client && watched {
                self.hear_on(at, heard);
            }
        }
    }

    fn hear_on(&mut self, at: usize, heard: bool) {
        let (node, conn) = (usize::from(self.links[at].node), self.conn(&self.links[at]));
        let (service, clocks) = (self.service_of(node), self.clocks_of(node));
        Rc::make_mut(&mut self.services[service]).hear(&clocks, conn, heard);
    }

    pub(super) fn serve(&mut self, at: usize, recorder: &mut Recorder) {
        let link = &mut self.links[at];
        let flight = link.requests.remove(0);
        link.settle();
        let (client, node) = (usize::from(link.client), usize::from(link.node));
        let (name, conn) = (self.links[at].name(), self.conn(&self.links[at]));
        let before = self.watch(node);
        let (service, clocks) = (self.service_of(node), self.clocks_of(node));
        let mut outputs = Vec::new();
        Rc::make_mut(&mut self.services[service]).handle(&clocks, conn, &flight.request, &mut outputs);
        recorder.served(self, client, node, &flight.request, &outputs);
        self.refuse_not_modelled(&outputs, |_| format!("client-{client} asks {}", flight.request));
        let mut answers = Some(flight.id);
        for Output { conn: to, sent } in outputs {
            // Only the first reply ends the request; SUBSCRIBE's further ones are not waited for.
            let id = match sent {
                Sent::Reply(_) if to == conn => answers.take(),
                Sent::Reply(_) => self.unanswered(node, to),
                Sent::Message(_) | Sent::Close | Sent::NotModelled(_) => None,
            };
            self.send_back(node, to, id, sent);
        }
        if let (Some(id), Some(at)) = (answers, self.find_link(name)) {
            // The node has it and will answer when it can.
            self.links[at].unanswered.push(Unanswered { id, hold: flight.hold });
        }
        self.judge_service(client, node, flight.hold, Some(&flight.request), before);
        self.note_ready(node);
        if self.clients[client].status == Status::Finished {
            self.leave(client);
        }
    }

    /// A node goes on with a request that had to wait.
    pub(super) fn go_on(&mut self, at: usize, recorder: &mut Recorder) {
        let link = &self.links[at];
        let (client, node) = (usize::from(link.client), usize::from(link.node));
        let hold = link.unanswered.first().and_then(|first| first.hold);
        let conn = self.conn(link);
        let before = self.watch(node);
        let (service, clocks) = (self.service_of(node), self.clocks_of(node));
        let mut outputs = Vec::new();
        Rc::make_mut(&mut self.services[service]).go_on(&clocks, conn, &mut outputs);
        recorder.went_on(self, client, node, &outputs);
        self.send_all(node, outputs);
        self.judge_service(client, node, hold, None, before);
        self.note_ready(node);
    }

    /// The connections whose requests had to wait and may go on now.
    pub(super) fn ready(&self) -> impl Iterator<Item = LinkName> {
        let ready =
            |(number, service): (usize, &Rc<Service>)| service.ready().into_iter().map(move |conn| (number, conn));
        let ready = self.services.iter().enumerate().flat_map(ready);
        ready.map(|(number, conn)| self.name_of(self.first_of(number), conn))
    }

    /// Puts on the agenda that requests may go on which had to wait.
    pub(super) fn note_ready(&mut self, node: usize) {
        for conn in self.services[self.service_of(node)].ready() {
            let name = self.name_of(node, conn);
            self.note(Agenda::GoOn(name));
        }
    }

    /// What a model does not have says nothing about the code: the run ends here, and loudly.
    pub(super) fn refuse_not_modelled(&mut self, outputs: &[Output], asked: impl FnOnce(&Self) -> String) {
        if let Some(what) = outputs.iter().find_map(Output::as_not_modelled) {
            let what = format!("{}: the model does not have {what}", asked(self));
            self.violation = Some(Violation { property: NOT_MODELLED.to_owned(), what });
        }
    }

    /// Carries what a service does by itself to its clients.
    pub(super) fn send_all(&mut self, node: usize, outputs: Vec<Output>) {
        self.refuse_not_modelled(&outputs, |system| format!("{} goes on", system.node_name(node)));
        for Output { conn, sent } in outputs {
            let id = if let Sent::Reply(_) = sent { self.unanswered(node, conn) } else { None };
            self.send_back(node, conn, id, sent);
        }
    }

    /// The request on a connection to a member of this node's service that was served and not answered yet.
    fn unanswered(&mut self, node: usize, conn: ConnId) -> Option<WaitId> {
        let at = self.find_link(self.name_of(node, conn))?;
        let unanswered = &mut self.links[at].unanswered;
        (!unanswered.is_empty()).then(|| unanswered.remove(0).id)
    }

    /// The name of a connection to a member of this node's service.
    fn name_of(&self, node: usize, conn: ConnId) -> LinkName {
        let member = node - usize::from(self.nodes[node].member) + usize::from(conn.member);
        LinkName { client: conn.client as u8, node: member as u8, lane: conn.lane }
    }

    /// Carries something to a client, from the service that this node belongs to.
    fn send_back(&mut self, node: usize, to: ConnId, answers: Option<WaitId>, sent: Sent) {
        let sent_us = self.now_us;
        let name = self.name_of(node, to);
        let Some(at) = self.find_link(name) else { return };
        let link = &mut self.links[at];
        let what = match (answers, sent) {
            (_, Sent::Close) => return self.close_from_server(at),
            // The execution ends here.
            (_, Sent::NotModelled(_)) => return,
            // Nothing gets through a silent connection.
            _ if link.stalled => return,
            // The client waits no more: what comes would be thrown away.
            (Some(id), _) if !link.open.contains(&id) => return,
            (Some(id), Sent::Reply(response) | Sent::Message(response)) => Arrival::Answer(id, Outcome::Ok(response)),
            (None, Sent::Reply(response) | Sent::Message(response)) => Arrival::Message(response),
        };
        link.arrivals.push(Arriving { what, sent_us });
        self.note(Agenda::Deliver(name));
    }

    /// A node closes a connection: what it had sent before still arrives.
    fn close_from_server(&mut self, at: usize) {
        self.links[at].close_at(self.now_us);
        let (node, name) = (usize::from(self.links[at].node), self.links[at].name());
        self.note(Agenda::Deliver(name));
        let conn = self.conn(&self.links[at]);
        self.hang_up(node, conn);
    }

    pub(super) fn deliver(&mut self, at: usize) -> Option<Run> {
        if self.links[at].is_given_up(self.client_clock(self.links[at].client.into()).mono_us) {
            self.break_link(at);
        }
        let link = &mut self.links[at];
        let (client, node, lane) = (usize::from(link.client), link.node, link.lane);
        let what = link.arrivals.remove(0).what;
        let told = match what {
            Arrival::Answer(id, outcome) => {
                link.answered(id);
                Told::Answer(id, outcome)
            }
            Arrival::Message(message) => Told::Message(node, lane, message),
            Arrival::Broken(mut ids) if lane > 0 => {
                // What was sent since then went into a connection that was broken already.
                ids.append(&mut link.open);
                self.links.remove(at);
                Told::Hangup(node, lane, ids)
            }
            Arrival::Broken(ids) => Told::Broken(ids),
        };
        Some(self.run(client, told))
    }

    pub(super) fn break_link(&mut self, at: usize) {
        let now_us = self.now_us;
        self.links[at].break_at(now_us);
        let name = self.links[at].name();
        self.note(Agenda::Deliver(name));
        let (node, conn) = (usize::from(self.links[at].node), self.conn(&self.links[at]));
        self.hang_up(node, conn);
    }

    /// A connection goes silent: nothing gets through any more, in either direction, and nobody is told.
    pub(super) fn stall(&mut self, at: usize) {
        let link = &self.links[at];
        let client = usize::from(link.client);
        let now_mono_us = self.client_clock(client).mono_us;
        let link = &mut self.links[at];
        link.stall(now_mono_us);
        if link.silence_us_max.is_some() {
            let name = self.links[at].name();
            self.note_silence(at, name);
            self.hear_on(at, false);
        }
    }

    /// A client that has ended closes its connections; what it had sent and did not wait for still arrives.
    pub(super) fn leave(&mut self, client: usize) {
        let mut gone = Vec::new();
        for at in 0..self.links.len() {
            if usize::from(self.links[at].client) != client {
                continue;
            }
            let conn = self.conn(&self.links[at]);
            let link = &mut self.links[at];
            link.leave();
            if link.requests.is_empty() {
                gone.push((usize::from(link.node), conn));
            }
        }
        self.links.retain(|link| usize::from(link.client) != client || !link.requests.is_empty());
        gone.into_iter().for_each(|(node, conn)| self.hang_up(node, conn));
    }

    /// Ends all connections of a client that has crashed, with all that is in flight, as when a connection breaks.
    pub(super) fn disconnect(&mut self, client: usize) {
        let mut gone = Vec::new();
        for link in self.links.iter().filter(|link| usize::from(link.client) == client) {
            gone.push((usize::from(link.node), self.conn(link)));
        }
        self.links.retain(|link| usize::from(link.client) != client);
        gone.into_iter().for_each(|(node, conn)| self.hang_up(node, conn));
    }

    /// The number and the name of the request that a connection's node would serve next.
    pub fn request_at(&self, at: LinkName) -> Option<(WaitId, Blob)> {
        let flight = self.links[self.find_link(at)?].requests.first()?;
        Some((flight.id, flight.request.name()))
    }

    /// True if a connection's client would next be told something that the node sent of its own accord.
    pub fn brings_message(&self, at: LinkName) -> bool {
        let arriving = self.find_link(at).and_then(|place| self.links[place].arrivals.first());
        arriving.is_some_and(|arriving| matches!(arriving.what, Arrival::Message(_)))
    }

    /// What a connection's client would be told next.
    pub fn arrival_at(&self, at: LinkName) -> String {
        let arriving = self.find_link(at).and_then(|place| self.links[place].arrivals.first());
        match arriving.map(|arriving| &arriving.what) {
            Some(Arrival::Answer(id, _)) => format!("#{id}"),
            Some(Arrival::Message(_)) => "message".to_owned(),
            Some(Arrival::Broken(_)) => "broken".to_owned(),
            None => "silence".to_owned(),
        }
    }
}
