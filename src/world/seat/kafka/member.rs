//! A consumer as a member of its group: how it joins, and what it gets.

use super::connection::Connection;
use crate::port::kafka::{Answer, ConsumerConfig, Error, Generation, Partition, Request};
use crate::port::{Blob, Outcome, Refusal};
use doublehold_models::kafka::wire::{NO_GENERATION, Speaker};
use std::time::Duration;

/// What a consumer knows of its membership.
#[derive(Clone, Hash)]
pub(super) struct Member {
    /// Empty until the group has given it one.
    id: Blob,
    /// None while it has to join.
    generation: Option<Generation>,
}

impl Member {
    pub(super) fn new() -> Self {
        Member { id: Blob::default(), generation: None }
    }

    pub(super) fn has_joined(&self) -> bool {
        self.generation.is_some()
    }

    /// How it speaks to its group.
    pub(super) fn speaker(&self, config: &ConsumerConfig) -> Speaker {
        let generation = self.generation.unwrap_or(NO_GENERATION);
        Speaker { group: config.group.into(), generation, member: self.id.clone() }
    }

    /// Takes note of why the group refuses it.
    pub(super) fn refused(&mut self, error: Error) {
        match error {
            Error::UnknownMemberId => *self = Member::new(),
            Error::IllegalGeneration | Error::RebalanceInProgress => self.generation = None,
            _ => {}
        }
    }

    /// Joins until a generation stands: the partitions that it gets there.
    pub(super) async fn join(
        &mut self,
        connection: &mut Connection,
        config: &ConsumerConfig,
        partitions: i32,
    ) -> Outcome<Vec<Partition>> {
        loop {
            let joined = match connection.ask(self.join_request(config)).await {
                Outcome::Ok(joined) => joined,
                Outcome::Fail(Refusal::Kafka(error)) if is_of_group(error) => {
                    self.refused(error);
                    continue;
                }
                other => return other.map(|_| Vec::new()),
            };
            let Answer::Joined { generation, member, members } = joined else {
                panic!("JoinGroup was answered with {joined}")
            };
            (self.id, self.generation) = (member, Some(generation));
            let request = Request::SyncGroup { speaker: self.speaker(config), assignments: range(members, partitions) };
            match connection.ask(request).await {
                Outcome::Ok(Answer::Synced(partitions)) => return Outcome::Ok(partitions),
                Outcome::Ok(other) => panic!("SyncGroup was answered with {other}"),
                Outcome::Fail(Refusal::Kafka(error)) if is_of_group(error) => self.refused(error),
                other => {
                    // Joining again it will be told what it has missed.
                    self.generation = None;
                    return other.map(|_| Vec::new());
                }
            }
        }
    }

    fn join_request(&self, config: &ConsumerConfig) -> Request {
        let ms = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        Request::JoinGroup {
            group: config.group.into(),
            member: self.id.clone(),
            session_timeout_ms: ms(config.session_timeout),
            rebalance_timeout_ms: ms(config.poll_interval_max),
        }
    }
}

/// True if a group says this to its members.
pub(super) fn is_of_group(error: Error) -> bool {
    matches!(error, Error::UnknownMemberId | Error::IllegalGeneration | Error::RebalanceInProgress)
}

/// The leader's assignment: consecutive ranges of partitions, in the order of the member ids (the assignor `range`).
fn range(mut members: Vec<Blob>, partitions: i32) -> Vec<(Blob, Vec<Partition>)> {
    members.sort();
    let count = members.len() as i32;
    let mut next = 0;
    let mut share = |(at, member): (usize, Blob)| {
        let size = partitions / count + i32::from((at as i32) < partitions % count);
        next += size;
        (member, (next - size..next).map(Partition).collect())
    };
    members.into_iter().enumerate().map(&mut share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_the_order_of_the_ids_and_cover_all() {
        let all = |members: &[&str], partitions| {
            let ranges = range(members.iter().map(|id| Blob::copy_from(id.as_bytes())).collect(), partitions);
            ranges
                .into_iter()
                .map(|(id, own)| (id.to_string(), own.iter().map(|at| at.0).collect()))
                .collect::<Vec<_>>()
        };
        let owned = |id: &str, own: &[i32]| (id.to_owned(), own.to_vec());
        assert_eq!(all(&["b", "a"], 3), [owned("a", &[0, 1]), owned("b", &[2])]);
        assert_eq!(all(&["a", "b", "c"], 2), [owned("a", &[0]), owned("b", &[1]), owned("c", &[])]);
        assert_eq!(all(&[], 2), []);
    }
}
