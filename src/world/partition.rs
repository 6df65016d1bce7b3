//! Partition: processes that cannot reach the others for a while.
//!
//! A partition sets some processes apart from the rest, in both directions or in one. Connections across it live on:
//! what is sent waits, as TCP sends it again, and arrives after the partition has healed. A connection cannot come
//! about across it.
//!
//! Members of a group go on, and the group says what each does. Members of an ensemble that no longer reach most of it,
//! there and back, serve nobody until it has healed: that they answer from what they have for a while is
//! [`Fault::Lag`](super::fault::Fault::Lag).

use super::choice::{Act, Choice, LinkName, Target};
use super::cut::{Apart, Cut, Partition, Partitions, Way};
use super::link::{Arrival, Arriving, Link};
use super::node::NodeState;
use super::system::System;

/// All sets of processes are tried where there are at most so many; beyond that, each process by itself.
const ALL_SETS_MAX: usize = 8;

impl System {
    /// The partitions that there can be.
    pub(super) fn offer_partitions(&self, into: &mut Vec<Choice>) {
        let (clients, nodes) = (self.clients.len(), self.nodes.len());
        let all = clients + nodes;
        let mut offer = |apart, way| {
            into.push(Choice { at: Target::Network, act: Act::Cut(Cut { apart, way }) });
        };
        if let Partitions::ClientAndNode(node) = self.setup.partitions {
            let with_node = |client: usize| Apart::Set { clients: 1 << client, nodes: 1 << node };
            (0..clients.min(u8::BITS as usize)).for_each(|client| offer(with_node(client), Way::Both));
            return;
        }
        if all > ALL_SETS_MAX {
            let one = (0..clients).map(|client| Apart::Client(client as u8));
            for apart in one.chain((0..nodes).map(|node| Apart::Node(node as u8))) {
                offer(apart, Way::Both);
                offer(apart, Way::Out);
            }
            return;
        }
        for mask in 1..(1u16 << all) - 1 {
            let size = mask.count_ones() as usize;
            // In both directions it is the same to set the others apart.
            if 2 * size < all || (2 * size == all && mask & 1 == 0) {
                offer(Apart::of(mask, clients), Way::Both);
            }
            offer(Apart::of(mask, clients), Way::Out);
        }
    }

    /// True if what a client sends to a node, or what the node sends to it, does not get through.
    fn is_cut(&self, client: usize, node: usize, to_node: bool) -> bool {
        let Some(Partition { way, .. }) = self.cut else { return false };
        let (client, node) = (self.clients[client].apart, self.nodes[node].apart);
        let sender = if to_node { client } else { node };
        client != node && (way == Way::Both || sender)
    }

    /// True if what is sent on a connection towards its node waits.
    pub(super) fn is_cut_to_node(&self, link: &Link) -> bool {
        self.is_cut(link.client.into(), link.node.into(), true)
    }

    /// True if what is sent on a connection towards its client waits.
    pub(super) fn is_cut_to_client(&self, link: &Link) -> bool {
        self.is_cut(link.client.into(), link.node.into(), false)
    }

    /// True if a connection between the two cannot come about now, and nobody says so.
    pub(super) fn cannot_connect(&self, client: usize, node: usize) -> bool {
        self.nodes[node].dark || self.is_cut(client, node, true) || self.is_cut(client, node, false)
    }

    /// Sets processes apart.
    pub(super) fn cut_off_from(&mut self, cut: Cut) {
        self.cut = Some(Partition { way: cut.way, since_us: self.now_us });
        for (client, state) in self.clients.iter_mut().enumerate() {
            state.apart = cut.apart.has_client(client);
        }
        for (node, state) in self.nodes.iter_mut().enumerate() {
            state.apart = cut.apart.has_node(node);
        }
        for client in 0..self.clients.len() {
            let cut = |node| self.is_cut(client, node, true) || self.is_cut(client, node, false);
            self.clients[client].was_cut_off |= (0..self.nodes.len()).any(cut);
        }
        for at in self.watched_links(|_| true) {
            let link = &self.links[at];
            let (to_node, to_client) = (self.is_cut_to_node(link), self.is_cut_to_client(link));
            if to_node {
                self.hear_on(at, false);
            }
            if to_node || to_client {
                self.unanswered(at);
            }
        }
        self.renew_due(|_| true);
        self.tell_groups();
        for node in 0..self.nodes.len() {
            if self.is_outvoted(node) && self.nodes[node].is_running() {
                self.nodes[node].outvoted = true;
                self.crash_node(node);
            }
        }
    }

    /// True if a member of an ensemble reaches no more than half of it, there and back.
    pub(super) fn is_outvoted(&self, node: usize) -> bool {
        if self.cut.is_none() {
            return false;
        }
        let NodeState { service, apart, .. } = self.nodes[node];
        if self.services[usize::from(service)].is_group() {
            return false;
        }
        let members = || self.nodes.iter().filter(move |state| state.service == service);
        let beside = members().filter(|state| state.apart == apart).count();
        2 * beside <= members().count()
    }

    /// The partition has healed: what waited is on its way, and members that served nobody serve again.
    pub(super) fn heal(&mut self) {
        let is_across = |link: &Link| self.is_cut_to_node(link) || self.is_cut_to_client(link);
        let across: Vec<LinkName> = self.links.iter().filter(|link| is_across(link)).map(Link::name).collect();
        self.cut = None;
        self.clients.iter_mut().for_each(|client| client.apart = false);
        self.nodes.iter_mut().for_each(|node| node.apart = false);
        self.tell_groups();
        for node in (0..self.nodes.len()).filter(|node| !self.nodes[*node].dark).collect::<Vec<usize>>() {
            self.reset_links(node, |link| link.dark);
        }
        across.iter().for_each(|name| self.connect(*name));
        for at in self.watched_links(|link| across.contains(&link.name())) {
            self.answers_again(at);
            self.hear_on(at, true);
        }
        self.renew_due(|_| true);
        for node in 0..self.nodes.len() {
            if std::mem::take(&mut self.nodes[node].outvoted) {
                self.restart_node(node);
            }
        }
    }

    /// What a connection carries is on its way, now that nothing is between its ends; or it comes about, or is refused.
    pub(super) fn connect(&mut self, name: LinkName) {
        let Some(at) = self.find_link(name) else { return };
        let (client, node) = (usize::from(self.links[at].client), usize::from(self.links[at].node));
        if self.cannot_connect(client, node) {
            return;
        }
        let due_by = self.due_by();
        let link = &mut self.links[at];
        if std::mem::take(&mut link.connecting) && self.nodes[node].down_since.is_some() {
            for flight in std::mem::take(&mut link.requests) {
                let what = Arrival::refused(link.client, flight.id);
                link.arrivals.push(Arriving { what, due_by });
            }
        }
        self.push_waiting(at);
    }
}
