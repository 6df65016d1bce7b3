//! Sells: what is left can be sold.

use crate::flow::flash_sale::books::Books;
use crate::property::{Judged, Memory, Moment, Property, View};

/// Pieces are left, and a request that comes alone gets none: none ever will.
#[derive(Debug)]
pub struct SaleSells;

impl Property for SaleSells {
    fn name(&self) -> &'static str {
        "sale-sells"
    }

    fn demands(&self) -> &'static str {
        "while pieces are left, requests that come alone get one, the second at the latest"
    }

    fn check(&self, _memory: &mut Memory, _view: &dyn View, moment: &Moment) -> Judged {
        let Some(books) = moment.audited::<Books>() else { return Judged::Silent };
        let left = books.stock.count - books.stock.sale;
        let stuck = left > 0 && books.after.sale == books.stock.sale;
        Judged::broken(stuck.then(|| format!("{left} pieces are left, and requests that come alone get none")))
    }
}
