//! Trace: the recorded decisions and events of one execution, on disk.

mod file;
mod recorder;
mod timeline;

pub use file::{SCHEMA, Trace, TraceError, VERSION};
pub use recorder::{Recorder, TraceEvent};
pub use timeline::timeline;
