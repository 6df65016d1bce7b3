//! Undersell: nothing goes from the stock that is not sold.

use super::{Moment, Property, View};

/// What is left and what was ordered are less than what there was.
#[derive(Debug)]
pub struct Undersell;

impl Property for Undersell {
    fn name(&self) -> &'static str {
        "undersell"
    }

    fn demands(&self) -> &'static str {
        "what is left and what was ordered make what there was"
    }

    fn check(&self, _view: &dyn View, moment: &Moment) -> Option<String> {
        let Moment::Audited(audit) = moment else { return None };
        let (at_start, left) = audit.stock?;
        (left + audit.orders < at_start)
            .then(|| format!("of a stock of {at_start} there are {left} left, and {} orders", audit.orders))
    }
}
