//! Network: what a system's connections carry, and what becomes of it.

use super::choice::{Act, LinkName};
use super::client::Status;
use super::inputs::Wake;
use super::link::{Arrival, Arriving, DueBy, Gone, InFlight, Link, Pending, Unheard};
use super::message::Message;
use super::node::NodeState;
use super::oracles::By;
use super::pushed::Pushed;
use super::seat::{Purpose, Told, WaitId};
use super::system::System;
use crate::port::{Blob, Outcome};
use crate::world::recorder::Recorder;
use doublehold_models::{At, ClientId, ConnId, Output, Request, Sent, Step};
use smallvec::SmallVec;
use std::sync::Arc;

impl System {
    /// The place of a connection in the list.
    pub(super) fn find_link(&self, at: LinkName) -> Option<usize> {
        self.links.find(at)
    }

    /// The place of the connection that a client's code knows by this number; a new one if there is none.
    fn channel(&mut self, client: usize, node: u16, channel: u8, purpose: Purpose) -> usize {
        let theirs = |link: &Link| (usize::from(link.client), link.node) == (client, node);
        let known = |link: &Link| theirs(link) && link.channel == channel && link.gone.is_none();
        if let Some(at) = self.links.position(known) {
            return at;
        }
        let taken = |lane: u8| self.links.iter().any(|link| theirs(link) && link.lane == lane);
        let lane = (0..=u8::MAX).find(|lane| !taken(*lane)).expect("a client has fewer than 256 connections to a node");
        let mut fresh = Link::new(ClientId(client as u16), node, lane, channel, purpose);
        fresh.connecting = self.cannot_connect(client, node.into());
        self.links.insert(fresh)
    }

    /// The server with this number.
    ///
    /// # Panics
    /// If the program names one that is not in its topology: a mistake of the scenario.
    pub(super) fn node_asked_for(&self, node: u16) -> &NodeState {
        let servers = self.nodes.len();
        let state = self.nodes.get(usize::from(node));
        state.unwrap_or_else(|| {
            panic!("the program asks server {node}, but the scenario has {servers}, numbered from 0")
        })
    }

    /// A service's name for a connection.
    pub(super) fn conn(&self, link: &Link) -> ConnId {
        ConnId { client: link.client.0, member: self.nodes[usize::from(link.node)].member, lane: link.lane }
    }

    /// The name of a connection to a member of this node's service.
    pub(super) fn name_of(&self, node: usize, conn: ConnId) -> LinkName {
        let member = node - usize::from(self.nodes[node].member) + usize::from(conn.member);
        LinkName { client: conn.client as u8, node: member as u8, lane: conn.lane }
    }

    /// True if the client's machine at the other end of a connection is gone, and the node will not learn of it.
    pub(super) fn is_abandoned(&self, node: usize, conn: ConnId) -> bool {
        let at = self.find_link(self.name_of(node, conn));
        at.and_then(|at| self.links[at].gone).is_some_and(|gone| gone.silent)
    }

    /// True if the node keeps something for a connection that would be lost with it.
    pub(super) fn is_kept(&self, link: &Link) -> bool {
        self.services[self.service_of(link.node.into())].keeps(self.conn(link))
    }

    /// True if a break of this connection could be told from none.
    pub(super) fn is_breakable(&self, link: &Link) -> bool {
        let reached = !link.connecting && !self.is_cut_to_node(link) && !self.is_cut_to_client(link);
        link.gone.is_none() && reached && !link.is_broken() && (!link.is_quiet() || self.is_kept(link))
    }

    // When things must have arrived.

    /// The end of Δ for what is sent now.
    pub(super) fn due_by(&self) -> DueBy {
        self.setup.assumptions.delay_us_max.map(|delay| self.now_us.saturating_add(delay))
    }

    /// The same for what leaves the client on this connection. A paused process neither sends nor receives: what is on its
    /// side waits for it. A slow connection takes its time.
    fn request_due_by(&self, link: &Link) -> DueBy {
        let waits = link.gone.is_none() && self.is_paused(link.client.into());
        let paused = self.nodes[usize::from(link.node)].paused_since.is_some();
        let exempt = link.slow || waits || paused || link.connecting || self.is_cut_to_node(link);
        if exempt { None } else { self.due_by() }
    }

    fn arrival_due_by(&self, link: &Link) -> DueBy {
        let exempt = link.slow || self.is_paused(link.client.into()) || self.is_cut_to_client(link);
        if exempt { None } else { self.due_by() }
    }

    /// An end of these connections was paused, or goes on, or they became slow: what is on them has its whole time again.
    pub(super) fn renew_due(&mut self, which: impl Fn(&Link) -> bool) {
        for at in 0..self.links.len() {
            let link = &self.links[at];
            if !which(link) {
                continue;
            }
            let (to_node, to_client) = (self.request_due_by(link), self.arrival_due_by(link));
            let link = &mut self.links[at];
            link.requests.iter_mut().for_each(|flight| flight.due_by = to_node);
            link.arrivals.iter_mut().for_each(|arriving| arriving.due_by = to_client);
            let tells = !link.requests.is_empty();
            let told = |gone: &&mut Gone| tells || !gone.silent;
            link.gone.iter_mut().filter(told).for_each(|gone| gone.due_by = to_node);
        }
    }

    // What clients do.

    pub(super) fn send(
        &mut self,
        client: usize,
        id: WaitId,
        (node, channel): (u16, u8),
        purpose: Purpose,
        request: Arc<Message<Request>>,
    ) {
        let (holds, down) = (self.hold_tag(client), self.node_asked_for(node).down_since.is_some());
        let at = self.channel(client, node, channel, purpose);
        let (to_node, to_client) = (self.request_due_by(&self.links[at]), self.arrival_due_by(&self.links[at]));
        let unheard = self.cannot_connect(client, node.into());
        let link = &mut self.links[at];
        // The node's end of what was a connection is gone.
        link.connecting |= down && unheard && !link.swallows();
        let name = link.name();
        link.open.push(id);
        if down && !link.swallows() && !link.connecting {
            let what = Arrival::refused(link.client, id);
            link.arrivals.push(Arriving { what, due_by: to_client });
            self.push(Pushed::Deliver(name));
        } else if !link.swallows() {
            let due_by = to_node.filter(|_| !link.connecting);
            link.requests.push(InFlight { id, request, due_by, holds });
            if !link.connecting {
                self.push(Pushed::Serve(name));
            }
        }
    }

    pub(super) fn forget(&mut self, client: usize, id: WaitId) {
        let timers = self.clients[client].timers.len();
        self.clients[client].timers.retain(|(timer, _)| *timer != id);
        self.footprint.timed |= timers != self.clients[client].timers.len();
        let has_it = |link: &Link| usize::from(link.client) == client && link.gone.is_none() && link.waits_for(id);
        if let Some(at) = self.links.position(has_it) {
            self.links[at].forget(id);
            if self.links[at].connecting {
                self.links[at].requests.retain(|flight| flight.id != id);
            }
        }
        // The client has given up on a silent connection; its next request opens a new one.
        let given_up = |link: &Link| {
            usize::from(link.client) == client && link.stalled && link.open.is_empty() && !link.tells_idle()
        };
        while let Some(at) = self.links.position(given_up) {
            self.break_link(at);
        }
    }

    /// The client closes a connection. What it had sent before still arrives.
    pub(super) fn close(&mut self, client: usize, node: u16, channel: u8) {
        let known = |link: &Link| {
            (usize::from(link.client), link.node, link.channel) == (client, node, channel) && link.gone.is_none()
        };
        if let Some(at) = self.links.position(known) {
            // A silent connection carries the end of it as little as anything else; the node finds out by itself.
            let gone = Gone { due_by: self.due_by(), lossy: self.links[at].stalled, silent: false };
            self.detach(at, gone);
        }
    }

    /// The client watches a connection: it takes one that has been silent for so long for broken.
    pub(super) fn keep_alive(&mut self, client: usize, node: u16, channel: u8, silence_us_max: u64) {
        let at = self.channel(client, node, channel, Purpose::Push);
        self.links[at].silence_us_max = Some(silence_us_max);
        if self.links[at].connecting || self.nodes[usize::from(node)].paused_since.is_some() {
            self.unanswered(at);
        }
    }

    /// The node at the other end of a connection does not answer for a while.
    pub(super) fn unanswered(&mut self, at: usize) {
        let now_mono_us = self.client_clock(self.links[at].client.into()).mono_us;
        if self.links[at].silence_us_max.is_some() {
            self.links[at].unanswered(now_mono_us);
            self.push_silence(at);
        }
    }

    /// The node at the other end of a connection answers again, if nothing else is between the two.
    pub(super) fn answers_again(&mut self, at: usize) {
        let link = &self.links[at];
        let now_mono_us = self.client_clock(link.client.into()).mono_us;
        if self.is_reached(link) && !self.is_cut_to_client(link) {
            self.links[at].answers_again(now_mono_us);
        }
    }

    /// True if a node can hear its client on a connection.
    fn is_reached(&self, link: &Link) -> bool {
        let running = self.nodes[usize::from(link.node)].is_running() && !self.is_paused(link.client.into());
        running && !link.connecting && !self.is_cut_to_node(link)
    }

    /// Those of these connections on which running clients watch for silence, and which they have not given up.
    pub(super) fn watched_links(&self, which: impl Fn(&Link) -> bool) -> SmallVec<[usize; 2]> {
        let watched = |link: &Link| {
            let live = link.gone.is_none() && !link.stalled && !self.is_paused(link.client.into());
            link.silence_us_max.is_some() && live && !self.is_given_up(link) && which(link)
        };
        self.links.iter().enumerate().filter(|(_, link)| watched(link)).map(|(at, _)| at).collect()
    }

    // The client's end goes.

    /// Takes the client's end off a connection. The node's end goes with it where the node could not tell.
    fn detach(&mut self, at: usize, gone: Gone) -> Unheard {
        let unheard = self.links[at].detach(gone);
        let name = self.links[at].name();
        if self.links[at].connecting {
            // It was to be sent once the client had connected.
            self.links[at].requests.clear();
        }
        self.settle_gone(at);
        if self.find_link(name).is_some() {
            self.push(Pushed::HangUp(name, gone.lossy));
        }
        unheard
    }

    /// The node has no more use for the rest of a connection: nothing is in flight, and it keeps nothing. Where it keeps
    /// something, of a machine that is gone it will learn nothing.
    fn settle_gone(&mut self, at: usize) {
        let link = &self.links[at];
        if link.gone.is_none() || !link.requests.is_empty() {
            return;
        }
        if !self.is_kept(link) {
            self.links.remove(at);
        } else if let Some(gone @ Gone { silent: true, .. }) = &mut self.links[at].gone {
            gone.due_by = None;
        }
    }

    /// Takes the client's end off all its connections.
    pub(super) fn detach_all(&mut self, client: usize, gone: Gone) {
        let live = |link: &Link| usize::from(link.client) == client && link.gone.is_none();
        while let Some(at) = self.links.position(live) {
            self.detach(at, gone);
        }
    }

    /// A connection breaks: the client will be told, and goes on over a new one.
    pub(super) fn break_link(&mut self, at: usize) {
        let link = &self.links[at];
        let (client, node, channel) = (usize::from(link.client), link.node, link.channel);
        let purpose = link.purpose;
        let matters = link.tells_idle() || !link.open.is_empty();
        let unheard = self.detach(at, Gone { due_by: self.due_by(), lossy: true, silent: false });
        if matters {
            let at = self.channel(client, node, channel, purpose);
            let due_by = self.arrival_due_by(&self.links[at]);
            self.links[at].end(unheard, due_by);
            let (name, arrivals) = (self.links[at].name(), self.links[at].arrivals.len());
            (0..arrivals).for_each(|_| self.push(Pushed::Deliver(name)));
        }
    }

    /// True if the node can learn that the client's end of a connection is gone, or what was sent on it can be lost.
    pub(super) fn can_hang_up(&self, at: usize) -> bool {
        let link = &self.links[at];
        let up = self.nodes[usize::from(link.node)].paused_since.is_none() && !self.is_cut_to_node(link);
        up && link.gone.is_some_and(|gone| match link.requests.is_empty() {
            true => !gone.silent,
            false => gone.lossy,
        })
    }

    /// The node learns that the client's end of a connection is gone; or, if that is silent, what was sent on it is lost.
    pub(super) fn hang_up(&mut self, at: usize) {
        if self.links[at].gone.is_some_and(|gone| gone.silent) {
            self.links[at].requests.clear();
            return self.settle_gone(at);
        }
        let link = self.links.remove(at);
        let (node, conn) = (usize::from(link.node), self.conn(&link));
        self.touch_service(node, None, |service, clocks, _| service.disconnect(clocks, conn));
    }

    /// A connection goes silent: nothing gets through any more, in either direction, and neither end is told.
    pub(super) fn stall(&mut self, at: usize) {
        let now_mono_us = self.client_clock(self.links[at].client.into()).mono_us;
        let link = &mut self.links[at];
        link.stall(now_mono_us);
        if link.silence_us_max.is_some() {
            self.push_silence(at);
            self.hear_on(at, false);
        }
    }

    /// A connection goes silent because the node's end is gone, and the client cannot be told.
    pub(super) fn darken(&mut self, at: usize) {
        // Of an earlier break the client will be told all the same.
        if self.links[at].swallows() {
            return;
        }
        let now_mono_us = self.client_clock(self.links[at].client.into()).mono_us;
        self.links[at].stall(now_mono_us);
        self.links[at].pending.clear();
        self.links[at].dark = true;
        self.push_silence(at);
    }

    /// A connection becomes slow.
    pub(super) fn delay(&mut self, at: usize) {
        self.links[at].slow = true;
        let name = self.links[at].name();
        self.renew_due(|link| link.name() == name);
    }

    /// Nodes learn that a client has fallen silent on its connections, or is heard again.
    pub(super) fn hear(&mut self, client: usize, heard: bool) {
        for at in self.watched_links(|link| usize::from(link.client) == client) {
            self.hear_on(at, heard);
        }
    }

    /// The node that a connection leads to learns that its client has fallen silent, or is heard again.
    pub(super) fn hear_on(&mut self, at: usize, heard: bool) {
        if heard && !self.is_reached(&self.links[at]) {
            return;
        }
        let (node, conn) = (usize::from(self.links[at].node), self.conn(&self.links[at]));
        self.touch_service(node, None, |service, clocks, _| service.hear(clocks, conn, heard));
    }

    // What nodes do.

    /// True if a node can serve the next request of a connection.
    pub(super) fn can_serve(&self, at: usize) -> bool {
        let link = &self.links[at];
        let sends = link.gone.is_some() || !self.is_paused(link.client.into());
        let passes = !link.connecting && !self.is_cut_to_node(link) && !self.is_blocked(link);
        sends && passes && !link.requests.is_empty() && self.nodes[usize::from(link.node)].is_running()
    }

    /// True if the node reads nothing from a connection before it has answered what it had read.
    fn is_blocked(&self, link: &Link) -> bool {
        !link.pending.is_empty() && self.services[self.service_of(link.node.into())].is_waiting(self.conn(link))
    }

    pub(super) fn serve(&mut self, at: usize, recorder: &mut Recorder) {
        let link = &mut self.links[at];
        let flight = link.requests.remove(0);
        link.settle();
        let (client, node) = (usize::from(link.client), usize::from(link.node));
        let (name, conn) = (self.links[at].name(), self.conn(&self.links[at]));
        let late = self.links[at].gone.is_some_and(|gone| gone.lossy);
        let clock = flight.request.asks_clock();
        self.footprint.server_clock |= clock.may_ask;
        self.footprint.escaped |= clock.tells;
        let by = By { client, holds: &flight.holds, request: Some(&flight.request), late };
        let outputs = self.ask_service(node, Some(by), |service, clocks, out| {
            service.handle(clocks, conn, &flight.request, out);
        });
        recorder.served(self, client, node, &flight.request, &outputs);
        let mut answers = Some(flight.id);
        for Output { conn: to, sent } in outputs {
            // Only the first reply ends the request; SUBSCRIBE's further ones are not waited for.
            let id = match sent {
                Sent::Reply(_) if to == conn => answers.take(),
                Sent::Reply(_) => self.pending(node, to),
                _ => None,
            };
            self.send_back(node, to, id, sent);
        }
        if let (Some(id), Some(at)) = (answers, self.find_link(name)) {
            // The node has it and will answer when it can.
            self.links[at].pending.push(Pending { id, holds: flight.holds });
        }
        if let Some(at) = self.find_link(name) {
            if self.links[at].gone.is_some_and(|gone| gone.silent) {
                // Nothing more will come from a machine that is gone.
                self.hear_on(at, false);
            }
            self.settle_gone(at);
        }
        self.push_ready(node);
    }

    /// A request that had to wait is granted what it waits for.
    pub(super) fn grant(&mut self, at: usize, recorder: &mut Recorder) {
        let link = &self.links[at];
        let (client, node) = (usize::from(link.client), usize::from(link.node));
        let holds = link.pending.first().map(|first| first.holds.clone()).unwrap_or_default();
        let conn = self.conn(link);
        let outputs = self.ask_service(
            node,
            Some(By { client, holds: &holds, request: None, late: false }),
            |service, clocks, out| {
                service.step(clocks, At::Conn(conn), Step::Grant, out);
            },
        );
        recorder.went_on(self, client, node, &outputs);
        self.send_all(node, outputs);
        self.push_ready(node);
    }

    /// True if some request that had to wait may be granted what it waits for.
    pub(super) fn has_ready(&self) -> bool {
        self.steps().iter().any(|choice| choice.act == Act::Take(Step::Grant))
    }

    /// Notes which requests that had to wait may go on.
    pub(super) fn push_ready(&mut self, node: usize) {
        if self.pushed.is_some() {
            for conn in self.services[self.service_of(node)].ready() {
                let name = self.name_of(node, conn);
                self.push(Pushed::Grant(name));
            }
        }
    }

    /// Carries what a service does by itself to its clients.
    pub(super) fn send_all(&mut self, node: usize, outputs: Vec<Output>) {
        for Output { conn, sent } in outputs {
            let id = if let Sent::Reply(_) = sent { self.pending(node, conn) } else { None };
            self.send_back(node, conn, id, sent);
        }
    }

    /// The request on a connection to a member of this node's service that was served and not answered yet.
    fn pending(&mut self, node: usize, conn: ConnId) -> Option<WaitId> {
        let at = self.find_link(self.name_of(node, conn))?;
        let pending = &mut self.links[at].pending;
        (!pending.is_empty()).then(|| pending.remove(0).id)
    }

    /// Carries something to a client, from the service that this node belongs to.
    fn send_back(&mut self, node: usize, to: ConnId, answers: Option<WaitId>, sent: Sent) {
        let name = self.name_of(node, to);
        if sent == Sent::CloseAll {
            return self.close_all(usize::from(name.node));
        }
        let Some(at) = self.find_link(name) else { return };
        let due_by = self.arrival_due_by(&self.links[at]);
        let link = &mut self.links[at];
        let what = match (answers, sent) {
            (_, Sent::Close) => return self.close_from_server(at),
            // The execution ends here.
            (_, Sent::NotModelled(_) | Sent::CloseAll) => return,
            // Nothing gets through a silent connection, or to a client that has gone.
            _ if link.stalled || link.gone.is_some() => return,
            // The client waits no more: what comes would be thrown away.
            (Some(id), _) if !link.open.contains(&id) => return,
            (Some(id), Sent::Reply(response) | Sent::Message(response)) => {
                Arrival::Answer(id, Message::new(link.client, Outcome::Ok(response)))
            }
            (None, Sent::Reply(response) | Sent::Message(response)) => {
                Arrival::Message(Message::new(link.client, response))
            }
        };
        link.arrivals.push(Arriving { what, due_by });
        self.push(Pushed::Deliver(name));
    }

    /// A node ends all its connections, with everything in flight.
    fn close_all(&mut self, node: usize) {
        self.links.retain(|link| usize::from(link.node) != node || link.gone.is_none());
        self.reset_links(node, |link| !link.swallows());
    }

    /// A node closes a connection: what it had sent before still arrives.
    fn close_from_server(&mut self, at: usize) {
        let due_by = self.arrival_due_by(&self.links[at]);
        self.links[at].close_at(due_by);
        let (node, conn) = (usize::from(self.links[at].node), self.conn(&self.links[at]));
        if self.links[at].gone.is_some() {
            self.links.remove(at);
        } else {
            let name = self.links[at].name();
            self.push(Pushed::Deliver(name));
        }
        self.touch_service(node, None, |service, clocks, _| service.disconnect(clocks, conn));
    }

    // What clients are told.

    /// True if a connection has been silent for longer than its client bears.
    pub(super) fn is_given_up(&self, link: &Link) -> bool {
        link.is_given_up(self.client_clock(link.client.into()).mono_us)
    }

    /// True if there is something that a client can be told on a connection.
    pub(super) fn can_deliver(&self, at: usize) -> bool {
        let link = &self.links[at];
        let running = self.clients[usize::from(link.client)].status == Status::Running;
        running && (!link.arrivals.is_empty() && !self.is_cut_to_client(link) || self.is_given_up(link))
    }

    /// How a client may be told at once of what waits for it on a connection that has ended, and of the end.
    ///
    /// Its code is late, like a thread that is not scheduled: its library has read both before the code goes on, and
    /// what the code then sends goes over a new connection. A pause before or after a delivery does not show this.
    pub(super) fn ends_at(&self, at: usize) -> impl Iterator<Item = Act> + use<> {
        let link = &self.links[at];
        let last = link.arrivals.len().saturating_sub(1);
        let first = match link.arrivals.last().map(|last| &last.what) {
            Some(Arrival::Ended { lossy: true }) if !self.is_given_up(link) => 0,
            Some(Arrival::Ended { lossy: false }) if !self.is_given_up(link) => last,
            _ => last + 1,
        };
        // Without something before the end there is nothing that it is told with.
        (first..=last).filter(move |_| last > 0).map(|told| Act::DeliverEnd(told as u8))
    }

    pub(super) fn deliver(&mut self, at: usize) -> Wake {
        let at = if self.is_given_up(&self.links[at]) { self.give_up(at) } else { at };
        let client = usize::from(self.links[at].client);
        let told = self.take_first(at);
        self.wake(client, told)
    }

    /// A client is told so many things and the end of a connection together.
    pub(super) fn deliver_end(&mut self, at: usize, told: u8) -> Wake {
        let client = usize::from(self.links[at].client);
        let mut all: Vec<Told> = (0..told).map(|_| self.take_first(at)).collect();
        self.links[at].discard_unread();
        all.push(self.take_first(at));
        self.wake(client, Told::Together(all))
    }

    /// Takes the first thing that waits for a client on a connection.
    fn take_first(&mut self, at: usize) -> Told {
        let link = &mut self.links[at];
        let (node, channel) = (link.node, link.channel);
        match link.arrivals.remove(0).what {
            Arrival::Answer(id, outcome) => {
                link.answered(id);
                Told::Answer(id, outcome.take())
            }
            Arrival::Message(message) => Told::Message(node, channel, message.take()),
            Arrival::Ended { .. } => {
                // Unanswered, or the answer was lost, or sent into a connection that had ended already.
                let open = std::mem::take(&mut link.open);
                self.links.remove(at);
                Told::Hangup(node, channel, open)
            }
        }
    }

    /// The client gives a silent connection up; the place where it is told so.
    fn give_up(&mut self, at: usize) -> usize {
        let (client, node, channel) = {
            let link = &self.links[at];
            (usize::from(link.client), link.node, link.channel)
        };
        self.break_link(at);
        let at = self.channel(client, node, channel, Purpose::Push);
        self.links[at].discard_unread();
        at
    }

    /// True if whatever a client is told next is what comes next on this connection: nothing can come on another, no
    /// timer is due, and it is not the end of the connection, nor can that come with it. What is sent to it meanwhile
    /// queues up behind.
    pub fn hears_only(&self, at: LinkName) -> bool {
        let Some(place) = self.find_link(at) else { return false };
        let link = &self.links[place];
        let service = &self.services[self.service_of(link.node.into())];
        let ends = link.slow || link.arrivals.is_empty() || link.is_broken() || service.hangs_up();
        // A subscription or a session may bring something at any time.
        let quiet = |other: &Link| {
            other.gone.is_some()
                || (other.purpose != Purpose::Push && other.open.is_empty() && other.arrivals.is_empty())
        };
        let client = usize::from(link.client);
        let mut others =
            self.links.iter().enumerate().filter(|(at, other)| other.client == link.client && *at != place);
        let clock = self.client_clock(client).mono_us;
        let timers = &self.clients[client].timers;
        let waits = self.setup.assumptions.delay_us_max == Some(0);
        !ends
            && others.all(|(_, other)| quiet(other))
            && if waits { timers.iter().all(|(_, at)| *at > clock) } else { timers.is_empty() }
    }

    // What names and worlds ask.

    /// How the client may be told of the end of a connection together with what came before it; nothing where that is
    /// not to be told now.
    pub fn ends_of(&self, at: LinkName) -> SmallVec<[Act; 2]> {
        let at = self.find_link(at).filter(|at| self.can_deliver(*at));
        at.map_or_else(SmallVec::new, |at| self.ends_at(at).collect())
    }

    /// True if a connection is slow.
    pub fn is_slow(&self, at: LinkName) -> bool {
        self.find_link(at).is_some_and(|place| self.links[place].slow)
    }

    /// True if a connection has gone silent.
    pub fn is_silent(&self, at: LinkName) -> bool {
        let is_silent = |link: &Link| link.stalled || link.given_up_at().is_some();
        self.find_link(at).is_some_and(|place| is_silent(&self.links[place]))
    }

    /// The number and the name of the request that a connection's node would serve next.
    pub fn request_at(&self, at: LinkName) -> Option<(WaitId, Blob)> {
        let flight = self.links[self.find_link(at)?].requests.first()?;
        Some((flight.id, flight.request.name()))
    }

    /// True if a connection's client would next be told something that the node pushed.
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
            Some(Arrival::Ended { .. }) => "broken".to_owned(),
            None => "silence".to_owned(),
        }
    }
}
