//! The broker: serves requests from its logs and its groups, and keeps of them what its disk has.

use super::coordinator::{Answers, Group};
use super::groups::{Groups, Stored, Timeouts};
use super::topics::Topics;
use super::wire::{Answer, Error, Offset, Partition, Request};
use super::{Config, Flush};
use crate::escape::Fixed;
use crate::{Blob, ClientId, ConnId, Lost, NodeClock, Output, Response};
use std::collections::BTreeMap;
use std::rc::Rc;

/// What became of a request.
type Served = Result<Answer, Error>;

/// What the process has handed to the operating system.
#[derive(Clone, Default, Hash)]
struct Data {
    topics: Topics,
    groups: Groups,
}

/// A broker.
#[derive(Clone, Hash)]
pub struct Broker {
    config: Fixed<Config>,
    data: Rc<Data>,
    /// What a power loss leaves, if that is less.
    synced: Option<Rc<Data>>,
    /// The groups that it coordinates.
    groups: BTreeMap<Blob, Group>,
    /// How many ids it has given to members. They are never given again.
    members: u32,
}

impl Broker {
    /// A broker that has just started for the first time.
    pub fn new(config: Config) -> Self {
        Broker { config: Fixed(config), data: Rc::default(), synced: None, groups: BTreeMap::new(), members: 0 }
    }

    /// Serves one request.
    pub(super) fn serve(&mut self, clock: NodeClock, conn: ConnId, request: &Request, out: &mut Vec<Output>) {
        if self.is_waiting(conn) {
            return out.push(Output::not_modelled(conn, "a request behind one that still waits for its answer"));
        }
        let mut answers = Answers::new();
        if let Some(reply) = self.answer(clock.mono_us, conn, request, &mut answers) {
            answers.push((conn, reply));
        }
        send(answers, out);
    }

    /// The answer, unless it is among `out` or has to wait.
    fn answer(&mut self, now_us: u64, conn: ConnId, request: &Request, out: &mut Answers) -> Option<Served> {
        Some(match request {
            Request::CreateTopic { topic, partitions } => {
                self.change(|data| data.topics.create(topic, *partitions)).map(|()| Answer::TopicCreated)
            }
            Request::Produce { topic, partition, record } => {
                self.change(|data| data.topics.append(topic, *partition, record)).map(Answer::Produced)
            }
            Request::Fetch { topic, from, max } => {
                let fetch =
                    |(partition, from): &(Partition, Offset)| self.data.topics.fetch(topic, *partition, *from, *max);
                Ok(Answer::Fetched(from.iter().map(fetch).collect()))
            }
            Request::ListOffsets { topic, partitions } => self.ends(topic, partitions),
            Request::OffsetFetch { group, topic, partitions } => Ok(self.committed(group, topic, partitions)),
            Request::OffsetCommit { speaker, topic, offsets } => {
                let checked = match self.groups.get_mut(&speaker.group) {
                    Some(group) => group.check_commit(conn, speaker),
                    None if speaker.generation < 0 => Ok(()),
                    None => Err(Error::IllegalGeneration),
                };
                checked.and_then(|()| self.commit(&speaker.group, topic, offsets))
            }
            Request::Heartbeat(speaker) => match self.groups.get_mut(&speaker.group) {
                Some(group) => group.heartbeat(conn, speaker),
                None => Err(Error::UnknownMemberId),
            },
            Request::JoinGroup { group, member, session_timeout_ms, rebalance_timeout_ms } => {
                let us = |ms: u32| u64::from(ms) * 1000;
                let (session_us, rebalance_us) = (us(*session_timeout_ms), us(*rebalance_timeout_ms));
                self.join((conn, now_us), group, member, Timeouts { session_us, rebalance_us }, out);
                return None;
            }
            Request::SyncGroup { speaker, assignments } => {
                let Some(group) = self.groups.get_mut(&speaker.group) else {
                    return Some(Err(Error::UnknownMemberId));
                };
                group.sync((conn, now_us), speaker, assignments, out);
                self.store(&speaker.group);
                return None;
            }
            Request::LeaveGroup { group, member } => {
                let Some(left) = self.groups.get_mut(group) else {
                    return Some(Err(Error::UnknownMemberId));
                };
                left.leave((conn, now_us), member, out);
                self.store(group);
                return None;
            }
        })
    }

    // What is on disk.

    /// Changes what the operating system has been handed.
    fn change<T>(&mut self, with: impl FnOnce(&mut Data) -> T) -> T {
        if self.config.flush == Flush::BySystem {
            self.synced.get_or_insert_with(|| Rc::clone(&self.data));
        }
        with(Rc::make_mut(&mut self.data))
    }

    /// What was written so far has reached the disk.
    pub(super) fn sync(&mut self) {
        self.synced = None;
    }

    fn ends(&self, topic: &Blob, partitions: &[Partition]) -> Served {
        let end = |partition: &Partition| Ok((*partition, self.data.topics.end(topic, *partition)?));
        partitions.iter().map(end).collect::<Result<_, Error>>().map(Answer::Offsets)
    }

    fn committed(&self, group: &Blob, topic: &Blob, partitions: &[Partition]) -> Answer {
        let stored = self.data.groups.all.get(group);
        let of = |partition: &Partition| {
            let committed = stored.and_then(|stored| stored.committed.get(&(topic.clone(), *partition)));
            (*partition, committed.copied().unwrap_or(-1))
        };
        Answer::Offsets(partitions.iter().map(of).collect())
    }

    fn commit(&mut self, group: &Blob, topic: &Blob, offsets: &[(Partition, Offset)]) -> Served {
        offsets.iter().try_for_each(|(partition, _)| self.data.topics.check(topic, *partition))?;
        self.change(|data| {
            let stored = data.groups.all.entry(group.clone()).or_default();
            let noted = offsets.iter().map(|(partition, offset)| ((topic.clone(), *partition), *offset));
            stored.committed.extend(noted);
        });
        Ok(Answer::Committed)
    }

    /// A group whose members are settled is written to the disk.
    fn store(&mut self, group: &Blob) {
        let Some((generation, members)) = self.groups.get(group).and_then(Group::to_store) else { return };
        let known = self.data.groups.all.get(group).map(|stored| stored.generation);
        if known != Some(generation) {
            self.change(|data| {
                let stored = data.groups.all.entry(group.clone()).or_default();
                (stored.generation, stored.members) = (generation, members);
            });
        }
    }

    // Groups.

    fn group(&mut self, group: &Blob, now_us: u64) -> &mut Group {
        let none = || Group::loaded(&Stored::default(), now_us);
        self.groups.entry(group.clone()).or_insert_with(none)
    }

    fn join(
        &mut self,
        (conn, now_us): (ConnId, u64),
        group: &Blob,
        member: &Blob,
        timeouts: Timeouts,
        out: &mut Answers,
    ) {
        let delay_us = u64::from(self.config.initial_delay_ms) * 1000;
        let mut members = self.members;
        let new_id = || {
            members += 1;
            Blob::from(format!("member-{members}"))
        };
        self.group(group, now_us).join((conn, now_us, delay_us), member, timeouts, new_id, out);
        self.members = members;
    }

    /// Something happens in all groups.
    fn in_all(&mut self, out: &mut Vec<Output>, mut happens: impl FnMut(&mut Group, &mut Answers)) {
        let mut answers = Answers::new();
        self.groups.values_mut().for_each(|group| happens(group, &mut answers));
        for group in self.groups.keys().cloned().collect::<Vec<_>>() {
            self.store(&group);
        }
        send(answers, out);
    }

    /// A client has fallen silent on a connection, or is heard again.
    pub(super) fn listen(&mut self, clock: NodeClock, conn: ConnId, heard: bool) {
        self.groups.values_mut().for_each(|group| group.hear(conn, heard, clock.mono_us));
    }

    /// A connection has ended.
    pub(super) fn cut(&mut self, clock: NodeClock, conn: ConnId) {
        self.groups.values_mut().for_each(|group| group.cut(conn, clock.mono_us));
    }

    /// The clients whose members have no connection.
    pub(super) fn cut_off(&self) -> impl Iterator<Item = ClientId> {
        self.groups.values().flat_map(Group::cut_off)
    }

    /// The members of a client that has no connection are out.
    pub(super) fn expire(&mut self, clock: NodeClock, client: ClientId, out: &mut Vec<Output>) {
        self.in_all(out, |group, answers| group.expire(client, clock.mono_us, answers));
    }

    pub(super) fn is_waiting(&self, conn: ConnId) -> bool {
        self.groups.values().any(|group| group.is_waiting(conn))
    }

    /// True if a member of a group speaks over this connection.
    pub(super) fn has_member_on(&self, conn: ConnId) -> bool {
        self.groups.values().any(|group| group.has(conn))
    }

    /// When something happens by itself, by its monotonic clock.
    pub(super) fn next_due(&self) -> Option<u64> {
        self.groups.values().filter_map(Group::next_due).min()
    }

    /// Does what has fallen due.
    pub(super) fn tick_groups(&mut self, clock: NodeClock, out: &mut Vec<Output>) {
        self.in_all(out, |group, answers| group.tick(clock.mono_us, answers));
    }

    // Crashes.

    /// The process, or the machine, is gone.
    pub(super) fn stop(&mut self, lost: Lost) {
        if lost == Lost::Power
            && let Some(synced) = self.synced.take()
        {
            self.data = synced;
        }
        self.groups.clear();
    }

    /// It starts again. Members have their whole time to be heard.
    pub(super) fn start_again(&mut self, clock: NodeClock) {
        let loaded = |(group, stored): (&Blob, &Stored)| (group.clone(), Group::loaded(stored, clock.mono_us));
        self.groups = self.data.groups.all.iter().map(loaded).collect();
    }
}

fn send(answers: Answers, out: &mut Vec<Output>) {
    out.extend(answers.into_iter().map(|(conn, reply)| Output::reply(conn, Response::Kafka(reply.into()))));
}
