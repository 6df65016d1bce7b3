//! Once: a request has one order at most.

use crate::flow::flash_sale::books::Books;
use crate::property::{Judged, Memory, Moment, Property, View};

/// A request has several orders.
#[derive(Debug)]
pub struct SaleOnce;

impl Property for SaleOnce {
    fn name(&self) -> &'static str {
        "sale-once"
    }

    fn demands(&self) -> &'static str {
        "a request has one order at most, however often it or its message comes"
    }

    fn check(&self, _memory: &mut Memory, _view: &dyn View, moment: &Moment) -> Judged {
        let Some(books) = moment.audited::<Books>() else { return Judged::Silent };
        let twice = books.orders.iter().find(|(_, times)| *times > 1);
        Judged::broken(twice.map(|(request, times)| format!("{request} has {times} orders")))
    }
}
