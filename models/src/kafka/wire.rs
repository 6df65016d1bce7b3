//! What a Kafka broker is asked, and what it answers.

use crate::Blob;
use std::fmt;

/// The number of a partition of a topic, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(pub i32);

/// A place in a partition's log, from 0.
pub type Offset = i64;

/// How often a group has been rebalanced; what members send is of one generation.
pub type Generation = i32;

/// The generation of a standalone consumer, which may commit while the group has no members.
pub const NO_GENERATION: Generation = -1;

/// A record, as it is produced.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// Its key: records with the same key go to the same partition.
    pub key: Blob,
    /// Its value.
    pub value: Blob,
}

/// A member of a group, as it speaks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Speaker {
    /// The group.
    pub group: Blob,
    /// The generation that it belongs to.
    pub generation: Generation,
    /// Its id.
    pub member: Blob,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// Makes a topic.
    CreateTopic {
        /// Its name.
        topic: Blob,
        /// How many partitions it has.
        partitions: i32,
    },
    /// Appends a record to a partition.
    Produce {
        /// The topic.
        topic: Blob,
        /// The partition.
        partition: Partition,
        /// The record.
        record: Record,
    },
    /// Reads records. Fetch is not fenced by the group: the broker answers members and others alike.
    Fetch {
        /// The topic.
        topic: Blob,
        /// From these places on.
        from: Vec<(Partition, Offset)>,
        /// At most so many of each partition.
        max: u32,
    },
    /// Where the logs of these partitions end.
    ListOffsets {
        /// The topic.
        topic: Blob,
        /// The partitions.
        partitions: Vec<Partition>,
    },
    /// Joins a group, or joins it again. The answer comes once the members of the new generation are known.
    JoinGroup {
        /// The group.
        group: Blob,
        /// The member's id; empty for a new one.
        member: Blob,
        /// It is out if it is not heard for so long.
        session_timeout_ms: u32,
        /// It is out if it does not join again within this time after a rebalance has begun.
        rebalance_timeout_ms: u32,
    },
    /// The leader sends the assignment, a follower asks for its own. The broker answers once it has the assignment.
    SyncGroup {
        /// The member that sends it.
        speaker: Speaker,
        /// The partitions of each member; empty in a follower's request.
        assignments: Vec<(Blob, Vec<Partition>)>,
    },
    /// Asks whether the generation still stands.
    Heartbeat(Speaker),
    /// Leaves a group.
    LeaveGroup {
        /// The group.
        group: Blob,
        /// The member's id.
        member: Blob,
    },
    /// Notes how far a group has got.
    OffsetCommit {
        /// The member that sends it.
        speaker: Speaker,
        /// The topic.
        topic: Blob,
        /// The offset of the next record to be read, by partition.
        offsets: Vec<(Partition, Offset)>,
    },
    /// How far a group has got.
    OffsetFetch {
        /// The group.
        group: Blob,
        /// The topic.
        topic: Blob,
        /// The partitions.
        partitions: Vec<Partition>,
    },
}

/// What there is of a partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fetched {
    /// The partition.
    pub partition: Partition,
    /// The offset of the first record.
    pub from: Offset,
    /// Records that follow each other, or why there are none.
    pub records: Result<Vec<Record>, Error>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The topic is there.
    TopicCreated,
    /// The record is appended.
    Produced(Offset),
    /// What there is.
    Fetched(Vec<Fetched>),
    /// Offsets by partition; −1 where there is none.
    Offsets(Vec<(Partition, Offset)>),
    /// A new generation begins.
    Joined {
        /// It.
        generation: Generation,
        /// The member's id.
        member: Blob,
        /// The ids of all members, for the one that leads; nothing for the others.
        members: Vec<Blob>,
    },
    /// What the member gets.
    Synced(Vec<Partition>),
    /// The generation stands.
    Alive,
    /// The member has left.
    Left,
    /// The offsets are noted.
    Committed,
}

/// Why a broker did not do what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Error {
    /// There is no such topic, or it has no such partition.
    UnknownTopicOrPartition,
    /// There is such a topic already.
    TopicAlreadyExists,
    /// A topic with no partitions.
    InvalidPartitions,
    /// The log ends before this offset.
    OffsetOutOfRange,
    /// The group has no such member.
    UnknownMemberId,
    /// The group has another generation.
    IllegalGeneration,
    /// A rebalance has begun: the member is to join again.
    RebalanceInProgress,
}

/// What a broker sends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// Answers a request.
    Answer(Answer),
    /// Refuses it.
    Failed(Error),
}

impl From<Result<Answer, Error>> for Reply {
    fn from(served: Result<Answer, Error>) -> Self {
        served.map_or_else(Reply::Failed, Reply::Answer)
    }
}

impl Request {
    /// The name of what is asked, as Kafka's protocol has it.
    pub fn name(&self) -> &'static str {
        match self {
            Request::CreateTopic { .. } => "CreateTopics",
            Request::Produce { .. } => "Produce",
            Request::Fetch { .. } => "Fetch",
            Request::ListOffsets { .. } => "ListOffsets",
            Request::JoinGroup { .. } => "JoinGroup",
            Request::SyncGroup { .. } => "SyncGroup",
            Request::Heartbeat(_) => "Heartbeat",
            Request::LeaveGroup { .. } => "LeaveGroup",
            Request::OffsetCommit { .. } => "OffsetCommit",
            Request::OffsetFetch { .. } => "OffsetFetch",
        }
    }
}

impl Error {
    /// The code in Kafka's protocol.
    pub fn code(self) -> i16 {
        match self {
            Error::OffsetOutOfRange => 1,
            Error::UnknownTopicOrPartition => 3,
            Error::IllegalGeneration => 22,
            Error::UnknownMemberId => 25,
            Error::RebalanceInProgress => 27,
            Error::TopicAlreadyExists => 36,
            Error::InvalidPartitions => 37,
        }
    }
}

/// A murmur2 hash, as Kafka's own partitioner takes it of a key.
fn murmur2(bytes: &[u8]) -> u32 {
    const MULTIPLIER: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ bytes.len() as u32;
    let mut words = bytes.chunks_exact(4);
    for word in &mut words {
        let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(MULTIPLIER);
        hash = hash.wrapping_mul(MULTIPLIER) ^ (word ^ (word >> 24)).wrapping_mul(MULTIPLIER);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |tail: u32, byte| tail << 8 | u32::from(*byte));
        hash = (hash ^ tail).wrapping_mul(MULTIPLIER);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 15)
}

impl Partition {
    /// The partition that a key belongs to, of so many, as Kafka's own producer and librdkafka's `murmur2` have it.
    ///
    /// # Panics
    /// If there are no partitions.
    pub fn of_key(key: &Blob, partitions: i32) -> Partition {
        let positive = (murmur2(key) & 0x7fff_ffff) as i32;
        Partition(positive % partitions)
    }
}

fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: impl Iterator<Item = T>) -> fmt::Result {
    f.write_str("[")?;
    for (at, item) in items.enumerate() {
        write!(f, "{}{item}", if at > 0 { ", " } else { "" })?;
    }
    f.write_str("]")
}

fn places(f: &mut fmt::Formatter<'_>, places: &[(Partition, Offset)]) -> fmt::Result {
    list(f, places.iter().map(|(partition, offset)| format!("{partition}@{offset}")))
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Speaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} generation {}", self.group, self.member, self.generation)
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.name())?;
        match self {
            Request::CreateTopic { topic, partitions } => write!(f, "{topic} with {partitions} partitions"),
            Request::Produce { topic, partition, record } => write!(f, "{topic}/{partition} {}", record.value),
            Request::Fetch { topic, from, .. } => {
                write!(f, "{topic} ")?;
                places(f, from)
            }
            Request::ListOffsets { topic, partitions } => {
                write!(f, "{topic} ")?;
                list(f, partitions.iter())
            }
            Request::JoinGroup { group, member, .. } if member.is_empty() => write!(f, "{group}"),
            Request::JoinGroup { group, member, .. } | Request::LeaveGroup { group, member } => {
                write!(f, "{group}/{member}")
            }
            Request::SyncGroup { speaker, assignments } => {
                write!(f, "{speaker}")?;
                for (member, partitions) in assignments {
                    write!(f, " {member} ")?;
                    list(f, partitions.iter())?;
                }
                Ok(())
            }
            Request::Heartbeat(speaker) => write!(f, "{speaker}"),
            Request::OffsetCommit { speaker, topic, offsets } => {
                write!(f, "{speaker} {topic} ")?;
                places(f, offsets)
            }
            Request::OffsetFetch { group, topic, partitions } => {
                write!(f, "{group} {topic} ")?;
                list(f, partitions.iter())
            }
        }
    }
}

impl fmt::Display for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{} ", self.partition, self.from)?;
        match &self.records {
            Ok(records) => list(f, records.iter().map(|record| &record.value)),
            Err(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::TopicCreated => f.write_str("created"),
            Answer::Produced(offset) => write!(f, "at {offset}"),
            Answer::Fetched(fetched) => list(f, fetched.iter()),
            Answer::Offsets(offsets) => places(f, offsets),
            Answer::Joined { generation, member, members } if members.is_empty() => {
                write!(f, "{member} joined generation {generation}")
            }
            Answer::Joined { generation, member, members } => {
                write!(f, "{member} leads generation {generation} of ")?;
                list(f, members.iter())
            }
            Answer::Synced(partitions) => {
                f.write_str("gets ")?;
                list(f, partitions.iter())
            }
            Answer::Alive => f.write_str("alive"),
            Answer::Left => f.write_str("left"),
            Answer::Committed => f.write_str("committed"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::UnknownTopicOrPartition => "UNKNOWN_TOPIC_OR_PARTITION",
            Error::TopicAlreadyExists => "TOPIC_ALREADY_EXISTS",
            Error::InvalidPartitions => "INVALID_PARTITIONS",
            Error::OffsetOutOfRange => "OFFSET_OUT_OF_RANGE",
            Error::UnknownMemberId => "UNKNOWN_MEMBER_ID",
            Error::IllegalGeneration => "ILLEGAL_GENERATION",
            Error::RebalanceInProgress => "REBALANCE_IN_PROGRESS",
        })
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Answer(answer) => answer.fmt(f),
            Reply::Failed(error) => error.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of Kafka's own test (UtilsTest.testMurmur2).
    #[test]
    fn murmur2_is_kafkas() {
        let known: [(&str, i32); 5] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ];
        for (key, hash) in known {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }
}
