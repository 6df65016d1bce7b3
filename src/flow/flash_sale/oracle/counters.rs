//! Counters: once all is quiet, Redis has what the row has.

use crate::flow::flash_sale::books::Books;
use crate::property::{Judged, Memory, Moment, Property, View};

/// Requests have come alone, and the counters in Redis still differ from the row.
#[derive(Debug)]
pub struct SaleCounters;

impl Property for SaleCounters {
    fn name(&self) -> &'static str {
        "sale-counters"
    }

    fn demands(&self) -> &'static str {
        "after a request that comes alone, the counters in Redis are those of the row"
    }

    fn check(&self, _memory: &mut Memory, _view: &dyn View, moment: &Moment) -> Judged {
        let Some(books) = moment.audited::<Books>() else { return Judged::Silent };
        Judged::broken(books.cached.filter(|cached| *cached != books.after).map(|_| books.to_string()))
    }
}
