//! States: each order is in one final state, with the stock movement that belongs to it.

use crate::flow::order::books::{Books, OrderRow};
use crate::property::{Judged, Memory, Moment, Property, View};

/// After the jobs an order is neither paid nor ended, or its log, its movement or its payment is not as its state says.
#[derive(Debug)]
pub struct OrderStates;

impl Property for OrderStates {
    fn name(&self) -> &'static str {
        "order-states"
    }

    fn demands(&self) -> &'static str {
        "after the jobs, each order is in a final state with exactly its stock movement"
    }

    fn check(&self, _memory: &mut Memory, _view: &dyn View, moment: &Moment) -> Judged {
        let Some(books) = moment.audited::<Books>() else { return Judged::Silent };
        if books.unsent > 0 {
            return Judged::Broken(format!("{} messages cannot be sent", books.unsent));
        }
        Judged::broken(books.orders.iter().find_map(wrong))
    }
}

/// What is wrong with an order.
fn wrong(order: &OrderRow) -> Option<String> {
    let OrderRow { id, quantity, status, log, moved, paid_minor, .. } = order;
    let log = log.as_deref();
    let right = match status.as_str() {
        "PAID" => log == Some("SETTLED") && *moved == Some(*quantity) && paid_minor.is_some(),
        "CANCELLED" | "REFUSED" => log.is_none_or(|log| log == "RETURNED") && moved.is_none() && paid_minor.is_none(),
        _ => return Some(format!("{id} stays {status}")),
    };
    let log = log.unwrap_or("not there");
    let moved = moved.map_or("not moved".to_owned(), |moved| format!("{moved} moved"));
    let paid = if paid_minor.is_some() { "paid" } else { "not paid" };
    (!right).then(|| format!("{id} is {status}: its log is {log}, {moved}, {paid}"))
}
