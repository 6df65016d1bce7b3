//! The servers of a Cluster, as they are set up.

use super::super::Config;
use super::super::replicated::{Replicated, ReplicationRole};
use super::super::table::{Owner, Table};
use super::super::topology::{MinReplicas, Sharding};
use super::member::Member;
use crate::escape::{Fixed, Unordered};
use crate::slots::last_slots;
use std::rc::Rc;

/// The servers of a Cluster.
#[derive(Clone, Hash)]
pub struct Cluster {
    pub(super) config: Fixed<Rc<Sharding>>,
    pub(super) data: Replicated,
    pub(super) members: Vec<Member>,
}

impl Cluster {
    /// Empty servers that have found each other.
    pub(in super::super) fn new(config: &Config, sharding: &Sharding) -> Self {
        let shards = sharding.shard_numbers();
        let primaries = sharding.replicas.len();
        let role = |(number, shard): (usize, &u8)| match number < primaries {
            true => ReplicationRole::Primary { epoch: u32::from(*shard) + 1 },
            false => ReplicationRole::ReplicaOf(*shard),
        };
        let roles: Vec<ReplicationRole> = shards.iter().enumerate().map(role).collect();
        let min_replicas =
            MinReplicas { to_write: sharding.min_replicas_to_write, max_lag_s: sharding.min_replicas_max_lag_s };
        let mut cluster = Cluster {
            data: Replicated::new(config, min_replicas, &roles),
            members: vec![Member::new(shards.len()); shards.len()],
            config: Fixed(Rc::new(sharding.clone())),
        };
        let last_slots: Rc<[u16]> = last_slots(primaries).into();
        let owners = (0..primaries as u8).map(|shard| Owner { epoch: u32::from(shard) + 1, server: shard });
        let owners: Vec<Owner> = owners.collect();
        for (number, shard) in cluster.data.numbers().zip(&shards) {
            let listed = (0..primaries).map(|shard| cluster.servers_of(shard).collect()).collect();
            let table = Table {
                me: number,
                shard: *shard,
                last_slots: Fixed(Rc::clone(&last_slots)),
                owners: owners.clone(),
                listed,
                serves: true,
                readonly: Unordered::default(),
            };
            cluster.data.server_mut(number).node.state.table = Some(Box::new(table));
        }
        cluster
    }

    /// The servers of a shard.
    pub(super) fn servers_of(&self, shard: usize) -> impl Iterator<Item = u8> + use<> {
        let shards = self.config.shard_numbers();
        (0..shards.len() as u8).filter(move |number| usize::from(shards[usize::from(*number)]) == shard)
    }

    pub(super) fn table(&self, number: u8) -> &Table {
        self.data.server(number).node.state.table.as_ref().expect("a server of a Cluster has a table")
    }

    pub(super) fn table_mut(&mut self, number: u8) -> &mut Table {
        self.data.server_mut(number).node.state.table.as_mut().expect("a server of a Cluster has a table")
    }
}
