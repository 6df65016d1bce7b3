//! Told: what customers were told agrees with the books.

use crate::base::Blob;
use crate::flow::order::books::Books;
use crate::flow::order::told::{Answer, NotPlaced, Told};
use crate::property::{Judged, Memory, Moment, Property, View};
use std::collections::BTreeMap;

/// A customer was told of a payment that is not there, or that an order was not placed that is paid; the last answer
/// counts.
#[derive(Debug)]
pub struct OrderTold;

impl Property for OrderTold {
    fn name(&self) -> &'static str {
        "order-told"
    }

    fn demands(&self) -> &'static str {
        "what customers are told of their orders agrees with the books"
    }

    fn memory(&self) -> Memory {
        // The last answer for each order.
        Memory::symmetric(BTreeMap::<Blob, Answer>::new())
    }

    fn check(&self, memory: &mut Memory, _view: &dyn View, moment: &Moment) -> Judged {
        let answers = memory.get::<BTreeMap<Blob, Answer>>();
        if let Moment::Recorded { event, .. } = moment
            && let Some(Told { order, answer }) = event.fact()
        {
            answers.insert(order, answer);
        }
        let Some(books) = moment.audited::<Books>() else { return Judged::Silent };
        let status = |order: &Blob| books.orders.iter().find(|row| row.id == *order).map(|row| row.status.as_str());
        let wrong = answers.iter().find_map(|(order, answer)| {
            let status = status(order);
            let right = match answer {
                Answer::Paid => status == Some("PAID"),
                Answer::Placed { .. } => matches!(status, Some("PAID" | "CANCELLED")),
                Answer::NotPaid => status != Some("PAID"),
                Answer::NotPlaced(NotPlaced::Invalid | NotPlaced::SoldOut | NotPlaced::Cancelled) => {
                    matches!(status, None | Some("CANCELLED" | "REFUSED"))
                }
                Answer::NotPlaced(NotPlaced::Busy | NotPlaced::Unknown) | Answer::PaymentUnknown => true,
            };
            let told = Told { order: order.clone(), answer: *answer };
            (!right).then(|| format!("the shop {told}, and the order is {}", status.unwrap_or("not there")))
        });
        Judged::broken(wrong)
    }
}
