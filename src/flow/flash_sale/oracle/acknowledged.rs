//! Acknowledged: the consumers have acknowledged what they have handled, and nothing else.

use crate::base::Blob;
use crate::flow::flash_sale::books::Books;
use crate::flow::flash_sale::told::{Answer, Told};
use crate::property::{Judged, Memory, Moment, Property, View};
use std::collections::BTreeSet;

/// Broken if the group has acknowledged more messages than there are. With `exactly` also if the unacknowledged
/// messages and the orders do not add up to the accepted requests.
#[derive(Clone, Copy, Debug)]
pub struct SaleAcknowledged {
    /// No answer can be lost, and there are pieces enough.
    pub exactly: bool,
}

impl Property for SaleAcknowledged {
    fn name(&self) -> &'static str {
        "sale-acknowledged"
    }

    fn demands(&self) -> &'static str {
        "consumers acknowledge what they have handled, and no more than there is"
    }

    fn memory(&self) -> Memory {
        // The requests that were accepted.
        Memory::symmetric(BTreeSet::<Blob>::new())
    }

    fn check(&self, memory: &mut Memory, _view: &dyn View, moment: &Moment) -> Judged {
        if self.exactly
            && let Moment::Recorded { event, .. } = moment
            && let Some(Told { request, answer: Answer::Accepted }) = event.fact()
        {
            memory.get::<BTreeSet<Blob>>().insert(request);
        }
        let Some(books) = moment.audited::<Books>() else { return Judged::Silent };
        if books.backlog.is_empty() {
            return Judged::Silent;
        }
        if let Some(beyond) = books.backlog.iter().find(|left| **left < 0) {
            return Judged::Broken(format!("the consumers have acknowledged {} messages that are not there", -beyond));
        }
        let accepted = memory.get::<BTreeSet<Blob>>().len() as i64;
        let (left, ordered) = (books.backlog.iter().sum::<i64>(), books.ordered_before);
        if self.exactly && left + ordered != accepted {
            return Judged::Broken(format!(
                "of {accepted} accepted requests {ordered} have orders, and {left} messages are not acknowledged"
            ));
        }
        Judged::Fine
    }
}
