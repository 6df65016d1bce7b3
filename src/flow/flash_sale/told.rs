//! Told: what buyers are told, and whom the limiter lets pass.

use crate::base::{Event, Tells};
use crate::port::{Blob, Host};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a buyer is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The request.
    pub request: Blob,
    /// The answer.
    pub answer: Answer,
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It has a piece.
    Sold,
    /// It is in the queue, and gets a piece if one is left.
    Accepted,
    /// Nothing is left.
    SoldOut,
    /// Too many requests in this window.
    Limited,
    /// Another request was first.
    Conflict,
    /// No server, or it refused: there is no order.
    Unavailable,
    /// It may have a piece, or be in the queue: an answer was lost.
    Unknown,
}

/// The limiter lets a request pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    /// What is for sale.
    pub stock: i64,
    /// When the Redis server counted it, by its own clock, in milliseconds; nothing if it did not say.
    pub counted_ms: Option<i64>,
}

/// Tells a buyer, and the history.
pub(super) fn tell<H: Host>(host: &H, request: &Blob, answer: Answer) {
    host.record(Event::told(&Told { request: request.clone(), answer }));
}

impl Tells for Told {
    const KIND: &'static str = "flash-sale";
}

impl Tells for Passed {
    const KIND: &'static str = "passed";
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Told { request, answer } = self;
        match answer {
            Answer::Sold => write!(f, "SELLS to {request}"),
            Answer::Accepted => write!(f, "accepts {request}"),
            Answer::SoldOut => write!(f, "sells nothing to {request}: sold out"),
            Answer::Limited => write!(f, "sells nothing to {request}: too many requests"),
            Answer::Conflict => write!(f, "sells nothing to {request}: another request was first"),
            Answer::Unavailable => write!(f, "sells nothing to {request}: not available"),
            Answer::Unknown => write!(f, "may have sold to {request}: an answer was lost"),
        }
    }
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("passes the rate limiter")
    }
}
