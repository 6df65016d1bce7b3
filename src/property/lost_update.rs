//! Lost update: every order has taken its piece from the stock.

use super::{Moment, Property, View};

/// What is left and what was ordered are more than what there was: one deduction has overwritten another.
#[derive(Debug)]
pub struct LostUpdate;

impl Property for LostUpdate {
    fn name(&self) -> &'static str {
        "lost-update"
    }

    fn demands(&self) -> &'static str {
        "no deduction from the stock overwrites another"
    }

    fn check(&self, _view: &dyn View, moment: &Moment) -> Option<String> {
        let Moment::Audited(audit) = moment else { return None };
        let (at_start, left) = audit.stock?;
        let taken = at_start - left;
        (audit.orders > taken).then(|| format!("{} orders have taken {taken} from the stock", audit.orders))
    }
}
