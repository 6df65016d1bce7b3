//! Duplicates: what may be there once is there once.

use crate::flow::sale::Audit;
use crate::property::{Judged, Memory, Moment, Property, View};

/// The reconciliation finds a record more than once.
#[derive(Debug)]
pub struct Duplicates;

impl Property for Duplicates {
    fn name(&self) -> &'static str {
        "duplicates"
    }

    fn demands(&self) -> &'static str {
        "the reconciliation finds no record twice"
    }

    fn check(&self, _memory: &mut Memory, _view: &dyn View, moment: &Moment) -> Judged {
        let Some(audit) = moment.audited::<Audit>() else { return Judged::Silent };
        let first = audit.duplicates.first();
        Judged::broken(first.map(|(record, count)| format!("the record {record} is there {count} times")))
    }
}
