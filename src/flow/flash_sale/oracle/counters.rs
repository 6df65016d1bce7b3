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
        "after two requests that come alone, the counters in Redis are those of the row"
    }

    fn check(&self, _memory: &mut Memory, _view: &dyn View, moment: &Moment) -> Judged {
        let Some(books) = moment.audited::<Books>() else { return Judged::Silent };
        let differs = books.counts_in_redis && books.cached != Some(books.after);
        Judged::broken(differs.then(|| match books.cached {
            Some(_) => books.to_string(),
            None => "Redis has no counters".to_owned(),
        }))
    }
}
