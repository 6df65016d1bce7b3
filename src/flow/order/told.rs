//! Told: what customers are told of their orders.

use crate::base::{Event, Tells};
use crate::port::{Blob, Host};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a customer is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The order.
    pub order: Blob,
    /// The answer.
    pub answer: Answer,
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The order is placed and has its stock: it may be paid.
    Placed {
        /// Where its stock is from.
        from: Path,
    },
    /// It is not.
    NotPlaced(NotPlaced),
    /// It is paid.
    Paid,
    /// It is not: nothing is charged.
    NotPaid,
    /// The payment's commit was not answered.
    PaymentUnknown,
}

/// Where an order's stock is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Path {
    /// Redis.
    Hot,
    /// MySQL.
    Cold,
}

/// Why an order was not placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotPlaced {
    /// There is no such product, it is not for sale, or the quantity or the coupon is not valid.
    Invalid,
    /// There is not enough left.
    SoldOut,
    /// The order was cancelled meanwhile.
    Cancelled,
    /// Too much is going on; the order may be sent again.
    Busy,
    /// No server, or an answer was lost: the order may be placed, and may be sent again.
    Unknown,
}

/// Tells a customer, and the history.
pub(super) fn tell<H: Host>(host: &H, order: &Blob, answer: Answer) {
    host.record(Event::told(&Told { order: order.clone(), answer }));
}

impl Tells for Told {
    const KIND: &'static str = "order";
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Told { order, answer } = self;
        match answer {
            Answer::Placed { from: Path::Hot } => write!(f, "PLACES {order}, from Redis"),
            Answer::Placed { from: Path::Cold } => write!(f, "PLACES {order}, from MySQL"),
            Answer::NotPlaced(why) => write!(f, "does not place {order}: {why}"),
            Answer::Paid => write!(f, "takes the payment for {order}"),
            Answer::NotPaid => write!(f, "takes no payment for {order}"),
            Answer::PaymentUnknown => write!(f, "may have taken the payment for {order}: no answer to COMMIT"),
        }
    }
}

impl fmt::Display for NotPlaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotPlaced::Invalid => "not valid",
            NotPlaced::SoldOut => "sold out",
            NotPlaced::Cancelled => "cancelled",
            NotPlaced::Busy => "busy",
            NotPlaced::Unknown => "unknown, an answer was lost",
        })
    }
}
