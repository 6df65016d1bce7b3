//! Reached: what a search of the order flow must have seen, or its verdict says nothing.

use crate::flow::order::books::Books;
use crate::flow::order::told::{Answer, NotPlaced, Path, Told};
use crate::property::{Moment, Sometimes};

/// An order gets its stock in Redis.
pub const PLACED_HOT: Sometimes = Sometimes {
    name: "sometimes-placed-hot",
    demands: "in some execution an order gets its stock from Redis",
    reached: |_, moment| tells(moment, |answer| *answer == Answer::Placed { from: Path::Hot }),
};

/// An order gets its stock in MySQL.
pub const PLACED_COLD: Sometimes = Sometimes {
    name: "sometimes-placed-cold",
    demands: "in some execution an order gets its stock from MySQL",
    reached: |_, moment| tells(moment, |answer| *answer == Answer::Placed { from: Path::Cold }),
};

/// An order is paid.
pub const PAID: Sometimes = Sometimes {
    name: "sometimes-paid",
    demands: "in some execution an order is paid",
    reached: |_, moment| tells(moment, |answer| *answer == Answer::Paid),
};

/// There is not enough.
pub const SOLD_OUT: Sometimes = Sometimes {
    name: "sometimes-order-sold-out",
    demands: "in some execution an order is told that there is not enough",
    reached: |_, moment| tells(moment, |answer| *answer == Answer::NotPlaced(NotPlaced::SoldOut)),
};

/// JOB2 returns the stock of an order.
pub const CANCELLED: Sometimes = Sometimes {
    name: "sometimes-cancelled",
    demands: "in some execution an order is cancelled",
    reached: |_, moment| {
        moment.audited::<Books>().is_some_and(|books| books.orders.iter().any(|order| order.status == "CANCELLED"))
    },
};

fn tells(moment: &Moment, what: impl FnOnce(&Answer) -> bool) -> bool {
    matches!(moment, Moment::Recorded { event, .. } if event.fact::<Told>().is_some_and(|told| what(&told.answer)))
}
