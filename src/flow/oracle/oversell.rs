//! Oversell: no more is sold than there is.

use crate::flow::sale::{Audit, Sale};
use crate::property::{Judged, Memory, Moment, Property, View};

/// There are more orders than there was stock, the stock has fallen below nothing, or more requests were told that
/// they got something than there was.
#[derive(Debug)]
pub struct Oversell;

impl Property for Oversell {
    fn name(&self) -> &'static str {
        "oversell"
    }

    fn demands(&self) -> &'static str {
        "no more is sold than there was"
    }

    fn memory(&self) -> Memory {
        // How many requests were told that they got something.
        Memory::symmetric(0i64)
    }

    fn check(&self, memory: &mut Memory, _view: &dyn View, moment: &Moment) -> Judged {
        let sold = memory.get::<i64>();
        if let Moment::Recorded { event, .. } = moment
            && let Some(Sale::Sold { .. }) = event.fact()
        {
            *sold += 1;
        }
        let Some(audit) = moment.audited::<Audit>() else { return Judged::Silent };
        let Some((at_start, left)) = audit.stock else { return Judged::Silent };
        if audit.orders > at_start {
            return Judged::Broken(format!("{} orders for a stock of {at_start}", audit.orders));
        }
        if left < 0 {
            return Judged::Broken(format!("the stock of {at_start} has fallen to {left}"));
        }
        let told = format!("{sold} requests were told that they got one of a stock of {at_start}");
        Judged::broken((*sold > at_start).then_some(told))
    }
}
