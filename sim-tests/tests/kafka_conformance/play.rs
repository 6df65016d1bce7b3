//! A program as a client of either world.

use crate::generate::{MEMBERS_MAX, PARTITIONS, Step};
use doublehold::port::kafka::{
    Consumer, ConsumerConfig, Kafka, Membership, Offset, OffsetReset, Partition, Producer, Received, Record, Topic,
};
use doublehold::port::{Blob, Host, Outcome, Ports};
use doublehold::scenario::Workload;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) const TOPIC: Topic = Topic { name: "queue", partitions: PARTITIONS };

/// The mock broker lets the first members of a group wait for three seconds, and would have them out if this were less.
const SESSION_TIMEOUT: Duration = Duration::from_millis(3_500);
/// Members poll until nothing has come for so long. A rebalance takes the mock broker a second less than the session
/// time-out, from the next heartbeat on.
const QUIET: Duration = Duration::from_millis(300);
const QUIET_AFTER_REBALANCE: Duration = Duration::from_millis(5_500);
const BETWEEN_POLLS: Duration = Duration::from_millis(20);

pub(crate) fn group(membership: Membership) -> ConsumerConfig {
    ConsumerConfig {
        group: "consumers",
        membership,
        reset: OffsetReset::Earliest,
        session_timeout: SESSION_TIMEOUT,
        poll_interval_max: Duration::from_secs(20),
    }
}

type Place = (i32, Offset);

/// What a step has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Where records are.
    Produced(Vec<Outcome<Place>>),
    /// What the members got. How often is not compared: between two generations a member may read what it must give up.
    Polled(BTreeMap<Place, Blob>),
    /// What they got before a member came or went, and after. First they read all there is: when they learn of the
    /// rebalance, and what they read on until then, is a matter of time.
    Rebalanced(BTreeMap<Place, Blob>, BTreeMap<Place, Blob>),
    /// Whether the commit counts.
    Committed(Outcome<()>),
    /// Nothing to be done.
    Nothing,
}

impl Seen {
    /// How many records came.
    pub(crate) fn records(&self) -> usize {
        match self {
            Seen::Polled(got) => got.len(),
            Seen::Rebalanced(before, after) => before.len() + after.len(),
            Seen::Produced(_) | Seen::Committed(_) | Seen::Nothing => 0,
        }
    }
}

/// A program.
#[derive(Clone)]
pub(crate) struct Played {
    program: Arc<Vec<Step>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Played {
    pub(crate) fn new(program: Vec<Step>) -> Self {
        Played { program: Arc::new(program), seen: Arc::default() }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no program panics").clone()
    }
}

impl Workload for Played {
    async fn run<P: Ports>(&self, ports: P) {
        create_topic(&ports).await;
        let mut player = Player::new(&ports);
        for step in &*self.program {
            let seen = player.step(step).await;
            self.seen.lock().expect("no program panics").push(seen);
        }
        for mut member in player.members {
            member.leave().await;
        }
    }
}

/// Real brokers have it already: the mock cannot be asked for one over the wire.
async fn create_topic<P: Ports>(ports: &P) {
    let created = ports.kafka(0).create_topic(TOPIC).await;
    assert_eq!(created, Outcome::Ok(()), "the topic is there");
}

struct Player<P: Ports> {
    ports: P,
    producer: <P::Kafka as Kafka>::Producer,
    members: Vec<<P::Kafka as Kafka>::Consumer>,
    produced: usize,
    ends: BTreeMap<i32, Offset>,
}

impl<P: Ports> Player<P> {
    fn new(ports: &P) -> Self {
        let producer = ports.kafka(0).producer(TOPIC);
        Player { ports: ports.clone(), producer, members: Vec::new(), produced: 0, ends: BTreeMap::new() }
    }

    async fn step(&mut self, step: &Step) -> Seen {
        match step {
            Step::Produce(keys) => self.produce(keys).await,
            Step::Poll => Seen::Polled(self.poll_all(QUIET).await),
            Step::Join if self.members.len() < MEMBERS_MAX => {
                let before = self.poll_all(QUIET).await;
                self.members.push(self.ports.kafka(0).consumer(TOPIC, group(Membership::Member)));
                Seen::Rebalanced(before, self.poll_all(QUIET_AFTER_REBALANCE).await)
            }
            Step::Leave(member) if !self.members.is_empty() => {
                let before = self.poll_all(QUIET).await;
                let at = member % self.members.len();
                self.members.remove(at).leave().await;
                Seen::Rebalanced(before, self.poll_all(QUIET_AFTER_REBALANCE).await)
            }
            Step::Commit { member, partition, left } if !self.members.is_empty() => {
                let at = member % self.members.len();
                let end = self.ends.get(partition).copied().unwrap_or_default();
                let next = (end - left).max(0);
                Seen::Committed(self.members[at].commit(Partition(*partition), next).await)
            }
            Step::Read => {
                let mut apart = self.ports.kafka(0).consumer(TOPIC, group(Membership::Apart));
                let read = poll(&self.ports, std::slice::from_mut(&mut apart), QUIET).await;
                apart.leave().await;
                Seen::Polled(read)
            }
            Step::Join | Step::Leave(_) | Step::Commit { .. } => Seen::Nothing,
        }
    }

    async fn produce(&mut self, keys: &[u8]) -> Seen {
        let mut places = Vec::new();
        for key in keys {
            self.produced += 1;
            let value = Blob::from(format!("record-{}", self.produced));
            let sent = self.producer.send(Record { key: Blob::from(format!("key-{key}")), value }).await;
            if let Outcome::Ok((partition, offset)) = sent {
                self.ends.insert(partition.0, offset + 1);
            }
            places.push(sent.map(|(partition, offset)| (partition.0, offset)));
        }
        Seen::Produced(places)
    }

    async fn poll_all(&mut self, quiet: Duration) -> BTreeMap<Place, Blob> {
        poll(&self.ports, &mut self.members, quiet).await
    }
}

/// Lets each poll by itself until nothing has come to any for so long.
async fn poll<H: Host, C: Consumer>(host: &H, consumers: &mut [C], quiet: Duration) -> BTreeMap<Place, Blob> {
    let got = Mutex::new((host.monotonic(), BTreeMap::new()));
    let polling = consumers.iter_mut().map(async |consumer| {
        while host.monotonic().since(got.lock().expect("no consumer panics").0) < quiet {
            let received = consumer.poll(100).await.ok().unwrap_or_default();
            check_order(&received);
            if !received.is_empty() {
                let (last, all) = &mut *got.lock().expect("no consumer panics");
                *last = host.monotonic();
                all.extend(received.into_iter().map(|one| ((one.partition.0, one.offset), one.record.value)));
            }
            host.sleep(BETWEEN_POLLS).await;
        }
    });
    futures_util::future::join_all(polling).await;
    got.into_inner().expect("no consumer panics").1
}

/// # Panics
/// If records of a partition do not come in the order of their offsets.
fn check_order(received: &[Received]) {
    let partitions: BTreeSet<Partition> = received.iter().map(|one| one.partition).collect();
    for partition in partitions {
        let offsets: Vec<Offset> =
            received.iter().filter(|one| one.partition == partition).map(|one| one.offset).collect();
        assert!(offsets.is_sorted(), "partition {partition}: {offsets:?}");
    }
}

/// A member that does not poll while another joins: what became of its commit, of what the other got, and of its commit
/// after it has polled again.
#[derive(Clone, Default)]
pub(crate) struct MissedRebalance {
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl MissedRebalance {
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no program panics").clone()
    }
}

impl Workload for MissedRebalance {
    async fn run<P: Ports>(&self, ports: P) {
        let see = |seen| self.seen.lock().expect("no program panics").push(seen);
        let kafka = ports.kafka(0);
        create_topic(&ports).await;
        let record = Record { key: Blob::from("key"), value: Blob::from("record") };
        let (partition, offset) = kafka.producer(TOPIC).send(record).await.ok().expect("the broker answers");
        let config = ConsumerConfig { poll_interval_max: Duration::from_secs(4), ..group(Membership::Member) };
        let mut slow = [kafka.consumer(TOPIC, config)];
        let mut other = [kafka.consumer(TOPIC, config)];
        see(Seen::Polled(poll(&ports, &mut slow, QUIET_AFTER_REBALANCE).await));
        // The broker, or the client itself, has it out.
        see(Seen::Polled(poll(&ports, &mut other, 2 * QUIET_AFTER_REBALANCE).await));
        see(Seen::Committed(slow[0].commit(partition, offset + 1).await));
        see(Seen::Committed(other[0].commit(partition, offset + 1).await));
        let [slow] = slow;
        let [other] = other;
        let mut both = [slow, other];
        see(Seen::Polled(poll(&ports, &mut both, QUIET_AFTER_REBALANCE).await));
        see(Seen::Committed(both[0].commit(partition, offset).await));
        for mut member in both {
            member.leave().await;
        }
    }
}
