//! Base: what everything else is made of, and what itself needs nothing: texts, moments, events.

mod event;
mod fact;
pub(crate) mod shared;
pub mod time;

pub use doublehold_models::Blob;
pub use event::{Ended, Event, Mode};
pub use fact::{Fact, Tells};
#[cfg(feature = "check")]
pub(crate) use time::millis;
pub use time::{Elapsed, Instant, WallTime};
