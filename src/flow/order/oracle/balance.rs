//! Balance: what was paid is what the orders cost, and a coupon pays once.

use crate::base::Blob;
use crate::flow::order::books::{Books, CouponRow};
use crate::property::{Judged, Memory, Moment, Property, View};

/// A paid order was paid with another amount, or a coupon counts for another order than it was used for.
#[derive(Debug)]
pub struct OrderBalance;

impl Property for OrderBalance {
    fn name(&self) -> &'static str {
        "order-balance"
    }

    fn demands(&self) -> &'static str {
        "each paid order was paid with its amount, and its coupon is used by it"
    }

    fn check(&self, _memory: &mut Memory, _view: &dyn View, moment: &Moment) -> Judged {
        let Some(books) = moment.audited::<Books>() else { return Judged::Silent };
        let amount = books.orders.iter().find_map(|order| {
            let paid = order.paid_minor.filter(|paid| *paid != order.amount_minor)?;
            Some(format!("{} costs {} and was paid with {paid}", order.id, order.amount_minor))
        });
        let coupon = || {
            books.coupons.iter().find(|coupon| coupon.order != coupon.used_by).map(|coupon| {
                let name = |order: &Option<Blob>| order.as_ref().map_or("no order".to_owned(), ToString::to_string);
                let CouponRow { id, used_by, order } = coupon;
                format!("coupon {id} is used by {}, and its discount had {}", name(used_by), name(order))
            })
        };
        Judged::broken(amount.or_else(coupon))
    }
}
