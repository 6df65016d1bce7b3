//! The coordinator of a consumer group. Members join, the leader assigns the partitions, and a join or a departure
//! starts a new rebalance.
//!
//! What is atomic here, and why no client can tell: the last member that joins and the answers to all of them are one
//! step, and so are the leader's word and the answers to those that wait for it. An answer still takes its time on its
//! connection.

use super::groups::{Stored, StoredMember, Timeouts};
use super::member::{Member, Waits};
use super::wire::{Answer, Error, Generation, Partition, Speaker};
use crate::{Blob, ClientId, ConnId};

/// Where a group is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Phase {
    /// The group has no members.
    Empty,
    /// Its members are to join again.
    PreparingRebalance {
        /// Not before this moment, by the broker's monotonic clock.
        ready_at: u64,
        /// Members that have not rejoined by then are removed (rebalance time-out).
        until: u64,
    },
    /// The group waits for the leader's assignment.
    CompletingRebalance,
    /// All know what they get, or may ask.
    Stable,
}

/// A group.
#[derive(Clone, Hash)]
pub(super) struct Group {
    generation: Generation,
    phase: Phase,
    /// In the order in which they came: the first one leads.
    members: Vec<Member>,
    /// Members that have not sent SyncGroup by then are removed (pending sync).
    sync_until: Option<u64>,
}

/// Answers to requests that had waited, and to the one just served.
pub(super) type Answers = Vec<(ConnId, Result<Answer, Error>)>;

impl Group {
    /// As a broker has it that has just started.
    pub(super) fn loaded(stored: &Stored, now_us: u64) -> Self {
        let members: Vec<Member> = stored.members.iter().map(|member| Member::loaded(member, now_us)).collect();
        let phase = if members.is_empty() { Phase::Empty } else { Phase::Stable };
        Group { generation: stored.generation, phase, members, sync_until: None }
    }

    /// The state to persist: a group is written once its assignment is complete or it is empty.
    pub(super) fn to_store(&self) -> Option<(Generation, Vec<StoredMember>)> {
        let settled = matches!(self.phase, Phase::Empty | Phase::Stable);
        settled.then(|| (self.generation, self.members.iter().map(Member::stored).collect()))
    }

    // Requests.

    /// A member joins, or joins again.
    pub(super) fn join(
        &mut self,
        (conn, now_us, delay_us): (ConnId, u64, u64),
        id: &Blob,
        timeouts: Timeouts,
        new_id: impl FnOnce() -> Blob,
        out: &mut Answers,
    ) {
        let at = if id.is_empty() {
            self.members.push(Member::new(new_id(), conn, timeouts));
            self.members.len() - 1
        } else {
            let Some(at) = self.members.iter().position(|member| member.id == *id) else {
                return out.push((conn, Err(Error::UnknownMemberId)));
            };
            self.members[at].heard_on(conn);
            self.members[at].timeouts = timeouts;
            // An answer was lost: the generation stands. A leader that joins a settled group begins a new one.
            let is_settled = self.phase == Phase::Stable && at > 0;
            if is_settled || self.phase == Phase::CompletingRebalance {
                return out.push((conn, Ok(self.joined(at))));
            }
            at
        };
        self.members[at].waits = Waits::Join(Some(conn));
        self.rebalance(now_us, delay_us, out);
    }

    /// The leader sends the assignment; a follower asks for its own.
    pub(super) fn sync(
        &mut self,
        (conn, now_us): (ConnId, u64),
        speaker: &Speaker,
        assignments: &[(Blob, Vec<Partition>)],
        out: &mut Answers,
    ) {
        let at = match self.find(speaker) {
            Ok(at) => at,
            Err(error) => return out.push((conn, Err(error))),
        };
        self.members[at].heard_on(conn);
        match self.phase {
            Phase::Empty => out.push((conn, Err(Error::UnknownMemberId))),
            Phase::PreparingRebalance { .. } => out.push((conn, Err(Error::RebalanceInProgress))),
            Phase::Stable => {
                self.members[at].synced = true;
                out.push((conn, Ok(Answer::Synced(self.members[at].partitions.clone()))));
            }
            Phase::CompletingRebalance => {
                self.members[at].waits = Waits::Sync(Some(conn));
                self.members[at].synced = true;
                if at == 0 {
                    self.settle(now_us, assignments, out);
                }
            }
        }
        if self.members.iter().all(|member| member.synced) {
            self.sync_until = None;
        }
    }

    /// The leader has spoken.
    fn settle(&mut self, now_us: u64, assignments: &[(Blob, Vec<Partition>)], out: &mut Answers) {
        self.phase = Phase::Stable;
        for member in &mut self.members {
            let own = assignments.iter().find(|(id, _)| *id == member.id);
            member.partitions = own.map(|(_, partitions)| partitions.clone()).unwrap_or_default();
            if let Waits::Sync(_) = member.waits
                && let Some(conn) = member.answered(now_us)
            {
                out.push((conn, Ok(Answer::Synced(member.partitions.clone()))));
            }
        }
    }

    pub(super) fn heartbeat(&mut self, conn: ConnId, speaker: &Speaker) -> Result<Answer, Error> {
        let at = self.find(speaker)?;
        self.members[at].heard_on(conn);
        match self.phase {
            Phase::PreparingRebalance { .. } => Err(Error::RebalanceInProgress),
            _ => Ok(Answer::Alive),
        }
    }

    pub(super) fn leave(&mut self, (conn, now_us): (ConnId, u64), id: &Blob, out: &mut Answers) {
        let Some(at) = self.members.iter().position(|member| member.id == *id) else {
            return out.push((conn, Err(Error::UnknownMemberId)));
        };
        out.push((conn, Ok(Answer::Left)));
        self.members.remove(at);
        self.rebalance(now_us, 0, out);
    }

    /// Validates a commit by member and generation. The coordinator does not check that the member owns the partitions.
    pub(super) fn check_commit(&mut self, conn: ConnId, speaker: &Speaker) -> Result<(), Error> {
        if speaker.generation < 0 && self.phase == Phase::Empty {
            return Ok(());
        }
        let at = self.find(speaker)?;
        // A rebalance that only begins does not stand in the way: the heartbeat tells the member.
        if self.phase == Phase::CompletingRebalance {
            return Err(Error::RebalanceInProgress);
        }
        self.members[at].heard_on(conn);
        Ok(())
    }

    fn find(&self, speaker: &Speaker) -> Result<usize, Error> {
        let at = self.members.iter().position(|member| member.id == speaker.member).ok_or(Error::UnknownMemberId)?;
        if speaker.generation == self.generation { Ok(at) } else { Err(Error::IllegalGeneration) }
    }

    // Rebalances.

    /// Members have come or gone: all are to join again.
    fn rebalance(&mut self, now_us: u64, delay_us: u64, out: &mut Answers) {
        if !matches!(self.phase, Phase::PreparingRebalance { .. }) {
            let delay_us = if self.phase == Phase::Empty { delay_us } else { 0 };
            for member in &mut self.members {
                if let Waits::Sync(_) = member.waits
                    && let Some(conn) = member.answered(now_us)
                {
                    out.push((conn, Err(Error::RebalanceInProgress)));
                }
            }
            let until = now_us + self.patience_us();
            self.phase = Phase::PreparingRebalance { ready_at: now_us + delay_us, until };
            self.sync_until = None;
        }
        self.go_on(now_us, out);
    }

    fn patience_us(&self) -> u64 {
        self.members.iter().map(|member| member.timeouts.rebalance_us).max().unwrap_or_default()
    }

    /// The next generation begins, if all are there.
    fn go_on(&mut self, now_us: u64, out: &mut Answers) {
        let Phase::PreparingRebalance { ready_at, until } = self.phase else { return };
        if now_us >= until {
            self.members.retain(|member| matches!(member.waits, Waits::Join(_)));
        }
        let all_joined = self.members.iter().all(|member| matches!(member.waits, Waits::Join(_)));
        if all_joined && (now_us >= ready_at || self.members.is_empty()) {
            self.begin_generation(now_us, out);
        }
    }

    fn begin_generation(&mut self, now_us: u64, out: &mut Answers) {
        self.generation += 1;
        if self.members.is_empty() {
            self.phase = Phase::Empty;
            return;
        }
        self.phase = Phase::CompletingRebalance;
        self.sync_until = Some(now_us + self.patience_us());
        for at in 0..self.members.len() {
            let member = &mut self.members[at];
            (member.synced, member.partitions) = (false, Vec::new());
            if let Some(conn) = member.answered(now_us) {
                out.push((conn, Ok(self.joined(at))));
            }
        }
    }

    fn joined(&self, at: usize) -> Answer {
        let ids = self.members.iter().map(|member| member.id.clone());
        let members = if at == 0 { ids.collect() } else { Vec::new() };
        Answer::Joined { generation: self.generation, member: self.members[at].id.clone(), members }
    }

    // Members that are not heard.

    /// A client has fallen silent on a connection, or is heard again.
    pub(super) fn hear(&mut self, conn: ConnId, heard: bool, now_us: u64) {
        self.members
            .iter_mut()
            .filter(|member| member.conn == Some(conn))
            .for_each(|member| member.hear(heard, now_us));
    }

    /// A connection has ended.
    pub(super) fn cut(&mut self, conn: ConnId, now_us: u64) {
        let theirs = |member: &&mut Member| member.conn == Some(conn) || member.waits.conn() == Some(conn);
        self.members.iter_mut().filter(theirs).for_each(|member| member.cut(now_us));
    }

    /// The clients whose members have no connection and will be out.
    pub(super) fn cut_off(&self) -> impl Iterator<Item = ClientId> {
        self.members.iter().filter(|member| member.conn.is_none() && member.due().is_some()).map(|member| member.client)
    }

    /// The sessions of a client that has no connection expire.
    pub(super) fn expire(&mut self, client: ClientId, now_us: u64, out: &mut Answers) {
        self.remove(now_us, out, |member| member.client == client && member.conn.is_none() && member.due().is_some());
    }

    fn remove(&mut self, now_us: u64, out: &mut Answers, is_out: impl Fn(&Member) -> bool) {
        let before = self.members.len();
        self.members.retain(|member| !is_out(member));
        if self.members.len() < before {
            self.rebalance(now_us, 0, out);
        }
    }

    /// True if this connection's request waits.
    pub(super) fn is_waiting(&self, conn: ConnId) -> bool {
        self.members.iter().any(|member| member.waits.conn() == Some(conn))
    }

    /// True if a member speaks over this connection.
    pub(super) fn has(&self, conn: ConnId) -> bool {
        self.members.iter().any(|member| member.conn == Some(conn))
    }

    /// When something happens here by itself.
    pub(super) fn next_due(&self) -> Option<u64> {
        let of_phase = match self.phase {
            // The delay counts only where it is what they wait for.
            Phase::PreparingRebalance { ready_at, until } => {
                let all_joined = self.members.iter().all(|member| matches!(member.waits, Waits::Join(_)));
                Some(if all_joined { ready_at } else { until })
            }
            _ => self.sync_until,
        };
        self.members.iter().filter_map(Member::due).chain(of_phase).min()
    }

    /// Does what has fallen due.
    pub(super) fn tick(&mut self, now_us: u64, out: &mut Answers) {
        self.remove(now_us, out, |member| member.due().is_some_and(|at| at <= now_us));
        if self.sync_until.is_some_and(|at| at <= now_us) {
            self.sync_until = None;
            self.remove(now_us, out, |member| !member.synced);
        }
        self.go_on(now_us, out);
    }
}
