//! The primaries of a Cluster.
//!
//! A client asks a server for the slots, keeps the answer, and sends each command to the primary of its keys' slot. A
//! MOVED corrects what it knows. Whatever ends a connection, and CLUSTERDOWN, it asks for the slots anew: the server
//! behind the one that failed.

use super::super::client::State;
use super::super::slots::KnownSlots;
use super::{Group, SeatRedis, refused};
use crate::port::{Command, Outcome, Refusal, Value};
use doublehold_models::keys::keys;
use doublehold_models::slots::slot_of;
use smallvec::SmallVec;

/// How often a request that certainly did not happen is sent, each time to the server that then has the slot.
const TRIES_MAX: usize = 3;

impl State {
    /// What the client knows of a Cluster.
    fn cluster(&mut self, group: &Group) -> &mut KnownSlots {
        let known = self.kept.clusters.iter().position(|(first, _)| *first == group.servers.start);
        let at = known.unwrap_or_else(|| {
            self.kept.clusters.push((group.servers.start, KnownSlots::default()));
            self.kept.clusters.len() - 1
        });
        &mut self.kept.clusters[at].1
    }
}

impl SeatRedis {
    pub(super) async fn ask_cluster<const N: usize>(
        &self,
        group: &Group,
        without: u16,
        commands: [Command; N],
    ) -> [Outcome<Value>; N] {
        let slot = commands.iter().find_map(|command| keys(command.words()).next().map(|key| slot_of(key)));
        let slot = slot.unwrap_or(without);
        let mut refused = refused();
        for _ in 0..TRIES_MAX {
            let Some(node) = self.find_owner(group, slot).await else { return refused };
            let outcomes = self.ask_within(group, (node, self.channel), commands.clone()).await;
            if outcomes.iter().any(is_doubtful) {
                self.doubt(group, node);
            }
            match outcomes.first() {
                Some(Outcome::Fail(Refusal::Server(text))) if text.starts_with(b"MOVED ") => {
                    self.take_note(group, &text.to_text());
                    refused = outcomes;
                }
                Some(Outcome::Fail(Refusal::Refused)) => refused = outcomes,
                _ => return outcomes,
            }
        }
        refused
    }

    /// The server that has a slot, as far as the client knows; asks for the slots if it knows nothing.
    pub(super) async fn find_owner(&self, group: &Group, slot: u16) -> Option<u16> {
        let first = group.servers.start;
        for _ in group.servers.clone() {
            let (known, asked) = {
                let mut state = self.seat.lock();
                let known = state.cluster(group);
                (known.owner(slot), first + known.asked)
            };
            if let Some(server) = known {
                return Some(first + server);
            }
            let slots = Command::new("CLUSTER").arg("SLOTS");
            let [answer] = self.ask_within(group, (asked, self.channel), [slots]).await;
            match answer.ok() {
                Some(slots) => self.seat.lock().cluster(group).ranges = ranges(group, &slots),
                None => self.doubt(group, asked),
            }
        }
        None
    }

    fn doubt(&self, group: &Group, node: u16) {
        let servers = group.servers.len() as u16;
        self.seat.lock().cluster(group).doubt(node - group.servers.start, servers);
    }

    /// A server says which one has a slot: `MOVED slot address`.
    fn take_note(&self, group: &Group, moved: &str) {
        let mut words = moved.split(' ').skip(1);
        let slot: Option<u16> = words.next().and_then(|slot| slot.parse().ok());
        let server = words.next().and_then(|address| group.member(address.split(':').next()?));
        let (Some(slot), Some(server)) = (slot, server) else { panic!("a Redis answered {moved}") };
        self.seat.lock().cluster(group).take_note(slot, server);
    }
}

/// True if what became of a command says that another server may have its slot.
fn is_doubtful(outcome: &Outcome<Value>) -> bool {
    match outcome {
        Outcome::Indeterminate(_) | Outcome::Fail(Refusal::Refused) => true,
        Outcome::Fail(Refusal::Server(text)) => text.starts_with(b"CLUSTERDOWN"),
        Outcome::Fail(_) | Outcome::Ok(_) => false,
    }
}

/// The ranges that a server tells.
///
/// # Panics
/// If it is not what `CLUSTER SLOTS` tells.
fn ranges(group: &Group, slots: &Value) -> SmallVec<[(u16, u16); 3]> {
    let range = |range: &Value| {
        let Value::Array(parts) = range else { return None };
        let Value::Array(primary) = parts.get(2)? else { return None };
        let last = u16::try_from(parts.get(1)?.as_int()?).ok()?;
        Some((last, group.member(&primary.first()?.as_blob()?.to_text())?))
    };
    let Value::Array(all) = slots else { panic!("a Redis told {slots:?} of its slots") };
    all.iter().map(|one| range(one).unwrap_or_else(|| panic!("a Redis told {one:?} of its slots"))).collect()
}
