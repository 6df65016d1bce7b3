//! Undersell: what no order has can be sold.

use crate::flow::order::books::{Books, StockRow};
use crate::property::{Judged, Memory, Moment, Property, View};

/// After the jobs have done their work something is neither in an order nor left.
#[derive(Debug)]
pub struct OrderUndersell;

impl Property for OrderUndersell {
    fn name(&self) -> &'static str {
        "order-undersell"
    }

    fn demands(&self) -> &'static str {
        "after the jobs, what no order has is left"
    }

    fn check(&self, _memory: &mut Memory, _view: &dyn View, moment: &Moment) -> Judged {
        let Some(books) = moment.audited::<Books>() else { return Judged::Silent };
        let wrong = books.stock.iter().find_map(|row| {
            let taken = row.taken(books.orders.iter().filter(|order| order.has_stock()));
            let logged = row.taken(books.orders.iter().filter(|order| order.log.as_deref() == Some("DEDUCTED")));
            let left = row.total - row.reserved - logged;
            let StockRow { sku, total, .. } = row;
            let lost = total - taken - left;
            if lost > 0 {
                return Some(format!(
                    "of {total} of SKU {sku} orders have {taken} and {left} are left: {lost} are lost"
                ));
            }
            let lost = row.cached.map_or(0, |cached| total - taken - cached);
            let cached = row.cached.unwrap_or_default();
            (lost > 0).then(|| {
                format!("of {total} of SKU {sku} orders have {taken} and Redis sells {cached}: {lost} are lost")
            })
        });
        Judged::broken(wrong)
    }
}
