//! Acknowledged: what requests are told agrees with the orders that there are.

use crate::flow::sale::{Audit, NotSold, Sale};
use crate::property::{Judged, Memory, Moment, Property, View};

/// A request was told that it has got something and there is no order, or there is an order and its request was told
/// a certain no.
#[derive(Debug)]
pub struct Acknowledged;

impl Property for Acknowledged {
    fn name(&self) -> &'static str {
        "acknowledged"
    }

    fn demands(&self) -> &'static str {
        "there are as many orders as requests were told a yes, and beyond these at most one for each that was told nothing certain"
    }

    fn memory(&self) -> Memory {
        // How many requests were told a yes, and how many that nobody knows.
        Memory::symmetric((0i64, 0i64))
    }

    fn check(&self, memory: &mut Memory, view: &dyn View, moment: &Moment) -> Judged {
        let (sold, unknown) = memory.get::<(i64, i64)>();
        if let Moment::Recorded { event, .. } = moment {
            match event.fact() {
                Some(Sale::Sold { .. }) => *sold += 1,
                Some(Sale::NotSold { why: NotSold::Unknown, .. }) => *unknown += 1,
                _ => {}
            }
        }
        let Some(Audit { orders, .. }) = moment.audited() else { return Judged::Silent };
        // A client that crashed may have had one request under way, and was told nothing.
        let crashed = (0..view.clients()).filter(|client| view.has_crashed(*client)).count() as i64;
        let at_most = *sold + *unknown + crashed;
        let wrong = format!("{orders} orders, and {sold} requests were told a yes, {unknown} that it is unknown");
        Judged::broken((!(*sold..=at_most).contains(&orders)).then_some(wrong))
    }
}
