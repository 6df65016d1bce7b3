//! A consumer: it asks its group whether the generation stands, joins again if not, and reads on in its partitions.
//!
//! Real clients send heartbeats beside what they do and read ahead; a member acts on a rebalance when it polls, here as
//! there. Reading belongs to no group: one that is out of it and has not heard of that reads on.

use super::connection::Connection;
use super::member::{Member, is_of_group};
use crate::port::kafka::{
    Answer, Consumer, ConsumerConfig, Error, Membership, Offset, OffsetReset, Partition, Received, Request, Topic,
};
use crate::port::{Blob, Outcome, Refusal};
use crate::world::seat::client::{Round, Seat};
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;

/// Reads a topic.
pub struct SeatConsumer {
    seat: Arc<Seat>,
    reader: Reader,
}

/// What reads.
struct Reader {
    connection: Connection,
    topic: Topic,
    config: ConsumerConfig,
    standing: Standing,
}

/// How it stands: all that its next steps depend on.
#[derive(Clone, Hash)]
struct Standing {
    member: Member,
    /// The next offset of each of its partitions; none until it knows which they are.
    positions: Option<Vec<(Partition, Offset)>>,
}

impl SeatConsumer {
    pub(super) fn new(seat: &Arc<Seat>, node: u16, topic: Topic, config: ConsumerConfig) -> Self {
        let connection = Connection::new(seat, node, config.session_timeout);
        let standing = Standing { member: Member::new(), positions: None };
        SeatConsumer { seat: Arc::clone(seat), reader: Reader { connection, topic, config, standing } }
    }

    /// Does something as a round.
    async fn round<'a, T: Hash, F: Future<Output = T> + 'a>(&'a mut self, does: impl FnOnce(&'a mut Reader) -> F) -> T {
        let number = self.seat.lock().begin_round();
        let inner = does(&mut self.reader);
        Round { seat: &self.seat, inner, number, ended: false }.await
    }
}

impl Reader {
    async fn poll(&mut self, max: u32) -> (Outcome<Vec<Received>>, Standing) {
        let polled = match self.take_part().await {
            Outcome::Ok(()) => self.fetch(max).await,
            other => other.map(|()| Vec::new()),
        };
        (polled, self.standing.clone())
    }

    /// Makes sure that it knows its partitions.
    async fn take_part(&mut self) -> Outcome<()> {
        if self.config.membership == Membership::Member && self.standing.member.has_joined() {
            self.beat().await;
        }
        if self.standing.positions.is_some() {
            return Outcome::Ok(());
        }
        let partitions = match self.config.membership {
            Membership::Apart => (0..self.topic.partitions).map(Partition).collect(),
            Membership::Member => {
                let Standing { member, .. } = &mut self.standing;
                match member.join(&mut self.connection, &self.config, self.topic.partitions).await {
                    Outcome::Ok(partitions) => partitions,
                    other => return other.map(drop),
                }
            }
        };
        self.begin(partitions).await
    }

    /// Asks whether the generation stands. Without an answer it goes on as before.
    async fn beat(&mut self) {
        let heartbeat = Request::Heartbeat(self.standing.member.speaker(&self.config));
        if let Outcome::Fail(Refusal::Kafka(error)) = self.connection.ask(heartbeat).await
            && is_of_group(error)
        {
            self.standing.member.refused(error);
            self.standing.positions = None;
        }
    }

    /// Begins where the group has got to.
    async fn begin(&mut self, partitions: Vec<Partition>) -> Outcome<()> {
        if partitions.is_empty() {
            self.standing.positions = Some(Vec::new());
            return Outcome::Ok(());
        }
        let (group, topic) = (Blob::from(self.config.group), Blob::from(self.topic.name));
        let fetched = match self.connection.ask(Request::OffsetFetch { group, topic, partitions }).await {
            Outcome::Ok(Answer::Offsets(offsets)) => offsets,
            Outcome::Ok(other) => panic!("OffsetFetch was answered with {other}"),
            other => {
                // Joining again it gets the same.
                self.standing.member.refused(Error::RebalanceInProgress);
                return other.map(drop);
            }
        };
        let (known, unknown): (Vec<_>, Vec<_>) = fetched.into_iter().partition(|(_, offset)| *offset >= 0);
        let unknown = unknown.into_iter().map(|(partition, _)| partition).collect();
        let reset = match self.reset(unknown).await {
            Outcome::Ok(reset) => reset,
            other => {
                self.standing.member.refused(Error::RebalanceInProgress);
                return other.map(drop);
            }
        };
        let mut positions = [known, reset].concat();
        positions.sort();
        self.standing.positions = Some(positions);
        Outcome::Ok(())
    }

    /// Where it begins in partitions of which nothing is committed.
    async fn reset(&mut self, partitions: Vec<Partition>) -> Outcome<Vec<(Partition, Offset)>> {
        if partitions.is_empty() || self.config.reset == OffsetReset::Earliest {
            return Outcome::Ok(partitions.into_iter().map(|partition| (partition, 0)).collect());
        }
        let request = Request::ListOffsets { topic: self.topic.name.into(), partitions };
        self.connection.ask(request).await.map(|answer| match answer {
            Answer::Offsets(ends) => ends,
            other => panic!("ListOffsets was answered with {other}"),
        })
    }

    async fn fetch(&mut self, max: u32) -> Outcome<Vec<Received>> {
        let from = self.standing.positions.clone().unwrap_or_default();
        if from.is_empty() {
            return Outcome::Ok(Vec::new());
        }
        let fetched = match self.connection.ask(Request::Fetch { topic: self.topic.name.into(), from, max }).await {
            Outcome::Ok(Answer::Fetched(fetched)) => fetched,
            Outcome::Ok(other) => panic!("Fetch was answered with {other}"),
            other => return other.map(|_| Vec::new()),
        };
        let (mut all, mut moves, mut lost) = (Vec::new(), Vec::new(), Vec::new());
        for of in fetched {
            match of.records {
                Ok(records) => {
                    moves.push((of.partition, of.from + records.len() as Offset));
                    let received =
                        |(at, record)| Received { partition: of.partition, offset: of.from + at as Offset, record };
                    all.extend(records.into_iter().enumerate().map(received));
                }
                Err(Error::OffsetOutOfRange) => lost.push(of.partition),
                Err(error) => return Outcome::Fail(Refusal::Kafka(error)),
            }
        }
        match self.reset(lost).await {
            Outcome::Ok(reset) => moves.extend(reset),
            other => return other.map(|_| Vec::new()),
        }
        moves.into_iter().for_each(|(partition, to)| self.move_to(partition, to));
        Outcome::Ok(all)
    }

    fn move_to(&mut self, partition: Partition, to: Offset) {
        let positions = self.standing.positions.iter_mut().flatten();
        positions.filter(|(own, _)| *own == partition).for_each(|(_, position)| *position = to);
    }

    async fn commit(&mut self, partition: Partition, next: Offset) -> Outcome<()> {
        let speaker = self.standing.member.speaker(&self.config);
        let topic = Blob::from(self.topic.name);
        let request = Request::OffsetCommit { speaker, topic, offsets: vec![(partition, next)] };
        self.connection.ask(request).await.map(drop)
    }

    async fn lag(&mut self) -> Outcome<Vec<(Partition, i64)>> {
        let (group, topic) = (Blob::from(self.config.group), Blob::from(self.topic.name));
        let partitions: Vec<Partition> = (0..self.topic.partitions).map(Partition).collect();
        let offsets = |answer: Answer| match answer {
            Answer::Offsets(offsets) => offsets,
            other => panic!("a question for offsets was answered with {other}"),
        };
        let fetch = Request::OffsetFetch { group, topic: topic.clone(), partitions: partitions.clone() };
        let committed = match self.connection.ask(fetch).await {
            Outcome::Ok(answer) => offsets(answer),
            other => return other.map(|_| Vec::new()),
        };
        let ends = self.connection.ask(Request::ListOffsets { topic, partitions }).await.map(offsets);
        let lag = |((partition, end), (_, committed)): ((Partition, Offset), &(Partition, Offset))| {
            (partition, end - (*committed).max(0))
        };
        ends.map(|ends| ends.into_iter().zip(&committed).map(lag).collect())
    }

    async fn leave(&mut self) {
        if self.standing.member.has_joined() {
            let Standing { member, .. } = &self.standing;
            let member = member.speaker(&self.config).member;
            let request = Request::LeaveGroup { group: self.config.group.into(), member };
            drop(self.connection.ask(request).await);
        }
        self.standing = Standing { member: Member::new(), positions: None };
    }
}

impl Consumer for SeatConsumer {
    async fn poll(&mut self, max: u32) -> Outcome<Vec<Received>> {
        self.round(|reader| reader.poll(max)).await.0
    }

    async fn seek(&mut self, partition: Partition, offset: Offset) -> Outcome<()> {
        self.reader.move_to(partition, offset);
        Outcome::Ok(())
    }

    async fn lag(&mut self) -> Outcome<Vec<(Partition, i64)>> {
        self.round(|reader| reader.lag()).await
    }

    async fn commit(&mut self, partition: Partition, next: Offset) -> Outcome<()> {
        self.round(|reader| reader.commit(partition, next)).await
    }

    async fn leave(&mut self) {
        self.round(|reader| reader.leave()).await;
    }
}
