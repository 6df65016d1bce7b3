//! The order of sequential nodes: by the counter at the end of their names.

use crate::port::Blob;
use std::cmp::Ordering;

/// How names are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By the counter, in serial-number arithmetic (RFC 1982): right also where the signed 32-bit counter wraps, as
    /// long as fewer than 2³¹ nodes wait.
    Serial,
    /// By the counter as a number: wrong once it has wrapped (Z9).
    Numeric,
    /// By the whole name: wrong as soon as something stands before the counter that differs.
    FullName,
}

/// The counter at the end of a sequential node's name, whose prefix ends with a `-`.
///
/// The server writes it as `%010d`: a negative one takes ten characters with its sign, or eleven.
pub fn counter(name: &[u8]) -> Option<i32> {
    let tail = |length: usize| name.get(name.len().checked_sub(length)?..);
    let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse().ok();
    match tail(12) {
        Some([b'-', b'-', digits @ ..]) if digits.iter().all(u8::is_ascii_digit) => number(tail(11)?),
        _ => number(tail(10)?),
    }
}

/// Compares two names of sequential nodes of one parent.
pub fn compare(order: Order, left: &Blob, right: &Blob) -> Ordering {
    let counters = || Some((counter(left)?, counter(right)?));
    match (order, counters()) {
        (Order::FullName, _) | (_, None) => left.cmp(right),
        (Order::Numeric, Some((left, right))) => left.cmp(&right),
        (Order::Serial, Some((left, right))) => left.wrapping_sub(right).cmp(&0),
    }
}
