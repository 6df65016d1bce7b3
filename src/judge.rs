//! Judge: the oracles on a history that was recorded in the real world.
//!
//! There nobody sees the servers' state step by step, so *grant* and *foreign release* cannot be judged, and
//! *effect* is judged by what it leaves: every accepted write of the guarded counter takes one off what it read,
//! so two accepted writes over the same value mean that one overwrote the other.

use crate::history::{Ended, Entry, Event, Fact, HoldOrder, Holds};
use crate::port::Blob;
use crate::property::{Holder, Judged, Memory, Moment, Property, View};
use crate::world::memories::Violation;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A history as the oracles see it, up to one of its entries.
struct Recorded {
    holds: Holds,
    now_us: u64,
    clients: usize,
    /// What is left on the servers after all clients have ended.
    left: Vec<Option<Holder>>,
    lock: Blob,
}

impl View for Recorded {
    fn holds(&self) -> &Holds {
        &self.holds
    }

    /// All processes run on one machine, whose monotonic clock the history is written in.
    fn client_mono_us(&self, _client: usize) -> Option<u64> {
        Some(self.now_us)
    }

    fn clients(&self) -> usize {
        self.clients
    }

    fn has_crashed(&self, _client: usize) -> bool {
        false
    }

    fn was_cut_off(&self, _client: usize) -> bool {
        false
    }

    fn waiting_clients(&self) -> Vec<usize> {
        let waits = |client: &usize| self.holds.told(*client).is_some_and(|told| told.acquiring.is_some());
        (0..self.clients).filter(waits).collect()
    }

    fn locks(&self) -> Vec<(Blob, Vec<usize>)> {
        vec![(self.lock.clone(), (0..self.left.len()).collect())]
    }

    fn service_name(&self, service: usize) -> String {
        format!("redis-{service}")
    }

    fn holder_on(&self, _lock: usize, service: usize) -> Option<Holder> {
        self.left[service].clone()
    }

    fn owners(&self, _lock: usize) -> Vec<Blob> {
        Vec::new()
    }

    fn owner_of(&self, _lock: usize, token: &Blob) -> Option<usize> {
        self.holds.iter().find(|(_, hold)| hold.token == *token).map(|(client, _)| client)
    }

    fn came_late(&self, _lock: usize, _token: &Blob) -> bool {
        false
    }
}

/// Judges a history. `left`: who held the lock on each server after all clients had ended; empty if nobody looked. `audit`:
/// what an auditor found then.
pub fn judge(
    entries: &[Entry],
    lock: &Blob,
    left: Vec<Option<Holder>>,
    audit: Option<&Fact>,
    properties: &[Arc<dyn Property>],
) -> Vec<(u64, Violation)> {
    let clients = entries.iter().map(|entry| entry.client + 1).max().unwrap_or(0);
    let mut view = Recorded { holds: Holds::default(), now_us: 0, clients, left, lock: lock.clone() };
    let mut written: BTreeMap<(Blob, i64), HoldOrder> = BTreeMap::new();
    let mut violations = Vec::new();
    let mut memories: Vec<Memory> = properties.iter().map(|property| property.memory()).collect();
    let mut check = |view: &Recorded, moment: &Moment| {
        for (property, memory) in properties.iter().zip(&mut memories) {
            if let Judged::Broken(what) = property.check(memory, view, moment) {
                violations.push((view.now_us, Violation { property: property.name().to_owned(), what }));
            }
        }
    };
    for Entry { at_us, client, event } in entries {
        view.now_us = *at_us;
        check(&view, &Moment::Recorded { client: *client, event });
        if let Event::Wrote { resource, base, value, outcome: Ended::Ok } = event {
            let hold = view.holds.latest(*client, lock).unwrap_or_default();
            if let Some(other) = written.insert((resource.clone(), *base), hold) {
                let (hold, latest) = (hold.min(other), hold.max(other));
                let change = (base.to_string(), value.to_string());
                let resource = resource.clone();
                check(&view, &Moment::ResourceWritten { client: *client, resource, hold, latest, change });
            }
        }
        view.holds.take(*client, *at_us, event);
    }
    if let Some(audit) = audit {
        check(&view, &Moment::Audited(audit));
    }
    if !view.left.is_empty() {
        check(&view, &Moment::Quiescent);
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Mode;
    use crate::port::Instant;
    use crate::property;

    fn acquired(at_us: u64, client: usize, until_us: u64) -> Entry {
        let event = Event::Acquired {
            lock: "lock".into(),
            token: Blob::from(format!("token-{client}-{at_us}")),
            fence: None,
            valid_until: Some(Instant::from_micros(until_us)),
            mode: Mode::Exclusive,
        };
        Entry { at_us, client, event }
    }

    fn wrote(at_us: u64, client: usize, base: i64) -> Entry {
        let event = Event::Wrote { resource: "stock".into(), base, value: base - 1, outcome: Ended::Ok };
        Entry { at_us, client, event }
    }

    fn broken(entries: &[Entry], left: Vec<Option<Holder>>) -> Vec<String> {
        let violations = judge(entries, &"lock".into(), left, None, &property::all());
        violations.into_iter().map(|(_, violation)| violation.property).collect()
    }

    #[test]
    fn overlapping_holds_are_a_broken_belief() {
        assert_eq!(broken(&[acquired(10, 0, 100), acquired(50, 1, 150)], vec![]), ["belief"]);
        assert_eq!(broken(&[acquired(10, 0, 100), acquired(101, 1, 150)], vec![]), [""; 0]);
    }

    #[test]
    fn two_writes_over_one_value_are_a_broken_effect() {
        let entries = [acquired(10, 0, 20), wrote(15, 0, 7), acquired(30, 1, 40), wrote(35, 1, 7)];
        assert_eq!(broken(&entries, vec![]), ["effect"]);
        let entries = [acquired(10, 0, 20), wrote(15, 0, 7), acquired(30, 1, 40), wrote(35, 1, 6)];
        assert_eq!(broken(&entries, vec![]), [""; 0]);
    }

    #[test]
    fn a_key_that_is_left_is_a_leak() {
        let left = Some(Holder { token: "token".into(), ends: crate::property::Ends::ByTime });
        assert_eq!(broken(&[acquired(10, 0, 20)], vec![None, left]), ["leak"]);
    }
}
