//! Oracles: what must hold in a flow, one a file. They judge what requests were told and what an auditor finds.

mod acknowledged;
mod duplicates;
mod lost_update;
mod oversell;
mod progress;
mod sold;
mod undersell;

use crate::property::Property;
use std::sync::Arc;

pub use acknowledged::Acknowledged;
pub use duplicates::Duplicates;
pub use lost_update::LostUpdate;
pub use oversell::Oversell;
pub use progress::Progress;
pub use sold::{SOLD, SOLD_OUT};
pub use undersell::Undersell;

/// The properties of a sale.
pub fn all() -> Vec<Arc<dyn Property>> {
    vec![
        Arc::new(Oversell),
        Arc::new(Acknowledged),
        Arc::new(Undersell),
        Arc::new(LostUpdate),
        Arc::new(Duplicates),
        Arc::new(Progress),
    ]
}
