//! Audit: what is left on the servers after everybody has ended.

use super::Blob;
use serde::{Deserialize, Serialize};

/// What an auditor finds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// The stock at the start and now, where there is one.
    pub stock: Option<(i64, i64)>,
    /// The orders that there are.
    pub orders: i64,
    /// The records that are there more than once, and how often.
    pub duplicates: Vec<(Blob, i64)>,
}
