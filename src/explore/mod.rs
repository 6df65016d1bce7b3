//! The explorer: drives executions of the explored world, one choice after the other.
//!
//! | file | what it holds |
//! |---|---|
//! | `strategy` | the trait of all strategies |
//! | `exhaustive` | depth-first over states, with fingerprints and a partial-order reduction |
//! | `random`, `pct` | sampled schedules |
//! | `follow` | a given schedule, strictly or as far as it goes |
//! | `check` | the search: limits, progress, verdict |

pub mod check;
pub mod exhaustive;
pub mod follow;
pub mod pct;
pub mod random;
pub mod strategy;
pub mod verdict;

pub use check::{Limits, Progress, Report, check, check_all};
pub use strategy::{Begin, Strategy};
pub use verdict::{Cause, Verdict};
