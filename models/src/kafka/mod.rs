//! A simulated Kafka broker, compared with Kafka 3.9 (the classic group protocol) and with librdkafka's mock broker.
//!
//! | file | what it holds |
//! |---|---|
//! | `wire` | requests and replies |
//! | `broker` | the broker: how it serves requests, and what a crash or a power loss leaves |
//! | `topics` | the logs of the partitions |
//! | `groups` | the groups on disk: committed offsets and members |
//! | `coordinator` | a consumer group: its members, its generations, its rebalances |
//! | `member` | a member of a group |
//! | `service` | what the generic core asks of it |
//!
//! One broker: it leads every partition and coordinates every group. Not modelled, and without words in [`wire`]:
//! replication, transactions, idempotent producers, retention and compaction, static members, cooperative
//! rebalancing, the group protocol of KIP-848, and metadata: clients know how many partitions a topic has. A new member
//! gets its id and joins with one request; since Kafka 2.2 a real broker sends it off to join again with the id.
//!
//! Where it is simpler than Kafka:
//!
//! - A client that is not polled for `max.poll.interval.ms` leaves its group. Here that time counts only during a
//!   rebalance.
//! - A poll asks whether the generation stands before it reads. Real clients ask every few seconds, and hand out what
//!   they had read before: one that is out of its group may go on for so long. Here that needs an answer that is lost.
//! - A power loss takes what was not synced of all logs. On disks each log has its own: offsets may survive records.
//! - `group.initial.rebalance.delay.ms` is not extended when more members come, and the last member to leave ends the
//!   group at once. A broker that starts again has its groups at once (no COORDINATOR_LOAD_IN_PROGRESS). Any session
//!   time-out is allowed.

#[cfg(feature = "nodes")]
mod broker;
#[cfg(feature = "nodes")]
mod coordinator;
#[cfg(feature = "nodes")]
mod groups;
#[cfg(feature = "nodes")]
mod member;
#[cfg(feature = "nodes")]
mod service;
#[cfg(feature = "nodes")]
mod topics;
pub mod wire;

#[cfg(feature = "nodes")]
pub use broker::Broker;
use serde::{Deserialize, Serialize};
#[cfg(feature = "nodes")]
pub(crate) use service::start;

/// How a broker is set up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How long an empty group waits for more members after its first one (`group.initial.rebalance.delay.ms`).
    pub initial_delay_ms: u32,
    /// When what was written is synced to the disk.
    pub flush: Flush,
}

/// When what was written is synced to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flush {
    /// Before it is acknowledged (`log.flush.interval.messages=1`).
    EachMessage,
    /// When the operating system thinks fit, which is Kafka's default: a power loss takes what was acknowledged lately.
    BySystem,
}

impl Default for Config {
    /// Kafka's defaults.
    fn default() -> Self {
        Config { initial_delay_ms: 3000, flush: Flush::BySystem }
    }
}
