//! Oracles of the order flow: what must hold in the books, one a file.

mod balance;
mod cache;
mod oversell;
mod reached;
mod reconciled;
mod states;
mod told;
mod undersell;

use crate::property::Property;
use std::sync::Arc;

pub use balance::OrderBalance;
pub use cache::OrderCache;
pub use oversell::OrderOversell;
pub use reached::{CANCELLED, PAID, PLACED_COLD, PLACED_HOT, SOLD_OUT};
pub use reconciled::OrderReconciled;
pub use states::OrderStates;
pub use told::OrderTold;
pub use undersell::OrderUndersell;

/// All of them.
pub fn all() -> Vec<Arc<dyn Property>> {
    vec![
        Arc::new(OrderOversell),
        Arc::new(OrderUndersell),
        Arc::new(OrderCache),
        Arc::new(OrderStates),
        Arc::new(OrderBalance),
        Arc::new(OrderTold),
        Arc::new(OrderReconciled),
    ]
}
