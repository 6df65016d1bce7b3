//! Balance: each piece that is taken is in one order.

use crate::flow::flash_sale::books::Books;
use crate::property::{Judged, Memory, Moment, Property, View};

/// More or fewer pieces are taken from the stock than there are orders.
#[derive(Debug)]
pub struct SaleBalance;

impl Property for SaleBalance {
    fn name(&self) -> &'static str {
        "sale-balance"
    }

    fn demands(&self) -> &'static str {
        "each piece that is taken from the stock is in one order"
    }

    fn check(&self, _memory: &mut Memory, _view: &dyn View, moment: &Moment) -> Judged {
        let Some(books) = moment.audited::<Books>() else { return Judged::Silent };
        let (sale, ordered) = (books.stock.sale, books.ordered());
        Judged::broken(
            (sale != ordered).then(|| format!("{sale} are taken from the stock, and there are {ordered} orders")),
        )
    }
}
