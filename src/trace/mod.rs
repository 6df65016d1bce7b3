//! Trace: the recorded decisions and events of one execution, on disk.

mod file;
mod timeline;
mod whole;

pub use crate::world::recorder::{Recorder, TraceEvent};
pub use file::{SCHEMA, Trace, TraceError, VERSION};
pub use timeline::timeline;
pub use whole::write_whole;
