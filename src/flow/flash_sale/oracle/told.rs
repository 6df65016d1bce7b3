//! Told: what buyers were told agrees with the books.

use crate::base::Blob;
use crate::flow::flash_sale::books::Books;
use crate::flow::flash_sale::told::{Answer, Told};
use crate::property::{Judged, Memory, Moment, Property, View};
use std::collections::BTreeMap;

/// A request was told of an order that is not there, or of none and there is one; or it was told that nothing is left,
/// or was accepted and has none, although pieces are left.
#[derive(Debug)]
pub struct SaleTold;

impl Property for SaleTold {
    fn name(&self) -> &'static str {
        "sale-told"
    }

    fn demands(&self) -> &'static str {
        "what buyers are told agrees with the orders, and who was accepted has one while pieces are left"
    }

    fn memory(&self) -> Memory {
        // The last answer to each request.
        Memory::symmetric(BTreeMap::<Blob, Answer>::new())
    }

    fn check(&self, memory: &mut Memory, _view: &dyn View, moment: &Moment) -> Judged {
        let answers = memory.get::<BTreeMap<Blob, Answer>>();
        if let Moment::Recorded { event, .. } = moment
            && let Some(Told { request, answer }) = event.fact()
        {
            answers.insert(request, answer);
        }
        let Some(books) = moment.audited::<Books>() else { return Judged::Silent };
        let nothing_left = books.stock.sale >= books.stock.count;
        let wrong = answers.iter().find_map(|(request, answer)| {
            let has_order = books.orders.iter().any(|(ordered, _)| ordered == request);
            let right = match answer {
                Answer::Sold => has_order,
                Answer::Accepted => has_order || nothing_left,
                Answer::SoldOut => !has_order && nothing_left,
                Answer::Limited | Answer::Conflict | Answer::Unavailable => !has_order,
                Answer::Unknown => true,
            };
            let told = Told { request: request.clone(), answer: *answer };
            let order = if has_order { "an order" } else { "no order" };
            let left = books.stock.count - books.stock.sale;
            (!right).then(|| format!("the shop {told}, and it has {order}, with {left} pieces left"))
        });
        Judged::broken(wrong)
    }
}
