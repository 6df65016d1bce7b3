//! Failover: Sentinels detect that the primary is down, promote a replica and reconfigure the other servers.
//!
//! A Sentinel that finds the primary *subjectively down* leads a failover if `quorum` of the Sentinels that it reaches
//! agree (*objectively down*) and a majority of all Sentinels can vote for it. It promotes the replica with the lowest
//! priority, then the largest offset, then the smallest run id. Run ids are random; the model takes the server's
//! number. A replica of priority 0, or one that the leader does not reach, is not promoted.
//!
//! An old primary that returns keeps its role for four hello periods and accepts writes from clients that still know
//! it. Then a Sentinel makes it a replica. It copies the new primary, and the writes that it accepted are lost.
//!
//! Transitions that clients can observe are steps:
//!
//! - A Sentinel promotes a replica ([`Step::FailOver`](crate::Step)). Election, `REPLICAOF NO ONE` and the leader's new
//!   configuration are one step: the leader names the new primary only after it has taken the role.
//! - A Sentinel receives the new configuration ([`Step::CatchUp`](crate::Step)). Its clients observe it.
//! - A server becomes a replica of the new primary ([`Step::Follow`](crate::Step)). Its clients, whose connections end,
//!   and WAIT observe it.
//!
//! A step that only the member's own clients observe is offered once one of them waits for that member
//! ([`matters`](crate::ServiceKind::matters)).
//!
//! Simplifications: `failover-timeout` does not delay a second attempt; a replica with an old link failure can be
//! promoted; Sentinels use their monotonic clock and have no TILT mode, but forget the silence that they saw before a
//! pause; REPLICAOF connects a server to the new primary at once.

use super::address::address;
use super::replicated::{Replicated, ReplicationRole};
use super::sentinel::{Sentinel, View};
use super::state::State;
use super::topology::{Replication, Sentinels};
use super::{Config, keyspace::Keyspace, persistence::Disk, persistence::Persistence, pubsub::deliveries};
use crate::escape::Fixed;
use crate::resp::Value;
use crate::{Blob, ConnId, Lost, NodeClock, Output, Response, Sent};
use std::rc::Rc;

/// The name under which Sentinels know the primary.
pub(super) const MASTER_NAME: &str = "mymaster";

/// A primary with its replicas, and the Sentinels that watch them.
#[derive(Clone, Hash)]
pub struct Watched {
    pub(super) config: Fixed<Rc<Replication>>,
    pub(super) data: Replicated,
    pub(super) sentinels: Vec<Sentinel>,
}

impl Watched {
    /// The first server is the primary, and all are empty.
    pub(super) fn new(config: &Config, replication: &Replication) -> Self {
        let role = |number: u8| match number {
            0 => ReplicationRole::Primary { epoch: 0 },
            _ => ReplicationRole::ReplicaOf(0),
        };
        let roles: Vec<ReplicationRole> = (0..replication.servers()).map(role).collect();
        let sentinel = |_| Sentinel {
            up: true,
            paused: false,
            primary: 0,
            epoch: 0,
            views: vec![View::Fine; roles.len()],
            state: State::new(Keyspace::default(), Disk::new(&Persistence::None)),
        };
        Watched {
            sentinels: (0..replication.sentinels.as_ref().map_or(0, |all| all.count)).map(sentinel).collect(),
            data: Replicated::new(config, replication.min_replicas(), &roles),
            config: Fixed(Rc::new(replication.clone())),
        }
    }

    /// The primary that was promoted last.
    pub(super) fn newest_primary(&self) -> u8 {
        let epoch = |number: &u8| match self.data.server(*number).replication_role {
            ReplicationRole::Primary { epoch } => Some(epoch),
            ReplicationRole::ReplicaOf(_) => None,
        };
        let primaries = self.data.numbers().filter_map(|number| Some((epoch(&number)?, number)));
        primaries.max().map(|(_, number)| number).expect("a server that is demoted follows another that is a primary")
    }

    /// True if all members run and reach each other, and the servers replicate one primary.
    pub(super) fn is_whole(&self) -> bool {
        let primary = self.newest_primary();
        let follows = |number: u8| {
            number == primary || self.data.server(number).replication_role == ReplicationRole::ReplicaOf(primary)
        };
        self.data.cut.is_empty()
            && self.data.numbers().all(|number| self.data.is_running(number) && follows(number))
            && self.sentinels.iter().all(Sentinel::is_running)
    }

    /// The members that are Sentinels, by their numbers among them.
    fn sentinel_numbers(&self) -> std::ops::Range<u8> {
        0..self.sentinels.len() as u8
    }

    /// The member that a Sentinel is.
    pub(super) fn member_of(&self, sentinel: u8) -> u8 {
        self.data.servers.len() as u8 + sentinel
    }

    /// The number of a member among the Sentinels, if it is one.
    pub(super) fn sentinel_at(&self, member: u8) -> Option<u8> {
        member.checked_sub(self.data.servers.len() as u8)
    }

    /// How the Sentinels are set up.
    ///
    /// # Panics
    /// If there are none.
    pub(super) fn sentinel_config(&self) -> Sentinels {
        self.config.sentinels.clone().expect("a Sentinel is set up")
    }

    /// Updates the Sentinels' views of the servers and the acknowledgements, after members or links have changed.
    pub(super) fn refresh_views(&mut self, clocks: &[NodeClock]) {
        for number in self.sentinel_numbers() {
            let member = self.member_of(number);
            if !self.sentinels[usize::from(number)].is_running() {
                continue;
            }
            for server in self.data.numbers() {
                let answers = self.data.is_running(server) && self.data.reach_each_other(member, server);
                let sentinel = &self.sentinels[usize::from(number)];
                // A newer primary is announced to it within a hello period.
                let has_wrong_role = self.data.is_primary(server)
                    && server != sentinel.primary
                    && self.epoch_of(server) <= sentinel.epoch;
                let now_us = clocks[usize::from(member)].mono_us;
                self.sentinels[usize::from(number)].see(server, answers, has_wrong_role, now_us);
            }
        }
        self.data.refresh_acknowledgements(clocks);
    }

    // Failover.

    /// The replica that a Sentinel would promote, if it can lead a failover.
    pub(super) fn candidate(&self, number: u8) -> Option<u8> {
        let (sentinel, config) = (&self.sentinels[usize::from(number)], self.config.sentinels.as_ref()?);
        if !sentinel.is_running() || !sentinel.finds_down(sentinel.primary) {
            return None;
        }
        let reaches = |other: &u8| {
            let running = self.sentinels[usize::from(*other)].is_running();
            running && self.data.reach_each_other(self.member_of(number), self.member_of(*other))
        };
        let voters: Vec<u8> = self.sentinel_numbers().filter(reaches).collect();
        // A newer configuration reaches it within a hello period, before an election ends.
        let is_outdated = voters.iter().any(|other| self.sentinels[usize::from(*other)].epoch > sentinel.epoch);
        let agree = voters.iter().filter(|other| self.sentinels[usize::from(**other)].finds_down(sentinel.primary));
        let majority = (self.sentinels.len() / 2 + 1).max(config.quorum.into());
        if is_outdated || voters.len() < majority || agree.count() < config.quorum.into() {
            return None;
        }
        let fits = |server: &u8| {
            let is_replica = matches!(self.data.server(*server).replication_role, ReplicationRole::ReplicaOf(_));
            is_replica && sentinel.sees(*server) && self.config.priority(*server) > 0
        };
        let rank = |server: &u8| {
            let offset = self.data.server(*server).offset;
            (self.config.priority(*server), std::cmp::Reverse(offset), *server)
        };
        self.data.numbers().filter(fits).min_by_key(rank)
    }

    /// A Sentinel leads a failover.
    pub(super) fn fail_over(&mut self, clocks: &[NodeClock], number: u8, out: &mut Vec<Output>) {
        let promoted = self.candidate(number).expect("a Sentinel that fails over can lead");
        let epoch = self.sentinels.iter().map(|sentinel| sentinel.epoch).max().unwrap_or_default() + 1;
        self.data.promote(promoted, epoch);
        self.close_all(promoted, out);
        self.take_configuration(number, promoted, epoch, out);
        self.refresh_views(clocks);
    }

    /// Ends the connections of a server's clients: a Sentinel sends `CLIENT KILL` with each change of role.
    fn close_all(&mut self, server: u8, out: &mut Vec<Output>) {
        self.data.forget_all(server);
        let conn = ConnId { client: 0, member: server, lane: 0 };
        out.push(Output { conn, sent: Sent::CloseAll });
    }

    /// A Sentinel adopts a configuration and publishes `+switch-master`.
    fn take_configuration(&mut self, number: u8, primary: u8, epoch: u32, out: &mut Vec<Output>) {
        let sentinel = &mut self.sentinels[usize::from(number)];
        let old = std::mem::replace(&mut sentinel.primary, primary);
        sentinel.epoch = epoch;
        let text = |value: Value| value.as_blob().map(|blob| blob.to_text().into_owned()).unwrap_or_default();
        let [from, to] = [old, primary].map(|server| address(server).map(text).join(" "));
        let message = Blob::from(format!("{MASTER_NAME} {from} {to}"));
        let delivered = deliveries(&sentinel.state.subscribers, &"+switch-master".into(), &message);
        out.extend(delivered.into_iter().map(|(conn, message)| Output::message(conn, Response::Redis(message))));
    }

    /// True if two Sentinels exchange hello messages: directly, or through a server to which both publish.
    fn exchange_hellos(&self, one: u8, other: u8) -> bool {
        let (one, other) = (self.member_of(one), self.member_of(other));
        let through = |server: u8| {
            self.data.is_running(server)
                && self.data.reach_each_other(one, server)
                && self.data.reach_each_other(server, other)
        };
        self.data.reach_each_other(one, other) || self.data.numbers().any(through)
    }

    /// The Sentinel with the newest configuration that this one can receive, if it is newer than its own.
    pub(super) fn better_informed(&self, number: u8) -> Option<u8> {
        let sentinel = &self.sentinels[usize::from(number)];
        let knows = |other: &u8| {
            let other_one = &self.sentinels[usize::from(*other)];
            other_one.is_running() && other_one.epoch > sentinel.epoch && self.exchange_hellos(number, *other)
        };
        let newest = |other: &u8| self.sentinels[usize::from(*other)].epoch;
        self.sentinel_numbers().filter(|_| sentinel.is_running()).filter(knows).max_by_key(newest)
    }

    /// A Sentinel receives the newest configuration.
    pub(super) fn learn(&mut self, clocks: &[NodeClock], number: u8, out: &mut Vec<Output>) {
        let Some(better_informed) = self.better_informed(number) else { return };
        let (primary, epoch) = {
            let better_informed = &self.sentinels[usize::from(better_informed)];
            (better_informed.primary, better_informed.epoch)
        };
        self.take_configuration(number, primary, epoch, out);
        self.refresh_views(clocks);
    }

    // The others.

    /// The primary of which a Sentinel can make this server a replica now.
    pub(super) fn new_primary_of(&self, server: u8) -> Option<u8> {
        let leads = |number: &u8| {
            let sentinel = &self.sentinels[usize::from(*number)];
            let wrong = match self.data.server(server).replication_role {
                ReplicationRole::ReplicaOf(primary) => primary != sentinel.primary,
                ReplicationRole::Primary { .. } => sentinel.views[usize::from(server)] == View::WrongRoleForLong,
            };
            sentinel.is_running() && sentinel.primary != server && wrong && sentinel.sees(server)
        };
        let newest = |number: &u8| self.sentinels[usize::from(*number)].epoch;
        let leader = self.sentinel_numbers().filter(leads).max_by_key(newest)?;
        let newer = self.sentinels[usize::from(leader)].epoch >= self.epoch_of(server);
        newer.then(|| self.sentinels[usize::from(leader)].primary)
    }

    fn epoch_of(&self, server: u8) -> u32 {
        match self.data.server(server).replication_role {
            ReplicationRole::Primary { epoch } => epoch,
            ReplicationRole::ReplicaOf(primary) => match self.data.server(primary).replication_role {
                ReplicationRole::Primary { epoch } => epoch,
                ReplicationRole::ReplicaOf(_) => 0,
            },
        }
    }

    /// A server becomes a replica of the new primary.
    pub(super) fn follow(&mut self, clocks: &[NodeClock], number: u8, out: &mut Vec<Output>) {
        let primary = self.new_primary_of(number).expect("a server that is to follow another is told which");
        self.data.demote(number, primary);
        self.close_all(number, out);
        self.refresh_views(clocks);
    }

    // What happens to members.

    /// A member goes down.
    pub(super) fn go_down(&mut self, clocks: &[NodeClock], member: u8, lost: Lost, out: &mut Vec<Output>) {
        match self.sentinel_at(member) {
            Some(number) => {
                let sentinel = &mut self.sentinels[usize::from(number)];
                (sentinel.up, sentinel.paused) = (false, false);
                sentinel.state = State::new(Keyspace::default(), Disk::new(&Persistence::None));
            }
            None => self.data.go_down(member, lost),
        }
        self.refresh_views(clocks);
        if self.sentinel_at(member).is_none() {
            self.data.has_gone_down(member, lost, out);
        }
    }

    /// A member starts again.
    pub(super) fn come_up(&mut self, clocks: &[NodeClock], member: u8) {
        match self.sentinel_at(member) {
            Some(number) => self.begin_to_watch(number),
            None => self.data.come_up(clocks, member),
        }
        self.refresh_views(clocks);
    }

    /// A Sentinel begins to watch: it knows of no silence yet.
    fn begin_to_watch(&mut self, number: u8) {
        let sentinel = &mut self.sentinels[usize::from(number)];
        (sentinel.up, sentinel.paused) = (true, false);
        sentinel.views.fill(View::Fine);
    }

    /// A member stops for a while, or goes on.
    pub(super) fn set_paused(&mut self, clocks: &[NodeClock], member: u8, paused: bool) {
        match self.sentinel_at(member) {
            Some(number) if paused => self.sentinels[usize::from(number)].paused = true,
            Some(number) => self.begin_to_watch(number),
            None => self.data.server_mut(member).paused = paused,
        }
        self.refresh_views(clocks);
    }
}
