//! Lost update: every order has taken its piece from the stock.

use crate::flow::sale::Audit;
use crate::property::{Judged, Memory, Moment, Property, View};

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

    fn check(&self, _memory: &mut Memory, _view: &dyn View, moment: &Moment) -> Judged {
        let Some(audit) = moment.audited::<Audit>() else { return Judged::Silent };
        let Some((at_start, left)) = audit.stock else { return Judged::Silent };
        let taken = at_start - left;
        let lost = audit.orders > taken;
        Judged::broken(lost.then(|| format!("{} orders have taken {taken} from the stock", audit.orders)))
    }
}
