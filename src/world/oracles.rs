//! Oracles: what they are told of a system, where it changes.
//!
//! Every change of a service passes `ask_service`: whatever changed it, a request, time, a crash or a restart,
//! the oracles see who holds the locks before and after.

use super::link::HoldTag;
use super::memories::{Placed, Violation};
use super::node::Clocks;
use super::pushed::Pushed;
use super::recorder::Recorder;
use super::system::System;
use crate::history::Event;
use crate::port::Blob;
use crate::property::{Ends, Holder, Judged, Moment, NOT_MODELLED};
use doublehold_models::{ClientId, Output, Request, Service};
use smallvec::SmallVec;
use std::sync::Arc;

/// What oracles watch on a node's service, as it was before a change.
pub(super) struct Watched {
    locks: SmallVec<[(usize, Option<Holder>); 1]>,
    resources: SmallVec<[(usize, Option<Blob>); 1]>,
}

/// Whose request changes a service.
#[derive(Clone, Copy)]
pub(super) struct By<'a> {
    /// The client.
    pub client: usize,
    /// The holds under which it was sent.
    pub holds: &'a HoldTag,
    /// The request; none if it was served before and went on.
    pub request: Option<&'a Request>,
    /// Its connection had broken before.
    pub late: bool,
}

impl System {
    /// Who holds a lock by the state of one service; nobody if all its nodes are down.
    pub fn holder_on(&self, lock: usize, service: usize) -> Option<Holder> {
        let node = self.first_of(service);
        if self.is_down(service) {
            return None;
        }
        let mut holder = self.setup.locks[lock].probe.holder(&self.services[service], &self.clocks_of(node))?;
        if let Ends::WithConnection(conn) = holder.ends
            && self.is_abandoned(node, conn)
        {
            holder.ends = Ends::Never;
        }
        Some(holder)
    }

    /// True if all nodes of a service are down.
    fn is_down(&self, service: usize) -> bool {
        let node = self.first_of(service);
        let mut members = self.nodes[node..].iter().take_while(|state| usize::from(state.service) == service);
        members.all(|state| state.down_since.is_some())
    }

    /// The tokens that have a lock's quorum.
    pub fn owners(&self, lock: usize) -> SmallVec<[Blob; 2]> {
        let spec = &self.setup.locks[lock];
        let tokens: SmallVec<[Blob; 5]> =
            spec.services.iter().filter_map(|service| Some(self.holder_on(lock, *service)?.token)).collect();
        let mut owners = SmallVec::new();
        for token in &tokens {
            let count = tokens.iter().filter(|other| *other == token).count();
            if count >= spec.quorum && !owners.contains(token) {
                owners.push(token.clone());
            }
        }
        owners
    }

    /// The client whose token this is: who has told that it holds by it, whose name it bears, or whose request put it there.
    pub fn owner_of(&self, lock: usize, token: &Blob) -> Option<usize> {
        let told = self.holds.iter().find(|(_, hold)| hold.token == *token).map(|(client, _)| client);
        let named = || client_named_in(token).filter(|client| *client < self.clients.len());
        let placed = || self.placed_as(lock, token).map(|placed| usize::from(placed.client));
        told.or_else(named).or_else(placed)
    }

    fn placed_as(&self, lock: usize, token: &Blob) -> Option<&Placed> {
        self.placed.iter().find(|placed| usize::from(placed.lock) == lock && placed.token == *token)
    }

    /// True if a token was put there by a request that its client had given up: the connection had broken before.
    pub fn came_late(&self, lock: usize, token: &Blob) -> bool {
        self.placed_as(lock, token).is_some_and(|placed| placed.late)
    }

    /// The holds under which a client sends something now.
    pub(super) fn hold_tag(&self, client: usize) -> HoldTag {
        let resources = self.setup.resources.iter().enumerate();
        resources.filter_map(|(at, spec)| Some((at as u8, self.holds.latest(client, &spec.lock)?))).collect()
    }

    /// Changes a service, tells the oracles, and carries what it sends to its clients.
    pub(super) fn touch_service(
        &mut self,
        node: usize,
        by: Option<By<'_>>,
        act: impl FnOnce(&mut Service, &Clocks, &mut Vec<Output>),
    ) {
        let outputs = self.ask_service(node, by, act);
        self.send_all(node, outputs);
        self.push_ready(node);
    }

    /// Changes a service and tells the oracles; what it sends.
    pub(super) fn ask_service(
        &mut self,
        node: usize,
        by: Option<By<'_>>,
        act: impl FnOnce(&mut Service, &Clocks, &mut Vec<Output>),
    ) -> Vec<Output> {
        let before = self.watch(node);
        let (service, clocks) = (self.service_of(node), self.clocks_of(node));
        let mut outputs = Vec::new();
        act(&mut self.services[service], &clocks, &mut outputs);
        self.footprint.service = true;
        self.note_in_flight(service);
        if self.services[service].is_group() {
            self.push(Pushed::Steps(service as u8));
        }
        self.refuse_not_modelled(node, &by, &outputs);
        self.judge_service(node, by, before);
        outputs
    }

    /// What a model does not have says nothing about the code: the run ends here, and loudly.
    fn refuse_not_modelled(&mut self, node: usize, by: &Option<By<'_>>, outputs: &[Output]) {
        let Some(what) = outputs.iter().find_map(Output::as_not_modelled) else { return };
        let asked = match by {
            Some(By { client, request: Some(request), .. }) => format!("client-{client} asks {request}"),
            _ => format!("{} goes on", self.node_name(node)),
        };
        let what = format!("{asked}: the model does not have {what}");
        self.violation.get_or_insert(Violation { property: NOT_MODELLED.to_owned(), what });
    }

    /// The holders and resource values of a node's service.
    fn watch(&self, node: usize) -> Watched {
        let service = self.service_of(node);
        let locks = self.setup.locks.iter().enumerate().filter(|(_, spec)| spec.services.contains(&service));
        let resources = self.setup.resources.iter().enumerate().filter(|(_, spec)| spec.service == service);
        Watched {
            locks: locks.map(|(number, _)| (number, self.holder_on(number, service))).collect(),
            resources: resources.map(|(number, spec)| (number, self.value_of(node, &spec.name))).collect(),
        }
    }

    fn value_of(&self, node: usize, key: &Blob) -> Option<Blob> {
        let service = &self.services[self.service_of(node)];
        service.value(&self.clocks_of(node), key)
    }

    /// The same of every service, each with a node of it.
    pub(super) fn watch_all(&self) -> Vec<(usize, Watched)> {
        let first = (0..self.services.len()).map(|service| self.first_of(service));
        first.map(|node| (node, self.watch(node))).collect()
    }

    /// Judges what has changed on a service.
    pub(super) fn judge_service(&mut self, node: usize, by: Option<By<'_>>, before: Watched) {
        let service = self.service_of(node);
        for (lock, before) in before.locks {
            let after = self.holder_on(lock, service);
            if after.is_some() {
                self.footprint.seen.held |= 1 << lock.min(63);
            }
            let changed = before != after;
            if changed {
                let client = by.map(|by| by.client);
                self.check(&Moment::LockChanged { by: client, service, lock, before: &before, after: &after });
                let ends = before.is_some() && by.is_none() && !self.is_down(service);
                self.footprint.seen.leases_ended += u64::from(ends);
            }
            if changed || self.setup.locks[lock].probe.has_queue(&self.services[service]) {
                self.place(lock, service, by);
            }
        }
        let Some(by) = by else { return };
        for (resource, old) in before.resources {
            self.judge_resource(node, resource, by, old);
        }
    }

    fn judge_resource(&mut self, node: usize, resource: usize, by: By<'_>, old: Option<Blob>) {
        let By { client, holds, request, .. } = by;
        let setup = Arc::clone(&self.setup);
        let spec = &setup.resources[resource];
        let Some((_, hold)) = holds.iter().find(|(at, _)| usize::from(*at) == resource) else { return };
        let new = self.value_of(node, &spec.name);
        let latest = self.latest[resource];
        let changed = new != old;
        if changed {
            let text = |value: Option<Blob>| value.map_or("nothing".to_owned(), |value| value.to_text().into_owned());
            let change = (text(old), text(new));
            let name = spec.name.clone();
            self.check(&Moment::ResourceWritten { client, resource: name, hold: *hold, latest, change });
        }
        if changed || request.is_some_and(|request| request.mentions(&spec.name)) {
            self.latest[resource] = latest.max(*hold);
        }
    }

    /// Notes whose tokens a service has for a lock now. What a server that is down has on its disk may come back.
    fn place(&mut self, lock: usize, service: usize, by: Option<By<'_>>) {
        if self.is_down(service) {
            return;
        }
        let clocks = self.clocks_of(self.first_of(service));
        let tokens = self.setup.locks[lock].probe.tokens(&self.services[service], &clocks);
        let here = |placed: &Placed| (usize::from(placed.lock), usize::from(placed.service)) == (lock, service);
        self.placed.retain(|placed| !here(placed) || tokens.contains(&placed.token));
        let Some(By { client, late, .. }) = by else { return };
        let client = ClientId(client as u16);
        for token in tokens {
            if !self.placed.iter().any(|placed| here(placed) && placed.token == token) {
                self.placed.push(Placed { lock: lock as u8, service: service as u8, token, client, late });
                let place = |placed: &Placed| (placed.lock, placed.service);
                self.placed.sort_by(|one, other| {
                    (place(one), one.token.as_bytes()).cmp(&(place(other), other.token.as_bytes()))
                });
            }
        }
    }

    /// Takes in what a client tells.
    pub(super) fn record(&mut self, client: usize, event: Event, recorder: &mut Recorder) {
        self.footprint.visible = true;
        let contends = |lock: &Blob| self.holds.wanting(lock).any(|other| other != client);
        match &event {
            Event::Acquiring { lock, .. } => self.footprint.seen.contended += u64::from(contends(lock)),
            Event::Acquired { lock, .. } => {
                self.footprint.seen.acquisitions += 1;
                self.footprint.seen.contended += u64::from(contends(lock));
            }
            _ => {}
        }
        self.check(&Moment::Recorded { client, event: &event });
        recorder.event(self, client, &event);
        let mono_us = self.client_clock(client).mono_us;
        self.holds.take(client, mono_us, &event);
    }

    /// Judges the end of an execution.
    pub fn judge_end(&mut self) {
        // A lease whose end the toy's bound hides would end in truth, and let another client on.
        let hidden = self.expiries_left == Some(0) && self.next_node_timer().is_some();
        if self.is_quiescent() {
            if let Some(audit) = self.audit() {
                self.check(&Moment::Audited(&audit));
            }
            self.check(&Moment::Quiescent);
        } else if !hidden && self.waiting_clients().next().is_some() {
            self.check(&Moment::Stuck);
        }
    }

    pub(super) fn check(&mut self, moment: &Moment) {
        if self.violation.is_some() {
            return;
        }
        let mut memories = std::mem::take(&mut self.memories);
        let mut looked = 0;
        for (number, property) in self.setup.properties.iter().enumerate() {
            let judged = memories.check(number, |memory| property.check(memory, self, moment));
            looked |= u64::from(judged != Judged::Silent) << number.min(63);
            if let Judged::Broken(what) = judged {
                self.violation.get_or_insert(Violation { property: property.name().to_owned(), what });
                break;
            }
        }
        self.footprint.seen.looked |= looked;
        self.memories = memories;
    }
}

/// The client whose name is in a token: its unique texts begin with its name; the lock may have put something before it.
fn client_named_in(token: &Blob) -> Option<usize> {
    let text = std::str::from_utf8(token).ok()?;
    let (_, number) = text.split_once("client-")?;
    number.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}
