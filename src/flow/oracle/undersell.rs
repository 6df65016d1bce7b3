//! Undersell: nothing goes from the stock that is not sold.

use crate::flow::sale::Audit;
use crate::property::{Judged, Memory, Moment, Property, View};

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

    fn check(&self, _memory: &mut Memory, _view: &dyn View, moment: &Moment) -> Judged {
        let Some(audit) = moment.audited::<Audit>() else { return Judged::Silent };
        let Some((at_start, left)) = audit.stock else { return Judged::Silent };
        let short = left + audit.orders < at_start;
        Judged::broken(
            short.then(|| format!("of a stock of {at_start} there are {left} left, and {} orders", audit.orders)),
        )
    }
}
