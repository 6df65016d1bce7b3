//! MySQL: optimistic versions, row locks, a lock table, user locks.
//!
//! | file | what it is |
//! |---|---|
//! | [`transaction`] | a transaction that is tried again, each time in a new one |
//! | [`row`] | a number in a row, and what guards it: a version, a condition, `FOR UPDATE`, a fencing token |
//! | [`table`] | a lock table with a unique key |
//! | [`user`] | `GET_LOCK` |
//!
//! The guards of [`row`] decide at the write, in the database. The locks of [`table`] and [`user`] are locks as the others of this crate are,
//! and what they guard may be anywhere. Both together are what article order does: the lock first, and the version behind it
//! for the day on which the lock does not hold.

mod left_over;
pub mod row;
mod sessions;
pub mod table;
pub mod transaction;
pub mod user;

pub use table::LockTable;
pub use transaction::{Client, Retry, Stop, Transaction};
pub use user::UserLock;
