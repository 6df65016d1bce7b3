//! Random programs.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// The partitions of the topic.
pub(crate) const PARTITIONS: i32 = 3;
/// At most so many members at a time.
pub(crate) const MEMBERS_MAX: usize = 3;

/// A step of a program. Numbers name members and partitions, modulo how many there are.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Appends records with these keys.
    Produce(Vec<u8>),
    /// All members poll until nothing comes any more.
    Poll,
    /// One more member, if there is room, and all poll.
    Join,
    /// A member leaves, if there is one, and all poll.
    Leave(usize),
    /// A member commits: so many records before the end of the partition.
    Commit {
        /// Which member.
        member: usize,
        /// Which partition.
        partition: i32,
        /// How many are left.
        left: i64,
    },
    /// A standalone consumer reads from the group's committed offsets.
    Read,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(0..20_u8, 1..6).prop_map(Step::Produce),
        3 => Just(Step::Poll),
        2 => Just(Step::Join),
        1 => (0..MEMBERS_MAX).prop_map(Step::Leave),
        4 => (0..MEMBERS_MAX, 0..PARTITIONS, 0..4_i64)
            .prop_map(|(member, partition, left)| Step::Commit { member, partition, left }),
        2 => Just(Step::Read),
    ]
}

/// The program of a seed.
pub(crate) fn program(seed: u64, steps: usize) -> Vec<Step> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let first = [Step::Produce(vec![1, 2, 3]), Step::Join];
    let rest = prop::collection::vec(step(), steps).new_tree(&mut runner).expect("steps can be made").current();
    first.into_iter().chain(rest).collect()
}
