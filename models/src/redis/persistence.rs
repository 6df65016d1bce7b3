//! What survives a crash: nothing, the last snapshot, or the append-only file up to its last fsync.

use super::keyspace::Keyspace;
use crate::escape::Fixed;
use crate::service::Lost;
use serde::{Deserialize, Serialize};
use std::rc::Rc;

/// What a snapshot command asked of the disk.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Save {
    No,
    Snapshot,
}

const SECOND_US: i64 = 1_000_000;

/// How a server persists its data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "kebab-case")]
pub enum Persistence {
    /// A restart finds nothing.
    None,
    /// Snapshots (RDB): on SAVE and BGSAVE, and once `changes` writes are `seconds` old.
    Rdb {
        /// The age of the oldest unsaved change at which a snapshot is due.
        seconds: u32,
        /// The number of changes below which no snapshot is made.
        changes: u64,
    },
    /// The append-only file.
    Aof {
        /// When it is synced.
        fsync: Fsync,
    },
    /// Every write survives: for nodes whose crashes are not the point.
    #[default]
    Durable,
}

/// `appendfsync`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fsync {
    /// Before each reply.
    Always,
    /// Once a second.
    Everysec,
    /// Never by itself: everything since the start is at risk.
    No,
}

/// What the disk would give back after a crash.
#[derive(Clone, Hash)]
pub(super) struct Disk {
    policy: Fixed<Policy>,
    /// The data set as of the last sync; `None` while it equals the one in memory.
    synced: Option<Rc<Keyspace>>,
    /// When the next periodic sync falls due, by the wall clock in microseconds.
    next_sync: Option<i64>,
    /// Changes since the last sync, where they are at risk.
    dirty: u64,
    /// A sync takes long: what was appended before it. The server postpones its writes until it is over.
    slow: Option<Rc<Keyspace>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Policy {
    Nothing,
    Everything,
    Periodic { seconds: u32, changes: u64, appended: bool },
    OnDemand,
}

impl Disk {
    pub(super) fn new(persistence: &Persistence) -> Self {
        let policy = match persistence {
            Persistence::None => Policy::Nothing,
            Persistence::Durable | Persistence::Aof { fsync: Fsync::Always } => Policy::Everything,
            Persistence::Rdb { seconds, changes } => {
                Policy::Periodic { seconds: *seconds, changes: *changes, appended: false }
            }
            Persistence::Aof { fsync: Fsync::Everysec } => Policy::Periodic { seconds: 1, changes: 1, appended: true },
            Persistence::Aof { fsync: Fsync::No } => Policy::OnDemand,
        };
        Disk { policy: Fixed(policy), synced: None, next_sync: None, dirty: 0, slow: None }
    }

    /// Keeps what is on disk apart before the first command that may change the data set.
    pub(super) fn before_write(&mut self, db: &Keyspace, may_write: bool) {
        if may_write && self.synced.is_none() && matches!(*self.policy, Policy::Periodic { .. } | Policy::OnDemand) {
            self.synced = Some(Rc::new(db.clone()));
        }
    }

    /// Takes note of the changes that a command made.
    pub(super) fn after_command(&mut self, now_us: i64, dirty: u64, save: Save) {
        if let Policy::Nothing | Policy::Everything = *self.policy {
            return;
        }
        self.dirty += dirty;
        if save == Save::Snapshot {
            return self.sync();
        }
        match *self.policy {
            Policy::Periodic { .. } | Policy::OnDemand if self.dirty == 0 => self.synced = None,
            Policy::Periodic { seconds, changes, .. } if self.next_sync.is_none() && self.dirty >= changes => {
                self.next_sync = Some(now_us + i64::from(seconds) * SECOND_US);
            }
            _ => {}
        }
    }

    pub(super) fn next_sync(&self) -> Option<i64> {
        self.next_sync.filter(|_| self.slow.is_none())
    }

    pub(super) fn is_due(&self, now_us: i64) -> bool {
        self.next_sync().is_some_and(|at| at <= now_us)
    }

    /// True if the file is synced beside the commands, and no sync takes long yet.
    pub(super) fn can_be_slow(&self) -> bool {
        matches!(*self.policy, Policy::Periodic { appended: true, .. }) && self.slow.is_none()
    }

    /// True while a sync takes long.
    pub(super) fn is_slow(&self) -> bool {
        self.slow.is_some()
    }

    /// A sync takes long.
    pub(super) fn slow_down(&mut self, db: &Keyspace) {
        self.slow = Some(Rc::new(db.clone()));
    }

    /// The sync that took long is over; what was postponed is appended.
    pub(super) fn speed_up(&mut self) {
        let appended = self.slow.take();
        if self.synced.is_some() {
            self.synced = appended;
        }
    }

    /// The disk now holds what memory holds.
    pub(super) fn sync(&mut self) {
        (self.synced, self.slow) = (None, None);
        self.next_sync = None;
        self.dirty = 0;
    }

    /// The data set that is there after the server has gone down. Before it replies it writes to its append-only file, and
    /// the operating system keeps that when the process alone ends.
    pub(super) fn surviving(&self, db: Keyspace, lost: Lost) -> Keyspace {
        match (*self.policy, &self.synced) {
            (Policy::Nothing, _) => Keyspace::default(),
            (Policy::Everything, _) | (_, None) => db,
            (Policy::Periodic { appended: true, .. } | Policy::OnDemand, _) if lost == Lost::Process => {
                self.slow.as_ref().map_or(db, |appended| (**appended).clone())
            }
            (_, Some(synced)) => (**synced).clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{Mutation, each_shows};
    use crate::redis::keyspace::{Data, Entry};

    #[test]
    fn every_field_is_in_the_digest() {
        let disk = Disk::new(&Persistence::Aof { fsync: Fsync::Everysec });
        let changes: &[Mutation<Disk>] = &[
            ("what is synced", |disk| disk.synced = Some(Rc::default())),
            ("the next sync", |disk| disk.next_sync = Some(0)),
            ("another next sync", |disk| disk.next_sync = Some(1)),
            ("changes", |disk| disk.dirty = 1),
            ("a slow sync", |disk| disk.slow_down(&Keyspace::default())),
        ];
        each_shows(&disk, changes);
    }

    fn survive(persistence: Persistence, lost: Lost) -> bool {
        let mut disk = Disk::new(&persistence);
        disk.before_write(&Keyspace::default(), true);
        disk.after_command(0, 1, Save::No);
        let mut written = Keyspace::default();
        written.insert("key".into(), Entry { data: Data::Str("value".into()), expire_at: None });
        disk.surviving(written.clone(), lost).peek(b"key", 0).is_some()
    }

    /// A write that was answered and not synced yet: the page cache outlives the process, not the machine.
    #[test]
    fn what_is_appended_survives_the_process_and_not_the_power() {
        for (persistence, process, power) in [
            (Persistence::None, false, false),
            (Persistence::Rdb { seconds: 60, changes: 1 }, false, false),
            (Persistence::Aof { fsync: Fsync::No }, true, false),
            (Persistence::Aof { fsync: Fsync::Everysec }, true, false),
            (Persistence::Aof { fsync: Fsync::Always }, true, true),
            (Persistence::Durable, true, true),
        ] {
            let found = (survive(persistence.clone(), Lost::Process), survive(persistence.clone(), Lost::Power));
            assert_eq!(found, (process, power), "{persistence:?}");
        }
    }

    /// Where every change survives, or none does, they are not counted.
    #[test]
    fn changes_count_only_where_they_are_at_risk() {
        let mut disk = Disk::new(&Persistence::Durable);
        disk.after_command(0, 1, Save::No);
        assert_eq!(disk.dirty, 0);
    }
}
