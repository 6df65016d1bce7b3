//! Cache: what Redis sells is what is left.

use crate::flow::order::books::Books;
use crate::property::{Judged, Memory, Moment, Property, View};

/// Redis has more or less of a SKU than MySQL has left: the next orders are refused, or deducted for nothing.
#[derive(Debug)]
pub struct OrderCache;

impl Property for OrderCache {
    fn name(&self) -> &'static str {
        "order-cache"
    }

    fn demands(&self) -> &'static str {
        "after the jobs, Redis sells what is left in MySQL"
    }

    fn check(&self, _memory: &mut Memory, _view: &dyn View, moment: &Moment) -> Judged {
        let Some(books) = moment.audited::<Books>() else { return Judged::Silent };
        let wrong = books.stock.iter().find_map(|row| {
            let logged = row.taken(books.orders.iter().filter(|order| order.log.as_deref() == Some("DEDUCTED")));
            let (left, cached) = (row.total - row.reserved - logged, row.cached?);
            (cached != left).then(|| format!("Redis sells {cached} of SKU {}, of which {left} are left", row.sku))
        });
        Judged::broken(wrong)
    }
}
