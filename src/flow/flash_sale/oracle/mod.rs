//! Oracles of the flash sale: what must hold in the books, one a file.

mod acknowledged;
mod balance;
mod counters;
mod limit;
mod limiter_opens;
mod once;
mod oversell;
mod reached;
mod sells;
mod told;

use crate::property::Property;
use std::sync::Arc;

pub use acknowledged::SaleAcknowledged;
pub use balance::SaleBalance;
pub use counters::SaleCounters;
pub use limit::SaleLimit;
pub use limiter_opens::LimiterOpens;
pub use once::SaleOnce;
pub use oversell::SaleOversell;
pub use reached::{ACCEPTED, ALL_ORDERED, LIMITED, ORDERED, SOLD, SOLD_OUT};
pub use sells::SaleSells;
pub use told::SaleTold;

/// All but the one that needs the limiter's figures.
pub fn all() -> Vec<Arc<dyn Property>> {
    vec![
        Arc::new(SaleOversell),
        Arc::new(SaleBalance),
        Arc::new(SaleOnce),
        Arc::new(SaleTold),
        Arc::new(SaleSells),
        Arc::new(SaleCounters),
        Arc::new(LimiterOpens),
        Arc::new(SaleAcknowledged { exactly: false }),
    ]
}
