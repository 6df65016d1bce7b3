//! Bus: how the servers of a Cluster find each other down, and whether each takes the Cluster for usable.
//!
//! Each server pings the others. One that has not answered for a node timeout is *possibly down* (PFAIL) to the server
//! that asked. Once a majority of the primaries has told a server so, it is *down* (FAIL), to it and to all that it
//! reaches.
//!
//! The count begins with the ping, up to half a node timeout after the failure. The model lets a server count as
//! possibly down for elections after one node timeout, and for a primary's own knowledge that it is in the minority
//! after one and a half: the earliest failover and the longest service. Between them, an isolated primary and the
//! replica that was elected in its place both serve.

use super::super::pubsub::deliveries;
use super::member::View;
use super::servers::Cluster;
use crate::{Blob, NodeClock, Output, Response};

/// A primary serves again so long after its start (`CLUSTER_WRITABLE_DELAY`), in microseconds.
const WRITABLE_DELAY_US: u64 = 2_000_000;
/// A primary serves again so long after it was in a minority: a node timeout, within these limits.
const REJOIN_DELAY_US: std::ops::RangeInclusive<u64> = 500_000..=5_000_000;
/// A primary that answers again is no longer down after so many node timeouts (`CLUSTER_FAIL_UNDO_TIME_MULT`).
const UNDO_TIMEOUTS: u64 = 2;

impl Cluster {
    fn timeout_us(&self) -> u64 {
        u64::from(self.config.node_timeout_ms) * 1000
    }

    /// When a view changes with time alone.
    fn due(&self, view: View) -> Option<u64> {
        let timeout = self.timeout_us();
        match view {
            View::Silent(since) => Some(since + timeout),
            View::PossiblyDown(since) => Some(since + timeout + timeout / 2),
            View::Down { since, answers: true } => Some(since + UNDO_TIMEOUTS * timeout),
            View::Fine | View::Unreachable | View::Down { answers: false, .. } => None,
        }
    }

    /// When something changes at a member with time alone.
    pub(super) fn bus_due(&self, number: u8) -> Option<u64> {
        let member = &self.members[usize::from(number)];
        let rejoins = self.waits_to_rejoin(number).then_some(member.fails_until);
        member.views.iter().filter_map(|view| self.due(*view)).chain(rejoins).chain(self.election_at(number)).min()
    }

    fn waits_to_rejoin(&self, number: u8) -> bool {
        let table = self.table(number);
        self.data.is_running(number) && !table.serves && table.is_owner() && self.finds_usable(number)
    }

    /// Changes the views of a member whose time has come.
    fn pass_time(&mut self, number: u8, now_us: u64) {
        for server in self.data.numbers() {
            let mut view = self.members[usize::from(number)].views[usize::from(server)];
            while self.due(view).is_some_and(|at| at <= now_us) {
                view = match view {
                    View::Silent(since) => View::PossiblyDown(since),
                    View::PossiblyDown(_) => View::Unreachable,
                    _ => View::Fine,
                };
            }
            self.members[usize::from(number)].views[usize::from(server)] = view;
        }
    }

    /// Updates what the servers make of each other, after time has passed, or servers or links have changed.
    pub(super) fn refresh(&mut self, clocks: &[NodeClock]) {
        for number in self.data.numbers().filter(|number| self.data.is_running(*number)).collect::<Vec<u8>>() {
            let now_us = clocks[usize::from(number)].mono_us;
            for server in self.data.numbers() {
                self.see(number, server, now_us);
            }
            self.pass_time(number, now_us);
        }
        self.agree(clocks);
        for number in self.data.numbers() {
            let now_us = clocks[usize::from(number)].mono_us;
            self.judge(number, now_us);
            self.pass_election_delay(number, now_us);
        }
        self.data.refresh_acknowledgements(clocks);
    }

    fn see(&mut self, number: u8, server: u8, now_us: u64) {
        let answers = number == server || (self.data.is_running(server) && self.data.reach_each_other(number, server));
        let owns = self.table(number).owners.iter().any(|owner| owner.server == server);
        let view = &mut self.members[usize::from(number)].views[usize::from(server)];
        *view = match (*view, answers) {
            (View::Fine, false) => View::Silent(now_us),
            (View::Down { since, .. }, false) => View::Down { since, answers: false },
            // The flag of a primary with slots stays for a while.
            (View::Down { since, answers: false }, true) if owns => View::Down { since, answers: true },
            (old @ View::Down { answers: true, .. }, true) if owns => old,
            (_, true) => View::Fine,
            (old, false) => old,
        };
    }

    /// The primaries as a server knows them: a majority of them decides.
    pub(super) fn primaries_of(&self, number: u8) -> impl Iterator<Item = u8> {
        self.table(number).owners.iter().map(|owner| owner.server)
    }

    pub(super) fn majority(&self) -> usize {
        self.config.replicas.len() / 2 + 1
    }

    /// Servers that a majority of the primaries reports are down, to all that are told.
    fn agree(&mut self, clocks: &[NodeClock]) {
        for (server, number) in self.pairs() {
            let member = &self.members[usize::from(number)];
            let decided = !member.reports(server) || member.finds_down(server).is_some();
            let reports = |primary: &u8| {
                let heard =
                    *primary == number || (self.data.is_running(*primary) && self.data.passes(*primary, number));
                heard && self.members[usize::from(*primary)].reports(server)
            };
            let enough = self.primaries_of(number).filter(reports).count() >= self.majority();
            if !decided && enough {
                self.announce_down(number, server, clocks);
            }
        }
    }

    /// Each server with each that runs.
    fn pairs(&self) -> Vec<(u8, u8)> {
        let running: Vec<u8> = self.data.numbers().filter(|number| self.data.is_running(*number)).collect();
        self.data.numbers().flat_map(|server| running.iter().map(move |number| (server, *number))).collect()
    }

    fn announce_down(&mut self, by: u8, server: u8, clocks: &[NodeClock]) {
        for number in self.data.numbers() {
            let told = number == by || (self.data.is_running(number) && self.data.passes(by, number));
            let owns = self.table(number).owners.iter().any(|owner| owner.server == server);
            let member = &mut self.members[usize::from(number)];
            if told && number != server && member.finds_down(server).is_none() {
                let since = clocks[usize::from(number)].mono_us;
                let answers = matches!(member.views[usize::from(server)], View::Fine);
                let view = if answers && !owns { View::Fine } else { View::Down { since, answers } };
                member.views[usize::from(server)] = view;
            }
        }
    }

    /// True if a server takes the Cluster for usable: it reaches a majority of the primaries, and no slots are without
    /// a primary.
    fn finds_usable(&self, number: u8) -> bool {
        let member = &self.members[usize::from(number)];
        let covered = || self.primaries_of(number).all(|primary| member.finds_down(primary).is_none());
        self.is_in_majority(number) && (!self.config.require_full_coverage || covered())
    }

    fn is_in_majority(&self, number: u8) -> bool {
        let member = &self.members[usize::from(number)];
        let reachable =
            |primary: &u8| !matches!(member.views[usize::from(*primary)], View::Unreachable | View::Down { .. });
        self.primaries_of(number).filter(reachable).count() >= self.majority()
    }

    /// Updates what a server makes of the Cluster's state.
    fn judge(&mut self, number: u8, now_us: u64) {
        if !self.data.is_running(number) {
            return;
        }
        let (usable, in_majority) = (self.finds_usable(number), self.is_in_majority(number));
        let rejoin_us = self.timeout_us().clamp(*REJOIN_DELAY_US.start(), *REJOIN_DELAY_US.end());
        let is_owner = self.table(number).is_owner();
        let member = &mut self.members[usize::from(number)];
        if in_majority && member.in_minority {
            member.fails_until = member.fails_until.max(now_us + rejoin_us);
        }
        member.in_minority = !in_majority;
        let fails_until = member.fails_until;
        let table = self.table_mut(number);
        table.serves = usable && (table.serves || !is_owner || now_us >= fails_until);
        self.list(number);
    }

    /// The servers that `CLUSTER SLOTS` names.
    fn list(&mut self, number: u8) {
        let listed = |server: &u8| self.members[usize::from(number)].finds_down(*server).is_none();
        let listed = |shard: usize| self.servers_of(shard).filter(listed).collect();
        let listed = (0..self.config.replicas.len()).map(listed).collect();
        self.table_mut(number).listed = listed;
    }

    /// A server begins on the bus: it knows of no silence yet. After a start a primary does not serve at once.
    pub(super) fn begin(&mut self, number: u8, now_us: u64) {
        let member = &mut self.members[usize::from(number)];
        member.views.fill(View::Fine);
        member.in_minority = false;
        member.fails_until = now_us + WRITABLE_DELAY_US;
        self.table_mut(number).serves = false;
    }

    /// A server that was paused hears the others again: it has missed none of their answers.
    pub(super) fn hear_again(&mut self, number: u8) {
        let views = &mut self.members[usize::from(number)].views;
        views.iter_mut().filter(|view| !matches!(view, View::Down { .. })).for_each(|view| *view = View::Fine);
    }

    /// What a client has published reaches the subscribers of all other servers.
    pub(super) fn spread(&mut self, from: u8, announced: Vec<(Blob, Blob)>, out: &mut Vec<Output>) {
        for to in self.data.numbers().filter(|to| *to != from && self.data.passes(from, *to)).collect::<Vec<u8>>() {
            let server = self.data.server(to);
            if server.up && server.paused {
                self.members[usize::from(to)].unread.extend(announced.iter().cloned());
            } else if server.up {
                announced.iter().for_each(|(channel, message)| self.deliver(to, channel, message, out));
            }
        }
    }

    fn deliver(&self, to: u8, channel: &Blob, message: &Blob, out: &mut Vec<Output>) {
        let deliveries = deliveries(&self.data.server(to).node.state.subscribers, channel, message);
        out.extend(deliveries.into_iter().map(|(conn, message)| Output::message(conn, Response::Redis(message))));
    }

    /// A member that was paused passes on what was published meanwhile.
    pub(super) fn read(&mut self, number: u8, out: &mut Vec<Output>) {
        for (channel, message) in std::mem::take(&mut self.members[usize::from(number)].unread) {
            self.deliver(number, &channel, &message, out);
        }
    }
}
