//! Sale: what a request of the shop or of the draw is told, and what an auditor finds afterwards.

use crate::base::{Blob, Tells};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a request is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sale {
    /// It has got what it wanted.
    Sold {
        /// The request.
        request: Blob,
    },
    /// It has not.
    NotSold {
        /// The request.
        request: Blob,
        /// Why.
        why: NotSold,
    },
}

/// Why a request did not get what it wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotSold {
    /// There is nothing left.
    SoldOut,
    /// The lock was not held any more.
    NotHeld,
    /// What was to be written refused the fencing token.
    Stale,
    /// Somebody else was first, each time that it was tried.
    Conflict,
    /// No server, or it refused.
    Unavailable,
    /// It may have got it: an answer was lost.
    Unknown,
}

/// What an auditor finds after everybody has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// The stock at the start and now, where there is one.
    pub stock: Option<(i64, i64)>,
    /// The orders that there are.
    pub orders: i64,
    /// The records that are there more than once, and how often.
    pub duplicates: Vec<(Blob, i64)>,
}

impl Tells for Sale {
    const KIND: &'static str = "sale";
}

impl Tells for Audit {
    const KIND: &'static str = "audit";
}

impl fmt::Display for Sale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sale::Sold { request } => write!(f, "SELLS to {request}"),
            Sale::NotSold { request, why } => write!(f, "sells nothing to {request}: {why}"),
        }
    }
}

impl fmt::Display for NotSold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotSold::SoldOut => "sold out",
            NotSold::NotHeld => "the lock is not held any more",
            NotSold::Stale => "the fencing token is stale",
            NotSold::Conflict => "somebody else was first, each time",
            NotSold::Unavailable => "not available",
            NotSold::Unknown => "nobody knows: an answer was lost",
        })
    }
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} orders", self.orders)?;
        if let Some((at_start, left)) = self.stock {
            write!(f, ", {left} left of a stock of {at_start}")?;
        }
        write!(f, ", {} records more than once", self.duplicates.len())
    }
}
