//! The flows that locks guard, generic over the ports.
//!
//! | file | flow |
//! |---|---|
//! | [`shop`] | check the stock, deduct, insert the order (article oversell) |
//! | [`cache_aside`] | what is read often, in Redis and in MySQL |
//! | [`draw`] | one draw for each user (article quality) |
//! | [`flash_sale`] | many buyers, few pieces, in five stages (article flash-sale) |
//! | [`order`] | orders and their stock, hot in Redis and cold in MySQL (article order) |
//! | [`queue`] | what a flow hands to its consumers |
//! | [`ranking`] | consultants by their calls, in a sorted set that is rebuilt (article crm) |
//! | [`redis_at`] | where the Redis is that a flow uses |
//! | [`sale`] | what a request is told, and what an auditor finds |
//! | [`reconcile`] | what an auditor asks the servers afterwards (article quality) |
//! | `oracle` | what must hold, judged by what requests were told and what the auditor found |

pub mod cache_aside;
pub mod draw;
pub mod flash_sale;
#[cfg(feature = "check")]
pub mod oracle;
pub mod order;
pub mod queue;
pub mod ranking;
pub mod reconcile;
pub mod redis_at;
pub mod sale;
pub mod schema;
pub mod shop;
