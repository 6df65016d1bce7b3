//! Oversell: no more is sold than there is.

use crate::flow::flash_sale::books::Books;
use crate::flow::flash_sale::told::{Answer, Told};
use crate::property::{Judged, Memory, Moment, Property, View};

/// There are more orders than pieces, or more requests were told that they have one.
#[derive(Debug)]
pub struct SaleOversell;

impl Property for SaleOversell {
    fn name(&self) -> &'static str {
        "sale-oversell"
    }

    fn demands(&self) -> &'static str {
        "no more is sold than there is"
    }

    fn memory(&self) -> Memory {
        // How many requests were told that they have a piece.
        Memory::symmetric(0i64)
    }

    fn check(&self, memory: &mut Memory, _view: &dyn View, moment: &Moment) -> Judged {
        let sold = memory.get::<i64>();
        if let Moment::Recorded { event, .. } = moment
            && let Some(Told { answer: Answer::Sold, .. }) = event.fact()
        {
            *sold += 1;
        }
        let Some(books) = moment.audited::<Books>() else { return Judged::Silent };
        let (count, ordered) = (books.stock.count, books.ordered());
        let sale = books.stock.sale.max(books.after.sale);
        if ordered > count || sale > count {
            return Judged::Broken(format!("{ordered} orders for {count} pieces, {sale} sold"));
        }
        Judged::broken(
            (*sold > count).then(|| format!("{sold} requests were told that they have one of {count} pieces")),
        )
    }
}
