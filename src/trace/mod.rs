//! Trace: the recorded decisions and events of one execution, on disk.

mod file;
mod recorder;
mod timeline;
mod whole;

pub use file::{SCHEMA, Trace, TraceError, VERSION};
pub use recorder::{Recorder, TraceEvent};
pub use timeline::timeline;
pub use whole::write_whole;
