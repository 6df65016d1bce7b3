//! Reached: what a search of the flash sale must have seen, or its verdict says nothing.

use crate::flow::flash_sale::books::Books;
use crate::flow::flash_sale::told::{Answer, Told};
use crate::property::{Moment, Sometimes};

/// A request is told that it has a piece.
pub const SOLD: Sometimes = Sometimes {
    name: "sometimes-flash-sold",
    demands: "in some execution a request gets a piece at once",
    reached: |_, moment| tells(moment, Answer::Sold),
};

/// A request is in the queue.
pub const ACCEPTED: Sometimes = Sometimes {
    name: "sometimes-accepted",
    demands: "in some execution a request is accepted",
    reached: |_, moment| tells(moment, Answer::Accepted),
};

/// Nothing is left.
pub const SOLD_OUT: Sometimes = Sometimes {
    name: "sometimes-flash-sold-out",
    demands: "in some execution a request is told that nothing is left, or another one was first",
    reached: |_, moment| tells(moment, Answer::SoldOut) || tells(moment, Answer::Conflict),
};

/// The limiter refuses.
pub const LIMITED: Sometimes = Sometimes {
    name: "sometimes-limited",
    demands: "in some execution the rate limiter refuses a request",
    reached: |_, moment| tells(moment, Answer::Limited),
};

/// A consumer makes an order, before the auditor takes what is left in the queue.
pub const ORDERED: Sometimes = Sometimes {
    name: "sometimes-ordered",
    demands: "in some execution a consumer makes an order",
    reached: |_, moment| moment.audited::<Books>().is_some_and(|books| books.ordered_before > 0),
};

/// The consumers leave nothing to the auditor.
pub const ALL_ORDERED: Sometimes = Sometimes {
    name: "sometimes-all-ordered",
    demands: "in some execution the consumers make every order, and acknowledge every message",
    reached: |_, moment| {
        let all = |books: &Books| books.ordered_before > 0 && books.ordered_before == books.ordered();
        moment.audited::<Books>().is_some_and(|books| all(&books) && books.backlog.iter().all(|left| *left == 0))
    },
};

fn tells(moment: &Moment, answer: Answer) -> bool {
    matches!(moment, Moment::Recorded { event, .. } if event.fact::<Told>().is_some_and(|told| told.answer == answer))
}
