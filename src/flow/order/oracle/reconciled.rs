//! Reconciled: the reconciliation finds nothing.

use crate::flow::order::books::Books;
use crate::property::{Judged, Memory, Moment, Property, View};

/// After the jobs, a rule of the reconciliation is broken.
#[derive(Debug)]
pub struct OrderReconciled;

impl Property for OrderReconciled {
    fn name(&self) -> &'static str {
        "order-reconciled"
    }

    fn demands(&self) -> &'static str {
        "after the jobs, the reconciliation's statements find no row"
    }

    fn check(&self, _memory: &mut Memory, _view: &dyn View, moment: &Moment) -> Judged {
        let Some(books) = moment.audited::<Books>() else { return Judged::Silent };
        Judged::broken(books.unreconciled.first().cloned())
    }
}
