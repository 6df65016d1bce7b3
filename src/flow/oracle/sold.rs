//! Sold: what a search of a shop must have seen, or its verdict says nothing.

use crate::flow::sale::{NotSold, Sale};
use crate::property::{Moment, Sometimes};

/// The shop sells.
pub const SOLD: Sometimes = Sometimes {
    name: "sometimes-sold",
    demands: "in some execution a request gets what it wanted",
    reached: |_, moment| tells(moment, |sale| matches!(sale, Sale::Sold { .. })),
};

/// The shop says no.
pub const SOLD_OUT: Sometimes = Sometimes {
    name: "sometimes-sold-out",
    demands: "in some execution a request is told that nothing is left",
    reached: |_, moment| tells(moment, |sale| matches!(sale, Sale::NotSold { why: NotSold::SoldOut, .. })),
};

fn tells(moment: &Moment, what: impl FnOnce(&Sale) -> bool) -> bool {
    matches!(moment, Moment::Recorded { event, .. } if event.fact().is_some_and(|sale| what(&sale)))
}
