//! Failover: how Sentinels agree that the primary is down, promote a replica, and bring the others behind it.
//!
//! A Sentinel that finds the primary down (*subjectively*) leads a failover if, among those Sentinels that it reaches,
//! `quorum` find the same (*objectively*) and a majority of all can vote for it. It promotes the replica with the
//! smallest priority, of those with the largest offset, of those with the smallest run id; here the number of the
//! server stands for the run id, which is drawn by lot. A replica of priority 0, or one that the Sentinel does not see,
//! is never promoted.
//!
//! A server that comes back as a primary after another was promoted stays one for four hello periods, and takes writes
//! from clients that know no better. Then it is made a replica, copies the new primary, and what it took meanwhile is
//! lost.
//!
//! Simpler than the real thing: `failover-timeout` does not keep a Sentinel from a second attempt; a replica that had
//! lost its primary long before is promoted too; a Sentinel's time is its monotonic clock, and it has no TILT mode
//! beyond beginning to count anew after a pause; REPLICAOF brings a server from the old primary directly behind the new
//! one.

use super::replicated::{Follows, Replicated, address};
use super::sentinel::Sight;
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

    /// Who sees whom has changed: the Sentinels look at the servers, and primaries at their replicas.
    pub(super) fn look_around(&mut self, clocks: &[NodeClock]) {
        for number in self.sentinel_numbers() {
            let member = self.member_of(number);
            if !self.sentinels[usize::from(number)].is_running() {
                continue;
            }
            for server in self.numbers() {
                let answers = self.is_running(server) && self.reach_each_other(member, server);
                let sentinel = &self.sentinels[usize::from(number)];
                // Of a newer primary it will hear in good time.
                let strays =
                    self.is_primary(server) && server != sentinel.primary && self.epoch_of(server) <= sentinel.epoch;
                let now_us = clocks[usize::from(member)].mono_us;
                self.sentinels[usize::from(number)].see(server, answers, strays, now_us);
            }
        }
        for replica in self.numbers() {
            let Follows::Server(primary) = self.server(replica).follows else { continue };
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
        // A Sentinel that knows better tells it in good time.
        let knows_better = voters.iter().any(|other| self.sentinels[usize::from(*other)].epoch > sentinel.epoch);
        let agree = voters.iter().filter(|other| self.sentinels[usize::from(**other)].finds_down(sentinel.primary));
        let majority = (self.sentinels.len() / 2 + 1).max(config.quorum.into());
        if knows_better || voters.len() < majority || agree.count() < config.quorum.into() {
            return None;
        }
        let fits = |server: &u8| {
            let is_replica = matches!(self.server(*server).follows, Follows::Server(_));
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
        server.follows = Follows::Nobody { epoch };
        server.began_at = server.offset;
        server.on_its_way.clear();
        server.came_through = 0;
        (server.needs_copy, server.behind, server.unheard_since) = (false, false, None);
        server.node.state.role = Role::Primary;
        self.close_all(promoted, out);
        self.take_configuration(number, promoted, epoch, out);
        self.look_around(clocks);
    }

    /// The connections of a server's clients end: a Sentinel that gives a server another role sees to that (`CLIENT
    /// KILL`).
    fn close_all(&mut self, server: u8, out: &mut Vec<Output>) {
        self.forget_all(server);
        let conn = ConnId { client: 0, member: server, lane: 0 };
        out.push(Output { conn, sent: Sent::CloseAll });
    }

    /// A Sentinel takes another server for the primary from now on, and tells its subscribers.
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

    /// True if two Sentinels hear of each other: directly, or through a server to which both publish.
    fn hear_of_each_other(&self, one: u8, other: u8) -> bool {
        let (one, other) = (self.member_of(one), self.member_of(other));
        let through = |server: u8| {
            self.is_running(server) && self.reach_each_other(one, server) && self.reach_each_other(server, other)
        };
        self.reach_each_other(one, other) || self.numbers().any(through)
    }

    /// The Sentinel from which another can learn of a newer configuration.
    pub(super) fn teacher(&self, number: u8) -> Option<u8> {
        let sentinel = &self.sentinels[usize::from(number)];
        let knows = |other: &u8| {
            let other_one = &self.sentinels[usize::from(*other)];
            other_one.is_running() && other_one.epoch > sentinel.epoch && self.hear_of_each_other(number, *other)
        };
        let newest = |other: &u8| self.sentinels[usize::from(*other)].epoch;
        self.sentinel_numbers().filter(|_| sentinel.is_running()).filter(knows).max_by_key(newest)
    }

    /// A Sentinel learns of the newest configuration.
    pub(super) fn learn(&mut self, clocks: &[NodeClock], number: u8, out: &mut Vec<Output>) {
        let Some(teacher) = self.teacher(number) else { return };
        let (primary, epoch) = {
            let teacher = &self.sentinels[usize::from(teacher)];
            (teacher.primary, teacher.epoch)
        };
        self.take_configuration(number, primary, epoch, out);
        self.look_around(clocks);
    }

    // The others.

    /// The primary behind which a Sentinel can bring a server now.
    pub(super) fn new_primary_of(&self, server: u8) -> Option<u8> {
        let leads = |number: &u8| {
            let sentinel = &self.sentinels[usize::from(*number)];
            let wrong = match self.server(server).follows {
                Follows::Server(primary) => primary != sentinel.primary,
                Follows::Nobody { .. } => sentinel.sight[usize::from(server)] == Sight::StrayForLong,
            };
            sentinel.is_running() && sentinel.primary != server && wrong && sentinel.sees(server)
        };
        let newest = |number: &u8| self.sentinels[usize::from(*number)].epoch;
        let leader = self.sentinel_numbers().filter(leads).max_by_key(newest)?;
        let newer = self.sentinels[usize::from(leader)].epoch >= self.epoch_of(server);
        newer.then(|| self.sentinels[usize::from(leader)].primary)
    }

    fn epoch_of(&self, server: u8) -> u32 {
        match self.server(server).follows {
            Follows::Nobody { epoch } => epoch,
            Follows::Server(primary) => match self.server(primary).follows {
                Follows::Nobody { epoch } => epoch,
                Follows::Server(_) => 0,
            },
        }
    }

    /// A server is made a replica of the new primary. If it had followed the same stream and has no more of it than the
    /// new primary had when it began, it takes in what it lacks (a partial resynchronization), and then what the new
    /// primary has done since, at once; otherwise it copies the whole data set.
    pub(super) fn follow(&mut self, clocks: &[NodeClock], number: u8, out: &mut Vec<Output>) {
        let primary = self.new_primary_of(number).expect("a server that is to follow another is told which");
        let began_at = self.server(primary).began_at;
        let server = self.server_mut(number);
        let continues = matches!(server.follows, Follows::Server(_)) && !server.needs_copy && server.offset <= began_at;
        server.on_its_way.retain(|effect| continues && effect.offset <= began_at);
        server.follows = Follows::Server(primary);
        server.came_through = server.came_through.min(server.on_its_way.len());
        server.acknowledged = 0;
        server.needs_copy = true;
        server.unheard_since = None;
        server.node.state.role = Role::Replica;
        self.close_all(number, out);
        self.look_around(clocks);
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
                server.on_its_way.clear();
                server.came_through = 0;
                server.needs_copy = matches!(server.follows, Follows::Server(_));
            }
        }
        self.look_around(clocks);
        if let Some(Follows::Server(primary)) = self.servers.get(usize::from(member)).map(|server| server.follows) {
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
                        replica.on_its_way.clear();
                        replica.came_through = 0;
                        (replica.needs_copy, replica.acknowledged) = (true, 0);
                    }
                }
            }
        }
        self.look_around(clocks);
    }

    /// A Sentinel begins to watch: it knows of no silence yet.
    fn begin_to_watch(&mut self, number: u8) {
        let sentinel = &mut self.sentinels[usize::from(number)];
        (sentinel.up, sentinel.paused) = (true, false);
        sentinel.sight.fill(Sight::Fine);
    }

    /// A member stops for a while, or goes on.
    pub(super) fn set_paused(&mut self, clocks: &[NodeClock], member: u8, paused: bool) {
        match self.sentinel_at(member) {
            Some(number) if paused => self.sentinels[usize::from(number)].paused = true,
            Some(number) => self.begin_to_watch(number),
            None => self.server_mut(member).paused = paused,
        }
        self.look_around(clocks);
    }
}
