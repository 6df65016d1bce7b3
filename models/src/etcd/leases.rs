//! The leader's book of leases. Which keys a lease has, the store knows.

use super::wire::LeaseId;
use std::collections::BTreeMap;

#[derive(Clone, Hash)]
struct Lease {
    ttl_s: i64,
    /// By the leader's monotonic clock, microseconds; nothing while nobody leads.
    ends_us: Option<u64>,
}

/// All leases.
#[derive(Clone, Default, Hash)]
pub(super) struct Leases {
    leases: BTreeMap<LeaseId, Lease>,
    granted: LeaseId,
}

fn micros(ttl_s: i64) -> u64 {
    u64::try_from(ttl_s).unwrap_or_default().saturating_mul(1_000_000)
}

impl Leases {
    pub(super) fn contains(&self, id: LeaseId) -> bool {
        self.leases.contains_key(&id)
    }

    /// A number that no lease has had.
    pub(super) fn next_id(&mut self) -> LeaseId {
        loop {
            self.granted += 1;
            if !self.leases.contains_key(&self.granted) {
                return self.granted;
            }
        }
    }

    pub(super) fn grant(&mut self, id: LeaseId, ttl_s: i64, now_us: u64) {
        self.leases.insert(id, Lease { ttl_s, ends_us: Some(now_us.saturating_add(micros(ttl_s))) });
    }

    /// Lets a lease last its full time from now: that time, if there is such a lease.
    pub(super) fn keep_alive(&mut self, id: LeaseId, now_us: u64) -> Option<i64> {
        let lease = self.leases.get_mut(&id)?;
        lease.ends_us = Some(now_us.saturating_add(micros(lease.ttl_s)));
        Some(lease.ttl_s)
    }

    /// Whole seconds that a lease lasts yet, and its time.
    pub(super) fn time_left(&self, id: LeaseId, now_us: u64) -> Option<(i64, i64)> {
        let lease = self.leases.get(&id)?;
        let left_us = lease.ends_us?.saturating_sub(now_us);
        Some(((left_us / 1_000_000) as i64, lease.ttl_s))
    }

    /// Forgets a lease; false if there is none.
    pub(super) fn end(&mut self, id: LeaseId) -> bool {
        self.leases.remove(&id).is_some()
    }

    /// When the next one ends.
    pub(super) fn next_end(&self) -> Option<u64> {
        self.leases.values().filter_map(|lease| lease.ends_us).min()
    }

    /// Those that have ended by now.
    pub(super) fn ended(&self, now_us: u64) -> Vec<LeaseId> {
        let over = |lease: &Lease| lease.ends_us.is_some_and(|at| at <= now_us);
        self.leases.iter().filter(|(_, lease)| over(lease)).map(|(id, _)| *id).collect()
    }

    /// Nobody leads: no time passes for leases.
    pub(super) fn suspend(&mut self) {
        self.leases.values_mut().for_each(|lease| lease.ends_us = None);
    }

    /// A new leader does not know when they were last kept alive: each lasts its full time and `extra_us` from now.
    pub(super) fn begin_again(&mut self, now_us: u64, extra_us: u64) {
        let end = |lease: &Lease| now_us.saturating_add(micros(lease.ttl_s)).saturating_add(extra_us);
        self.leases.values_mut().for_each(|lease| lease.ends_us = Some(end(lease)));
    }
}
