//! Duplicates: what may be there once is there once.

use super::{Moment, Property, View};

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

    fn check(&self, _view: &dyn View, moment: &Moment) -> Option<String> {
        let Moment::Audited(audit) = moment else { return None };
        let (record, count) = audit.duplicates.first()?;
        Some(format!("the record {record} is there {count} times"))
    }
}
