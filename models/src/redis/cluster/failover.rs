//! Failover: a replica whose primary is down is elected in its place, and the others learn of it.
//!
//! A replica that finds its primary down waits half a second, and a second for each replica of that primary with a
//! larger offset. The primaries that also find it down vote. With a majority of all primaries the replica owns the
//! slots, in an epoch of its own. Each other server learns of it from any server that it reaches; the old primary,
//! which owns no slots then, and its replicas become replicas of the new one. What the old primary took meanwhile is
//! lost.

use super::super::replicated::ReplicationRole;
use super::super::table::Owner;
use super::servers::Cluster;
use crate::resp::Value;
use crate::{NodeClock, Output, Response};

/// The least delay between a primary that is found down and the election, in microseconds.
const ELECTION_DELAY_US: u64 = 500_000;
/// What is added for each replica with a larger offset.
const RANK_DELAY_US: u64 = 1_000_000;

/// The reply to a blocked client whose server becomes a replica.
const UNBLOCKED: &str = "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)";

impl Cluster {
    /// When a replica that waits for its election can be elected, by its monotonic clock.
    fn earliest_election(&self, number: u8) -> Option<u64> {
        let ReplicationRole::ReplicaOf(primary) = self.data.server(number).replication_role else { return None };
        let member = &self.members[usize::from(number)];
        let since = member.finds_down(primary).filter(|_| member.linked && self.data.is_running(number))?;
        let offset = self.data.server(number).offset;
        let ahead = self.data.replicas_of(primary).filter(|other| self.data.server(*other).offset > offset).count();
        Some(since + ELECTION_DELAY_US + ahead as u64 * RANK_DELAY_US)
    }

    /// The moment of its election, unless it has come.
    pub(super) fn election_at(&self, number: u8) -> Option<u64> {
        self.earliest_election(number).filter(|_| !self.members[usize::from(number)].may_be_elected)
    }

    /// Lets a replica be elected whose delay is over, or no longer.
    pub(super) fn pass_election_delay(&mut self, number: u8, now_us: u64) {
        let over = self.earliest_election(number).is_some_and(|at| at <= now_us);
        self.members[usize::from(number)].may_be_elected = over;
    }

    /// True if a majority of the primaries would vote for a replica now.
    pub(super) fn can_be_elected(&self, number: u8) -> bool {
        let ReplicationRole::ReplicaOf(primary) = self.data.server(number).replication_role else { return false };
        // A newer owner of the slots tells all that it reaches, before another election ends.
        let shard = usize::from(self.table(number).shard);
        let epoch = self.table(number).owners[shard].epoch;
        let knows_newer = |server: u8| self.newest_owners(server)[shard].epoch > epoch;
        let votes = |voter: &u8| {
            !knows_newer(*voter)
                && self.data.is_running(*voter)
                && self.data.reach_each_other(number, *voter)
                && self.members[usize::from(*voter)].finds_down(primary).is_some()
        };
        let ready = self.members[usize::from(number)].may_be_elected && self.data.is_running(number);
        ready && !knows_newer(number) && self.primaries_of(number).filter(votes).count() >= self.majority()
    }

    /// A replica is elected.
    pub(super) fn elect(&mut self, clocks: &[NodeClock], number: u8) {
        let newest = self.data.numbers().flat_map(|server| self.table(server).owners.iter().map(|owner| owner.epoch));
        let epoch = newest.max().unwrap_or_default() + 1;
        self.data.promote(number, epoch);
        let table = self.table_mut(number);
        let shard = usize::from(table.shard);
        table.owners[shard] = Owner { epoch, server: number };
        self.refresh(clocks);
    }

    /// The owners that a server can learn now, one for each shard.
    fn newest_owners(&self, number: u8) -> Vec<Owner> {
        let mut owners = self.table(number).owners.clone();
        let tells = |other: &u8| self.data.is_running(*other) && self.data.passes(*other, number);
        for other in self.data.numbers().filter(tells) {
            for (known, told) in owners.iter_mut().zip(&self.table(other).owners) {
                if told.epoch > known.epoch {
                    *known = *told;
                }
            }
        }
        owners
    }

    /// True if a server can learn of an owner that is new to it.
    pub(super) fn can_learn(&self, number: u8) -> bool {
        self.data.is_running(number) && self.newest_owners(number) != self.table(number).owners
    }

    /// A server learns of the new owners. If its own slots, or its primary's, have another owner, it becomes that one's
    /// replica.
    pub(super) fn learn(&mut self, clocks: &[NodeClock], number: u8, out: &mut Vec<Output>) {
        let owners = self.newest_owners(number);
        self.table_mut(number).owners = owners;
        let primary = self.table(number).my_primary();
        let follows = self.data.server(number).replication_role == ReplicationRole::ReplicaOf(primary);
        if primary != number && !follows {
            let blocked = std::mem::take(&mut self.data.server_mut(number).waiting.0);
            for waiting in blocked {
                out.push(Output::reply(waiting.conn, Response::Redis(Value::error(UNBLOCKED))));
                out.push(Output::close(waiting.conn));
            }
            self.data.demote(number, primary);
        }
        self.refresh(clocks);
    }
}
