//! Base: what everything else is made of, and what itself needs nothing: texts, moments, events.

mod audit;
mod event;
pub mod time;

pub use audit::Audit;
pub use doublehold_models::Blob;
pub use event::{Ended, Event, Mode, NotSold};
#[cfg(feature = "check")]
pub(crate) use time::millis;
pub use time::{Elapsed, Instant, WallTime};
