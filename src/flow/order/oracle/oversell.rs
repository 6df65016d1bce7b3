//! Oversell: no more of a SKU is ordered than there is.

use crate::flow::order::books::{Books, StockRow};
use crate::property::{Judged, Memory, Moment, Property, View};

/// Orders that have their stock, paid or not, take more than there is in all; or the inventory service has reserved
/// more.
#[derive(Debug)]
pub struct OrderOversell;

impl Property for OrderOversell {
    fn name(&self) -> &'static str {
        "order-oversell"
    }

    fn demands(&self) -> &'static str {
        "no more of a SKU is ordered than there is"
    }

    fn check(&self, _memory: &mut Memory, _view: &dyn View, moment: &Moment) -> Judged {
        let Some(books) = moment.audited::<Books>() else { return Judged::Silent };
        let wrong = books.stock.iter().find_map(|row| {
            let StockRow { sku, total, reserved, ordered, .. } = row;
            if ordered > total {
                Some(format!("orders have {ordered} of SKU {sku}, of which there are {total}"))
            } else {
                (reserved > total).then(|| format!("{reserved} of SKU {sku} are paid for, of which there are {total}"))
            }
        });
        Judged::broken(wrong)
    }
}
