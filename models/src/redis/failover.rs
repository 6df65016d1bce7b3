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
//! Simplifications: `failover-timeout` does not delay a second attempt; a replica with an old link failure can be
//! promoted; Sentinels use their monotonic clock and have no TILT mode, but forget the silence that they saw before a
//! pause; REPLICAOF connects a server to the new primary at once.

use super::replicated::{Replicated, ReplicationRole, address};
use super::sentinel::View;
use super::state::{Role, State};
use super::topology::Sentinels;
use super::{keyspace::Keyspace, persistence::Disk, persistence::Persistence, pubsub::deliveries};
use crate::resp::Value;
use crate::{Blob, ConnId, Lost, NodeClock, Output, Response, Sent};

/// The name under which Sentinels know the primary.
pub(super) const MASTER_NAME: &str = "mymaster";

impl Replicated {
    /// The members that are Sentinels, by their numbers among them.
    fn sentinel_numbers(&self) -> std::ops::Range<u8> {
        0..self.sentinels.len() as u8
    }

    /// The member that a Sentinel is.
    pub(super) fn member_of(&self, sentinel: u8) -> u8 {
        self.servers.len() as u8 + sentinel
    }

    /// The number of a member among the Sentinels, if it is one.
    pub(super) fn sentinel_at(&self, member: u8) -> Option<u8> {
        member.checked_sub(self.servers.len() as u8)
    }

    /// How the Sentinels are set up.
    ///
    /// # Panics
    /// If there are none.
    pub(super) fn sentinel_config(&self) -> Sentinels {
        self.replication().sentinels.clone().expect("a Sentinel is set up")
    }

    /// Updates the Sentinels' views of the servers and the acknowledgements, after members or links have changed.
    pub(super) fn refresh_views(&mut self, clocks: &[NodeClock]) {
        for number in self.sentinel_numbers() {
            let member = self.member_of(number);
            if !self.sentinels[usize::from(number)].is_running() {
                continue;
            }
            for server in self.numbers() {
                let answers = self.is_running(server) && self.reach_each_other(member, server);
                let sentinel = &self.sentinels[usize::from(number)];
                // A newer primary is announced to it within a hello period.
                let has_wrong_role =
                    self.is_primary(server) && server != sentinel.primary && self.epoch_of(server) <= sentinel.epoch;
                let now_us = clocks[usize::from(member)].mono_us;
                self.sentinels[usize::from(number)].see(server, answers, has_wrong_role, now_us);
            }
        }
        for replica in self.numbers() {
            let ReplicationRole::ReplicaOf(primary) = self.server(replica).replication_role else { continue };
            let heard = self.is_running(replica) && self.passes(replica, primary);
            let now_us = clocks[usize::from(primary)].mono_us;
            let unheard = &mut self.server_mut(replica).unheard_since;
            *unheard = if heard { None } else { Some(unheard.unwrap_or(now_us)) };
            self.acknowledge(replica);
        }
    }

    // Failover.

    /// The replica that a Sentinel would promote, if it can lead a failover.
    pub(super) fn candidate(&self, number: u8) -> Option<u8> {
        let (sentinel, config) = (&self.sentinels[usize::from(number)], self.replication().sentinels.as_ref()?);
        if !sentinel.is_running() || !sentinel.finds_down(sentinel.primary) {
            return None;
        }
        let reaches = |other: &u8| {
            let running = self.sentinels[usize::from(*other)].is_running();
            running && self.reach_each_other(self.member_of(number), self.member_of(*other))
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
            let is_replica = matches!(self.server(*server).replication_role, ReplicationRole::ReplicaOf(_));
            is_replica && sentinel.sees(*server) && self.replication().priority(*server) > 0
        };
        let rank = |server: &u8| {
            let offset = self.server(*server).offset;
            (self.replication().priority(*server), std::cmp::Reverse(offset), *server)
        };
        self.numbers().filter(fits).min_by_key(rank)
    }

    /// A Sentinel leads a failover.
    pub(super) fn fail_over(&mut self, clocks: &[NodeClock], number: u8, out: &mut Vec<Output>) {
        let promoted = self.candidate(number).expect("a Sentinel that fails over can lead");
        let epoch = self.sentinels.iter().map(|sentinel| sentinel.epoch).max().unwrap_or_default() + 1;
        let server = self.server_mut(promoted);
        server.replication_role = ReplicationRole::Primary { epoch };
        server.began_at = server.offset;
        server.in_flight.clear();
        server.in_flight_before_cut = 0;
        (server.needs_copy, server.behind, server.unheard_since) = (false, false, None);
        server.node.state.role = Role::Primary;
        self.close_all(promoted, out);
        self.take_configuration(number, promoted, epoch, out);
        self.refresh_views(clocks);
    }

    /// Ends the connections of a server's clients: a Sentinel sends `CLIENT KILL` with each change of role.
    fn close_all(&mut self, server: u8, out: &mut Vec<Output>) {
        self.forget_all(server);
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
            self.is_running(server) && self.reach_each_other(one, server) && self.reach_each_other(server, other)
        };
        self.reach_each_other(one, other) || self.numbers().any(through)
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
            let wrong = match self.server(server).replication_role {
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
        match self.server(server).replication_role {
            ReplicationRole::Primary { epoch } => epoch,
            ReplicationRole::ReplicaOf(primary) => match self.server(primary).replication_role {
                ReplicationRole::Primary { epoch } => epoch,
                ReplicationRole::ReplicaOf(_) => 0,
            },
        }
    }

    /// A server becomes a replica of the new primary. If both replicated the same primary and the new one had at least
    /// this server's offset when it was promoted, the server applies the effects between the two (partial
    /// resynchronization) and then the new primary's own, which the model copies at once. Otherwise it copies the whole
    /// data set.
    pub(super) fn follow(&mut self, clocks: &[NodeClock], number: u8, out: &mut Vec<Output>) {
        let primary = self.new_primary_of(number).expect("a server that is to follow another is told which");
        let began_at = self.server(primary).began_at;
        let server = self.server_mut(number);
        let continues = matches!(server.replication_role, ReplicationRole::ReplicaOf(_))
            && !server.needs_copy
            && server.offset <= began_at;
        server.in_flight.retain(|effect| continues && effect.offset <= began_at);
        server.replication_role = ReplicationRole::ReplicaOf(primary);
        server.in_flight_before_cut = server.in_flight_before_cut.min(server.in_flight.len());
        server.acknowledged = 0;
        server.needs_copy = true;
        server.unheard_since = None;
        server.node.state.role = Role::Replica;
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
            None => {
                self.forget_all(member);
                let server = self.server_mut(member);
                (server.up, server.paused) = (false, false);
                server.node.go_down(lost);
                server.in_flight.clear();
                server.in_flight_before_cut = 0;
                server.needs_copy = matches!(server.replication_role, ReplicationRole::ReplicaOf(_));
            }
        }
        self.refresh_views(clocks);
        if let Some(ReplicationRole::ReplicaOf(primary)) =
            self.servers.get(usize::from(member)).map(|server| server.replication_role)
        {
            if lost == Lost::Process {
                // Its machine has closed the connection to the primary.
                self.server_mut(member).unheard_since = None;
            }
            self.answer_waiting(primary, out);
        }
    }

    /// A member starts again. A primary begins a new stream: its replicas have to copy it.
    pub(super) fn come_up(&mut self, clocks: &[NodeClock], member: u8) {
        match self.sentinel_at(member) {
            Some(number) => self.begin_to_watch(number),
            None => {
                self.server_mut(member).up = true;
                self.server_mut(member).node.load(clocks[usize::from(member)]);
                if self.is_primary(member) {
                    for number in self.replicas_of(member).collect::<Vec<u8>>() {
                        let replica = self.server_mut(number);
                        replica.in_flight.clear();
                        replica.in_flight_before_cut = 0;
                        (replica.needs_copy, replica.acknowledged) = (true, 0);
                    }
                }
            }
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
            None => self.server_mut(member).paused = paused,
        }
        self.refresh_views(clocks);
    }
}
